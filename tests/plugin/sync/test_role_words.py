"""Packers are not told to press what they don't have."""

from __future__ import annotations

import pytest

from host_app.plugin_api import speaking
from plugin.sync.role_words import ASK, BUTTONS, told_to
from plugin.sync.settling import NOTHING_OPEN, ONCE_SENT, SHIPPED_ALREADY
from plugin.sync.shipments import NOT_TOLD
from plugin.texts import gettext as _


def texts() -> list[str]:
    shown, reason = "bol shows nothing of it.", "bol: “Wrong code”."
    return [
        str(NOTHING_OPEN),
        f"{SHIPPED_ALREADY} {ONCE_SENT}",
        str(NOT_TOLD),
        _("%(shown)s Look in bol's seller portal, then press “Send again” or “Handled elsewhere”.", shown=shown),
        _("%(reason)s Correct it and press “Send again”, or “Handled elsewhere” if bol has it already.", reason=reason),
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "nl"])
def test_what_only_administrators_can_press_is_not_told_to_packers(language: str) -> None:
    with speaking(language):
        for text in texts():
            assert any(f"“{button}”" in text for button in BUTTONS)
            assert told_to(text, may_decide=True) == text
            told = told_to(text, may_decide=False)
            assert not any(str(button) in told for button in BUTTONS) and told.endswith(str(ASK))
            assert ":." not in told and not told.startswith(" ")


def test_what_everybody_can_press_is_told_to_everybody() -> None:
    with speaking("en"):
        told = told_to(f"{SHIPPED_ALREADY} {ONCE_SENT}", may_decide=False)
        assert told == (
            "bol has these goods as shipped already, by a parcel that was withdrawn here, and takes no second shipment of "
            "them. If this parcel holds the very goods of that one, write its tracking code at it here (“Correct”): bol is "
            "told it then. Ask an administrator, who can look at bol and decide."
        )
        assert told_to("confirmed", may_decide=False) == "confirmed"

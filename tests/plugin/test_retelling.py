"""Texts that were kept are said anew in the language of whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from host_app.plugin_api import speaking
from plugin.connector import BadRequest, TimedOut
from plugin.connector.errors import Violation
from plugin.retelling import retold
from plugin.sync.shipments import NOT_TOLD, WITHDRAWN
from plugin.texts import gettext as _
from plugin.texts import ngettext

REFUSED = BadRequest(violations=(Violation("x", "The tracking code is wrong."),), request_id="a-1")
TEXTS: tuple[Callable[[], str], ...] = (
    lambda: str(WITHDRAWN),
    lambda: str(NOT_TOLD),
    lambda: TimedOut().operator_text(_),
    lambda: REFUSED.operator_text(_),
    lambda: _("The carrier %(carrier)s has no code of bol: set it in the store's settings.", carrier="Own"),
    lambda: _("bol has %(count)s of item %(item)s as shipped", count=2, item="17"),
    lambda: _(
        "bol refused shipment %(shipment)s of item %(item)s: %(reason)s",
        shipment=2,
        item="17",
        reason=_("bol refused it without a reason."),
    ),
    lambda: _(
        "bol cancelled a part: %(pieces)s. Do not ship these pieces.",
        pieces=", ".join(
            _("%(count)s of %(all)s × %(name)s", count=count, all=3, name=name)
            for count, name in ((1, "Pan, red of steel"), (2, "Lamp"))
        ),
    ),
    lambda: _("%(reason)s Correct it and press “Send again”, or “Handled elsewhere” if bol has it already.",
              reason=_("bol gave no reason.")),
    *(
        lambda count=count: ngettext(
            "%(store)s is disconnected, and bol was not told of %(num)s parcel",
            "%(store)s is disconnected, and bol was not told of %(num)s parcels",
            count,
            store="Mine",
        )
        for count in (1, 3)
    ),
)  # fmt: skip


@pytest.mark.parametrize("make", TEXTS)
def test_what_was_kept_in_one_language_is_said_in_the_other(make: Callable[[], str]) -> None:
    said = {}
    for name in ("en", "nl"):
        with speaking(name):
            said[name] = make()
    assert said["en"] != said["nl"]
    for kept in said.values():
        for name, expected in said.items():
            with speaking(name):
                assert retold(kept) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ok",
        "Pakket niet gevonden.",
        "De bestelling is al verzonden. Probeer het niet opnieuw.",
        "Doos of tas × 3",
        "50% (of %(count)s) %s %%",
        "a. b. c. d. e. f. g. h. i. j. k. l. m. n. o.",
        "x" * 5000,
    ],
)
def test_what_is_not_ours_stays_as_it_is(text: str) -> None:
    with speaking("nl"):
        assert retold(text) == text


def test_bols_own_words_stay_within_ours() -> None:
    with speaking("en"):
        kept = REFUSED.operator_text(_)
    with speaking("nl"):
        told = retold(kept)
    assert "The tracking code is wrong." in told and "bol does not accept" not in told


def test_lines_and_sentences_that_were_put_together_are_told_one_by_one() -> None:
    made: list[Any] = [WITHDRAWN, "Somebody wrote this.", TimedOut()]

    def whole() -> str:
        return f"{made[0]} {made[1]} {made[2].operator_text(_)}\n{made[0]}"

    with speaking("en"):
        kept = whole()
    with speaking("nl"):
        assert retold(kept) == whole()

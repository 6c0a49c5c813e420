"""A store chooses which kinds of its notifications are mailed, and to whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import plugin
from host_app.db import transaction
from host_app.models import Notification
from host_app.plugin_api import HostError, Level, Notice
from plugin.models import SettingChange
from plugin.settings import MAIL_KINDS, StoreSettings
from plugin.views.words import MAIL_KINDS as NAMED
from tests.plugin.conftest import KETTLE, Shop


def mailed(shop: Shop) -> dict[str, str | None]:
    return {row.kind: row.mail_to for row in shop.all(Notification)}


def tell(shop: Shop, kind: str, key: str = "x") -> None:
    with transaction():
        shop.host.notify(Notice(f"bol:{shop.store_id}:{key}", f"bol.{kind}", Level.INFO, "Title", "Body"))


def test_nothing_is_mailed_unless_it_is_chosen(shop: Shop) -> None:
    shop.connect()
    for kind in MAIL_KINDS:
        tell(shop, kind, kind)
    assert set(mailed(shop).values()) == {None}


def test_kinds_that_are_chosen_go_to_the_addresses_of_the_store(shop: Shop) -> None:
    shop.connect(mail_kinds=("order", "stock"), mail_to="ann@example.com bob@example.com")
    for kind in ("order", "stock", "label"):
        tell(shop, kind, kind)
    assert mailed(shop) == {
        "bol.order": "ann@example.com bob@example.com",
        "bol.stock": "ann@example.com bob@example.com",
        "bol.label": None,
    }


def test_without_addresses_those_of_the_host_are_meant(shop: Shop) -> None:
    shop.connect(mail_kinds=("order",))
    tell(shop, "order")
    assert mailed(shop) == {"bol.order": ""}


def test_notifications_of_flows_are_asked_for(shop: Shop) -> None:
    shop.connect(mail_kinds=("order",), import_products=False)
    shop.order((KETTLE, 1))
    shop.import_orders()
    assert mailed(shop) == {"bol.order": ""}


def test_a_store_that_is_gone_mails_nothing(shop: Shop) -> None:
    tell(shop, "order")
    assert mailed(shop) == {"bol.order": None}


def test_changes_are_kept_with_who_made_them(shop: Shop) -> None:
    shop.connect()
    shop.runtime.save_settings(shop.store_id, StoreSettings(mail_kinds=("stock",)), "chief")
    assert [
        (row.who, row.name, row.after) for row in shop.all(SettingChange, SettingChange.who == "chief")
    ] == [("chief", "mail_kinds", '["stock"]')]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"mail_to": "ann"}, "ann is no e-mail address"),
        ({"mail_to": " ".join(["a@example.com"] * 21)}, "at most 20"),
        ({"mail_kinds": ("gossip",)}, "not known"),
    ],
)
def test_what_can_not_be_mailed_is_refused(shop: Shop, wrong: dict[str, object], why: str) -> None:
    shop.connect()
    with pytest.raises(HostError, match=why):
        shop.settings(**wrong)


def test_each_kind_of_notification_can_be_chosen() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(plugin.__file__).parent.rglob("*.py")]
    used = {kind for text in sources for kind in re.findall(r'kind="bol\.(\w+)"', text)}
    used |= {
        kind
        for text in sources
        for kind in re.findall(r'notify\(\s*(?:f?"[^"]*"|\w+),\s*"(\w+)",\s*Level', text)
    }
    assert {"order", "cancellation", "connection"} <= used <= set(MAIL_KINDS)
    assert set(NAMED) == set(MAIL_KINDS)

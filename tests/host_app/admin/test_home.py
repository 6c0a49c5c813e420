"""The home page: how the webshops are doing, and the next step where there is none."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import update

from host_app.db import transaction, utcnow
from host_app.models import EventDelivery, Order
from host_app.plugin_api import Attention, Level, StoreSummary
from tests.host_app import factories
from tests.host_app.admin.conftest import Person
from tests.host_app.admin.probe import Probe

CONNECT = 'class="btn btn-primary" href="/admin/probe_chiefs/"'


def test_an_administrator_without_a_store_is_led_to_connect_one(chief: Person, packer: Person) -> None:
    page = chief.get("/admin/").text
    assert "No webshop is connected yet" in page
    assert "Connect a store: Probe shop" in page
    assert CONNECT in page
    assert "No webshop is connected yet" not in packer.get("/admin/").text


def test_each_store_tells_how_it_is_doing(chief: Person, packer: Person, probe: Probe) -> None:
    probe.stores = (
        StoreSummary("Pannenhuis", "active", Level.SUCCESS, "/admin/probe_open/", "3 things need <you>."),
        StoreSummary("Ketelhuis", "paused", Level.WARNING, "javascript:alert(1)"),
    )
    for person in (chief, packer):
        page = person.get("/admin/").text
        assert '<a href="/admin/probe_open/">Pannenhuis</a>' in page
        assert "3 things need &lt;you&gt;." in page
        assert "paused" in page
        assert "javascript:alert" not in page
        assert "No webshop is connected yet" not in page


def test_a_plugin_that_cannot_tell_leaves_the_page(chief: Person, probe: Probe) -> None:
    del probe.stores
    page = chief.get("/admin/")
    assert page.status_code == 200
    assert "Picklists to pick" in page.text
    assert "Probe shop" not in page.text.split("<main")[1]


def test_changes_that_were_not_passed_on_are_named_where_there_are_any(
    chief: Person, do: Callable[..., Any]
) -> None:
    assert "Changes that were not passed on" not in chief.get("/admin/").text

    def park() -> None:
        now = utcnow()
        with transaction() as session:
            session.add(
            EventDelivery(
                plugin="probe", kind="stock_changed", subject="product:1", payload={}, attempts=7,
                created_at=now, parked_at=now, error="it fell over",
            )
        )  # fmt: skip

    do(park)
    assert "Changes that were not passed on" in chief.get("/admin/").text


def test_one_entry_of_the_menu_is_marked(packer: Person, probe: Probe) -> None:
    probe.waiting = Attention("Waiting for you", 3, "/admin/notifications/")
    menu = packer.get("/admin/notifications/").text.split("<main")[0]
    assert menu.count('aria-current="page"') == 1
    assert menu.count(" active") == 1


def test_each_tile_leads_to_the_list_it_counts(packer: Person, do: Callable[..., Any]) -> None:
    def two_picklists_of_which_one_is_late() -> None:
        product = factories.add_product("A", 9, warehouse_id=factories.add_warehouse())
        factories.accept("IN-TIME", (product, 1))
        late, ago = factories.accept("TOO-LATE", (product, 1)), utcnow() - timedelta(hours=1)
        with transaction() as session:
            session.execute(update(Order).where(Order.id == late.order_id).values(deadline=ago))

    do(two_picklists_of_which_one_is_late)
    page = packer.get("/admin/").text.split("<main")[1]
    tiles = re.findall(r'host-tile" href="([^"]+)"><strong[^>]*>(\d+)</strong>([^<]+)<', page)
    assert len({url for url, _number, _title in tiles}) == len(tiles)
    (late,) = [url for url, number, title in tiles if (number, title) == ("1", "Late picklists")]
    found = packer.get(html.unescape(late)).text
    assert "TOO-LATE" in found and "IN-TIME" not in found
    assert "Orders to process (concepts)" in [title for _url, _number, title in tiles]

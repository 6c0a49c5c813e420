"""Connecting a store in the browser: sign in, settings, summary, activate."""

from __future__ import annotations

import html
import re

import pytest
from sqlalchemy import update

from host_app.db import reading, transaction
from plugin.models import Run, Store
from tests.host_app.admin.conftest import Person
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE
from tests.plugin.portal import remove_at_bol
from tests.plugin.views.conftest import SECRET, Site

CONNECT = "/admin/bol/connect"


def connect(person: Person, **changes: str) -> str:
    fields = {"name": "Shop", "environment": "sandbox", "client_id": "seller", "client_secret": "secret"}
    return html.unescape(person.post(CONNECT, page=CONNECT, **(fields | changes)).text)


def number_after(page: str, words: str) -> int:
    """Return the number in the row of a table that begins with these words."""
    found = re.search(rf"{words}.*?class=.number.>(\d+)<", page, re.DOTALL)
    assert found, words
    return int(found.group(1))


def test_before_it_is_activated_the_stores_page_says_what_is_so(
    site: Site, chief: Person, packer: Person
) -> None:
    connect(chief)
    with site.shop() as shop:
        shop.store_id = shop.store().id
        shop.work()
    page = f"/admin/bol/{shop.store_id}/"
    seen = html.unescape(chief.get(page).text)
    assert "No product was made, no order came in, and nothing was written to bol." in seen
    assert seen.count("btn-primary") == 1
    assert "Go on with the set-up: the settings" in seen
    for not_yet in ("Nothing: bol has all that it should.", "Import products", "Last done well"):
        assert not_yet not in seen
    assert "An administrator can activate it." in packer.get(page).text
    settings = f"{page}settings"
    assert (
        "What happens when you activate this store"
        in chief.post(settings, page=settings, safety_stock="1").text
    )
    assert "Go on with the set-up: summary and activate" in chief.get(page).text
    home = html.unescape(chief.get("/admin/").text)
    assert "Nothing is imported or sent yet: go on with the set-up." in home
    chief.post(f"{page}activate")
    with site.shop() as shop:
        shop.work()
    assert "Set up, waiting for the first order." in chief.get("/admin/").text


@pytest.mark.parametrize("offered", [True, False])
def test_the_summary_tells_which_products_are_made_when_an_order_asks_for_them(
    site: Site, chief: Person, offered: bool
) -> None:
    with site.shop() as shop:
        shop.order((KETTLE, 1))
        if not offered:
            remove_at_bol(shop, KETTLE)
    connect(chief)
    with site.shop() as shop:
        shop.store_id = shop.store().id
        shop.work()
    path = f"/admin/bol/{shop.store_id}/settings"
    summary = html.unescape(
        chief.post(path, page=path, import_products="on", import_orders="on", import_minutes="15").text
    )
    with site.shop() as shop, reading():
        assert f"in {shop.host.warehouses()[0].title}, and reserve their stock" in summary
    # Its own name is no step on the way to a page of a store: the title leads back to it.
    assert not re.search(r"</a> ›\s*<a[^>]*>[^<]*</a> ›", summary)
    assert number_after(summary, "Products that are made") == 2
    assert "1 of them when an order asks for it" in summary


def test_a_store_is_connected_set_up_and_activated(site: Site, chief: Person) -> None:
    assert "bol accepts the credentials" in connect(chief)
    with site.shop() as shop:
        shop.store_id = shop.store().id
        shop.work()
        shop.order((KETTLE, 2))
    settings = chief.get(f"/admin/bol/{shop.store_id}/settings").text
    assert "Sandbox: practice" in settings
    assert "3 offers" in settings

    path = f"/admin/bol/{shop.store_id}/settings"
    summary = html.unescape(
        chief.post(path, page=path, import_products="on", import_orders="on", import_minutes="15").text
    )
    # A store on the sandbox is for practice: nobody waits minutes for an order there.
    assert "every 10 seconds" in summary
    assert "none of it changes your offers and orders at bol" in summary
    assert "“" not in summary.split("What stays off")[1].split("Activate store")[0]
    assert number_after(summary, "Products that are made") == 2
    assert number_after(summary, "Offers found at your products") == 0
    assert number_after(summary, "Shipped by bol") == 1
    assert "<strong>0</strong> orders will be imported" in summary
    assert re.search(r"As of [^.]*\d\d:\d\d\. Orders that were placed since come in, too\.", summary)
    assert "Read again" in summary

    summary = html.unescape(
        chief.post(
            f"/admin/bol/{shop.store_id}/summary/read-again", page=f"/admin/bol/{shop.store_id}/summary"
        ).text
    )
    assert "Your open orders at bol are being counted" in summary
    with site.shop() as shop:
        shop.work()
    summary = html.unescape(chief.get(f"/admin/bol/{shop.store_id}/summary").text)
    assert "<strong>1</strong> order will be imported" in summary

    shown = chief.post(
        f"/admin/bol/{shop.store_id}/activate", page=f"/admin/bol/{shop.store_id}/summary"
    ).text
    assert "The store is active" in shown
    with site.shop() as shop:
        shop.work()
        assert [order.source for order in shop.host_orders()] == [f"bol:{shop.store_id}"]
        assert shop.writes() == []
    assert "All is well" in chief.get(f"/admin/bol/{shop.store_id}/").text


def test_the_summary_tells_how_often_the_real_bol_is_asked(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(import_minutes=15)
        with transaction() as session:
            session.execute(update(Store).values(environment="production"))
    assert "every 15 minutes" in chief.get(f"/admin/bol/{store}/summary").text


def test_a_practice_store_can_not_become_a_real_one(site: Site, chief: Person, store: int) -> None:
    for page in ("settings", "connection"):
        assert "Sandbox: practice, not your real shop" in chief.get(f"/admin/bol/{store}/{page}").text
    path = f"/admin/bol/{store}/settings"
    chief.post(path, page=path, environment="production", import_orders="on", import_minutes="5")
    page = f"/admin/bol/{store}/connection"
    fields = {"client_id": "seller", "client_secret": "secret", "environment": "production"}
    chief.post(f"{page}/sign-in", page=page, **fields)
    with site.shop() as shop:
        assert shop.store().environment == "sandbox"


def test_wrong_credentials_are_told_and_nothing_is_kept(site: Site, chief: Person) -> None:
    answer = connect(chief, client_id="nobody", client_secret=SECRET, name="My <b>shop</b>")
    assert "The store is not connected." in answer
    assert "bol does not accept this client id with this client secret." in answer
    assert 'value="nobody"' in answer
    assert SECRET not in answer
    with site.shop() as shop:
        assert shop.all(Store) == []
        assert shop.all(Run) == []


def test_what_was_typed_is_escaped(chief: Person) -> None:
    fields = {"name": '"><script>alert(1)</script>', "environment": "sandbox", "client_id": "x"}
    answer = chief.post(CONNECT, page=CONNECT, client_secret="wrong", **fields).text
    assert "<script>alert" not in answer
    assert "&lt;script&gt;alert" in answer


def test_an_account_is_connected_once(chief: Person) -> None:
    connect(chief)
    assert "connected already, as Shop" in connect(chief, name="Another")
    assert "There is a store named Shop already" in connect(chief, client_id="keeper")


def test_a_form_without_everything_is_refused(chief: Person) -> None:
    assert "fill in the client id" in connect(chief, client_secret=" ")


def test_an_unknown_environment_is_refused(site: Site, chief: Person) -> None:
    assert "The store is not connected." in connect(chief, environment="http://evil.example")
    with site.shop() as shop:
        assert shop.all(Store) == []


def test_the_secret_is_on_no_page(site: Site, chief: Person) -> None:
    assert SECRET not in connect(chief, client_id="keeper", client_secret=SECRET)
    with site.shop() as shop:
        store_id, hidden = shop.store().id, shop.store().secret
    for path in ("", "settings", "summary", "orders", "offers", "shipments"):
        text = chief.get(f"/admin/bol/{store_id}/{path}").text
        assert SECRET not in text
        assert hidden not in text
    for path in ("/admin/bol/", "/admin/webshops/", "/admin/notifications/"):
        assert SECRET not in chief.get(path).text


def test_the_webshops_page_leads_here(chief: Person) -> None:
    assert CONNECT in chief.get("/admin/webshops/").text


def test_the_summary_shows_what_sending_stock_would_change(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        add_product("K", 7, KETTLE)
    connect(chief)
    with site.shop() as shop:
        shop.store_id = shop.store().id
        shop.work()
    address = f"/admin/bol/{shop.store_id}/summary"
    summary = html.unescape(chief.get(address).text)
    assert "If it were on: <strong>1 offer would change</strong>" in summary
    assert re.search(rf"{KETTLE}.*?>20<.*?>7<", summary, re.DOTALL)
    # A setting that the amounts follow from has it worked out anew.
    path = f"/admin/bol/{shop.store_id}/settings"
    chief.post(
        path, page=path, import_orders="on", import_products="on", import_minutes="5", safety_stock="2"
    )
    with site.shop() as shop:
        shop.work()
        assert shop.writes() == []
    assert re.search(rf"{KETTLE}.*?>20<.*?>5<", html.unescape(chief.get(address).text), re.DOTALL)


def test_the_summary_names_carriers_without_a_code(site: Site, chief: Person) -> None:
    connect(chief)
    with site.shop() as shop:
        shop.store_id = shop.store().id
        shop.work()
        shop.settings(carriers={"postnl": "TNT"})
    summary = html.unescape(chief.get(f"/admin/bol/{shop.store_id}/summary").text)
    assert re.search(r"whose shipments wait until there is one: <strong>.*GLS", summary)


def test_a_store_that_was_begun_can_be_gone_on_with(chief: Person) -> None:
    assert "Go on with it" not in chief.get(CONNECT).text
    connect(chief)
    page = html.unescape(chief.get(CONNECT).text)
    assert "Shop is signed in and not active yet." in page
    assert "/summary" in page.split("not active yet.")[1].split("Go on with it")[0]


def test_where_no_offer_has_a_product_nothing_is_compared(site: Site, chief: Person) -> None:
    connect(chief)
    with site.shop() as shop:
        shop.store_id = shop.store().id
        shop.work()
    summary = html.unescape(chief.get(f"/admin/bol/{shop.store_id}/summary").text)
    assert "None of your offers has a product here yet." in summary

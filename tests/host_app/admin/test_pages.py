"""Products, orders, webshops, notifications, settings; and Redis away."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update

from host_app import create_app
from host_app.admin import filters
from host_app.db import db, reading, transaction, utcnow
from host_app.mail_server import MailServer
from host_app.models import EventDelivery, MailSetting, Notification, Order, Product, Stock
from host_app.plugin_api import FreeStock, Level, Notice, StoreSummary
from host_app.services import notifications, orders, picking, stock
from tests.conftest import AppFactory, settings_for
from tests.host_app import factories
from tests.host_app.admin.conftest import Person, logged_in
from tests.host_app.admin.probe import Probe

Do = Callable[..., Any]


@pytest.fixture
def stocked(do: Do) -> None:
    """A warehouse with a product A1 (id 1), ten in stock."""

    def fill() -> None:
        factories.add_warehouse()
        factories.add_product("A1", 10, "8712345678906")

    do(fill)


def tell(key: str) -> None:
    with transaction():
        notifications.notify(Notice(key, "test", Level.WARNING, f"Told {key}", "<b>Body</b>", "javascript:x"))


# products


def test_each_page_says_its_language_and_follows_the_choice_of_light_or_dark(
    chief: Person, anybody: Person
) -> None:
    for page in (chief.get("/admin/").text, anybody.get("/login").text, anybody.get("/login/nothing").text):
        assert '<html lang="en">' in page
        assert '<meta name="color-scheme" content="light dark">' in page
        assert "/static/theme.css" in page


def test_a_product_is_made_changed_and_found(chief: Person, do: Do, stocked: None) -> None:
    fields = {"code": "K1", "name": "Kaas", "price": "12.50", "barcodes": "111\n 222 \n\n111"}
    page = chief.post("/admin/products/new", "/admin/products/new", **fields)
    assert "The product is made" in page.text and "€12.50" in page.text

    page = chief.post("/admin/products/2/edit", **(fields | {"name": "Oude kaas", "barcodes": "222\n333"}))
    assert "The product is saved." in page.text
    for text in ("k1", "oude", "333"):
        assert "Oude kaas" in chief.get("/admin/products/", query_string={"q": text}).text, text
    assert "Oude kaas" not in chief.get("/admin/products/?q=111").text


def test_a_code_in_use_is_refused_and_what_was_typed_is_kept(chief: Person, stocked: None) -> None:
    page = chief.post("/admin/products/new", "/admin/products/new", code="A1", name="Typed name")

    assert "The product code A1 is in use." in page.text and 'value="Typed name"' in page.text


def test_a_price_that_is_none_is_told_at_its_field(chief: Person, stocked: None) -> None:
    page = chief.post("/admin/products/new", "/admin/products/new", code="X", price="cheap")

    assert "Not a valid decimal value" in page.text


def test_the_stock_of_a_product_made_by_hand_is_unknown_until_it_is_counted(
    chief: Person, do: Do, stocked: None
) -> None:
    def stock_of_it() -> FreeStock:
        with reading():
            return stock.free_stock([2])[2]

    page = chief.post("/admin/products/new", "/admin/products/new", code="K1", barcodes="111")
    assert "The stock of this product is unknown" in page.text
    do(lambda: factories.accept("R-1", (2, 1)))
    assert not do(stock_of_it).known, "a reservation is no count"

    chief.post("/admin/products/2/adjust", warehouse="1", how="counted", amount="0", reason="counted")
    assert do(stock_of_it).known and do(stock_of_it).free == -1


def test_free_stock_below_nothing_says_what_it_means(chief: Person, do: Do, stocked: None) -> None:
    do(lambda: factories.accept("R-1", (1, 10)))
    for path in ("/admin/products/", "/admin/products/1"):
        assert "than there" not in chief.get(path).text
    do(lambda: factories.accept("R-2", (1, 2)))
    for path in ("/admin/products/", "/admin/products/1"):
        page = chief.get(path).text
        assert ">-2</strong>" in page and "2 more are ordered than there are" in page


def test_an_order_that_waits_for_stock_says_so_in_the_list_and_on_its_page(
    chief: Person, do: Do, stocked: None
) -> None:
    do(lambda: factories.accept("R-1", (1, 12)))
    for path in ("/admin/orders/", "/admin/orders/1"):
        assert '<span class="badge badge-warning">Waits for stock</span>' in chief.get(path).text


def test_the_page_of_an_order_follows_what_taking_pieces_off_settles(
    chief: Person, do: Do, stocked: None
) -> None:
    do(lambda: factories.accept("R-1", (1, 4)))
    path, follows = "/admin/orders/1/lines/1/take-off", 'data-refresh="/admin/orders/1?settling=1"'
    assert follows not in chief.post(path, pieces="1").text, "there is nothing to settle"

    def mark() -> None:
        with transaction():
            orders.mark_order(1, "part", "A part was cancelled. Do not ship it.", stops_picking=True)

    do(mark)
    page = chief.post(path, pieces="1").text
    assert follows in page and "It is looked at anew" in page
    assert "looked at anew" not in chief.post(path, pieces="9").text, "nothing was taken off"
    assert follows not in chief.get("/admin/orders/1").text


def test_how_stock_is_adjusted_must_be_chosen(chief: Person, do: Do, stocked: None) -> None:
    chosen = 'name="how" value="{}" checked'
    page = chief.get("/admin/products/1").text
    assert not any(chosen.format(how) in page for how in ("counted", "change"))

    fields = {"warehouse": "1", "amount": "17", "reason": "counted"}
    page = chief.post("/admin/products/1/adjust", **fields)
    assert "Choose if you counted" in page.text
    assert do(lambda: db.session.get(Stock, (1, 1)).physical) == 10

    do(lambda: factories.add_product("U1", None))
    assert chosen.format("counted") in chief.get("/admin/products/2").text


def test_the_page_of_a_product_follows_what_others_change(chief: Person, stocked: None) -> None:
    page = chief.get("/admin/products/1").text
    assert 'data-part data-watch="/admin/products/1"' in page
    for part in ("panels", "stock", "history"):
        assert f'id="{part}" data-part>' in page


def count_on_shelf(person: Person, page: str, amount: int, **fields: str) -> str:
    """Send the form of a product's page as it was shown."""
    shelf = dict(re.findall(r'name="(shelf-\d+)" value="(-?\d+)"', page))
    values = {"warehouse": "1", "how": "counted", "amount": str(amount), "reason": "counted"}
    return person.post("/admin/products/1/adjust", **(shelf | values | fields)).text


def physical(do: Do, warehouse_id: int = 1) -> int:
    return int(do(lambda: db.session.get(Stock, (1, warehouse_id)).physical))


def test_who_counts_the_shelf_does_not_lose_the_pieces_in_a_cart(
    chief: Person, packer: Person, do: Do, stocked: None
) -> None:
    do(lambda: factories.accept("R-1", (1, 2)))
    packer.post("/admin/picklists/1/scan", code="A1")
    page = chief.get("/admin/products/1").text
    assert "1 picked piece is in a cart and is added by itself." in page and "1 of them in carts" in page

    page = count_on_shelf(chief, page, 9)
    assert physical(do) == 10

    page = count_on_shelf(chief, page, 8)
    assert physical(do) == 9
    assert "counted: 8 on the shelf, 1 more in carts" in page
    packer.post("/admin/picklists/1/pick-all")
    do(close_first_picklist)
    assert physical(do) == 7, "8 lay on the shelf, one more was picked, and both have left"


def test_a_cart_counts_in_its_own_warehouse_only(
    chief: Person, packer: Person, do: Do, stocked: None
) -> None:
    do(lambda: factories.add_warehouse("Second"))
    do(lambda: factories.accept("R-1", (1, 2)))
    packer.post("/admin/picklists/1/scan", code="A1")

    count_on_shelf(chief, chief.get("/admin/products/1").text, 4, warehouse="2")
    assert (physical(do), physical(do, 2)) == (10, 4)


def test_what_was_picked_while_somebody_counted_is_counted_once_more(
    chief: Person, packer: Person, do: Do, stocked: None
) -> None:
    do(lambda: factories.accept("R-1", (1, 2)))
    before = chief.get("/admin/products/1").text
    packer.post("/admin/picklists/1/scan", code="A1")

    page = count_on_shelf(chief, before, 10)
    assert "went from 10 to 9" in page and physical(do) == 10
    count_on_shelf(chief, page, 9)
    assert physical(do) == 10


def test_a_picklist_that_is_closed_while_somebody_counts_takes_nothing_from_the_shelf(
    chief: Person, packer: Person, do: Do, stocked: None
) -> None:
    do(lambda: factories.accept("R-1", (1, 2)))
    packer.post("/admin/picklists/1/pick-all")
    before = chief.get("/admin/products/1").text
    do(close_first_picklist)

    count_on_shelf(chief, before, 8)
    assert physical(do) == 8


def close_first_picklist() -> None:
    with transaction():
        picking.close_picklist(1, [picking.NewParcel("postnl", "3S1")], who="packer")


@pytest.mark.parametrize(("how", "amount", "physical"), [("change", "-3", 7), ("counted", "42", 42)])
def test_stock_is_adjusted_with_a_reason(
    chief: Person, do: Do, stocked: None, how: str, amount: str, physical: int
) -> None:
    fields = {"warehouse": "1", "how": how, "amount": amount}
    page = chief.post("/admin/products/1/adjust", **fields)
    assert "Write down why" in page.text

    page = chief.post("/admin/products/1/adjust", **fields, reason="fork lift")
    assert "fork lift" in page.text and "chief" in page.text
    assert do(lambda: db.session.get(Stock, (1, 1)).physical) == physical


@pytest.mark.parametrize(
    "fields",
    [{"amount": "many"}, {"amount": "99999999999999999999"}, {"warehouse": "9"}, {"amount": "-11"}],
)
def test_an_adjustment_that_can_not_be_is_refused(
    chief: Person, do: Do, stocked: None, fields: dict[str, str]
) -> None:
    valid = {"warehouse": "1", "how": "change", "amount": "1", "reason": "x"}
    page = chief.post("/admin/products/1/adjust", **(valid | fields))

    assert "alert-danger" in page.text
    assert do(lambda: db.session.get(Stock, (1, 1)).physical) == 10


def test_unknown_stock_is_shown_as_such_until_it_is_counted(chief: Person, do: Do, stocked: None) -> None:
    do(lambda: factories.add_product("U1", None))
    assert "unknown" in chief.get("/admin/products/?q=U1").text
    assert "The stock of this product is unknown" in chief.get("/admin/products/2").text

    chief.post("/admin/products/2/adjust", warehouse="1", how="counted", amount="0", reason="counted")
    assert "unknown" not in chief.get("/admin/products/?q=U1").text


def test_lists_are_read_a_page_at_a_time_with_few_queries(site: Flask, chief: Person, do: Do) -> None:
    def fill() -> None:
        factories.add_warehouse()
        for number in range(120):
            factories.add_product(f"P{number:03}", 5, f"87{number:011}")
        for number in range(60):
            factories.accept(f"R-{number}", (1 + number, 1), (2 + number, 1))

    do(fill)
    queries: list[str] = []
    with site.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: queries.append(arguments[2]))
    for path in ("products", "orders", "picklists", "shipments", "notifications"):
        queries.clear()
        page = chief.get(f"/admin/{path}/")
        assert page.status_code == 200
        assert len(queries) <= 12, (path, len(queries))
        assert not [query for query in queries if query.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert "P049" in chief.get("/admin/products/").text
    assert "P050" in chief.get("/admin/products/?page=2").text
    assert "101 to 120 of 120" in chief.get("/admin/products/?page=99").text


# orders


def test_an_order_is_found_by_number_and_reference(chief: Person, do: Do, stocked: None) -> None:
    for reference in ("ABC-1", "DEF-2"):
        do(factories.accept, reference, (1, 1))
    for text in ("O-00002", "o-2", "def"):
        page = chief.get("/admin/orders/", query_string={"q": text}).text
        assert "DEF-2" in page and "ABC-1" not in page, text
    assert "No order fits." in chief.get("/admin/orders/?state=paused").text


def test_an_order_is_found_by_a_part_of_its_customers_name(chief: Person, do: Do, stocked: None) -> None:
    def accept() -> None:
        for reference, name in (("ABC-1", "Ann Bakker"), ("DEF-2", "J. 100% de Wit")):
            order = factories.new_order(reference, (1, 1))
            delivery = dataclasses.replace(order.delivery, name=name)
            with transaction():
                orders.accept_order(dataclasses.replace(order, delivery=delivery))
        with transaction() as session:
            session.get_one(Order, 2).delivery = None
        factories.accept("GHI-3", (1, 1))

    do(accept)
    for sought in ("bakker", "Ann B", "AKK"):
        page = chief.get("/admin/orders/", query_string={"q": sought}).text
        assert "ABC-1" in page and "DEF-2" not in page and "GHI-3" not in page, sought
    for sought in ("wit", "Utrecht", "%", "name", "bakkers"):
        assert "No order fits." in chief.get("/admin/orders/", query_string={"q": sought}).text, sought


def test_orders_that_wait_for_stock_are_counted_and_listed(chief: Person, do: Do, stocked: None) -> None:
    do(factories.accept, "ENOUGH", (1, 4))
    do(factories.accept, "TOO-MUCH", (1, 40))
    page = chief.get("/admin/orders/?state=waiting").text

    assert "TOO-MUCH" in page and "ENOUGH" not in page
    assert "Orders waiting for stock" in chief.get("/admin/").text


def test_an_order_is_processed_paused_resumed_and_cancelled(chief: Person, do: Do, stocked: None) -> None:
    do(factories.accept, "R-1", (1, 2), process=False)
    state = lambda: do(lambda: db.session.get(Order, 1).state)
    for action, reached in (("process", "processing"), ("pause", "paused"), ("resume", "processing")):
        chief.post(f"/admin/orders/1/{action}")
        assert state() == reached
    assert "Only a concept can be processed." in chief.post("/admin/orders/1/process").text
    assert "Write down why" in chief.post("/admin/orders/1/cancel", reason=" ").text
    page = chief.post("/admin/orders/1/cancel", reason="sold <out>")

    assert state() == "cancelled" and "Cancelled: sold &lt;out&gt;" in page.text


def test_an_order_that_was_picked_can_not_be_cancelled(chief: Person, do: Do, stocked: None) -> None:
    do(factories.accept, "R-1", (1, 2))
    assert "Cancel order" in chief.get("/admin/orders/1").text
    chief.post("/admin/picklists/1/pick", line="1", pieces="1")

    assert "something was picked or shipped" in chief.get("/admin/orders/1").text
    assert "alert-danger" in chief.post("/admin/orders/1/cancel", reason="too late").text


def test_pieces_are_taken_off_an_order_by_an_administrator(
    chief: Person, packer: Person, do: Do, stocked: None
) -> None:
    do(factories.accept, "R-1", (1, 3))
    assert "Take off the order" in chief.get("/admin/orders/1").text
    assert "Take off the order" not in packer.get("/admin/orders/1").text
    page = chief.post("/admin/orders/1/lines/1/take-off", pieces="2")
    assert "Taken off." in page.text
    assert "Write pieces as whole numbers." in chief.post("/admin/orders/1/lines/1/take-off", pieces="x").text
    assert "can be taken off this line" in chief.post("/admin/orders/1/lines/1/take-off", pieces="2").text
    assert "0 of 1 picked" in page.text


def test_panels_of_plugins_are_shown_escaped(chief: Person, do: Do, stocked: None) -> None:
    do(factories.accept, "R-1", (1, 2))
    page = chief.get("/admin/orders/1").text

    assert "O-00001" in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>" not in page and "javascript:" not in page
    assert 'href="/admin/probe_open/"' in page


def test_a_panel_that_fails_leaves_the_page_standing(
    chief: Person, probe: Probe, do: Do, stocked: None
) -> None:
    do(factories.accept, "R-1", (1, 2))
    probe.panel_error = RuntimeError("broken")
    page = chief.get("/admin/orders/1").text

    assert "Probe shop can't show its part" in page and "Deliver to" in page


def test_an_order_whose_address_was_erased_is_still_shown(chief: Person, do: Do, stocked: None) -> None:
    def erase() -> None:
        factories.accept("R-1", (1, 2))
        with transaction():
            orders.cancel_order(1, "x")
            orders.erase_addresses("shop:1", utcnow() + timedelta(seconds=1))

    do(erase)
    assert "No address kept" in chief.get("/admin/orders/1").text


# webshops


def test_webshops_offer_what_plugins_bring(chief: Person, packer: Person, probe: Probe) -> None:
    page = chief.get("/admin/webshops/").text
    assert "No store is connected yet." in page and "Probe shop" in page and "Connect store" in page

    probe.stores = (StoreSummary("Pannenhuis", "All is well", Level.SUCCESS, "/admin/probe_open/"),)
    page = chief.get("/admin/webshops/").text
    assert "Pannenhuis" in page and "All is well" in page and "Import orders now" in page
    assert "Connect store" not in packer.get("/admin/webshops/").text


def test_importing_now_tells_every_plugin(chief: Person, do: Do, probe: Probe) -> None:
    page = chief.post("/admin/webshops/import")
    read = lambda: db.session.execute(select(EventDelivery.kind, EventDelivery.payload)).all()

    assert "Orders are being imported" in page.text
    assert do(read) == [("order_import", {"source": None, "forced": True})]


def test_without_plugins_the_pages_say_what_to_do(make_app: AppFactory, site: Flask) -> None:
    bare = make_app(blocked_plugins=("bol",))
    page = logged_in(bare, "chief").get("/admin/webshops/").text

    assert "No webshops can be connected yet." in page and "plugin" in page


# notifications


def test_unread_notifications_are_counted_on_each_page(packer: Person, do: Do) -> None:
    for key in "abc":
        do(tell, key)
    assert ">3</span>" in packer.get("/admin/orders/").text
    page = packer.post("/admin/notifications/read", id="1").text
    assert ">2</span>" in page and "read by packer" in page
    assert "&lt;b&gt;Body&lt;/b&gt;" in page and "javascript:" not in page


def test_marking_all_leaves_what_came_in_meanwhile(packer: Person, do: Do) -> None:
    for key in "ab":
        do(tell, key)
    packer.get("/admin/notifications/")
    do(tell, "c")
    page = packer.post("/admin/notifications/read", newest="2").text

    assert ">1</span>" in page and page.index("Told c") < page.index("Told b")


def test_what_is_over_is_read_by_itself_and_nothing_else(packer: Person, do: Do) -> None:
    for key in ("order:1", "order:1:late", "order:12"):
        do(tell, key)

    def settle() -> None:
        with transaction():
            notifications.settle("order:1")

    do(settle)
    page = packer.get("/admin/notifications/").text
    assert ">1</span>" in page and page.count("settled on") == 2
    assert page.index("Told order:12") < page.index("Told order:1:late")


# settings


def test_warehouses_are_added_renamed_and_taken_out_of_use(chief: Person) -> None:
    chief.post("/admin/warehouses/", name="Main")
    assert "There is a warehouse named Main already." in chief.post("/admin/warehouses/", name="Main").text
    assert "last warehouse in use" in chief.post("/admin/warehouses/1", name="Main").text
    chief.post("/admin/warehouses/", name="Second")
    page = chief.post("/admin/warehouses/1", name="Old").text

    assert "The warehouse is saved." in page and 'value="Old"' in page


def test_a_warehouse_that_is_not_empty_is_not_taken_out_of_use(chief: Person, do: Do) -> None:
    chief.post("/admin/warehouses/", name="Main")
    chief.post("/admin/warehouses/", name="Second")
    product = do(lambda: factories.add_product("PAN", 3))
    page = chief.post("/admin/warehouses/1", name="Main").text
    assert "Main still has stock, or open orders, of 1 product" in page
    assert "The warehouse is saved." in chief.post("/admin/warehouses/1", name="Old", active="on").text

    def counted_as_nothing() -> None:
        with transaction():
            stock.adjust_stock(product, 1, set_to=0, reason="counted", who="ann")

    do(counted_as_nothing)
    assert "The warehouse is saved." in chief.post("/admin/warehouses/1", name="Old").text


def test_parked_deliveries_are_delivered_again(chief: Person, do: Do) -> None:
    def park(count: int) -> None:
        with transaction() as session:
            for number in range(count):
                session.add(
                    EventDelivery(
                        plugin="probe", kind="order_import", subject=f"s:{number}", payload={}, attempts=7,
                        parked_at=utcnow(), error="ValueError: <bad>", created_at=utcnow(),
                    )
                )  # fmt: skip

    do(park, 3)
    page = chief.get("/admin/deliveries/").text
    assert page.count("Stopped</span>") == 3 and "ValueError: &lt;bad&gt;" in page
    assert "It is passed on again now." in chief.post("/admin/deliveries/1/again").text
    assert "It does not wait for you any more." in chief.post("/admin/deliveries/1/again").text
    assert "2 are passed on again now." in chief.post("/admin/deliveries/again").text


# Redis away


def test_pages_and_actions_work_and_are_quick_without_redis(
    tmp_path: Path, probe: Probe, site: Flask
) -> None:
    settings = settings_for(tmp_path, "redis://127.0.0.1:1/0", blocked_plugins=("bol",))
    app = create_app(settings, extra_plugins={"probe": probe})
    app.config.update(TESTING=True)
    with app.app_context():
        factories.add_warehouse()
        factories.add_product("A1", 10)
        factories.accept("R-1", (1, 2))
        db.session.remove()
    person = Person(app)
    began = time.monotonic()
    assert person.log_in("chief", "wrong").status_code == 401
    assert person.log_in("chief").status_code == 302
    for path in ("", "orders/1", "picklists/1", "webshops/"):
        assert person.get(f"/admin/{path}").status_code == 200
    assert "Orders are being imported" in person.post("/admin/webshops/import").text
    assert "The stock is adjusted." in person.post(
        "/admin/products/1/adjust", warehouse="1", how="change", amount="1", reason="x"
    ).text  # fmt: skip
    assert time.monotonic() - began < 3
    for _ in range(10):
        last = Person(app).log_in("nobody", "wrong")
    assert last.status_code == 429, "the limit holds without Redis too"


def test_products_keep_their_price_to_the_cent(chief: Person, do: Do, stocked: None) -> None:
    chief.post("/admin/products/1/edit", code="A1", name="A", price="0.10")

    assert str(do(lambda: db.session.get(Product, 1).price)) == "0.10"


def test_long_names_do_not_break_an_order(chief: Person, do: Do, stocked: None) -> None:
    def accept() -> None:
        order = factories.new_order("R-1", (1, 1))
        lines = tuple(dataclasses.replace(line, name="x" * 900, note="<i>note</i>") for line in order.lines)
        with transaction():
            orders.accept_order(dataclasses.replace(order, lines=lines))

    do(accept)
    assert "&lt;i&gt;note&lt;/i&gt;" in chief.get("/admin/orders/1").text


def test_what_is_told_by_mail_is_chosen_where_there_is_a_mail_server(
    make_app: AppFactory, site: Flask, chief: Person, packer: Person, do: Do
) -> None:
    told = "By e-mail: nothing, until this installation has a mail server."
    page = chief.get("/admin/notifications/").text
    assert "Send a test e-mail" not in page and told in page and "HOST_MAIL_FROM" in page
    assert told not in packer.get("/admin/notifications/").text
    settings = dataclasses.replace(
        site.extensions["host_config"],
        mail_server=MailServer("127.0.0.1", 25, "none", "wms@example.com"),
    )
    site.extensions["host_config"] = settings
    page = chief.get("/admin/notifications/").text
    assert "By e-mail: nobody is told yet" in page and told not in page
    assert page.index('id="mail"') < page.index("Nothing to report.")
    assert '<button class="btn btn-outline-primary" disabled' in page
    assert "By e-mail" not in packer.get("/admin/notifications/").text

    page = "/admin/notifications/mail"
    wrong = chief.post(page, addresses="chief@example.com, nobody", levels=["danger"]).text
    assert "nobody is no e-mail address" in wrong
    assert do(lambda: db.session.get(MailSetting, 1)) is None

    chosen = chief.post(page, addresses="a@example.com, b@example.com", levels=["danger", "warning", "loud"])
    assert "Saved." in chosen.text and 'value="a@example.com b@example.com"' in chosen.text
    assert do(lambda: db.session.get(MailSetting, 1).levels) == "warning danger"
    assert "By e-mail: Urgent, Attention, to a@example.com, b@example.com" in chosen.text


def test_a_test_mail_is_asked_for_once_and_what_becomes_of_it_is_followed(
    site: Flask, chief: Person, do: Do
) -> None:
    server = MailServer("127.0.0.1", 25, "none", "wms@example.com")
    site.extensions["host_config"] = dataclasses.replace(site.extensions["host_config"], mail_server=server)
    page, test = "/admin/notifications/", "/admin/notifications/mail/test"
    assert "Fill in an address and save it first." in chief.post(test, page=page).text
    chief.post("/admin/notifications/mail", page=page, addresses="a@example.com", levels="danger")
    for _ in range(2):
        shown = chief.post(test, page=page).text
        assert "It is being sent to a@example.com." in shown and "data-refresh" in shown
        assert "Mark all as read" not in shown and "Nothing to report." in shown
    assert do(lambda: db.session.scalar(select(func.count()).select_from(Notification))) == 1

    def age() -> None:
        with transaction() as session:
            session.execute(update(Notification).values(at=utcnow() - timedelta(minutes=3)))

    do(age)
    shown = chief.get(page + "?mail=1").text
    assert "Nothing is known of the test e-mail." in shown and "data-refresh" not in shown


@pytest.mark.parametrize(
    ("deadline", "shown"),
    [
        (datetime(2026, 11, 27, 22, 59, tzinfo=UTC), "27 Nov 2026"),
        (datetime(2026, 7, 27, 21, 59, tzinfo=UTC), "27 Jul 2026"),
        (datetime(2026, 11, 27, 18, 0, tzinfo=UTC), "27 Nov 2026 19:00"),
        (None, ""),
    ],
)
def test_a_deadline_that_is_a_day_is_shown_as_that_day(
    make_app: AppFactory, deadline: datetime | None, shown: str
) -> None:
    with make_app().test_request_context():
        assert filters.due(deadline) == shown

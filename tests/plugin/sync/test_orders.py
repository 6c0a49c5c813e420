"""Orders of bol come in once, without what bol ships itself, whatever happens meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from host_app.db import reading, transaction
from host_app.models import OrderLine
from host_app.plugin_api import NewProduct
from host_app.services import catalog
from plugin.models import BolOrder
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, TOASTER, Shop


def lines(order_id: int) -> list[OrderLine]:
    with reading() as session:
        return list(
            session.scalars(select(OrderLine).where(OrderLine.order_id == order_id).order_by(OrderLine.id))
        )


def test_a_new_order_comes_in_with_its_address_prices_and_deadline(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 2))
    shop.import_orders()
    order = shop.host_order(order_id)
    assert (order.source, order.state) == (f"bol:{shop.store_id}", "processing")
    assert order.delivery and order.delivery["name"] and order.delivery["postal_code"]
    assert order.deadline is not None
    (line,) = lines(order.id)
    assert (line.quantity, line.unit_price, line.name) == (2, Decimal("24.95"), "Kettle")
    assert line.external_ref


def test_importing_again_makes_no_second_order(shop: Shop) -> None:
    shop.connect()
    shop.order((KETTLE, 2))
    shop.work()
    for _ in range(3):
        shop.import_orders()
    assert len(shop.host_orders()) == 1
    assert shop.free(KETTLE) == 18


def test_items_that_bol_ships_are_left_out_with_a_note(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 1), (LAMP, 1))
    shop.import_orders()
    order = shop.host_order(order_id)
    assert len(lines(order.id)) == 1
    assert "bol ships it" in order.notes


def test_an_order_that_bol_ships_alone_is_ignored(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.order((LAMP, 1))
    shop.import_orders()
    assert shop.host_orders() == []


def test_a_product_is_found_by_its_code_before_a_barcode(shop: Shop) -> None:
    by_barcode = add_product("A", 5, KETTLE)
    by_code = add_product(KETTLE, 5)
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.work()
    assert lines(shop.host_order(order_id).id)[0].product_id == by_code != by_barcode


def test_a_product_is_found_by_barcode_first_where_the_store_says_so(shop: Shop) -> None:
    by_barcode = add_product("A", 5, KETTLE)
    add_product(KETTLE, 5)
    shop.connect(lookup="barcode")
    order_id = shop.order((KETTLE, 1))
    shop.work()
    assert lines(shop.host_order(order_id).id)[0].product_id == by_barcode


def test_an_unknown_product_waits_visibly_and_the_order_goes_on_once_it_exists(shop: Shop) -> None:
    shop.connect(import_products=False)
    order_id = shop.order((TOASTER, 1))
    shop.work()
    assert shop.host_orders() == []
    assert shop.bol_order(order_id).state == "waiting for product"
    assert any("waits for a product" in title for title in shop.notices())
    with transaction():
        catalog.create_product(NewProduct("T", "Toaster", None, (TOASTER,), 3))
    shop.work()
    assert shop.host_order(order_id).state == "processing"


def test_a_product_created_for_an_order_has_the_stock_that_bol_would_sell(shop: Shop) -> None:
    shop.order((KETTLE, 3))
    shop.connect()
    shop.work()
    assert shop.free(KETTLE) == 17


def test_only_the_open_pieces_of_a_partly_cancelled_order_come_in(shop: Shop) -> None:
    order_id = shop.order((KETTLE, 1), (TOASTER, 2))
    item = shop.sandbox.state("seller")["orders"][0]["orderItems"][0]
    shop.sandbox.cancel(order_id, [item["orderItemId"]])
    shop.connect()
    shop.work()
    assert [line.quantity for line in lines(shop.host_order(order_id).id)] == [2]


def test_orders_before_the_start_date_are_left_alone(shop: Shop) -> None:
    order_id = shop.order((KETTLE, 1))
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()
    shop.connect(orders_from=tomorrow)
    shop.work()
    assert shop.host_orders() == []
    assert shop.bol_order(order_id).state == "before start date"
    shop.settings(orders_from=None)
    shop.work()
    assert len(shop.host_orders()) == 1


def test_nothing_comes_in_before_activation(shop: Shop) -> None:
    shop.order((KETTLE, 1))
    shop.runtime.connect_store(name="Shop", environment="sandbox", client_id="seller", client_secret="secret")
    shop.work()
    assert shop.host_orders() == []
    assert shop.all(BolOrder) == []


def test_a_list_that_breaks_half_way_is_read_again(shop: Shop) -> None:
    shop.connect()
    shop.work()
    for _ in range(3):
        shop.order((KETTLE, 1))
    shop.sandbox.faults([{"path": "/retailer/orders", "when": "after", "truncate": True, "times": 3}])
    before = shop.store().orders_read_at
    shop.import_orders()
    assert shop.store().orders_read_at == before
    assert shop.store().problem
    shop.sandbox.faults([])
    shop.pass_time(60)
    assert len(shop.host_orders()) == 3
    assert not shop.store().problem


def test_an_order_that_can_not_be_read_is_set_aside_and_holds_up_no_other(shop: Shop) -> None:
    shop.connect()
    shop.work()
    bad, good = shop.order((KETTLE, 1)), shop.order((TOASTER, 1))
    shop.sandbox.faults(
        [
            {
                "path": f"/retailer/orders/{bad}",
                "when": "before",
                "status": 500,
                "body": "<html>oops</html>",
                "times": 9,
            }
        ]
    )
    shop.import_orders()
    assert [order.reference for order in shop.host_orders()] == [good]
    assert shop.bol_order(bad).error
    shop.sandbox.faults([])
    shop.pass_time(120)
    assert {order.reference for order in shop.host_orders()} == {bad, good}


def test_a_change_between_two_reads_longer_than_an_hour_apart_is_found(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.runtime.pause(shop.store_id)
    order_id = shop.order((KETTLE, 1))
    shop.pass_time(3 * 3600)
    shop.runtime.activate(shop.store_id)
    shop.work()
    assert shop.host_order(order_id)

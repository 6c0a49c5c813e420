"""Stock reaches bol as the rule says, once per burst, and never where it was not asked for."""

from __future__ import annotations

import pytest

from host_app.db import transaction
from host_app.plugin_api import HostError
from host_app.services import picking
from host_app.services.picking import NewParcel
from host_app.services.stock import adjust_stock
from host_app.services.warehouses import change_warehouse
from plugin.settings import StoreSettings
from plugin.sync.amounts import amount_to_send
from tests.host_app.factories import add_product, add_warehouse
from tests.plugin.conftest import KETTLE, LAMP, TOASTER, Shop


def adjust(shop: Shop, product_id: int, change: int) -> None:
    with transaction():
        adjust_stock(product_id, shop.warehouse, change=change, reason="test", who="ann")


@pytest.mark.parametrize(
    ("changes", "free", "pending", "expected"),
    [
        ({}, 10, 0, 10),
        ({}, 10, 3, 7),
        ({"safety_stock": 2}, 10, 3, 5),
        ({"max_stock": 4}, 10, 3, 4),
        ({}, -5, 0, 0),
        ({}, 5000, 0, 999),
        ({"managed_by_retailer": False}, 10, 3, 7),
    ],
)
def test_the_amount_follows_the_rule(changes: dict[str, int], free: int, pending: int, expected: int) -> None:
    assert amount_to_send(StoreSettings(**changes), free, pending) == expected  # type: ignore[arg-type]


def test_a_change_reaches_bol(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    adjust(shop, shop.offer(KETTLE).product_id, -5)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 15


def test_what_was_imported_is_not_echoed_back(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    managed = [call for call in shop.writes("/offers/")]
    amounts = {ean: shop.amount_at_bol(ean) for ean in (KETTLE, TOASTER)}
    assert amounts == {KETTLE: 20, TOASTER: 10}
    shop.work()
    assert shop.writes("/offers/") == managed


def test_a_burst_of_changes_costs_one_call(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    before = len(shop.writes("/offers/"))
    for _ in range(8):
        adjust(shop, shop.offer(KETTLE).product_id, -1)
    shop.work()
    assert len(shop.writes("/offers/")) - before == 1
    assert shop.amount_at_bol(KETTLE) == 12


def test_nothing_is_sent_while_send_stock_updates_is_off(shop: Shop) -> None:
    shop.connect()
    shop.work()
    adjust(shop, shop.offer(KETTLE).product_id, -5)
    shop.work()
    assert shop.writes() == []
    shop.settings(send_stock=True)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 15


def test_nothing_is_sent_by_a_paused_store(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.runtime.pause(shop.store_id)
    before = shop.writes()
    adjust(shop, shop.offer(KETTLE).product_id, -5)
    shop.work()
    assert shop.writes() == before
    shop.runtime.activate(shop.store_id)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 15


def test_the_product_modified_last_gives_the_stock_of_a_shared_ean(shop: Shop) -> None:
    first, second = add_product("A", 7, KETTLE), add_product("B", 3, KETTLE)
    shop.connect(send_stock=True)
    shop.work()
    adjust(shop, first, 1)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 8
    adjust(shop, second, 1)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 4


def test_only_the_stock_of_the_chosen_warehouses_is_offered(shop: Shop) -> None:
    cellar, shed = add_warehouse("Cellar"), add_warehouse("Shed")
    shop.connect(send_stock=True, stock_warehouses=(shop.warehouse, cellar))
    shop.work()
    product_id = shop.offer(KETTLE).product_id
    for warehouse, change in ((cellar, 5), (shed, 7)):
        with transaction():
            adjust_stock(product_id, warehouse, change=change, reason="test", who="ann")
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 25
    shop.settings(send_stock=True)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 32


def test_what_is_offered_must_be_what_orders_are_taken_from(shop: Shop) -> None:
    """Orders reserve stock where they are delivered from: what is offered elsewhere would be sold for ever."""
    cellar = add_warehouse("Cellar")
    shop.connect()
    for chosen in ({}, {"warehouse_id": shop.warehouse}):
        with pytest.raises(HostError, match="delivers the orders"):
            shop.settings(stock_warehouses=(cellar,), **chosen)
    shop.settings(stock_warehouses=(cellar,), warehouse_id=cellar)


def test_offers_of_bols_own_warehouse_are_never_touched(shop: Shop) -> None:
    product = add_product("L", 50, LAMP)
    before = shop.sandbox.offer("seller", LAMP)
    shop.connect(send_stock=True)
    shop.work()
    adjust(shop, product, 5)
    shop.work()
    assert shop.sandbox.offer("seller", LAMP) == before


def test_a_product_whose_stock_nobody_knows_is_not_offered(shop: Shop) -> None:
    product = add_product("K", None, KETTLE)
    shop.connect(send_stock=True)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 20
    with transaction():
        adjust_stock(product, shop.warehouse, set_to=0, reason="counted", who="ann")
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 0


def test_pieces_sold_at_bol_and_not_here_yet_are_not_offered_again(shop: Shop) -> None:
    shop.connect(send_stock=True, import_products=False, lookup="code")
    add_product(KETTLE, 20)
    shop.work()
    order_id = shop.order((KETTLE, 4), (TOASTER, 1))
    shop.import_orders()
    assert shop.bol_order(order_id).state == "waiting for product"
    adjust(shop, shop.offer(KETTLE).product_id, 1)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 17


def test_an_order_lowers_the_amount_once(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.order((KETTLE, 4))
    shop.import_orders()
    offer = shop.sandbox.offer("seller", KETTLE)
    assert (offer["stock"]["amount"], offer["stock"]["correctedStock"]) == (16, 16)


def test_after_a_lost_answer_the_newest_amount_is_sent(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.sandbox.faults(
        [{"method": "PATCH", "path": "/retailer/offers/*", "when": "after", "drop": True, "times": 1}]
    )
    adjust(shop, shop.offer(KETTLE).product_id, -5)
    shop.work()
    adjust(shop, shop.offer(KETTLE).product_id, 5)
    shop.pass_time(60)
    assert shop.amount_at_bol(KETTLE) == 20
    assert shop.offer(KETTLE).error == ""


def test_too_many_requests_lose_nothing(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.sandbox.faults(
        [{"method": "PATCH", "path": "/retailer/offers/*", "when": "before", "status": 429, "times": 2}]
    )
    adjust(shop, shop.offer(KETTLE).product_id, -5)
    adjust(shop, shop.offer(TOASTER).product_id, -5)
    shop.work()
    shop.pass_time(120, steps=4)
    assert (shop.amount_at_bol(KETTLE), shop.amount_at_bol(TOASTER)) == (15, 5)


def test_an_offer_that_is_gone_is_marked_and_not_tried_for_ever(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    offer = shop.offer(KETTLE)
    shop.sandbox.faults([{"path": f"/retailer/offers/{offer.offer_id}", "when": "before", "status": 404}])
    adjust(shop, offer.product_id, -5)
    shop.work()
    assert shop.offer(KETTLE).state == "gone"
    assert shop.due() == []


def test_where_bol_subtracts_open_orders_itself_it_is_sent_what_is_there_before_them(shop: Shop) -> None:
    shop.connect(send_stock=True, send_shipments=True, managed_by_retailer=False)
    shop.work()
    order_id = shop.order((KETTLE, 4))
    shop.import_orders()
    assert corrected(shop) == (20, 16)
    adjust(shop, shop.offer(KETTLE).product_id, -1)
    shop.work()
    assert corrected(shop) == (19, 15)
    shop.close(order_id)
    shop.pass_time(60, steps=6)
    assert corrected(shop) == (15, 15)


def test_a_part_that_bol_has_as_shipped_before_it_says_so_is_put_back_once(shop: Shop) -> None:
    shop.connect(send_stock=True, send_shipments=True, managed_by_retailer=False)
    shop.work()
    order_id = shop.order((KETTLE, 5))
    shop.import_orders()
    picklist_id = shop.picklist_id(order_id)
    (line,) = shop.picklist_lines(picklist_id)
    with transaction():
        picking.pick(line.id, 2)
        picking.close_picklist(picklist_id, [NewParcel("postnl", "3S1")], who="ann")
    shop.work()
    # The order is read again before the process status is.
    shop.import_orders()
    assert [item.shipped for item in shop.bol_order_items(order_id)] == [2]
    shop.pass_time(60, steps=6)
    assert [effect.state for effect in shop.effects()] == ["confirmed"]
    adjust(shop, shop.offer(KETTLE).product_id, 1)
    shop.work()
    # 15 are free, and bol subtracts the 3 that are still to be shipped.
    assert corrected(shop) == (19, 16)


def corrected(shop: Shop) -> tuple[int, int]:
    stock = shop.sandbox.offer("seller", KETTLE)["stock"]
    return stock["amount"], stock["correctedStock"]


def test_pieces_that_bol_cancels_before_their_order_comes_in_are_for_sale_again(shop: Shop) -> None:
    """Found by chaos: the rest of the order came in, and nobody looked at the amount of what was cancelled."""
    shop.connect(send_stock=True)
    shop.work()
    shop.sandbox.faults([{"method": "GET", "path": "/retailer/orders/*", "when": "before", "status": 500}])
    order = shop.order((KETTLE, 3), (TOASTER, 1))
    shop.import_orders()
    assert shop.host_orders() == []
    assert shop.amount_at_bol(KETTLE) == 17
    shop.sandbox.cancel(order, shop.items_at_bol(order)[:1])
    shop.sandbox.faults([])
    shop.pass_time(60)
    assert len(shop.host_orders()) == 1
    assert shop.free(KETTLE) == 20
    assert shop.amount_at_bol(KETTLE) == 20


def test_what_is_sold_is_taken_from_the_stock_that_is_offered_although_another_warehouse_is_the_first_now(
    shop: Shop,
) -> None:
    first, second = shop.warehouse, add_warehouse("Second")
    with transaction():
        change_warehouse(first, name="Old", active=False)
    shop.connect(send_stock=True, stock_warehouses=(second,))
    shop.work()
    with transaction():
        change_warehouse(first, name="Old", active=True)
    shop.order((KETTLE, 15))
    shop.import_orders()
    shop.pass_time(60, steps=4)
    assert shop.amount_at_bol(KETTLE) == 5

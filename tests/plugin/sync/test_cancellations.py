"""What bol cancels is cancelled here while nothing is picked; everything else is told to people, once."""

from __future__ import annotations

from host_app.db import transaction
from host_app.services import orders, picking
from tests.plugin.conftest import KETTLE, TOASTER, Shop


def item_ids(shop: Shop, order_id: str) -> list[str]:
    return [item.order_item_id for item in shop.bol_order_items(order_id)]


def cancel_here(shop: Shop, order_id: str) -> None:
    host_order_id = shop.host_order(order_id).id
    with transaction():
        orders.cancel_order(host_order_id, "by hand")
    shop.work()


def test_an_order_cancelled_at_bol_is_cancelled_here_and_its_stock_is_free(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.cancel(order_id)
    shop.import_orders()
    assert shop.host_order(order_id).state == "cancelled"
    assert shop.picklist(order_id).state == "cancelled"
    assert shop.free(KETTLE) == 20
    assert shop.notices() == []


def test_a_picked_order_is_left_alone_and_people_are_told_once(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    picklist_id = shop.picklist_id(order_id)
    with transaction():
        picking.pick_all(picklist_id)
    shop.sandbox.cancel(order_id)
    for _ in range(3):
        shop.import_orders()
    assert shop.host_order(order_id).state == "processing"
    assert [title for title in shop.notices() if "was cancelled at bol" in title] != []
    assert len(shop.notices()) == 1
    assert shop.marks() == ["Cancelled at bol. Do not ship it."]


def test_a_part_cancelled_is_told_with_what_to_do(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    shop.sandbox.cancel(order_id, item_ids(shop, order_id)[:1])
    for _ in range(2):
        shop.import_orders()
    assert shop.host_order(order_id).state == "processing"
    assert len(shop.notices()) == 1
    assert "partly cancelled" in shop.notices()[0]


def test_a_part_and_later_the_rest_cancels_the_order(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    first, second = item_ids(shop, order_id)
    shop.sandbox.cancel(order_id, [first])
    shop.import_orders()
    shop.sandbox.cancel(order_id, [second])
    shop.import_orders()
    assert shop.host_order(order_id).state == "cancelled"


def test_a_request_is_shown_on_the_order_and_told_once(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.request_cancellation(order_id)
    for _ in range(2):
        shop.import_orders()
    assert shop.host_order(order_id).state == "processing"
    assert len(shop.notices()) == 1
    assert "asks bol to cancel" in shop.marks()[0]


def test_an_order_cancelled_here_is_offered_to_be_cancelled_at_bol_and_never_is_by_itself(shop: Shop) -> None:
    shop.connect(send_shipments=True, send_stock=True)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    cancel_here(shop, order_id)
    shop.pass_time(3600, steps=3)
    assert [title for title in shop.notices() if "bol still counts on it" in title] == shop.notices()
    assert shop.writes("/orders/") == []
    shop.runtime.cancel_at_bol(shop.store_id, shop.bol_order(order_id).id, "OUT_OF_STOCK", "ann")
    shop.pass_time(30, steps=4)
    assert len(shop.writes("/orders/cancellation")) == 1
    assert shop.bol_order_items(order_id)[0].cancelled == 2
    assert len(shop.notices()) == 1


def test_an_order_cancelled_before_it_came_in_never_comes_in(shop: Shop) -> None:
    order_id = shop.order((KETTLE, 2))
    shop.sandbox.cancel(order_id)
    shop.connect()
    shop.work()
    assert shop.host_orders() == []


def test_the_packer_is_stopped_at_closing_by_what_bol_cancelled_meanwhile(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    picklist = shop.picklist_id(order_id)
    assert shop.runtime.closing_answer(picklist, 2.0).objections == ()  # type: ignore[union-attr]
    shop.sandbox.cancel(order_id)
    answer = shop.runtime.closing_answer(picklist, 2.0)
    assert answer is not None
    assert "Cancelled at bol" in answer.objections[0]


def test_the_packer_goes_on_with_a_warning_where_bol_does_not_answer(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.faults([{"path": "/retailer/orders/*", "when": "before", "status": 503}])
    answer = shop.runtime.closing_answer(shop.picklist_id(order_id), 2.0)
    assert answer is not None
    assert answer.objections == ()
    assert "could not be asked" in answer.warnings[0]

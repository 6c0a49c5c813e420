"""What bol cancels is cancelled here while nothing is picked; everything else is told to people, once."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from host_app.db import reading, transaction
from host_app.models import Notification, OrderLine, Shipment
from host_app.plugin_api import HostError
from host_app.services import orders, picking
from plugin.models import BolOrderEvent
from tests.plugin.conftest import KETTLE, TOASTER, Shop


def item_ids(shop: Shop, order_id: str) -> list[str]:
    return [item.order_item_id for item in shop.bol_order_items(order_id)]


def read_often(shop: Shop, order_id: str) -> None:
    """Import, and read the order again and again."""
    shop.import_orders()
    for _ in range(3):
        shop.runtime.read_again(shop.store_id, shop.bol_order(order_id).id)
        shop.work()


def cancel_here(shop: Shop, order_id: str) -> None:
    host_order_id = shop.host_order(order_id).id
    with transaction():
        orders.cancel_order(host_order_id, "by hand")
    shop.work()


def take_off(shop: Shop, order_id: str, ean: str, pieces: int) -> None:
    """Somebody takes pieces off the order here."""
    host_order_id, product_id = shop.host_order(order_id).id, shop.offer(ean).product_id
    with reading() as session:
        line_id = session.scalars(
            select(OrderLine.id).where(
                OrderLine.order_id == host_order_id, OrderLine.product_id == product_id
            )
        ).one()
    with transaction():
        orders.take_off(host_order_id, line_id, pieces, who="ann")
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
    read_often(shop, order_id)
    assert shop.host_order(order_id).state == "processing"
    assert [title for title in shop.notices() if "was cancelled at bol" in title] != []
    assert len(shop.notices()) == 1
    assert shop.marks() == ["Cancelled at bol. Do not ship it."]


def test_an_order_that_bol_cancelled_is_cancelled_here_once_everything_is_back_on_the_shelf(
    shop: Shop,
) -> None:
    shop.connect(send_stock=True)
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    picklist_id = shop.picklist_id(order_id)
    with transaction():
        picking.pick_all(picklist_id)
    shop.sandbox.cancel(order_id)
    read_often(shop, order_id)
    kettles, _toaster = shop.picklist_lines(picklist_id)
    with transaction():
        picking.pick_more(picklist_id, kettles.id, -2)
    shop.work()
    # One piece is still in a cart.
    assert shop.host_order(order_id).state == "processing"
    with transaction():
        picking.put_all_back(picklist_id)
    with transaction():
        # Pressed twice, before anybody has looked.
        picking.put_all_back(picklist_id)
    shop.work()
    read_often(shop, order_id)
    order = shop.host_order(order_id)
    assert (order.state, order.cancel_reason) == ("cancelled", "cancelled at bol")
    assert shop.picklist(order_id).state == "cancelled"
    assert (shop.free(KETTLE), shop.free(TOASTER)) == (20, 10)
    assert shop.marks() == []
    assert [told.read_at is not None for told in shop.all(Notification)] == [True]
    assert [told.text for told in shop.all(BolOrderEvent) if "because bol cancelled it" in told.text] == [
        f"Order {order.number} was cancelled, because bol cancelled it"
    ]


def test_an_order_is_put_back_while_bol_does_not_answer_and_cancelled_here_later(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    picklist_id = shop.picklist_id(order_id)
    with transaction():
        picking.pick_all(picklist_id)
    shop.sandbox.cancel(order_id)
    shop.import_orders()
    shop.sandbox.faults([{"path": "/retailer/orders/*", "when": "before", "status": 503}])
    with transaction():
        picking.put_all_back(picklist_id)
    shop.work()
    assert shop.host_order(order_id).state == "processing"
    shop.sandbox.faults([])
    shop.pass_time(3600, steps=6)
    assert shop.host_order(order_id).state == "cancelled"
    assert shop.free(KETTLE) == 20


def test_an_order_that_bol_cancelled_after_it_was_shipped_is_cancelled_once_the_parcel_is_withdrawn(
    shop: Shop,
) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.close(order_id)
    shop.sandbox.cancel(order_id)
    shop.import_orders()
    assert shop.marks() == ["Cancelled at bol. Do not ship it."]
    shipment_id = shop.all(Shipment)[0].id
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    shop.work()
    assert (shop.host_order(order_id).state, shop.marks(), shop.free(KETTLE)) == ("cancelled", [], 20)


def test_a_part_that_is_put_back_does_not_cancel_the_rest(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    picklist_id = shop.picklist_id(order_id)
    with transaction():
        picking.pick_all(picklist_id)
    shop.sandbox.cancel(order_id, item_ids(shop, order_id)[:1])
    shop.import_orders()
    with transaction():
        picking.put_all_back(picklist_id)
    read_often(shop, order_id)
    assert shop.host_order(order_id).state == "processing"
    assert shop.marks() == ["bol cancelled a part: 2 × Kettle. Do not ship these pieces."]


def test_a_part_cancelled_is_told_with_what_to_do(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    shop.sandbox.cancel(order_id, item_ids(shop, order_id)[:1])
    read_often(shop, order_id)
    assert shop.host_order(order_id).state == "processing"
    assert len(shop.notices()) == 1
    assert "partly cancelled" in shop.notices()[0]


def test_a_part_that_was_cancelled_is_done_with_once_somebody_took_it_off_the_order(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    shop.sandbox.cancel(order_id, item_ids(shop, order_id)[:1], quantity=1)
    shop.import_orders()
    assert "bol cancelled a part" in shop.marks()[0]
    take_off(shop, order_id, KETTLE, 1)
    assert shop.marks() == []
    assert [told.read_at is not None for told in shop.all(Notification)] == [True]
    shop.close(order_id)
    shop.pass_time(20, steps=4)
    assert shop.host_order(order_id).state == "completed"
    assert [effect.state for effect in shop.effects()] == ["confirmed"] * 2
    assert len(shop.notices()) == 1


def test_pieces_taken_off_here_that_bol_still_counts_on_are_told_and_can_be_cancelled_there(
    shop: Shop,
) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    row_id = shop.bol_order(order_id).id
    take_off(shop, order_id, KETTLE, 1)
    assert shop.notices() == [
        f"Shop: pieces of order {order_id} were taken off here, but bol still counts on them"
    ]
    # bol would cancel the other one, too, which is still to be shipped.
    with pytest.raises(HostError, match="Nothing that was cancelled here"):
        shop.runtime.cancel_at_bol(shop.store_id, row_id, "OUT_OF_STOCK", "ann")
    shop.close(order_id)
    with pytest.raises(HostError, match="Nothing that was cancelled here"):
        shop.runtime.cancel_at_bol(shop.store_id, row_id, "OUT_OF_STOCK", "ann")
    shop.pass_time(20, steps=4)
    shop.import_orders()
    shop.runtime.cancel_at_bol(shop.store_id, row_id, "OUT_OF_STOCK", "ann")
    shop.pass_time(20, steps=4)
    kettles, toaster = shop.bol_order_items(order_id)
    assert (kettles.shipped, kettles.cancelled) == (1, 1)
    assert (toaster.shipped, toaster.cancelled) == (1, 0)
    assert [told.read_at is not None for told in shop.all(Notification)] == [True]


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
    read_often(shop, order_id)
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


def test_what_the_packer_is_told_at_closing_is_told_to_everybody_at_once(shop: Shop) -> None:
    """Lists would offer the picklist without a warning until the next import."""
    shop.connect()
    cancelled, asked = shop.order((KETTLE, 2)), shop.order((KETTLE, 1))
    shop.work()
    picklists = [shop.picklist_id(order_id) for order_id in (cancelled, asked)]
    # No import finds it.
    shop.settings(import_orders=False)
    shop.sandbox.cancel(cancelled)
    shop.sandbox.request_cancellation(asked)
    shop.work()
    assert (shop.host_order(cancelled).state, shop.marks()) == ("processing", [])
    for picklist in picklists:
        shop.runtime.closing_answer(picklist, 2.0)
    shop.work()
    assert shop.host_order(cancelled).state == "cancelled"
    assert [mark.startswith("The customer asks bol to cancel") for mark in shop.marks()] == [True]


def test_what_is_known_already_is_not_read_once_more_at_each_closing(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.request_cancellation(order_id)
    shop.import_orders()
    shop.runtime.closing_answer(shop.picklist_id(order_id), 2.0)
    assert shop.bol_order(order_id).read_due_at is None


@pytest.mark.parametrize("may_overrule", [False, True])
def test_the_packer_is_told_which_items_and_may_ship_all_the_same_only_where_the_setting_says_so(
    shop: Shop, may_overrule: bool
) -> None:
    shop.connect(overrule_at_closing=may_overrule)
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    kettles, _toaster = item_ids(shop, order_id)
    shop.sandbox.request_cancellation(order_id, [kettles])
    answer = shop.runtime.closing_answer(shop.picklist_id(order_id), 2.0)
    assert answer is not None
    assert answer.objections == ("The customer asks to cancel: 2 × Kettle.",)
    assert answer.may_overrule is may_overrule


def test_only_what_is_in_the_parcel_stops_the_packer(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 3), (TOASTER, 1))
    shop.work()
    kettles, toaster = item_ids(shop, order_id)
    picklist_id = shop.picklist_id(order_id)
    lines = shop.picklist_lines(picklist_id)

    def answer(picked_kettles: int) -> tuple[int, int]:
        with transaction():
            picking.pick(lines[0].id, picked_kettles)
        found = shop.runtime.closing_answer(picklist_id, 2.0)
        assert found is not None
        return len(found.objections), len(found.warnings)

    shop.sandbox.cancel(order_id, [kettles], quantity=1)
    # Nothing is picked yet, so all of it is about to be.
    assert answer(0) == (1, 0)
    assert answer(3) == (1, 0)
    assert answer(2) == (0, 1)
    shop.import_orders()
    take_off(shop, order_id, KETTLE, 1)
    assert answer(2) == (0, 0)
    shop.sandbox.cancel(order_id, [toaster])
    assert answer(2) == (0, 1)


def test_nobody_is_asked_at_closing_where_the_setting_says_so(shop: Shop) -> None:
    shop.connect(check_at_closing=False)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.cancel(order_id)
    assert shop.runtime.closing_answer(shop.picklist_id(order_id), 2.0) is None


def test_who_closes_a_picklist_of_a_paused_store_is_told_that_bol_was_not_asked(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.runtime.pause(shop.store_id)
    answer = shop.runtime.closing_answer(shop.picklist_id(order_id), 2.0)
    assert answer is not None and answer.objections == () and "bol was not asked" in answer.warnings[0]
    shop.settings(check_at_closing=False)
    assert shop.runtime.closing_answer(shop.picklist_id(order_id), 2.0) is None


def test_what_bol_could_not_be_asked_at_closing_is_looked_at_in_a_job(shop: Shop) -> None:
    # No import finds it, and no shipment is refused.
    shop.connect(import_orders=True, send_shipments=False)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.settings(import_orders=False, send_shipments=False)
    shop.work()
    shop.sandbox.cancel(order_id)
    shop.sandbox.faults([{"path": "/retailer/orders/*", "when": "before", "status": 503}])
    assert shop.runtime.closing_answer(shop.picklist_id(order_id), 2.0).warnings  # type: ignore[union-attr]
    shop.close(order_id)
    shop.work()
    assert shop.notices() == []
    shop.sandbox.faults([])
    shop.pass_time(120, steps=3)
    assert shop.notices() == [f"Shop: order {order_id} was cancelled at bol: stop the parcel"]


def test_a_cancellation_is_told_once_by_the_refused_shipment_and_the_import(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.settings(import_orders=False, send_shipments=True, check_at_closing=False)
    shop.sandbox.cancel(order_id)
    shop.close(order_id)
    shop.pass_time(10, steps=3)
    assert shop.notices() == [f"Shop: order {order_id} was cancelled at bol: stop the parcel"]
    shop.settings(send_shipments=True)
    read_often(shop, order_id)
    assert len(shop.notices()) == 1
    assert shop.effects()[0].error.startswith("Cancelled at bol.")


def test_a_packer_who_closes_in_spite_of_a_cancellation_is_told_that_the_parcel_must_be_stopped(
    shop: Shop,
) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    shop.sandbox.cancel(order_id, item_ids(shop, order_id)[:1])
    shop.import_orders()
    assert [title.endswith("was partly cancelled at bol") for title in shop.notices()] == [True]
    shop.close(order_id)
    shop.pass_time(20, steps=4)
    # bol takes a parcel as a whole: what of it was not cancelled is refused, too, and can be sent again.
    assert sorted(shop.notices()[1:]) == [
        f"Shop: bol refused the shipment of order {order_id}",
        f"Shop: order {order_id} was partly cancelled at bol: stop the parcel",
    ]
    _kettles, toaster = shop.effects()
    assert shop.runtime.try_shipment_again(shop.store_id, toaster.id)
    shop.pass_time(20, steps=4)
    assert [effect.state for effect in shop.effects()] == ["refused", "confirmed"]


def test_the_packer_goes_on_with_a_warning_where_bol_does_not_answer(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.faults([{"path": "/retailer/orders/*", "when": "before", "status": 503}])
    answer = shop.runtime.closing_answer(shop.picklist_id(order_id), 2.0)
    assert answer is not None
    assert answer.objections == ()
    assert "could not be asked" in answer.warnings[0]
    assert (
        "You can go on: once the picklist is closed, bol is told as soon as it answers" in answer.warnings[0]
    )

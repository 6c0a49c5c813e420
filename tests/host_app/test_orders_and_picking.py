"""Orders reserve stock, become picklists, wait as backorders, and are closed or cancelled safely."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from host_app.db import reading, transaction
from host_app.models import EventDelivery, Order, OrderLine, Picklist, PicklistLine, Shipment, Stock
from host_app.plugin_api import HostError, OrderPicked
from host_app.port import host_port
from host_app.services import orders, picking
from host_app.services.backorders import fill_backorders
from host_app.services.picking import AlreadyClosed, NewParcel
from host_app.services.stock import adjust_stock, free_stock
from tests.host_app.factories import accept, add_product, add_warehouse


class Unlimited:
    """A lease that is never lost."""

    token = "unlimited"

    def ensure(self, seconds: float = 0) -> None:
        pass

    def slice_over(self) -> bool:
        return False


@pytest.fixture
def warehouse(app: Flask) -> int:
    return add_warehouse()


def stock_of(product_id: int) -> tuple[int, int, int]:
    with reading() as session:
        row = session.scalars(select(Stock).where(Stock.product_id == product_id)).one()
        return row.physical, row.reserved, row.allocated


def picklists_of(order_id: int) -> list[Picklist]:
    with reading() as session:
        return list(
            session.scalars(select(Picklist).where(Picklist.order_id == order_id).order_by(Picklist.id))
        )


def pick_and_close(picklist_id: int, who: str = "ann") -> list[int]:
    with transaction():
        picking.pick_all(picklist_id)
        return picking.close_picklist(picklist_id, [NewParcel("postnl", "3S123")], who=who)


def test_an_accepted_order_reserves_its_stock_at_once_even_as_a_concept(warehouse: int) -> None:
    product = add_product("A", 10)
    accept("1", (product, 3), process=False)
    assert stock_of(product) == (10, 3, 0)
    with reading():
        assert free_stock([product])[product].free == 7


def test_accepting_the_same_order_twice_makes_one(warehouse: int) -> None:
    product = add_product("A", 10)
    first, second = accept("1", (product, 3)), accept("1", (product, 3))
    assert (first.created, second.created) == (True, False)
    assert first.order_id == second.order_id
    assert stock_of(product) == (10, 3, 3)


def test_free_stock_may_be_negative(warehouse: int) -> None:
    product = add_product("A", 1)
    accept("1", (product, 3))
    with reading():
        assert free_stock([product])[product].free == -2


def test_what_is_not_in_stock_waits_until_stock_arrives(warehouse: int) -> None:
    product = add_product("A", 1)
    order = accept("1", (product, 3))
    assert [line.quantity for line in _lines(picklists_of(order.order_id)[0].id)] == [1]
    with transaction():
        adjust_stock(product, warehouse, change=5, reason="delivery", who="ann")
    assert fill_backorders(host_port(), Unlimited()) is False
    _first, second = picklists_of(order.order_id)
    assert [line.quantity for line in _lines(second.id)] == [2]
    assert stock_of(product) == (6, 3, 3)


def test_the_oldest_order_gets_the_stock_that_arrives(warehouse: int) -> None:
    product = add_product("A", 0)
    first, second = accept("1", (product, 2)), accept("2", (product, 2))
    with transaction():
        adjust_stock(product, warehouse, change=3, reason="delivery", who="ann")
    fill_backorders(host_port(), Unlimited())
    assert [line.quantity for line in _lines(picklists_of(first.order_id)[0].id)] == [2]
    assert [line.quantity for line in _lines(picklists_of(second.order_id)[0].id)] == [1]


def test_closing_takes_the_stock_and_completes_the_order(warehouse: int) -> None:
    product = add_product("A", 10)
    order = accept("1", (product, 3))
    (picklist,) = picklists_of(order.order_id)
    (shipment_id,) = pick_and_close(picklist.id)
    assert stock_of(product) == (7, 0, 0)
    with reading() as session:
        assert session.get(Order, order.order_id).state == "completed"  # type: ignore[union-attr]
        shipment = session.get(Shipment, shipment_id)
        assert shipment is not None and (shipment.carrier, shipment.tracking_code) == ("postnl", "3S123")


def test_a_part_picked_leaves_the_rest_as_a_backorder(warehouse: int) -> None:
    product = add_product("A", 10)
    order = accept("1", (product, 3))
    (picklist,) = picklists_of(order.order_id)
    (line,) = _lines(picklist.id)
    with transaction():
        picking.pick(line.id, 1)
        picking.close_picklist(picklist.id, [NewParcel("dhl", "")], who="ann")
    assert stock_of(product) == (9, 2, 0)
    fill_backorders(host_port(), Unlimited())
    assert [line.quantity for line in _lines(picklists_of(order.order_id)[1].id)] == [2]


def test_the_second_packer_sees_who_closed_it(warehouse: int) -> None:
    product = add_product("A", 10)
    order = accept("1", (product, 3))
    (picklist,) = picklists_of(order.order_id)
    pick_and_close(picklist.id, who="ann")
    with pytest.raises(AlreadyClosed, match="already closed by ann"), transaction():
        picking.close_picklist(picklist.id, [NewParcel("dhl", "")], who="bob")
    assert stock_of(product) == (7, 0, 0)


def test_several_parcels_must_hold_exactly_what_was_picked(warehouse: int) -> None:
    product = add_product("A", 10)
    order = accept("1", (product, 3))
    (picklist,) = picklists_of(order.order_id)
    (line,) = _lines(picklist.id)
    with transaction():
        picking.pick_all(picklist.id)
    with pytest.raises(HostError, match="exactly what was picked"), transaction():
        picking.close_picklist(
            picklist.id, [NewParcel("dhl", "a", {line.id: 1}), NewParcel("dhl", "b", {line.id: 1})], who="ann"
        )
    with transaction():
        made = picking.close_picklist(
            picklist.id, [NewParcel("dhl", "a", {line.id: 1}), NewParcel("dhl", "b", {line.id: 2})], who="ann"
        )
    assert len(made) == 2


def test_nothing_picked_can_not_be_closed(warehouse: int) -> None:
    order = accept("1", (add_product("A", 10), 3))
    (picklist,) = picklists_of(order.order_id)
    with pytest.raises(HostError, match="Nothing was picked"), transaction():
        picking.close_picklist(picklist.id, [NewParcel("dhl", "")], who="ann")


def test_cancelling_frees_the_stock_and_withdraws_the_picklist(warehouse: int) -> None:
    product = add_product("A", 10)
    order = accept("1", (product, 3))
    with transaction():
        orders.cancel_order(order.order_id, "the customer cancelled")
    assert stock_of(product) == (10, 0, 0)
    assert [picklist.state for picklist in picklists_of(order.order_id)] == ["cancelled"]
    with transaction():
        orders.cancel_order(order.order_id, "again")
    with reading() as session:
        assert session.get(Order, order.order_id).cancel_reason == "the customer cancelled"  # type: ignore[union-attr]


def test_a_picked_order_is_not_cancelled(warehouse: int) -> None:
    product = add_product("A", 10)
    order = accept("1", (product, 3))
    (picklist,) = picklists_of(order.order_id)
    (line,) = _lines(picklist.id)
    with transaction():
        picking.pick(line.id, 1)
    with pytest.raises(OrderPicked), transaction():
        orders.cancel_order(order.order_id, "too late")
    assert stock_of(product) == (10, 3, 3)


def test_pieces_taken_off_are_free_again_and_the_rest_goes_on(warehouse: int) -> None:
    product, other = add_product("A", 10), add_product("B", 10)
    order = accept("1", (product, 3), (other, 1))
    (picklist,) = picklists_of(order.order_id)
    first, second = _lines(picklist.id)
    with transaction():
        picking.pick(first.id, 1)
        orders.take_off(order.order_id, first.order_line_id, 2, who="ann")
        orders.take_off(order.order_id, second.order_line_id, 1, who="ann")
    assert [(line.picked, line.quantity) for line in _lines(picklist.id)] == [(1, 1)]
    assert (stock_of(product), stock_of(other)) == ((10, 1, 1), (10, 0, 0))
    pick_and_close(picklist.id)
    with reading() as session:
        assert session.get_one(Order, order.order_id).state == "completed"
    assert len(picklists_of(order.order_id)) == 1


def test_what_waits_for_stock_is_taken_off_before_what_is_on_a_picklist(warehouse: int) -> None:
    product = add_product("A", 2)
    order = accept("1", (product, 5))
    (picklist,) = picklists_of(order.order_id)
    (line,) = _lines(picklist.id)
    with transaction():
        orders.take_off(order.order_id, line.order_line_id, 3, who="ann")
    assert [line.quantity for line in _lines(picklist.id)] == [2]
    assert stock_of(product) == (2, 2, 2)
    with transaction():
        orders.take_off(order.order_id, line.order_line_id, 1, who="ann")
    assert [line.quantity for line in _lines(picklist.id)] == [1]
    assert stock_of(product) == (2, 1, 1)


def test_an_order_of_which_nothing_is_left_is_cancelled_or_completed(warehouse: int) -> None:
    product, other = add_product("A", 10), add_product("B", 0)
    untouched, shipped = accept("1", (product, 2)), accept("2", (product, 1), (other, 1))
    with reading() as session:
        (line,) = session.scalars(select(OrderLine).where(OrderLine.order_id == untouched.order_id)).all()
        waiting = session.scalars(select(OrderLine).where(OrderLine.product_id == other)).one()
    pick_and_close(picklists_of(shipped.order_id)[0].id)
    with transaction():
        orders.take_off(untouched.order_id, line.id, 2, who="ann")
        orders.take_off(shipped.order_id, waiting.id, 1, who="ann")
    with reading() as session:
        states = [session.get_one(Order, one.order_id).state for one in (untouched, shipped)]
    assert states == ["cancelled", "completed"]
    assert [picklist.state for picklist in picklists_of(untouched.order_id)] == ["cancelled"]


def test_a_picklist_of_which_everything_was_taken_off_is_withdrawn(warehouse: int) -> None:
    product, other = add_product("A", 10), add_product("B", 0)
    order = accept("1", (product, 1), (other, 1))
    (picklist,) = picklists_of(order.order_id)
    (line,) = _lines(picklist.id)
    with transaction():
        orders.take_off(order.order_id, line.order_line_id, 1, who="ann")
    assert [one.state for one in picklists_of(order.order_id)] == ["cancelled"]


def test_what_is_picked_or_not_there_is_not_taken_off(warehouse: int) -> None:
    product = add_product("A", 10)
    order, another = accept("1", (product, 2)), accept("2", (product, 2))
    (picklist,) = picklists_of(order.order_id)
    (line,) = _lines(picklist.id)
    with transaction():
        picking.pick(line.id, 1)
    refused = {(order.order_id, 2): "put them back first", (another.order_id, 1): "not of this order"}
    for (order_id, pieces), reason in refused.items():
        with pytest.raises(HostError, match=reason), transaction():
            orders.take_off(order_id, line.order_line_id, pieces, who="ann")
    for pieces in (0, -1):
        with pytest.raises(HostError), transaction():
            orders.take_off(order.order_id, line.order_line_id, pieces, who="ann")
    assert stock_of(product) == (10, 4, 4)


def test_a_withdrawn_picklist_can_not_be_picked(warehouse: int) -> None:
    order = accept("1", (add_product("A", 10), 3))
    (picklist,) = picklists_of(order.order_id)
    with transaction():
        orders.cancel_order(order.order_id, "cancelled")
    with pytest.raises(HostError, match="withdrawn"), transaction():
        picking.pick_all(picklist.id)


def test_a_paused_picklist_can_not_be_closed_until_it_is_resumed(warehouse: int) -> None:
    order = accept("1", (add_product("A", 10), 3))
    (picklist,) = picklists_of(order.order_id)
    with transaction():
        orders.pause_order(order.order_id)
    with pytest.raises(HostError, match="paused"), transaction():
        picking.pick_all(picklist.id)
    with transaction():
        orders.resume_order(order.order_id)
    assert pick_and_close(picklist.id)


def test_goods_of_a_withdrawn_parcel_of_a_paused_order_wait_until_it_is_resumed(warehouse: int) -> None:
    order = accept("1", (add_product("A", 10), 3))
    (picklist,) = picklists_of(order.order_id)
    (line,) = _lines(picklist.id)
    with transaction():
        picking.pick(line.id, 1)
        (shipment_id,) = picking.close_picklist(picklist.id, [NewParcel("postnl", "3S1")], who="ann")
    fill_backorders(host_port(), Unlimited())
    with transaction():
        orders.pause_order(order.order_id)
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    fill_backorders(host_port(), Unlimited())
    assert [one.state for one in picklists_of(order.order_id)] == ["closed", "paused"]
    with transaction():
        orders.resume_order(order.order_id)
    fill_backorders(host_port(), Unlimited())
    assert [one.state for one in picklists_of(order.order_id)] == ["closed", "new", "new"]


def test_a_product_without_known_stock_is_known_once_it_was_counted(warehouse: int) -> None:
    product = add_product("A", None)
    with reading():
        assert free_stock([product])[product].known is False
    with transaction():
        adjust_stock(product, warehouse, set_to=0, reason="counted", who="ann")
    with reading():
        assert free_stock([product])[product].known is True


def test_stock_can_not_be_adjusted_below_nothing(warehouse: int) -> None:
    product = add_product("A", 2)
    with pytest.raises(HostError, match="can't be taken away"), transaction():
        adjust_stock(product, warehouse, change=-3, reason="broken", who="ann")


def test_without_plugins_no_events_are_written(warehouse: int) -> None:
    accept("1", (add_product("A", 10), 3))
    with reading() as session:
        assert session.scalars(select(EventDelivery)).all() == []


def _lines(picklist_id: int) -> list[PicklistLine]:
    with reading() as session:
        return list(session.scalars(select(PicklistLine).where(PicklistLine.picklist_id == picklist_id)))

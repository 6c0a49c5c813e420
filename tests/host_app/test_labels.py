"""Labels that plugins bought: kept once, and made parcels of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from host_app.db import db, reading, transaction
from host_app.models import Label, Order, Picklist, PicklistLine, Shipment, Stock
from host_app.plugin_api import HostError, NewLabel, OrderState
from host_app.port import host_port
from host_app.services import labels, orders, picking
from host_app.services.orders import lock_order, waiting_orders
from host_app.services.picking import NewParcel
from tests.conftest import AppFactory
from tests.host_app import factories

PDF = b"%PDF-1.4 a label"


@pytest.fixture(autouse=True)
def warehouse(make_app: AppFactory) -> Iterator[None]:
    """A picklist of two pieces of A1 and three of B2; order lines and picklist lines are 1 and 2."""
    with make_app(blocked_plugins=("bol",)).app_context():
        factories.add_warehouse()
        a, b = factories.add_product("A1", 10), factories.add_product("B2", 10)
        factories.accept("R-1", (a, 2), (b, 3))
        yield
        db.session.remove()


def attach(ref: str, pieces: dict[int, int], picklist_id: int = 1) -> None:
    with transaction():
        host_port().attach_label(NewLabel(picklist_id, ref, "PostNL", f"3S{ref}", PDF, pieces))


def kept() -> list[Label]:
    with reading() as session:
        return list(session.scalars(select(Label).order_by(Label.id)))


def left() -> dict[int, int]:
    with reading() as session:
        lines = list(session.scalars(select(PicklistLine).where(PicklistLine.picklist_id == 1)))
        return labels.unlabelled(lines, labels.unused(1))


def close(*parcels: NewParcel, pick: bool = True) -> list[int]:
    with transaction():
        if pick:
            picking.pick_all(1)
        return picking.close_picklist(1, parcels, who="ann")


def stock(product_id: int) -> tuple[int, int, int]:
    with reading() as session:
        row = session.scalars(select(Stock).where(Stock.product_id == product_id)).one()
        return row.physical, row.reserved, row.allocated


def test_a_label_attached_twice_is_kept_once() -> None:
    attach("L1", {1: 2})
    attach("L1", {1: 2})

    assert [(label.ref, label.tracking_code, label.pieces) for label in kept()] == [("L1", "3SL1", {"1": 2})]


def test_the_same_number_on_another_picklist_is_another_label() -> None:
    factories.accept("R-2", (1, 1))
    attach("L1", {1: 2})
    attach("L1", {3: 1}, picklist_id=2)

    assert [(label.picklist_id, label.ref) for label in kept()] == [(1, "L1"), (2, "L1")]


def test_each_label_takes_its_pieces_from_what_needs_one() -> None:
    assert left() == {1: 2, 2: 3}
    attach("L1", {1: 2, 2: 1})
    assert left() == {2: 2}
    attach("L2", {2: 2})
    assert left() == {}


def test_pieces_of_lines_that_are_not_on_the_picklist_cover_nothing() -> None:
    attach("L1", {99: 5, 1: 9})

    assert left() == {2: 3}
    with reading() as session:
        lines = list(session.scalars(select(PicklistLine)))
        assert labels.pieces_by_picklist_line(labels.unused(1)[0], lines) == {1: 9}


def test_a_parcel_with_a_label_travels_as_its_label_says() -> None:
    attach("L1", {1: 2, 2: 3})
    (shipment_id,) = close(NewParcel("", "typed by hand", label_id=1))

    with reading() as session:
        shipment = session.get_one(Shipment, shipment_id)
        assert (shipment.carrier, shipment.tracking_code, shipment.label_ref) == ("label", "3SL1", "L1")
        assert session.get_one(Label, 1).shipment_id == shipment_id
        assert labels.unused(1) == []


def test_several_labels_make_several_parcels_and_the_rest_goes_without() -> None:
    attach("L1", {1: 2})
    attach("L2", {2: 1})
    close(
        NewParcel("", "", {1: 2}, label_id=1),
        NewParcel("", "", {2: 1}, label_id=2),
        NewParcel("dhl", "JV1", {2: 2}),
    )

    with reading() as session:
        rows = session.scalars(select(Shipment).order_by(Shipment.id))
        assert [(row.label_ref, row.carrier, row.tracking_code) for row in rows] == [
            ("L1", "label", "3SL1"),
            ("L2", "label", "3SL2"),
            (None, "dhl", "JV1"),
        ]


def test_parcels_with_labels_must_hold_what_was_picked() -> None:
    attach("L1", {1: 2, 2: 3})
    with pytest.raises(HostError, match="exactly what was picked"):
        close(NewParcel("", "", {1: 2, 2: 2}, label_id=1), NewParcel("dhl", "", {1: 1}))


def test_a_label_of_another_picklist_is_refused() -> None:
    factories.accept("R-2", (1, 1))
    attach("L1", {3: 1}, picklist_id=2)
    with pytest.raises(HostError, match="not of this picklist"):
        close(NewParcel("", "", label_id=1))

    with reading() as session:
        assert session.get_one(Picklist, 1).state == "new"


def test_one_label_is_not_used_for_two_parcels() -> None:
    attach("L1", {1: 2, 2: 3})
    with pytest.raises(HostError, match="used already"):
        close(NewParcel("", "", {1: 2}, label_id=1), NewParcel("", "", {2: 3}, label_id=1))


def test_a_withdrawn_shipment_puts_stock_and_order_back() -> None:
    before = stock(1), stock(2)
    (shipment_id,) = close(NewParcel("postnl", "3S1"))
    with reading() as session:
        assert session.get_one(Order, 1).state == OrderState.COMPLETED
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")

    with reading() as session:
        order = session.get_one(Order, 1)
        assert order.state == OrderState.PROCESSING and order.completed_at is None
        assert [line.shipped for line in order.lines] == [0, 0]
        assert waiting_orders(5) == [1]
    with transaction():
        order_row = lock_order(1)
        assert order_row is not None and orders.make_picklist(order_row) is not None
    assert (stock(1), stock(2)) == before


def test_a_withdrawn_shipment_is_neither_withdrawn_again_nor_corrected() -> None:
    (shipment_id,) = close(NewParcel("postnl", "3S1"))
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    after = stock(1)
    with pytest.raises(HostError, match="withdrawn before"), transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    with pytest.raises(HostError, match="nothing to correct"), transaction():
        picking.correct_shipment(shipment_id, carrier="dhl", tracking_code="JV1")

    assert stock(1) == after


def test_a_parcel_with_a_label_can_not_be_corrected() -> None:
    attach("L1", {1: 2, 2: 3})
    (shipment_id,) = close(NewParcel("", "", label_id=1))
    with pytest.raises(HostError, match="bought label"), transaction():
        picking.correct_shipment(shipment_id, carrier="dhl", tracking_code="JV1")

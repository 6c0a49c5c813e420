"""Every combination of what bol cancels and where the order stands has one result; docs/cancellations.md shows it."""

from __future__ import annotations

import pytest

from host_app.db import transaction
from host_app.plugin_api import HostError
from host_app.services import orders, picking
from host_app.services.picking import NewParcel
from tests.plugin.conftest import KETTLE, TOASTER, Shop

STATES = ("concept", "processing", "partly picked", "picklist closed", "paused", "cancelled here")
CANCELLED = ("all items", "some items", "part of a quantity")

#: (what bol cancelled, where the order stood) -> (state of the order afterwards, a word of the one notice or "").
TABLE = {
    ("all items", "concept"): ("cancelled", ""),
    ("all items", "processing"): ("cancelled", ""),
    ("all items", "partly picked"): ("processing", "was cancelled at bol"),
    ("all items", "picklist closed"): ("completed", "was cancelled at bol"),
    ("all items", "paused"): ("cancelled", ""),
    ("all items", "cancelled here"): ("cancelled", ""),
    ("some items", "concept"): ("concept", "partly cancelled"),
    ("some items", "processing"): ("processing", "partly cancelled"),
    ("some items", "partly picked"): ("processing", "partly cancelled"),
    ("some items", "picklist closed"): ("completed", "partly cancelled"),
    ("some items", "paused"): ("paused", "partly cancelled"),
    ("some items", "cancelled here"): ("cancelled", ""),
    ("part of a quantity", "concept"): ("concept", "partly cancelled"),
    ("part of a quantity", "processing"): ("processing", "partly cancelled"),
    ("part of a quantity", "partly picked"): ("processing", "partly cancelled"),
    ("part of a quantity", "picklist closed"): ("completed", "partly cancelled"),
    ("part of a quantity", "paused"): ("paused", "partly cancelled"),
    ("part of a quantity", "cancelled here"): ("cancelled", ""),
}


def bring(shop: Shop, order_id: str, state: str) -> None:
    """Bring the host's order into a state."""
    order = shop.host_order(order_id)
    if state == "partly picked":
        line = shop.picklist_lines(shop.picklist_id(order_id))[0]
        with transaction():
            picking.pick(line.id, 1)
    elif state == "picklist closed":
        picklist_id = shop.picklist_id(order_id)
        with transaction():
            picking.pick_all(picklist_id)
            picking.close_picklist(picklist_id, [NewParcel("dhl", "A1")], who="ann")
    elif state == "paused":
        with transaction():
            orders.pause_order(order.id)
    elif state == "cancelled here":
        with transaction():
            orders.cancel_order(order.id, "by hand")
    shop.work()


def cancel(shop: Shop, order_id: str, what: str) -> None:
    """Have bol cancel something of an order of two kettles and a toaster."""
    kettles, _toaster = shop.bol_order_items(order_id)
    if what == "all items":
        shop.sandbox.cancel(order_id)
    elif what == "some items":
        shop.sandbox.cancel(order_id, [kettles.order_item_id])
    else:
        shop.sandbox.cancel(order_id, [kettles.order_item_id], quantity=1)


@pytest.mark.parametrize(("what", "state"), TABLE)
def test_the_table_of_cancellations(shop: Shop, what: str, state: str) -> None:
    shop.connect(process_orders=state != "concept")
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    bring(shop, order_id, state)
    told_before = len(shop.notices())
    cancel(shop, order_id, what)
    shop.import_orders()
    # The list tells a change once; the order itself may be read any number of times.
    for _ in range(2):
        shop.runtime.read_again(shop.store_id, shop.bol_order(order_id).id)
        shop.work()
    after, word = TABLE[what, state]
    assert shop.host_order(order_id).state == after
    told = shop.notices()[told_before:]
    assert len(told) == (1 if word else 0)
    assert all(word in title for title in told)
    if after == "cancelled":
        assert (shop.free(KETTLE), shop.free(TOASTER)) == (20, 10)
        assert all(picklist.state == "cancelled" for picklist in shop.picklists(order_id))


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(what, state) for what in CANCELLED for state in STATES}


def test_an_automatic_cancel_that_fails_is_told_with_its_reason(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()

    def refuse(*_: object, **__: object) -> None:
        raise HostError("The order is being invoiced.")

    monkeypatch.setattr("host_app.services.orders.cancel_order", refuse)
    shop.sandbox.cancel(order_id)
    shop.import_orders()
    assert shop.host_order(order_id).state == "processing"
    (notice,) = shop.notice_bodies()
    assert "The order is being invoiced." in notice


def test_a_request_that_comes_after_the_parcel_left_does_not_keep_it_from_being_confirmed(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.close(order_id)
    shop.sandbox.request_cancellation(order_id)
    shop.pass_time(30, steps=4)
    assert [effect.state for effect in shop.effects()] == ["confirmed"]

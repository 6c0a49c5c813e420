"""Faults that a review found, each as the story in which it did harm."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import update

from host_app import events, jobs
from host_app.db import reading, transaction
from host_app.plugin_api import HostError
from host_app.services import catalog, picking
from host_app.services import orders as host_orders
from host_app.services import stock as host_stock
from host_app.services.picking import NewParcel
from plugin.models import (
    BolOrder,
    BolOrderItem,
    CancellationEffect,
    EffectState,
    LabelEffect,
    ShipmentEffect,
)
from plugin.sync import label_options, pump
from plugin.sync.pending import pending_quantities
from tests.plugin.conftest import KETTLE, TOASTER, Shop
from tests.plugin.portal import add_at_bol

SHIPMENTS = "/retailer/shipments"
LABELS = "/retailer/shipping-labels"
STATUSES = "/shared/process-status"
CANCELLATION = "/retailer/orders/cancellation"
MUG = "8710103934509"


class Died(BaseException):
    """Stands for kill -9."""


def set_stock(shop: Shop, product_id: int, pieces: int) -> None:
    with transaction():
        host_stock.adjust_stock(product_id, shop.warehouse, set_to=pieces, reason="test", who="ann")


def states(shop: Shop) -> list[str]:
    return [effect.state for effect in shop.effects()]


@pytest.fixture
def via_bol(shop: Shop) -> Shop:
    """A shop with an order of one kettle, sold with Shipping via bol."""
    shop.connect(send_shipments=True)
    items = [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    return shop


def buy(shop: Shop) -> None:
    picklist_id = shop.picklist_id(shop.order_id)
    pieces = {line.order_line_id: line.quantity for line in shop.picklist_lines(picklist_id)}
    with transaction():
        label_options.request(shop.host, picklist_id, pieces, label_options.RECOMMENDED, "ann")


def label_states(shop: Shop) -> list[str]:
    return [effect.state for effect in shop.all(LabelEffect)]


def sold(shop: Shop) -> int:
    return len(shop.sandbox.state("seller")["labels"])


def test_the_status_of_one_parcel_does_not_confirm_the_next(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.faults([{"method": "POST", "path": SHIPMENTS, "when": "after", "status": 502, "times": 1}])
    picklist_id = shop.picklist_id(order_id)
    line = shop.picklist_lines(picklist_id)[0]
    with transaction():
        picking.pick_all(picklist_id)
        picking.close_picklist(
            picklist_id,
            [NewParcel("dhl", "A1", {line.id: 1}), NewParcel("dpd", "B2", {line.id: 1})],
            who="ann",
        )
    shop.work()
    shop.sandbox.faults([{"method": "POST", "path": SHIPMENTS, "when": "before", "status": 502, "times": 1}])
    shop.pass_time(6, steps=1)
    shop.pass_time(60, steps=6)
    assert states(shop).count(EffectState.CONFIRMED) == len(shop.shipments_at_bol()) == 1
    shop.pass_time(900, steps=20)
    assert states(shop) == [EffectState.CONFIRMED] * 2
    assert len(shop.shipments_at_bol()) == 2


def test_a_worker_that_dies_after_a_stock_call_leaves_no_old_amount_as_confirmed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(send_stock=True)
    shop.work()
    product_id = shop.offer(KETTLE).product_id
    set_stock(shop, product_id, 5)
    shop.work()
    set_stock(shop, product_id, 10)

    def die(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(pump._Pump, "_settle", die)
        shop.work()
    assert shop.amount_at_bol(KETTLE) == 10
    set_stock(shop, product_id, 5)
    shop.forget_leases()
    shop.pass_time(120, steps=4)
    assert shop.amount_at_bol(KETTLE) == 5


def test_an_answer_without_the_orders_items_does_not_pass_for_the_order(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 1))
    path = f"/retailer/orders/{order_id}"
    shop.sandbox.faults(
        [
            {
                "method": "GET",
                "path": path,
                "when": "before",
                "status": 200,
                "body": {"orderId": order_id},
                "times": 1,
            }
        ]
    )
    shop.import_orders()
    assert shop.bol_order(order_id).error
    shop.pass_time(120, steps=4)
    assert shop.host_order(order_id).state == "processing"


def test_one_order_that_can_not_be_read_in_the_list_hides_no_other(shop: Shop) -> None:
    shop.connect()
    shop.work()
    good = shop.order((KETTLE, 1))
    item = {"orderItemId": "1", "fulfilmentMethod": "FBR"}
    body = {
        "orders": [
            {"orderId": "BAD", "orderItems": [item | {"quantity": None}]},
            {
                "orderId": good,
                "orderItems": [
                    item | {"ean": KETTLE, "quantity": 1, "orderItemId": shop.items_at_bol(good)[0]}
                ],
            },
        ]
    }
    shop.sandbox.faults(
        [{"method": "GET", "path": "/retailer/orders", "when": "before", "status": 200, "body": body}]
    )
    shop.runtime.import_orders(shop.store_id)
    shop.pass_time(5)
    assert [order.reference for order in shop.host_orders()] == [good]
    assert shop.bol_order("BAD").error


def test_an_order_without_a_number_in_the_list_hides_no_other_and_is_told(shop: Shop) -> None:
    shop.connect()
    shop.work()
    good = shop.order((KETTLE, 1))
    item = {"orderItemId": "1", "fulfilmentMethod": "FBR", "ean": KETTLE, "quantity": 1}
    known = {"orderId": good, "orderItems": [item | {"orderItemId": shop.items_at_bol(good)[0]}]}
    body = {"orders": [{"orderItems": [item]}, {"orderId": "B" * 41, "orderItems": [item]}, known]}
    shop.sandbox.faults(
        [{"method": "GET", "path": "/retailer/orders", "when": "before", "status": 200, "body": body}]
    )
    shop.runtime.import_orders(shop.store_id)
    shop.pass_time(60, steps=6)
    assert [row.order_id for row in shop.all(BolOrder)] == [good]
    assert [order.reference for order in shop.host_orders()] == [good]
    assert shop.notices() == ["Shop: bol lists 2 orders without a number that can be used"]


def test_a_list_in_which_no_order_has_a_number_is_no_list(shop: Shop) -> None:
    shop.connect()
    shop.work()
    body = {"orders": [{"orderNumber": "1", "orderItems": []}]}
    shop.sandbox.faults(
        [{"method": "GET", "path": "/retailer/orders", "when": "before", "status": 200, "body": body}]
    )
    read_at = shop.store().orders_read_at
    shop.pass_time(60, steps=2)
    assert shop.store().problem
    assert shop.store().orders_read_at == read_at


def test_a_label_is_not_bought_for_more_than_lies_on_the_picklist(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    shop.work()
    set_stock(shop, shop.offer(KETTLE).product_id, 2)
    items = [{"ean": KETTLE, "quantity": 6, "distributionParty": "BOL"}]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.import_orders()
    buy(shop)
    with pytest.raises(HostError, match="bought already"):
        buy(shop)


def test_the_status_of_a_label_that_bol_shows_late_is_waited_for(via_bol: Shop) -> None:
    via_bol.sandbox.faults(
        [
            {
                "method": "POST",
                "path": STATUSES,
                "when": "before",
                "status": 200,
                "body": {"processStatuses": []},
                "times": 3,
            }
        ]
    )
    buy(via_bol)
    via_bol.pass_time(60, steps=12)
    assert label_states(via_bol) == [EffectState.CONFIRMED]


def test_a_label_is_not_bought_for_an_order_that_was_cancelled_meanwhile(via_bol: Shop) -> None:
    via_bol.sandbox.faults([{"method": "POST", "path": LABELS, "when": "before", "status": 429, "times": 1}])
    buy(via_bol)
    via_bol.work()
    order_id = via_bol.host_order(via_bol.order_id).id
    with transaction():
        host_orders.cancel_order(order_id, "the customer called")
    via_bol.pass_time(300, steps=6)
    assert sold(via_bol) == 0
    assert label_states(via_bol) == [EffectState.CLOSED]


def test_a_wrong_label_number_can_be_corrected(via_bol: Shop) -> None:
    via_bol.sandbox.faults([{"method": "POST", "path": LABELS, "when": "after", "drop": True, "times": 1}])
    buy(via_bol)
    via_bol.pass_time(60, steps=3)
    effect_id = via_bol.all(LabelEffect)[0].id
    via_bol.runtime.enter_label_number(via_bol.store_id, effect_id, "typo")
    via_bol.pass_time(60, steps=3)
    assert label_states(via_bol) == [EffectState.DECISION]
    number = via_bol.sandbox.state("seller")["labels"][0]["shippingLabelId"]
    via_bol.runtime.enter_label_number(via_bol.store_id, effect_id, number)
    via_bol.pass_time(60, steps=3)
    assert label_states(via_bol) == [EffectState.CONFIRMED]


def test_a_request_that_bol_refuses_to_cancel_is_not_accepted_by_itself_again(shop: Shop) -> None:
    shop.connect(accept_requests=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.request_cancellation(order_id)
    shop.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 400}])
    shop.import_orders()
    shop.pass_time(600, steps=5)
    assert len(shop.writes("cancellation")) == 1
    assert shop.host_order(order_id).state == "processing"


def test_statuses_that_can_not_be_asked_for_do_not_keep_shipments_open_for_ever(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.faults([{"method": "POST", "path": STATUSES, "when": "before", "status": 400}])
    shop.close(order_id)
    shop.pass_time(26 * 3600, steps=15)
    assert states(shop) == [EffectState.CONFIRMED]


def test_a_shipment_of_which_bol_shows_nothing_at_all_waits_for_a_person_in_the_end(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.faults(
        [
            {"method": "POST", "path": SHIPMENTS, "when": "after", "drop": True, "times": 1},
            {"method": "GET", "path": SHIPMENTS, "when": "before", "status": 404},
        ]
    )
    shop.close(order_id)
    shop.pass_time(2 * 3600, steps=6)
    assert states(shop) == [EffectState.UNKNOWN]
    shop.pass_time(2 * 3600, steps=6)
    assert states(shop) == [EffectState.DECISION]
    assert any("it is not known if bol has the shipment" in title for title in shop.notices())
    assert len(shop.writes(SHIPMENTS)) == 1


def test_a_cancellation_of_which_bol_shows_nothing_at_all_is_left_to_people_in_the_end(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.request_cancellation(order_id)
    shop.import_orders()
    shop.sandbox.faults(
        [
            {"method": "PUT", "path": CANCELLATION, "when": "before", "status": 500, "times": 1},
            {"method": "GET", "path": "/retailer/orders/*", "when": "before", "status": 404},
            {"method": "GET", "path": "/shared/process-status*", "when": "before", "status": 404},
        ]
    )
    shop.runtime.accept_request(shop.store_id, shop.bol_order(order_id).id, "ann")
    shop.pass_time(4 * 3600, steps=12)
    assert [effect.state for effect in shop.all(CancellationEffect)] == [EffectState.REFUSED]
    assert any("not known if bol cancelled" in title for title in shop.notices())


def test_one_404_does_not_end_the_stock_updates_of_an_offer(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.sandbox.faults(
        [{"method": "PATCH", "path": "/retailer/offers/*", "when": "before", "status": 404, "times": 1}]
    )
    set_stock(shop, shop.offer(KETTLE).product_id, 2)
    shop.pass_time(1800, steps=6)
    assert shop.amount_at_bol(KETTLE) == 2


def test_an_offer_whose_product_lost_its_barcode_is_told(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    product_id = shop.offer(TOASTER).product_id
    with transaction():
        catalog.change_product(product_id, code="T-1", name="Toaster", price=None, barcodes=[])
    shop.work()
    assert shop.offer(TOASTER).product_id is None
    assert any("has no product any more" in title for title in shop.notices())


def test_a_403_of_the_moment_ends_nothing(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.faults([{"method": "POST", "path": SHIPMENTS, "when": "before", "status": 403, "times": 1}])
    shop.close(order_id)
    shop.pass_time(3600, steps=10)
    assert states(shop) == [EffectState.CONFIRMED]


@pytest.mark.parametrize("status", [403, 429])
def test_an_offer_that_bol_refuses_to_show_holds_up_its_own_order_alone(shop: Shop, status: int) -> None:
    shop.connect()
    shop.work()
    add_at_bol(shop, MUG, 9)
    needs_its_offer = shop.order((MUG, 1))
    refused = [{"method": "GET", "path": "/retailer/offers/*", "when": "before", "status": status}]
    shop.sandbox.faults(refused)
    another = shop.order((KETTLE, 1))
    shop.import_orders()
    assert shop.host_order(another).state == "processing"
    assert shop.bol_order(needs_its_offer).error
    shop.sandbox.faults([])
    shop.pass_time(60, steps=3)
    assert shop.host_order(needs_its_offer).state == "processing"


def test_an_order_whose_offer_may_be_asked_for_later_waits_as_long_as_bol_says(shop: Shop) -> None:
    shop.connect()
    shop.work()
    add_at_bol(shop, MUG, 9)
    order_id = shop.order((MUG, 1))
    later = {"method": "GET", "path": "/retailer/offers/*", "when": "before", "status": 429}
    shop.sandbox.faults([{**later, "retryAfter": 900}])
    shop.import_orders()
    row = shop.bol_order(order_id)
    assert row.error and row.read_due_at - shop.clock.now() > timedelta(seconds=890)
    shop.sandbox.faults([])
    shop.pass_time(600, steps=6)
    assert shop.host_orders() == []
    shop.pass_time(400, steps=4)
    assert shop.host_order(order_id).state == "processing"


def test_what_a_dead_job_left_is_looked_at_in_a_paused_store_too(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.close(order_id)
    for wake in events.due(("bol",)):
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    with transaction() as session:
        long_ago = shop.clock.now() - timedelta(minutes=2)
        session.execute(
            update(ShipmentEffect).values(state="sent", token="dead", due_at=None, sent_at=long_ago)
        )
    shop.runtime.pause(shop.store_id)
    shop.work()
    assert states(shop) == [EffectState.UNKNOWN]


def test_a_store_whose_secret_can_not_be_read_rests_and_says_why(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(send_stock=True)
    shop.work()
    monkeypatch.setenv("BOL_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    shop.pass_time(600, steps=5)
    assert "BOL_ENCRYPTION_KEYS" in shop.store().problem


def test_a_held_order_is_released_although_orders_are_not_imported(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.request_cancellation(order_id)
    shop.import_orders()
    shop.settings(import_orders=False)
    shop.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 400}])
    shop.runtime.accept_request(shop.store_id, shop.bol_order(order_id).id, "ann")
    shop.pass_time(600, steps=5)
    assert shop.host_order(order_id).state == "processing"


def test_a_pattern_that_gives_a_code_releases_what_waited_for_one(shop: Shop) -> None:
    shop.connect(send_shipments=True, carriers={})
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.close(order_id)
    shop.pass_time(60)
    shop.settings(send_shipments=True, carriers={}, tracking_patterns={"3S*": "TNT"})
    shop.pass_time(60, steps=4)
    assert states(shop) == [EffectState.CONFIRMED]


def test_an_order_whose_items_name_no_method_counts_as_sold(shop: Shop) -> None:
    shop.connect()
    shop.work()
    item = BolOrderItem(
        order_item_id="1", ean=KETTLE, method="", quantity=4, shipped=0, cancelled=0, cancellation_request=False,
        request_kept=False, imported=0, cancelled_before_import=0, distribution_party="", offer_id="", title="",
    )  # fmt: skip
    with transaction() as session:
        session.add(
            BolOrder(
                store_id=shop.store_id, order_id="X", state="found", found_at=shop.clock.now(), attempts=0, error="",
                list_signature="", items=[item],
            )
        )  # fmt: skip
    with reading() as session:
        assert pending_quantities(session, shop.store_id, [KETTLE]) == {KETTLE: 4}


@pytest.mark.parametrize("done", [True, False])
def test_a_shipment_whose_status_times_out_is_settled_by_looking(shop: Shop, done: bool) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    end = {"status": "TIMEOUT", "workDone": done, "times": 1}
    shop.sandbox.settings(processStatusEnd={"CREATE_SHIPMENT": end})
    shop.close(order_id)
    shop.pass_time(900, steps=15)
    assert states(shop) == [EffectState.CONFIRMED]
    assert len(shop.shipments_at_bol()) == 1


def test_a_label_whose_status_times_out_waits_for_a_person(via_bol: Shop) -> None:
    end = {"status": "TIMEOUT", "workDone": True, "times": 1}
    via_bol.sandbox.settings(processStatusEnd={"CREATE_SHIPPING_LABEL": end})
    buy(via_bol)
    via_bol.pass_time(900, steps=10)
    assert label_states(via_bol) == [EffectState.DECISION]
    assert sold(via_bol) == 1


def test_a_refusal_that_comes_minutes_later_is_told_within_ten_seconds(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    # Nothing but the end of the status can tell.
    shop.settings(send_shipments=True, import_orders=False, check_at_closing=False)
    shop.sandbox.settings(processStatusDelayMs=240_000)
    shop.sandbox.cancel(order_id)
    shop.close(order_id)
    # The clocks go on by themselves, too, on a slow machine a good deal.
    shop.pass_time(180, steps=60)
    assert not any("stop the parcel" in title for title in shop.notices())
    while any(status["status"] == "PENDING" for status in shop.sandbox.state("seller")["processStatuses"]):
        shop.pass_time(1, steps=1)
    shop.pass_time(9, steps=3)
    assert any("stop the parcel" in title for title in shop.notices())

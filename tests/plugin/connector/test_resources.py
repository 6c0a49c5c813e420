"""The client against the sandbox of bol: each call does what it says."""

from __future__ import annotations

import time
from datetime import UTC
from decimal import Decimal

import pytest

from plugin.connector import (
    BadRequest,
    ConnectionLost,
    MalformedAnswer,
    NotFound,
    Offer,
    ProcessStatus,
    ServerError,
    ShipmentItem,
    ShipmentRequest,
    SignInRefused,
    routes,
)
from plugin.connector.webhooks import WrongSignature, receive
from tests.bol_sandbox.receiver import receiving, wait_for
from tests.plugin.connector.conftest import EAN, OTHER_EAN, Bol

UNKNOWN_OFFER = "00000000-0000-4000-8000-000000000000"


def place(bol: Bol, *items: tuple[str, int], **more: object) -> tuple[str, list[str]]:
    placed = bol.sandbox.place_order("seller", [{"ean": ean, "quantity": n} for ean, n in items], **more)
    order = bol.client.orders.get(placed["orderId"])
    return order.order_id, [item.order_item_id for item in order.items]


def end_of(bol: Bol, status: ProcessStatus) -> ProcessStatus:
    for _ in range(200):
        if status.ended:
            return status
        time.sleep(0.02)
        status = bol.client.statuses.get(status.id)
    raise AssertionError(f"still {status.status}")


def test_orders_are_listed_and_read(bol: Bol) -> None:
    order_id, item_ids = place(bol, (EAN, 2), (OTHER_EAN, 1))
    page = bol.client.orders.page()
    assert page.last
    assert [order.order_id for order in page.orders] == [order_id]
    assert [item.ean for item in page.orders[0].items] == [EAN, OTHER_EAN]
    order = bol.client.orders.get(order_id)
    kettle = order.items[0]
    assert (kettle.order_item_id, kettle.ean, kettle.title) == (item_ids[0], EAN, "A kettle")
    assert (kettle.quantity, kettle.open_quantity, kettle.is_fbr) == (2, 2, True)
    assert kettle.unit_price == Decimal("12.99")
    assert kettle.offer_reference == "KETTLE-1"
    assert kettle.latest_delivery_date is not None
    assert not order.delivery.is_empty
    assert order.placed_at is not None and order.placed_at.tzinfo == UTC


def test_a_webhook_is_subscribed_tested_changed_and_ended(bol: Bol) -> None:
    with receiving() as receiver:
        made = end_of(bol, bol.client.subscriptions.create({"ORDER"}, receiver.url))
        assert made.succeeded and made.entity_id is not None
        (found,) = bol.client.subscriptions.list()
        assert found == bol.client.subscriptions.get(made.entity_id)
        assert (found.id, found.resources, found.url) == (made.entity_id, ("ORDER",), receiver.url)
        assert (found.kind, found.enabled) == ("WEBHOOK", True)
        assert end_of(bol, bol.client.subscriptions.test(found.id)).succeeded
        order_id, _ = place(bol, (EAN, 1))
        wait_for(lambda: len(receiver.messages) == 2)
        keys = {key.id: key.public_key for key in bol.client.subscriptions.signature_keys()}
        events = [receive(one.body, one.headers["Signature"], keys) for one in receiver.messages]
        assert {(event.resource, event.resource_id) for event in events} == {
            ("TEST", found.id),
            ("ORDER", order_id),
        }
        assert {event.retailer_id for event in events} == {bol.client.retailers.current().retailer_id}
        update = bol.client.subscriptions.update
        assert end_of(bol, update(found.id, ["SHIPMENT"], receiver.url, enabled=False)).succeeded
        changed = bol.client.subscriptions.get(found.id)
        assert (changed.resources, changed.enabled) == (("SHIPMENT",), False)
        assert end_of(bol, bol.client.subscriptions.delete(found.id)).succeeded
        assert bol.client.subscriptions.list() == ()
        with pytest.raises(NotFound):
            bol.client.subscriptions.get(found.id)
        assert not end_of(bol, bol.client.subscriptions.delete(found.id)).succeeded


@pytest.mark.parametrize("form", ["x509", "pem", "private"])
def test_a_message_is_checked_whatever_form_the_key_is_published_in(bol: Bol, form: str) -> None:
    bol.sandbox.settings(webhooks={"keyForm": form, "forge": 1})
    with receiving() as receiver:
        end_of(bol, bol.client.subscriptions.create({"ORDER"}, receiver.url))
        place(bol, (EAN, 1))
        wait_for(lambda: len(receiver.messages) == 2)
    keys = {key.id: key.public_key for key in bol.client.subscriptions.signature_keys()}
    good = 0
    for message in receiver.messages:
        try:
            receive(message.body, message.headers["Signature"], keys)
            good += 1
        except WrongSignature:
            assert message.event[2].endswith("0")
    assert good == 1


def test_the_account_is_named_by_its_number(bol: Bol) -> None:
    retailer = bol.client.retailers.current()
    assert retailer.retailer_id == bol.sandbox.state()["sellers"][0]["sellerId"]
    assert retailer.display_name == "seller"


def test_no_orders_are_an_empty_last_page(bol: Bol) -> None:
    page = bol.client.orders.page()
    assert (page.orders, page.last) == ((), True)


def test_a_full_page_is_not_the_last(bol: Bol) -> None:
    bol.sandbox.generate_orders("seller", 51, seed=1)
    first, second = bol.client.orders.page(1), bol.client.orders.page(2)
    assert (len(first.orders), first.last) == (50, False)
    assert second.last


def test_an_order_that_bol_does_not_know_is_not_found(bol: Bol) -> None:
    with pytest.raises(NotFound) as caught:
        bol.client.orders.get("9999999999")
    assert caught.value.status == 404
    assert caught.value.retry_after is None
    assert caught.value.request_id


def test_a_shipment_is_followed_to_its_end_and_found_again(bol: Bol) -> None:
    order_id, (item_id,) = place(bol, (EAN, 3))
    request = ShipmentRequest(
        items=(ShipmentItem(item_id, 2),),
        reference="parcel-1",
        transporter_code="TNT",
        track_and_trace="3SBOL0987654321",
    )
    status = bol.client.shipments.create(request)
    assert status.pending and status.event_type == "CREATE_SHIPMENT"
    assert end_of(bol, status).succeeded
    assert bol.client.orders.get(order_id).items[0].open_quantity == 1
    (summary,) = bol.client.shipments.page(order_id=order_id).shipments
    assert (summary.reference, summary.order_id) == ("parcel-1", order_id)
    assert summary.order_item_ids == (item_id,)
    shipment = bol.client.shipments.get(summary.shipment_id)
    assert shipment.items[0].quantity_shipped == 2
    assert shipment.transport is not None
    assert shipment.transport.track_and_trace == "3SBOL0987654321"
    assert bol.client.shipments.page(fulfilment_method="FBB").shipments == ()


def test_a_label_is_chosen_bought_printed_and_shipped_with(bol: Bol) -> None:
    order_id, (item_id,) = place(bol, (EAN, 2))
    items = [ShipmentItem(item_id, 2)]
    options = bol.client.labels.options(items)
    assert len({option.offer_id for option in options}) == len(options) > 1
    (best,) = [option for option in options if option.recommended]
    assert best.price is not None and best.price > 1
    assert best.valid_until is not None and best.latest_handover is not None
    assert best.meets_expectation is True
    status = bol.client.labels.create(items, best.offer_id)
    assert status.pending and status.event_type == "CREATE_SHIPPING_LABEL"
    label_id = end_of(bol, status).entity_id
    assert label_id is not None
    label = bol.client.labels.get(label_id)
    assert label.pdf.startswith(b"%PDF-")
    assert (label.label_id, label.transporter_code) == (label_id, best.transporter_code)
    end_of(bol, bol.client.shipments.create(ShipmentRequest(tuple(items), "p", shipping_label_id=label_id)))
    (summary,) = bol.client.shipments.page(order_id=order_id).shipments
    transport = bol.client.shipments.get(summary.shipment_id).transport
    assert transport is not None
    assert (transport.shipping_label_id, transport.track_and_trace) == (label_id, label.track_and_trace)
    assert transport.transporter_code == label.transporter_code


@pytest.mark.parametrize("answer", ["404", "empty"])
def test_no_options_are_an_empty_tuple_however_bol_says_so(bol: Bol, answer: str) -> None:
    bol.sandbox.settings(noLabelOptions=answer)
    first, second = place(bol, (EAN, 1)), place(bol, (EAN, 1))
    items = [ShipmentItem(item_id, 1) for _, (item_id,) in (first, second)]
    assert bol.client.labels.options(items) == ()


def test_questions_and_purchases_of_labels_are_not_repeated_and_labels_are_read_again(bol: Bol) -> None:
    _, (item_id,) = place(bol, (EAN, 1))
    items = [ShipmentItem(item_id, 1)]
    offer_id = bol.client.labels.options(items)[0].offer_id
    label_id = end_of(bol, bol.client.labels.create(items, offer_id)).entity_id
    assert label_id is not None
    bol.sandbox.faults([{"path": "/retailer/shipping-labels*", "status": 503, "times": 3}])
    with pytest.raises(ServerError):
        bol.client.labels.options(items)
    with pytest.raises(ServerError) as caught:
        bol.client.labels.create(items, offer_id)
    assert caught.value.executed == "unknown"
    assert bol.client.labels.get(label_id).label_id == label_id
    assert [call.status for call in bol.calls[-4:]] == [503, 503, 503, 200]


def test_a_label_that_bol_does_not_know_is_not_found(bol: Bol) -> None:
    with pytest.raises(NotFound):
        bol.client.labels.get("unknown")


def test_a_label_that_comes_cut_off_or_as_a_page_is_not_taken(bol: Bol) -> None:
    _, (item_id,) = place(bol, (EAN, 1))
    items = [ShipmentItem(item_id, 1)]
    offer_id = bol.client.labels.options(items)[0].offer_id
    label_id = end_of(bol, bol.client.labels.create(items, offer_id)).entity_id
    assert label_id is not None
    path = f"/retailer/shipping-labels/{label_id}"
    bol.sandbox.faults([{"path": path, "when": "after", "truncate": True}])
    with pytest.raises(ConnectionLost):
        bol.client.labels.get(label_id)
    bol.sandbox.faults([{"path": path, "body": "<html>Maintenance</html>"}])
    with pytest.raises(MalformedAnswer, match="not a PDF"):
        bol.client.labels.get(label_id)


def test_a_transport_is_corrected(bol: Bol) -> None:
    order_id, (item_id,) = place(bol, (EAN, 1))
    request = ShipmentRequest((ShipmentItem(item_id, 1),), transporter_code="TNT", track_and_trace="3S1")
    end_of(bol, bol.client.shipments.create(request))
    (summary,) = bol.client.shipments.page(order_id=order_id).shipments
    assert summary.transport_id is not None
    for code, track in (("GLS", "GLS1"), (None, "GLS2")):
        status = bol.client.transports.change(summary.transport_id, code, track)
        assert status.event_type == "CHANGE_TRANSPORT"
        assert end_of(bol, status).succeeded
    transport = bol.client.shipments.get(summary.shipment_id).transport
    assert transport is not None
    assert (transport.transporter_code, transport.track_and_trace) == ("GLS", "GLS2")
    assert end_of(bol, bol.client.transports.change("404", None, "3S")).status == "FAILURE"


def test_an_item_is_cancelled(bol: Bol) -> None:
    order_id, (item_id,) = place(bol, (EAN, 1))
    assert end_of(bol, bol.client.orders.cancel(item_id, "OUT_OF_STOCK")).succeeded
    order = bol.client.orders.get(order_id)
    assert order.fully_cancelled and order.items[0].open_quantity == 0


def test_a_customers_request_is_seen_and_is_not_a_cancellation(bol: Bol) -> None:
    order_id, _ = place(bol, (EAN, 1))
    bol.sandbox.request_cancellation(order_id)
    item = bol.client.orders.get(order_id).items[0]
    assert item.cancellation_request and item.open_quantity == 1
    assert bol.client.orders.page(change_interval_minutes=5).orders[0].items[0].cancellation_request


def test_process_statuses_are_read_in_bulk_and_by_entity(bol: Bol) -> None:
    _, items = place(bol, (EAN, 1), (OTHER_EAN, 1))
    made = [bol.client.orders.cancel(item, "OUT_OF_STOCK") for item in items]
    for status in made:
        end_of(bol, status)
    found = bol.client.statuses.bulk([*(status.id for status in made), "999999999999"])
    assert sorted(found) == sorted(status.id for status in made)
    assert all(status.succeeded for status in found.values())
    (by_entity,) = bol.client.statuses.by_entity(items[0], "CANCEL_ORDER")
    assert by_entity.id == made[0].id
    with pytest.raises(NotFound):
        bol.client.statuses.get("999999999999")


def test_offers_are_paged_by_cursor(bol: Bol) -> None:
    bol.sandbox.generate_offers("seller", 23, seed=1)
    found: list[Offer] = []
    cursor, pages = None, 0
    while True:
        page = bol.client.offers.page(cursor=cursor, page_size=10)
        found.extend(page.offers)
        pages, cursor = pages + 1, page.next_cursor
        if cursor is None:
            break
    assert len({offer.offer_id for offer in found}) == 25
    assert pages == 3
    (kettle,) = bol.client.offers.page(eans=[EAN]).offers
    assert (kettle.offer_id, kettle.reference, kettle.price) == (
        bol.offers[EAN],
        "KETTLE-1",
        Decimal("12.99"),
    )
    assert len(bol.client.offers.page(eans=[EAN, OTHER_EAN]).offers) == 2


def test_stock_is_set_and_read_back(bol: Bol) -> None:
    bol.client.offers.set_stock(bol.offers[EAN], 7, managed_by_retailer=True)
    offer = bol.client.offers.get(bol.offers[EAN])
    assert (offer.amount, offer.managed_by_retailer, offer.is_fbr) == (7, True, True)
    assert offer.modified_at is not None
    with pytest.raises(NotFound):
        bol.client.offers.get(UNKNOWN_OFFER)


def test_a_page_of_an_intermediary_does_not_mean_that_stock_was_set(bol: Bol) -> None:
    before = bol.client.offers.get(bol.offers[EAN]).amount
    bol.sandbox.faults([{"method": "PATCH", "path": "*", "status": 200, "body": "<html>Maintenance</html>"}])
    with pytest.raises(MalformedAnswer):
        bol.client.offers.set_stock(bol.offers[EAN], 3, managed_by_retailer=True)
    assert bol.client.offers.get(bol.offers[EAN]).amount == before


def test_the_catalogue_gives_a_title_or_none(bol: Bol) -> None:
    assert bol.client.catalog.title(EAN) == "A kettle"
    assert bol.client.catalog.title("4006381333931") is None


def test_the_published_limits_need_no_sign_in(bol: Bol) -> None:
    bol.sandbox.limits()
    rules = bol.client.rate_limits.read()
    assert any(rule.covers("GET", "/retailer/orders") and rule.capacity == 25 for rule in rules)
    assert all(call["path"] != "/token" for call in bol.sandbox.calls())


def test_a_refused_request_names_what_is_wrong(bol: Bol) -> None:
    with pytest.raises(BadRequest) as caught:
        bol.client.call(
            routes.PATCH_OFFER, values={"offer-id": bol.offers[EAN]}, body={"stock": {"amount": "many"}}
        )
    assert caught.value.executed == "no"
    assert caught.value.violations
    assert caught.value.violations[0].reason in caught.value.operator_text()


def test_a_token_that_bol_refuses_is_renewed_once_also_for_a_write(bol: Bol) -> None:
    _, (item_id,) = place(bol, (EAN, 1))
    bol.sandbox.advance(400)
    before = bol.sandbox.calls()[-1]["index"]
    bol.client.orders.cancel(item_id, "OUT_OF_STOCK")
    seen = [(call["method"], call["path"], call["status"]) for call in bol.sandbox.calls(since=before)]
    cancel = "/retailer/orders/cancellation"
    assert seen == [("PUT", cancel, 401), ("POST", "/token", 200), ("PUT", cancel, 202)]


def test_a_fresh_token_that_is_refused_too_ends_in_a_refusal(bol: Bol) -> None:
    bol.sandbox.faults([{"path": "/retailer/orders", "status": 401}])
    with pytest.raises(SignInRefused) as caught:
        bol.client.orders.page()
    assert caught.value.executed == "no"
    assert [call.status for call in bol.calls] == [401, 401]


def test_a_write_whose_answer_is_lost_was_done_and_is_reported_unknown(bol: Bol) -> None:
    _, (item_id,) = place(bol, (EAN, 1))
    bol.sandbox.faults([{"method": "PUT", "when": "after", "truncate": True}])
    with pytest.raises(Exception) as caught:
        bol.client.orders.cancel(item_id, "OUT_OF_STOCK")
    assert caught.value.executed == "unknown"  # type: ignore[attr-defined]
    bol.sandbox.faults([])
    assert len(bol.client.statuses.by_entity(item_id, "CANCEL_ORDER")) == 1


def test_an_answer_that_is_not_what_it_should_be_is_malformed(bol: Bol) -> None:
    bol.sandbox.faults([{"path": "/retailer/orders", "body": {"orders": [{"orderItems": []}]}}])
    with pytest.raises(MalformedAnswer) as caught:
        bol.client.orders.page()
    assert "orderId" in str(caught.value)


def test_a_server_error_is_told_with_its_status(bol: Bol) -> None:
    bol.sandbox.faults([{"path": "/retailer/orders", "status": 500}])
    with pytest.raises(ServerError) as caught:
        bol.client.orders.page()
    assert caught.value.status == 500
    assert [call.status for call in bol.calls] == [500]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: c.orders.page(0),
        lambda c: c.orders.page(change_interval_minutes=61),
        lambda c: c.orders.get("../offers"),
        lambda c: c.orders.get(".."),
        lambda c: c.orders.get(""),
        lambda c: c.orders.cancel("1", "BECAUSE"),
        lambda c: c.orders.cancel("", "OTHER"),
        lambda c: c.shipments.page(order_id="1", fulfilment_method="FBR"),
        lambda c: c.transports.change("../orders", "TNT", "3S1"),
        lambda c: c.transports.change("1", "TNT", ""),
        lambda c: c.subscriptions.create([], "https://wms.example/"),
        lambda c: c.subscriptions.create(["COMPETING_OFFER"], "https://wms.example/"),
        lambda c: c.subscriptions.create(["ORDER"], "http://wms.example/"),
        lambda c: c.subscriptions.create(["ORDER"], "wms.example"),
        lambda c: c.subscriptions.update("1", ["ORDER"], ""),
        lambda c: c.subscriptions.get("../offers"),
        lambda c: c.labels.options([]),
        lambda c: c.labels.options([ShipmentItem("1", 0)]),
        lambda c: c.labels.create([ShipmentItem("1", 1), ShipmentItem("1", 1)], "offer"),
        lambda c: c.labels.create([ShipmentItem("1", 1)], ""),
        lambda c: c.labels.get("../orders"),
        lambda c: c.statuses.bulk([]),
        lambda c: c.statuses.bulk(str(n) for n in range(1001)),
        lambda c: c.statuses.by_entity("", "CREATE_SHIPMENT"),
        lambda c: c.offers.page(page_size=101),
        lambda c: c.offers.set_stock(UNKNOWN_OFFER, 1000, True),
        lambda c: c.offers.set_stock(UNKNOWN_OFFER, -1, True),
        lambda c: c.offers.set_stock(UNKNOWN_OFFER, True, True),
        lambda c: c.catalog.title(EAN, language="de"),
    ],
)
def test_a_wrong_argument_is_found_before_anything_is_sent(bol: Bol, wrong: object) -> None:
    before = len(bol.calls)
    with pytest.raises(ValueError):
        wrong(bol.client)  # type: ignore[operator]
    assert len(bol.calls) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"items": ()},
        {"items": tuple(ShipmentItem(str(n), 1) for n in range(101))},
        {"items": (ShipmentItem("1", 0),)},
        {"items": (ShipmentItem("", 1),)},
        {"items": (ShipmentItem("1", 1), ShipmentItem("1", 2))},
        {"reference": ""},
        {"reference": "x" * 91},
        {"transporter_code": None},
        {"shipping_label_id": "label"},
        {"transporter_code": None, "shipping_label_id": "label", "track_and_trace": "3S"},
    ],
)
def test_a_shipment_that_bol_would_refuse_is_not_made(fields: dict[str, object]) -> None:
    good: dict[str, object] = {"items": (ShipmentItem("1", 1),), "transporter_code": "TNT"}
    ShipmentRequest(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        ShipmentRequest(**(good | fields))  # type: ignore[arg-type]

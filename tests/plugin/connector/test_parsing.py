"""bol's answers, good and bad, become values or a MalformedAnswer, and never anything else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.connector import BolError, LimitRule, MalformedAnswer, routes
from plugin.connector.answers import Answer
from plugin.connector.parsers.catalog import read_title
from plugin.connector.parsers.labels import MAX_PDF_BYTES, read_label, read_options
from plugin.connector.parsers.limits import read_rules
from plugin.connector.parsers.offers import read_offer, read_offer_page
from plugin.connector.parsers.orders import read_order, read_order_page
from plugin.connector.parsers.retailers import read_retailer
from plugin.connector.parsers.shipments import read_shipment, read_shipment_page
from plugin.connector.parsers.statuses import read_status, read_statuses
from plugin.connector.parsers.subscriptions import read_keys, read_subscriptions

ADDRESS: dict[str, Any] = {
    "pickupPointName": "Albert Heijn: UTRECHT",
    "salutation": "FEMALE",
    "firstName": "Billie",
    "surname": "Jansen",
    "streetName": "Dorpstraat",
    "houseNumber": "1",
    "houseNumberExtension": "B",
    "extraAddressInformation": "Apartment",
    "zipCode": "1111ZZ",
    "city": "Utrecht",
    "countryCode": "NL",
    "email": "billie@verkopen.bol.com",
    "company": "Jansen BV",
    "vatNumber": "NL999999999B99",
    "kvkNumber": "99887766",
    "orderReference": "PO 12",
    "deliveryPhoneNumber": "012123456",
    "language": "nl-BE",
}
ORDER: dict[str, Any] = {
    "orderId": "A2K8290LP8",
    "pickupPoint": True,
    "orderPlacedDateTime": "2017-02-09T12:39:48+01:00",
    "shipmentDetails": ADDRESS,
    "billingDetails": ADDRESS,
    "orderItems": [
        {
            "orderItemId": "2012345678",
            "cancellationRequest": False,
            "fulfilment": {
                "method": "FBR",
                "distributionParty": "BOL",
                "latestDeliveryDate": "2017-02-10",
                "exactDeliveryDate": None,
                "expiryDate": "2017-02-13",
                "timeFrameType": "REGULAR",
            },
            "offer": {"offerId": "6ff736b5-cdd0-4150-8c67-78269ee986f5", "reference": "BOLCOM00123"},
            "product": {"ean": "0000007740404", "title": "Product Title"},
            "quantity": 10,
            "quantityShipped": 3,
            "quantityCancelled": 1,
            "unitPrice": 12.99,
            "totalPrice": 118.91,
            "discounts": [{"title": "x + y", "amount": 10.99}],
            "commission": 5.18,
            "latestChangedDateTime": "2017-02-09T13:39:48+01:00",
        }
    ],
}
ORDERS: dict[str, Any] = {
    "orders": [
        {
            "orderId": "A2K8290LP8",
            "orderPlacedDateTime": "2017-02-09T12:39:48+01:00",
            "orderItems": [
                {
                    "orderItemId": "2012345678",
                    "ean": "0000007740404",
                    "fulfilmentMethod": "FBR",
                    "fulfilmentStatus": "OPEN",
                    "quantity": 10,
                    "quantityShipped": 0,
                    "quantityCancelled": 0,
                    "cancellationRequest": False,
                    "latestChangedDateTime": "2017-02-09T12:39:48+01:00",
                }
            ],
        }
    ]
}
SHIPMENT: dict[str, Any] = {
    "shipmentId": "541757635",
    "shipmentDateTime": "2018-04-17T10:55:37+02:00",
    "shipmentReference": "BOLCOM001",
    "pickupPoint": False,
    "order": {"orderId": "4123456789"},
    "shipmentDetails": ADDRESS,
    "shipmentItems": [
        {
            "orderItemId": "1234567891",
            "product": {"ean": EAN, "title": "x"},
            "quantity": 2,
            "quantityShipped": 1,
        }
        for EAN in ["0000007740404"]
    ],
    "transport": {
        "transportId": "312778947",
        "transporterCode": "TNT",
        "trackAndTrace": "3SBOL",
        "transportEvents": [{"eventCode": "IN_TRANSIT", "eventDateTime": "2018-04-17T10:55:37+02:00"}],
    },
}
STATUS: dict[str, Any] = {
    "processStatusId": "1234567",
    "entityId": "987654321",
    "eventType": "CREATE_SHIPMENT",
    "description": "Example.",
    "status": "SUCCESS",
    "errorMessage": None,
    "createTimestamp": "2018-11-14T09:34:41+01:00",
    "links": [],
}
SUBSCRIPTION: dict[str, Any] = {
    "id": "1234",
    "resources": ["PROCESS_STATUS", "ORDER"],
    "url": "https://wms.example/hook",
    "subscriptionType": "WEBHOOK",
    "enabled": False,
    "identity": None,
}
OFFER: dict[str, Any] = {
    "offerId": "6ff736b5-cdd0-4150-8c67-78269ee986f5",
    "ean": "0000007740404",
    "lastModifiedDateTime": "2026-05-13T09:35:44.198346+02:00",
    "reference": "AX1234",
    "onHoldByRetailer": False,
    "unknownProductTitle": "A thing",
    "stock": {"amount": 5, "correctedStock": 4, "managedByRetailer": True},
    "condition": {"category": "NEW"},
    "pricing": {"bundlePrices": [{"quantity": 2, "unitPrice": 8}, {"quantity": 1, "unitPrice": 9.99}]},
    "fulfilment": {"method": "FBR", "schedule": "BOL_DELIVERY_PROMISE"},
}
OPTION: dict[str, Any] = {
    "shippingLabelOfferId": "027b79fa-5743-40f0-94c7-0eac761af611",
    "recommended": True,
    "validUntilDate": "2020-01-12",
    "transporterCode": "TNT",
    "labelType": "PARCEL",
    "labelDisplayName": "PostNL & bol.com - Pakket",
    "labelPrice": {"totalPrice": 2.88},
    "packageRestrictions": {"maxWeight": "10 kg", "maxDimensions": "10 x 10 x 10 cm"},
    "handoverDetails": {
        "meetsCustomerExpectation": True,
        "earliestHandoverDateTime": "2018-04-19T00:00:00+02:00",
        "latestHandoverDateTime": "2018-04-19T19:00:00+02:00",
        "collectionMethod": "DROP_OFF",
    },
}
READERS: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
    ("orders", read_order_page, ORDERS),
    ("order", read_order, ORDER),
    ("shipments", read_shipment_page, {"shipments": [SHIPMENT]}),
    ("shipment", read_shipment, SHIPMENT),
    ("status", read_status, STATUS),
    ("statuses", read_statuses, {"processStatuses": [STATUS]}),
    ("subscriptions", read_subscriptions, {"subscriptions": [SUBSCRIPTION]}),
    ("keys", read_keys, {"signatureKeys": [{"id": "0", "type": "RSA", "publicKey": "MIIB"}]}),
    ("retailer", read_retailer, {"retailerId": 1055479, "displayName": "Fietsentuin", "companyName": "F"}),
    ("offers", read_offer_page, {"offers": [OFFER], "page": {"pageSize": 100, "nextCursor": "abc"}}),
    ("offer", read_offer, OFFER),
    ("label options", read_options, {"deliveryOptions": [OPTION]}),
    ("title", read_title, {"attributes": [{"id": "Name", "values": [{"value": "A thing"}]}]}),
]


def answer(body: object) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(routes.ORDERS, 200, {}, raw)


def test_an_order_is_read_in_full() -> None:
    order = answer(ORDER).read(read_order)
    (item,) = order.items
    assert order.pickup_point and order.delivery.pickup_point_name == "Albert Heijn: UTRECHT"
    assert order.placed_at == datetime(2017, 2, 9, 11, 39, 48, tzinfo=UTC)
    assert (item.open_quantity, item.shipped_via_bol, item.fully_cancelled) == (6, True, False)
    assert (item.latest_delivery_date, item.exact_delivery_date) == (date(2017, 2, 10), None)
    assert (item.unit_price, item.total_price, item.commission) == (
        Decimal("12.99"),
        Decimal("118.91"),
        Decimal("5.18"),
    )
    assert item.discounts[0].amount == Decimal("10.99")
    assert order.billing is not None and order.billing.vat_number == "NL999999999B99"


def test_an_address_does_not_show_who_lives_there() -> None:
    shown = repr(answer(ORDER).read(read_order))
    assert "NL" in shown
    assert not any(
        word in shown for word in ("Billie", "Jansen", "Dorpstraat", "1111ZZ", "Utrecht", "012123456")
    )


def test_an_offer_is_read_in_full() -> None:
    offer = answer(OFFER).read(read_offer)
    assert (offer.amount, offer.corrected_stock, offer.managed_by_retailer) == (5, 4, True)
    assert offer.price == Decimal("9.99")
    assert offer.modified_at == datetime(2026, 5, 13, 7, 35, 44, 198346, tzinfo=UTC)


def test_a_label_option_is_read_in_full() -> None:
    (option,) = answer({"deliveryOptions": [OPTION]}).read(read_options)
    assert (option.price, option.recommended, option.meets_expectation) == (Decimal("2.88"), True, True)
    assert (option.transporter_code, option.label_type) == ("TNT", "PARCEL")
    assert (option.max_weight, option.max_dimensions) == ("10 kg", "10 x 10 x 10 cm")
    assert option.latest_handover == datetime(2018, 4, 19, 17, tzinfo=UTC)
    assert option.collection_method == "DROP_OFF"


@pytest.mark.parametrize(
    ("given", "until"),
    [
        ("2020-01-12", datetime(2020, 1, 12, 23, tzinfo=UTC)),
        ("2020-07-12", datetime(2020, 7, 12, 22, tzinfo=UTC)),
        ("2020-01-12T10:00:00+01:00", datetime(2020, 1, 12, 9, tzinfo=UTC)),
        ("9999-12-31", None),
        ("0001-01-01", datetime(1, 1, 1, 23, 40, 28, tzinfo=UTC)),
        ("soon", None),
        (None, None),
    ],
)
def test_an_option_holds_until_its_last_day_is_over_in_the_netherlands(
    given: str | None, until: datetime | None
) -> None:
    body = {"deliveryOptions": [OPTION | {"validUntilDate": given}]}
    (option,) = answer(body).read(read_options)
    assert option.valid_until == until


def test_what_an_option_does_not_say_is_none() -> None:
    (option,) = answer({"deliveryOptions": [{"shippingLabelOfferId": "1"}]}).read(read_options)
    assert (option.recommended, option.meets_expectation, option.price) == (False, None, None)
    assert (option.valid_until, option.max_weight, option.latest_handover) == (None, None, None)


@pytest.mark.parametrize("media", ["application/pdf", "application/octet-stream", "application/json", ""])
def test_a_label_is_its_bytes_whatever_they_are_called(media: str) -> None:
    headers = {"content-type": media, "x-track-and-trace-code": " 3SBOL\x07\xe9 ", "x-transporter-code": ""}
    label = read_label("7", Answer(routes.LABEL, 200, headers, b"\xef\xbb\xbf%PDF-1.4 {"))
    assert (label.pdf, label.track_and_trace) == (b"\xef\xbb\xbf%PDF-1.4 {", "3SBOL")
    assert label.transporter_code is None
    assert "PDF" not in repr(label)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>Sign in</html>", b" " * 1024 + b"%PDF-", b"%PDF-" + b" " * MAX_PDF_BYTES]
)
def test_what_cannot_be_printed_is_not_a_label(body: bytes) -> None:
    with pytest.raises(MalformedAnswer, match="the label is"):
        read_label("7", Answer(routes.LABEL, 200, {}, body))


@settings(deadline=None)
@given(body=st.binary(max_size=30), codes=st.tuples(st.text(), st.text()))
def test_a_label_of_any_bytes_is_a_value_or_a_bol_error(body: bytes, codes: tuple[str, str]) -> None:
    headers = dict(zip(("x-track-and-trace-code", "x-transporter-code"), codes, strict=True))
    for pdf in (body, b"%PDF-" + body):
        try:
            label = read_label("7", Answer(routes.LABEL, 200, headers, pdf))
        except MalformedAnswer:
            continue
        assert label.track_and_trace != "" and label.transporter_code != ""


def test_what_can_not_be_read_of_a_list_hides_nothing_else_of_it() -> None:
    (option,) = answer({"deliveryOptions": [{"labelType": "PARCEL"}, None, OPTION, "no option"]}).read(
        read_options
    )
    assert option.offer_id == OPTION["shippingLabelOfferId"]
    page = answer({"offers": [{"ean": "1"}, OFFER, None]}).read(read_offer_page)
    assert ([offer.offer_id for offer in page.offers], page.nameless) == ([OFFER["offerId"]], 1)
    for nothing in ([{}], ["no option"], {"an": "object"}):
        with pytest.raises(MalformedAnswer):
            answer({"deliveryOptions": nothing}).read(read_options)


def test_an_empty_object_is_an_empty_list() -> None:
    assert answer({}).read(read_options) == ()
    assert answer({}).read(read_order_page).orders == ()
    assert answer({}).read(read_shipment_page).last
    assert answer({}).read(read_offer_page).next_cursor is None


def test_the_older_spelling_of_pickup_point_is_read() -> None:
    body = {key: value for key, value in ORDER.items() if key != "pickupPoint"} | {"pickUpPoint": True}
    assert answer(body).read(read_order).pickup_point


def test_ids_and_counts_may_come_as_numbers_or_text() -> None:
    body = copy.deepcopy(ORDERS)
    body["orders"][0]["orderId"] = 1043946570
    body["orders"][0]["orderItems"][0] |= {"orderItemId": 6042823871, "quantity": "3", "quantityShipped": 1.0}
    (order,) = answer(body).read(read_order_page).orders
    assert (order.order_id, order.items[0].order_item_id) == ("1043946570", "6042823871")
    assert (order.items[0].quantity, order.items[0].open_quantity) == (3, 2)


def test_unknown_words_are_kept_as_they_are() -> None:
    status = answer(STATUS | {"status": "THINKING", "eventType": "NEW_EVENT"}).read(read_status)
    assert status.pending and not status.succeeded and status.event_type == "NEW_EVENT"


def test_what_is_longer_than_bols_own_is_no_id_and_no_ean_and_a_word_is_cut() -> None:
    """What is kept has a length; a piece of an id or an EAN would be another one."""
    body = copy.deepcopy(ORDER)
    item = body["orderItems"][0]
    item["fulfilment"] |= {"method": "F" * 11, "distributionParty": "B" * 21}
    item["product"] |= {"ean": "8" * 21}
    item["offer"] |= {"offerId": "o" * 41}
    read = answer(body).read(read_order).items[0]
    assert (read.method, read.distribution_party, read.ean, read.offer_id) == ("F" * 10, "B" * 20, "", None)
    item["orderItemId"] = "1" * 41
    with pytest.raises(MalformedAnswer, match="orderItemId"):
        answer(body).read(read_order)
    long = {"processStatusId": "1" * 41, "eventType": "E" * 41, "entityId": "e" * 61, "status": "S" * 21}
    status = answer(STATUS | long).read(lambda fields: read_status(fields, "asked"))
    assert (status.id, status.event_type, status.entity_id) == ("asked", "E" * 40, None)
    assert status.status == "S" * 20


def test_an_amount_of_money_that_no_column_holds_is_none() -> None:
    body = copy.deepcopy(ORDER)
    body["orderItems"][0]["unitPrice"] = 9999999999
    assert answer(body).read(read_order).items[0].unit_price == Decimal(9999999999)
    body["orderItems"][0]["unitPrice"] = 10000000000
    with pytest.raises(MalformedAnswer, match="unitPrice"):
        answer(body).read(read_order)


def test_a_status_that_timed_out_has_ended_without_success() -> None:
    status = answer(STATUS | {"status": "TIMEOUT"}).read(read_status)
    assert status.ended and not status.succeeded


def test_an_item_without_a_method_is_neither_ours_nor_bols() -> None:
    body = copy.deepcopy(ORDER)
    body["orderItems"][0]["fulfilment"] = None
    item = answer(body).read(read_order).items[0]
    assert not item.is_fbr and not item.is_fbb


def test_more_cancelled_and_shipped_than_ordered_leaves_nothing_open() -> None:
    body = copy.deepcopy(ORDERS)
    body["orders"][0]["orderItems"][0] |= {"quantityShipped": 9, "quantityCancelled": 9}
    assert answer(body).read(read_order_page).orders[0].items[0].open_quantity == 0


def test_text_that_a_database_refuses_is_cleaned() -> None:
    raw = json.dumps(STATUS | {"errorMessage": "a\x00b\ud800c"}).encode()
    assert answer(raw).read(read_status).error_message == "ab?c"


@pytest.mark.parametrize(
    ("where", "missing"),
    [(ORDER, "orderId"), (ORDER["orderItems"][0], "orderItemId"), (ORDER["orderItems"][0], "quantity")],
)
def test_what_is_essential_is_missed(
    where: dict[str, Any], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(where, missing)
    with pytest.raises(MalformedAnswer, match=missing) as caught:
        answer(ORDER).read(read_order)
    assert caught.value.route == "/retailer/orders"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"3",
        b'"x"',
        b"{",
        b'{"orders": {}}',
        b'{"orders": [3]}',
        b'{"x": NaN}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"orders": [{"orderId": "1", "orderItems": [{"orderItemId": "1", "quantity": 1e99999999999999999999}]}]}',
        b'{"x": ' + b"9" * 10_000 + b"}",
    ],
)
def test_a_body_that_makes_no_sense_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        answer(body).read(read_order_page)


@pytest.mark.parametrize("quantity", [b"1e999999999", b"null", b'"many"'])
def test_one_order_of_a_list_that_makes_no_sense_is_marked_and_hides_no_other(quantity: bytes) -> None:
    bad = b'{"orderId": "1", "orderItems": [{"orderItemId": "1", "quantity": ' + quantity + b"}]}"
    page = answer(b'{"orders": [' + bad + b', {"orderId": "2"}]}').read(read_order_page)
    assert [(order.order_id, order.readable) for order in page.orders] == [("1", False), ("2", True)]


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2020-13-01", "1e400", "NaN", "-0"]
    ),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=1),
)


@st.composite
def spoiled(draw: st.DrawFn, good: object) -> object:
    """A copy in which some parts are missing, null or something else altogether."""
    if draw(st.integers(0, 14)) == 0:
        return draw(JUNK)
    if isinstance(good, dict):
        kept = {key: value for key, value in good.items() if draw(st.integers(0, 9)) > 0}
        return {key: draw(spoiled(value)) for key, value in kept.items()}
    if isinstance(good, list):
        return [draw(spoiled(value)) for value in good]
    return good


@pytest.mark.parametrize(("name", "reader", "good"), READERS, ids=[name for name, *_ in READERS])
def test_a_spoiled_answer_is_a_value_or_a_bol_error(
    name: str, reader: Callable[..., Any], good: dict[str, Any]
) -> None:
    @settings(deadline=None)
    @given(body=spoiled(good))
    def check(body: object) -> None:
        try:
            value = answer(body).read(reader)
        except BolError:
            return
        repr(value)

    answer(good).read(reader)
    check()


def test_rate_limits_are_read_and_nonsense_is_left_out() -> None:
    good = {
        "path": "/retailer/orders",
        "methods": ["GET"],
        "maxCapacity": 25,
        "timeToLive": 1,
        "timeUnit": "MINUTES",
    }
    bad = [{}, 3, None, good | {"maxCapacity": 0}, good | {"timeUnit": "MOONS"}, good | {"methods": None}]
    expected = (LimitRule("/retailer/orders", ("GET",), 25, 60),)
    assert read_rules([good, *bad]) == expected
    assert read_rules({"rateLimits": [good]}) == expected
    assert read_rules("nonsense") == ()


@settings(deadline=None)
@given(data=st.recursive(JUNK, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)))
def test_rate_limits_of_any_shape_do_no_harm(data: object) -> None:
    assert isinstance(read_rules(data), tuple)


def test_a_subscription_is_enabled_unless_bol_says_otherwise() -> None:
    (one,) = answer({"subscriptions": [SUBSCRIPTION]}).read(read_subscriptions)
    assert (one.id, one.resources, one.enabled) == ("1234", ("PROCESS_STATUS", "ORDER"), False)
    unsaid: tuple[dict[str, Any], ...] = ({"enabled": None}, {})
    for more in unsaid:
        short = {"id": 1234, "resources": ["ORDER", None, 7, {}], **more}
        (one,) = answer({"subscriptions": [short]}).read(read_subscriptions)
        assert (one.id, one.resources, one.url, one.enabled) == ("1234", ("ORDER", "7"), "", True)
    assert answer({}).read(read_subscriptions) == ()


def test_a_subscription_without_id_and_a_key_without_itself_are_malformed() -> None:
    for read, body in (
        (read_subscriptions, {"subscriptions": [{"url": "https://wms.example"}]}),
        (read_keys, {"signatureKeys": [{"id": "0"}]}),
    ):
        with pytest.raises(MalformedAnswer):
            answer(body).read(read)

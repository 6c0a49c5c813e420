"""Labels of Shipping via bol ("Verzenden via bol"), Retailer API v10: options, purchase, PDF."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from bol_sandbox import order_lines, statuses, trade
from bol_sandbox.answers import V10, V10_PDF, Answer, reply
from bol_sandbox.call import BodyChecks, Call
from bol_sandbox.clock import dutch_date, dutch_hour, stamp, start_of_dutch_day
from bol_sandbox.label_pdf import draw
from bol_sandbox.model import Label, LabelOffer, Order, OrderItem, Outcome
from bol_sandbox.order_lines import Lines
from bol_sandbox.problems import bad_request, invalid, not_found
from bol_sandbox.world import World

# How long bol holds an offer is not published. Ours lasts until the next day is over.
VALID_DAYS = 1
HANDOVER_HOUR = 19


@dataclass(frozen=True, slots=True)
class Kind:
    """A label that can be had. There are no weights here, so what fits is a number of pieces."""

    name: str
    transporter_code: str
    label_type: str
    price_cents: int
    max_weight: str
    max_dimensions: str
    most_pieces: int
    country: str
    collection_method: str


# Carrier, type and price of the first and the fourth are those of bol's demo environment (2026-01-14), the others ours.
KINDS = {
    kind.name: kind
    for kind in (
        Kind("PostNL & bol - Pakket", "TNT", "PARCEL", 441, "23 kg", "100 x 50 x 50 cm", 20, "NL", "DROP_OFF"),
        Kind("DHL & bol - Pakket", "DHLFORYOU", "PARCEL", 459, "20 kg", "80 x 50 x 35 cm", 12, "NL", "PICK_UP"),
        Kind("PostNL & bol - Brievenbus+", "TNT", "MAILBOX", 355, "2 kg", "38 x 26 x 3 cm", 2, "NL", "DROP_OFF"),
        Kind("PostNL & bol - Brievenbus", "TNT_BRIEF", "MAILBOX_LIGHT", 288, "2 kg", "38 x 26 x 3 cm", 1, "NL", "DROP_OFF"),
        Kind("bpost & bol - Pakket", "BPOST_BE", "PARCEL", 525, "30 kg", "120 x 60 x 60 cm", 20, "BE", "DROP_OFF"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Purchase:
    """The seller buys what was on offer."""

    lines: Lines
    offer_id: str

    def do(self, world: World, client_id: str, at: float) -> Outcome:
        """Make a label each time, also of an offer that was bought before: nothing says that bol would not."""
        offer = world.label_offers.get(self.offer_id)
        if offer is None or offer.client_id != client_id:
            return Outcome(error_message=_not_on_offer(self.offer_id))
        try:
            found = order_lines.find_open(world, client_id, self.lines)
        except trade.Refused as refusal:
            return Outcome(error_message=str(refusal))
        if _quantities(found) != offer.quantities:
            return Outcome(error_message=f"Shipping label offer {self.offer_id} is for other order items.")
        kind = KINDS[offer.kind]
        label = Label(
            str(uuid.uuid4()), client_id, found[0][0].order.order_id, offer.quantities, kind.name, kind.price_cents,
            kind.transporter_code, f"3SBOL{world.number('label'):010d}", at,
        )  # fmt: skip
        world.labels[label.label_id] = label
        return Outcome(entity_id=label.label_id)


def _not_on_offer(offer_id: str) -> str:
    return f"Shipping label offer with id {offer_id} is unknown or has expired."


def delivery_options(call: Call) -> Answer:
    """bol Retailer API v10, get-delivery-options: every label on which all of this fits.

    "No options" is not shown in bol's description: clients in the field expect a 404, so that is the default.
    """
    checks = BodyChecks()
    lines = order_lines.read(checks, call.json_object())
    checks.finish()
    world = call.world
    for order_item_id, _ in lines:
        item = world.items.get(order_item_id)
        if item is None or item.order.client_id != call.client_id:
            raise not_found(f"Order item with id {order_item_id} not found.")
    try:
        found = order_lines.find_open(world, call.client_id, lines)
    except trade.Refused as refusal:
        return _no_options(call, str(refusal))
    kinds = _fitting(found)
    if not kinds:
        return _no_options(call, "No delivery options for these order items.")
    best = min((k for k in kinds if k.label_type != "MAILBOX_LIGHT"), key=lambda kind: kind.price_cents)
    last_day = dutch_date(world.now()) + timedelta(days=VALID_DAYS)
    options = []
    for kind in kinds:
        offer = LabelOffer(
            str(uuid.uuid4()),
            call.client_id,
            _quantities(found),
            kind.name,
            start_of_dutch_day(last_day + timedelta(days=1)),
        )
        remember(world, offer)
        option = {
            "shippingLabelOfferId": offer.offer_id,
            "recommended": kind is best,
            "validUntilDate": last_day.isoformat(),
            "transporterCode": kind.transporter_code,
            "labelType": kind.label_type,
            "labelDisplayName": kind.name,
            "labelPrice": {"totalPrice": kind.price_cents / 100},
            "packageRestrictions": {"maxWeight": kind.max_weight, "maxDimensions": kind.max_dimensions},
        }
        # The description allows an option without: the one whose delivery is not scanned.
        if kind.label_type != "MAILBOX_LIGHT":
            option["handoverDetails"] = _handover(found[0][0].order, kind, world.now())
        options.append(option)
    return reply({"deliveryOptions": options}, V10)


def _no_options(call: Call, reason: str) -> Answer:
    if call.world.settings.no_label_options == "404":
        raise not_found(reason)
    # Empty arrays are omitted: `{}`.
    return reply({}, V10)


def _fitting(found: list[tuple[OrderItem, int]]) -> list[Kind]:
    order = found[0][0].order
    pieces = sum(quantity for _, quantity in found)
    return [
        kind
        for kind in KINDS.values()
        if pieces <= kind.most_pieces
        and kind.country == order.shipment_details["countryCode"]
        and (kind.label_type == "PARCEL" or not order.pickup_point)
    ]


def _handover(order: Order, kind: Kind, now: float) -> dict[str, Any]:
    """Tell until when to hand over: the evening before the latest delivery, or what is still possible."""
    today = dutch_date(now)
    in_time = dutch_hour(date.fromisoformat(order.latest_delivery_date) - timedelta(days=1), HANDOVER_HOUR)
    tonight = dutch_hour(today, HANDOVER_HOUR)
    next_one = tonight if now < tonight else dutch_hour(today + timedelta(days=1), HANDOVER_HOUR)
    return {
        "meetsCustomerExpectation": now < in_time,
        "earliestHandoverDateTime": stamp(start_of_dutch_day(today)),
        "latestHandoverDateTime": stamp(max(in_time, next_one)),
        "collectionMethod": kind.collection_method,
    }


def _quantities(found: list[tuple[OrderItem, int]]) -> dict[str, int]:
    return {item.order_item_id: quantity for item, quantity in found}


def remember(world: World, offer: LabelOffer) -> None:
    """Take in an offer, until it expires."""

    def expire(at: float) -> None:
        world.label_offers.pop(offer.offer_id, None)

    world.label_offers[offer.offer_id] = offer
    world.timers.schedule(offer.expires_at, expire)


def create_label(call: Call) -> Answer:
    """bol Retailer API v10, post-shipping-label: the id of the label comes with the end of the status."""
    checks = BodyChecks()
    body = call.json_object()
    lines = order_lines.read(checks, body)
    offer_id = checks.text(body, "shippingLabelOfferId", "shippingLabelOfferId")
    checks.finish()
    if call.world.settings.refuse_unknown_label_offers and offer_id not in call.world.label_offers:
        raise bad_request([("shippingLabelOfferId", invalid(offer_id))], body=True)
    work = Purchase(lines, offer_id)
    return statuses.accept(call.world, call.seller, "CREATE_SHIPPING_LABEL", "Create shipping label.", work)


def get_label(call: Call) -> Answer:
    """bol Retailer API v10, get-shipping-label; a HEAD gets the headers alone."""
    label_id = call.values["shipping-label-id"]
    label = call.world.labels.get(label_id)
    if label is None or label.client_id != call.client_id:
        raise not_found(f"Shipping label with id {label_id} not found.")
    headers = {
        "X-Track-And-Trace-Code": label.track_and_trace,
        "X-Transporter-Code": label.transporter_code,
    }
    return Answer(200, _pdf(call.world, label), V10_PDF, headers)


def _pdf(world: World, label: Label) -> bytes:
    to = world.orders[label.order_id].shipment_details
    return draw(
        label.kind,
        [
            label.transporter_code,
            label.track_and_trace,
            "",
            f"{to['firstName']} {to['surname']}",
            f"{to['streetName']} {to['houseNumber']} {to.get('houseNumberExtension', '')}",
            f"{to['zipCode']} {to['city']} ({to['countryCode']})",
            "",
            f"Order {label.order_id}",
            f"Label {label.label_id}",
            "A specimen of the bol sandbox: not a label.",
        ],
    )


def for_parcel(world: World, client_id: str, label_id: str, lines: list[tuple[OrderItem, int]]) -> Label:
    """Find the label that a parcel is to carry; raises Refused if it was bought for another one, or is used."""
    label = world.labels.get(label_id)
    if label is None or label.client_id != client_id:
        raise trade.Refused(f"Shipping label with id {label_id} not found.")
    if label.shipment_id is not None:
        raise trade.Refused(f"Shipping label with id {label_id} is already used.")
    if any(quantity > label.quantities.get(item.order_item_id, 0) for item, quantity in lines):
        raise trade.Refused(f"Shipping label with id {label_id} is for other order items.")
    return label


def as_json(label: Label) -> dict[str, Any]:
    """Describe a label for the sandbox's own state; bol has no such list."""
    return {
        "shippingLabelId": label.label_id,
        "orderId": label.order_id,
        "orderItems": [{"orderItemId": i, "quantity": quantity} for i, quantity in label.quantities.items()],
        "labelDisplayName": label.kind,
        "labelType": KINDS[label.kind].label_type,
        "totalPrice": label.price_cents / 100,
        "transporterCode": label.transporter_code,
        "trackAndTrace": label.track_and_trace,
        "boughtAt": stamp(label.bought_at),
        "shipmentId": label.shipment_id,
    }

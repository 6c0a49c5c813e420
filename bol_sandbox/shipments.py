"""Shipments of the Retailer API v10: create, list, get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bol_sandbox import labels, order_lines, statuses, trade
from bol_sandbox.answers import V10, Answer, reply
from bol_sandbox.call import BodyChecks, Call
from bol_sandbox.clock import stamp
from bol_sandbox.model import Label, OrderItem, Outcome, Shipment
from bol_sandbox.order_lines import Lines
from bol_sandbox.orders import offer_reference
from bol_sandbox.problems import bad_request, invalid, not_found
from bol_sandbox.transports import check_code
from bol_sandbox.world import World

PAGE_SIZE = 50
MOST_ITEMS = 100
LONGEST_REFERENCE = 90
KEPT_SECONDS = 92 * 24 * 3600
EVENT_CODES = (
    "PRE_ANNOUNCED", "AT_TRANSPORTER", "IN_TRANSIT", "DELIVERED_AT_NEIGHBOURS", "DELIVERED_AT_CUSTOMER",
    "PICKED_UP_AT_PICK_UP_POINT", "AT_PICK_UP_POINT", "RETURNED_TO_SENDER", "INBOUND_COLLECT",
)  # fmt: skip
BOTH = (
    "Conflicting transport method: Either provide Transport or ShippingLabelId. "
    "The current request contains both."
)
NEITHER = (
    "Conflicting transport method: Either provide Transport or ShippingLabelId. "
    "The current request contains neither."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A shipment request that is well formed; whether it can be done shows later."""

    lines: Lines
    reference: str | None
    shipping_label_id: str | None
    transporter_code: str | None
    track_and_trace: str | None

    def do(self, world: World, client_id: str, at: float) -> Outcome:
        try:
            lines = order_lines.find_open(world, client_id, self.lines)
            label = self._label(world, client_id, lines)
        except trade.Refused as refusal:
            return Outcome(error_message=str(refusal))
        shipment = trade.ship(
            world,
            lines,
            at,
            reference=self.reference,
            transporter_code=label.transporter_code if label else self.transporter_code,
            track_and_trace=label.track_and_trace if label else self.track_and_trace,
            shipping_label_id=self.shipping_label_id,
        )
        if label:
            label.shipment_id = shipment.shipment_id
        return Outcome(entity_id=shipment.shipment_id)

    def _label(self, world: World, client_id: str, lines: list[tuple[OrderItem, int]]) -> Label | None:
        """Find the label. Whether Shipping via bol may go without one is left open by bol."""
        if self.shipping_label_id is not None:
            return labels.for_parcel(world, client_id, self.shipping_label_id, lines)
        if world.settings.vvb_needs_label:
            for item, _ in lines:
                if item.distribution_party == "BOL":
                    raise trade.Refused(f"Order item with id {item.order_item_id} needs a shipping label.")
        return None


def create_shipment(call: Call) -> Answer:
    """bol Retailer API v10, create-shipment: the form is checked now, the state of the order later."""
    wanted = _read(call.json_object())
    # What entityId names is left open by bol: the description says order item id, others saw the shipment's.
    by_item = call.world.settings.shipment_entity_id == "orderItemId"
    entity_id = wanted.lines[0][0] if by_item else None
    return statuses.accept(
        call.world, call.seller, "CREATE_SHIPMENT", "Create shipment.", wanted, entity_id=entity_id
    )


def _read(body: dict[str, Any]) -> Wanted:
    checks = BodyChecks()
    lines = order_lines.read(checks, body, MOST_ITEMS)
    reference = checks.optional_text(body, "shipmentReference", "shipmentReference", most=LONGEST_REFERENCE)
    if reference == "":
        checks.refuse("shipmentReference", invalid(reference))
    label = checks.optional_text(body, "shippingLabelId", "shippingLabelId")
    transport = body.get("transport")
    code = track = None
    if transport is not None and label is not None:
        checks.refuse(None, BOTH)
    elif transport is None and label is None:
        checks.refuse(None, NEITHER)
    elif transport is not None and not isinstance(transport, dict):
        checks.refuse("transport", invalid(transport))
    elif transport is not None:
        code = checks.text(transport, "transporterCode", "transport.transporterCode")
        check_code(checks, code, "transport.transporterCode")
        track = checks.optional_text(transport, "trackAndTrace", "transport.trackAndTrace")
    checks.finish()
    return Wanted(lines, reference, label, code, track)


def list_shipments(call: Call) -> Answer:
    """bol Retailer API v10, get-shipments: newest first, 50 a page, up to three months old."""
    start = (call.integer("page", 1) - 1) * PAGE_SIZE
    order_id = call.query.get("order-id")
    if order_id is not None:
        if "fulfilment-method" in call.query:
            raise bad_request([("order-id", "Only valid without fulfilment-method.")])
        order = call.world.orders.get(order_id)
        shipments = order.shipments if order and order.client_id == call.client_id else []
    else:
        shipments = call.seller.shipments[call.choice("fulfilment-method", ("FBR", "FBB"), "FBR")]
    # Read from the end: the lists grow with the newest last.
    page = shipments[max(0, len(shipments) - start - PAGE_SIZE) : max(0, len(shipments) - start)][::-1]
    oldest = call.world.now() - KEPT_SECONDS
    found = [_reduced(shipment) for shipment in page if shipment.at >= oldest]
    # Empty arrays are omitted: `{}`.
    return reply({"shipments": found} if found else {}, V10)


def _order_json(shipment: Shipment) -> dict[str, str]:
    return {
        "orderId": shipment.order.order_id,
        "orderPlacedDateTime": stamp(shipment.order.placed_at),
    }


def _reduced(shipment: Shipment) -> dict[str, Any]:
    body: dict[str, Any] = {"shipmentId": shipment.shipment_id, "shipmentDateTime": stamp(shipment.at)}
    # Required by the schema, missing in bol's own samples when none was given.
    if shipment.reference is not None:
        body["shipmentReference"] = shipment.reference
    return body | {
        "order": _order_json(shipment),
        "shipmentItems": [{"orderItemId": item.order_item_id, "ean": item.ean} for item, _ in shipment.items],
        "transport": {"transportId": shipment.transport_id},
    }


def get_shipment(call: Call) -> Answer:
    """bol Retailer API v10, get-shipment."""
    shipment_id = call.values["shipment-id"]
    shipment = call.world.shipments.get(shipment_id)
    if shipment is None or shipment.order.client_id != call.client_id:
        raise not_found(f"Shipment for shipment id {shipment_id} not found.")
    return reply(as_json(shipment), V10)


def transport_json(shipment: Shipment) -> dict[str, Any]:
    transport = {
        "transportId": shipment.transport_id,
        "transporterCode": shipment.transporter_code,
        "trackAndTrace": shipment.track_and_trace,
        "shippingLabelId": shipment.shipping_label_id,
        # Empty arrays are omitted.
        "transportEvents": shipment.transport_events or None,
    }
    return {name: value for name, value in transport.items() if value is not None}


def as_json(shipment: Shipment) -> dict[str, Any]:
    return _reduced(shipment) | {
        "pickupPoint": shipment.order.pickup_point,
        "shipmentDetails": shipment.order.shipment_details,
        "billingDetails": shipment.order.billing_details,
        "shipmentItems": [_item_json(item, quantity) for item, quantity in shipment.items],
        "transport": transport_json(shipment),
    }


def _item_json(item: OrderItem, quantity: int) -> dict[str, Any]:
    return {
        "orderItemId": item.order_item_id,
        "fulfilment": {
            "method": item.method,
            "distributionParty": item.distribution_party,
            "latestDeliveryDate": item.order.latest_delivery_date,
        },
        "offer": offer_reference(item),
        "product": {"ean": item.ean, "title": item.title},
        "quantity": item.quantity,
        "quantityShipped": quantity,
        "unitPrice": item.unit_price_cents / 100,
        "commission": item.commission_cents / 100,
    }

"""Shipments of the Retailer API v10: create, list, get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bol_sandbox import statuses, trade
from bol_sandbox.answers import V10, Answer, reply
from bol_sandbox.call import BodyChecks, Call
from bol_sandbox.clock import stamp
from bol_sandbox.model import OrderItem, Outcome, Shipment
from bol_sandbox.orders import offer_reference
from bol_sandbox.problems import EMPTY, bad_request, invalid, not_found
from bol_sandbox.world import World

PAGE_SIZE = 50
MOST_ITEMS = 100
LONGEST_REFERENCE = 90
KEPT_SECONDS = 92 * 24 * 3600
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

    lines: tuple[tuple[str, int | None], ...]
    reference: str | None
    shipping_label_id: str | None
    transporter_code: str | None
    track_and_trace: str | None

    def do(self, world: World, client_id: str, at: float) -> Outcome:
        try:
            lines = _openable(world, client_id, self)
        except trade.Refused as refusal:
            return Outcome(error_message=str(refusal))
        shipment = trade.ship(
            world,
            lines,
            at,
            reference=self.reference,
            transporter_code=self.transporter_code,
            track_and_trace=self.track_and_trace,
            shipping_label_id=self.shipping_label_id,
        )
        return Outcome(entity_id=shipment.shipment_id)


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
    items = body.get("orderItems")
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_ITEMS:
        raise bad_request([("orderItems", f"size must be between 1 and {MOST_ITEMS}")], body=True)
    lines = tuple(_line(checks, item, f"orderItems[{index}]") for index, item in enumerate(items))
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
        track = checks.optional_text(transport, "trackAndTrace", "transport.trackAndTrace")
    checks.finish()
    return Wanted(lines, reference, label, code, track)


def _line(checks: BodyChecks, item: object, at: str) -> tuple[str, int | None]:
    if not isinstance(item, dict):
        checks.refuse(at, EMPTY)
        return "", None
    quantity = item.get("quantity")
    if quantity is not None and (not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1):
        checks.refuse(f"{at}.quantity", invalid(quantity))
        quantity = None
    return checks.text(item, "orderItemId", f"{at}.orderItemId"), quantity


def _openable(world: World, client_id: str, wanted: Wanted) -> list[tuple[OrderItem, int]]:
    """Find the items and check that their quantities are open; all of a request or nothing of it."""
    quantities: dict[str, int] = {}
    for order_item_id, given in wanted.lines:
        item = world.items.get(order_item_id)
        if item is None or item.order.client_id != client_id:
            raise trade.Refused(f"Order item with id {order_item_id} not found.")
        if item.method == "FBB":
            raise trade.Refused(f"Order item with id {order_item_id} is fulfilled by bol.")
        quantities[order_item_id] = quantities.get(order_item_id, 0) + (item.open if given is None else given)
    found = [(world.items[order_item_id], quantity) for order_item_id, quantity in quantities.items()]
    if len({item.order.order_id for item, _ in found}) > 1:
        raise trade.Refused("The order items belong to different orders.")
    for item, quantity in found:
        if item.open == 0:
            how = "cancelled" if item.shipped == 0 else "shipped"
            raise trade.Refused(f"Order item with id {item.order_item_id} is already {how}.")
        if quantity > item.open:
            raise trade.Refused(f"Order item with id {item.order_item_id} has only {item.open} open.")
    return found


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


def as_json(shipment: Shipment) -> dict[str, Any]:
    transport = {
        "transportId": shipment.transport_id,
        "transporterCode": shipment.transporter_code,
        "trackAndTrace": shipment.track_and_trace,
        "shippingLabelId": shipment.shipping_label_id,
    }
    return _reduced(shipment) | {
        "pickupPoint": shipment.order.pickup_point,
        "shipmentDetails": shipment.order.shipment_details,
        "billingDetails": shipment.order.billing_details,
        "shipmentItems": [_item_json(item, quantity) for item, quantity in shipment.items],
        "transport": {name: value for name, value in transport.items() if value is not None},
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

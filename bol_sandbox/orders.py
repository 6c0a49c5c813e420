"""Orders of the Retailer API v10: list, get, cancel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from bol_sandbox import statuses, trade
from bol_sandbox.answers import V10, Answer, reply
from bol_sandbox.call import BodyChecks, Call
from bol_sandbox.clock import dutch_date, stamp, start_of_dutch_day
from bol_sandbox.model import Order, OrderItem, Outcome
from bol_sandbox.order_book import OrderBook, Test
from bol_sandbox.problems import bad_request, invalid, not_found
from bol_sandbox.world import World

PAGE_SIZE = 50
FEW = 500
HISTORY_DAYS = 92
METHODS = ("FBR", "FBB", "ALL")
STATES = ("OPEN", "SHIPPED", "ALL")
REASON_CODES = (
    "OUT_OF_STOCK", "REQUESTED_BY_CUSTOMER", "BAD_CONDITION", "HIGHER_SHIPCOST", "INCORRECT_PRICE",
    "NOT_AVAIL_IN_TIME", "NO_BOL_GUARANTEE", "ORDERED_TWICE", "RETAIN_ITEM", "TECH_ISSUE", "UNFINDABLE_ITEM",
    "OTHER",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The seller cancels what is open of an item."""

    order_item_id: str

    def do(self, world: World, client_id: str, at: float) -> Outcome:
        item = world.items.get(self.order_item_id)
        if item is None or item.order.client_id != client_id:
            return Outcome(error_message=f"Order item with id {self.order_item_id} not found.")
        if item.method == "FBB":
            return Outcome(error_message=f"Order item with id {self.order_item_id} is fulfilled by bol.")
        if trade.cancel_open(world, item, at) == 0:
            return Outcome(error_message=f"Order item with id {self.order_item_id} is already handled.")
        return Outcome()


def list_orders(call: Call) -> Answer:
    """bol Retailer API v10, get-orders: newest first, 50 a page, handled orders for 48 hours.

    The description says that the filters are on order items, so an order shows the items that fit all of
    them, and appears if it has any.
    """
    start = (call.integer("page", 1) - 1) * PAGE_SIZE
    method = call.choice("fulfilment-method", METHODS, "FBR")
    state = call.choice("status", STATES, "OPEN")
    minutes = call.integer("change-interval-minute", 0, most=60)
    changed_on = _changed_on(call)
    vvb_only = call.flag("vvb-only") or False
    wanted = _filter(method, state, vvb_only)
    book = call.seller.orders
    which = book.open if state == "OPEN" else book.visible
    if changed_on is not None:
        # History reaches further back than the 48 hours for which handled orders are otherwise listed.
        wanted = _both(wanted, lambda item: dutch_date(item.changed_at) == changed_on)
        recent = [o for o in book.changed_since(start_of_dutch_day(changed_on)) if any(map(wanted, o.items))]
        orders = _newest(recent)[start : start + PAGE_SIZE]
    elif minutes:
        since = call.world.now() - minutes * 60
        wanted = _both(wanted, lambda item: item.changed_at >= since)
        orders = _changed(book, which, wanted, since, start)
    else:
        orders = book.newest((method, state, vvb_only), which, wanted, start, PAGE_SIZE)
    page = [_reduced(order, wanted) for order in orders]
    # Empty arrays are omitted: `{}`.
    return reply({"orders": page} if page else {}, V10)


def _changed_on(call: Call) -> date | None:
    text = call.query.get("latest-change-date")
    if text is None:
        return None
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        raise bad_request([("latest-change-date", invalid(text))]) from None
    if (dutch_date(call.world.now()) - day).days > HISTORY_DAYS:
        raise bad_request([("latest-change-date", invalid(text))])
    return day


def _filter(method: str, state: str, vvb_only: bool) -> Test:
    def fits(item: OrderItem) -> bool:
        if method not in ("ALL", item.method):
            return False
        if vvb_only and not (item.method == "FBR" and item.distribution_party == "BOL"):
            return False
        return state == "ALL" or (item.open > 0 if state == "OPEN" else item.open == 0 and item.shipped > 0)

    return fits


def _both(first: Test, second: Test) -> Test:
    return lambda item: first(item) and second(item)


def _changed(book: OrderBook, which: dict[str, Order], wanted: Test, since: float, start: int) -> list[Order]:
    """Take the shorter way: over the few that changed, or over all from the newest until the page is full."""
    recent = list(islice(book.changed_since(since), FEW))
    if len(recent) < FEW:
        fitting = [o for o in recent if o.order_id in which and any(map(wanted, o.items))]
        return _newest(fitting)[start : start + PAGE_SIZE]
    newest = (o for o in reversed(which.values()) if any(map(wanted, o.items)))
    return list(islice(newest, start, start + PAGE_SIZE))


def _newest(orders: list[Order]) -> list[Order]:
    # Orders of one moment keep their order of creation through the item numbers.
    return sorted(orders, key=lambda order: order.items[0].order_item_id, reverse=True)


def _reduced(order: Order, wanted: Test) -> dict[str, Any]:
    return {
        "orderId": order.order_id,
        "orderPlacedDateTime": stamp(order.placed_at),
        "orderItems": [
            {
                "orderItemId": item.order_item_id,
                "ean": item.ean,
                "fulfilmentMethod": item.method,
                "fulfilmentStatus": "OPEN" if item.open else "HANDLED",
                "quantity": item.quantity,
                "quantityShipped": item.shipped,
                "quantityCancelled": item.cancelled,
                "cancellationRequest": item.cancellation_request,
                "latestChangedDateTime": stamp(item.changed_at),
            }
            for item in order.items
            if wanted(item)
        ],
    }


def get_order(call: Call) -> Answer:
    """bol Retailer API v10, get-order."""
    order_id = call.values["order-id"]
    order = call.world.orders.get(order_id)
    if order is None or order.client_id != call.client_id:
        raise not_found(f"Order for order id {order_id} not found.")
    return reply(as_json(order), V10)


def as_json(order: Order) -> dict[str, Any]:
    return {
        "orderId": order.order_id,
        "pickupPoint": order.pickup_point,
        "orderPlacedDateTime": stamp(order.placed_at),
        "shipmentDetails": order.shipment_details,
        "billingDetails": order.billing_details,
        "orderItems": [_item_json(item) for item in order.items],
    }


def _item_json(item: OrderItem) -> dict[str, Any]:
    return {
        "orderItemId": item.order_item_id,
        "cancellationRequest": item.cancellation_request,
        "fulfilment": {
            "method": item.method,
            "distributionParty": item.distribution_party,
            "latestDeliveryDate": item.order.latest_delivery_date,
            "expiryDate": item.order.expiry_date,
            "timeFrameType": "REGULAR",
        },
        "offer": offer_reference(item),
        "product": {"ean": item.ean, "title": item.title},
        "quantity": item.quantity,
        "quantityShipped": item.shipped,
        "quantityCancelled": item.cancelled,
        "unitPrice": item.unit_price_cents / 100,
        "totalPrice": item.unit_price_cents * item.quantity / 100,
        "discounts": [],
        "commission": item.commission_cents / 100,
        "latestChangedDateTime": stamp(item.changed_at),
    }


def offer_reference(item: OrderItem) -> dict[str, str]:
    if item.offer is None:
        return {}
    reference = {"reference": item.offer.reference} if item.offer.reference is not None else {}
    return {"offerId": item.offer.offer_id, **reference}


def cancel_item(call: Call) -> Answer:
    """bol Retailer API v10, cancel-order-item: one item, its whole open rest, when the status ends."""
    checks = BodyChecks()
    items = call.json_object().get("orderItems")
    if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
        raise bad_request([("orderItems", "size must be between 1 and 1")], body=True)
    order_item_id = checks.text(items[0], "orderItemId", "orderItems[0].orderItemId")
    reason = checks.text(items[0], "reasonCode", "orderItems[0].reasonCode")
    if reason and reason not in REASON_CODES:
        checks.refuse("orderItems[0].reasonCode", invalid(reason, REASON_CODES))
    checks.finish()
    work = Cancellation(order_item_id)
    description = f"Cancel order item with id {order_item_id}."
    return statuses.accept(
        call.world, call.seller, "CANCEL_ORDER", description, work, entity_id=order_item_id
    )

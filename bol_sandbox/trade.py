"""What customers, sellers and bol do with orders: place, cancel, ship; and what that does to stock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from bol_sandbox import customers, push
from bol_sandbox.clock import days_later, dutch_date, start_of_dutch_day
from bol_sandbox.model import Offer, Order, OrderItem, Shipment
from bol_sandbox.order_book import VISIBLE_SECONDS
from bol_sandbox.world import Seller, World

DELIVERY_DAYS = 2
# "The third day after the latest delivery date": bol then cancels by itself (partner platform, cancellations).
EXPIRY_DAYS = 3
ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class Refused(Exception):
    """What was asked of the trade cannot be done."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One line of what a customer wants."""

    ean: str
    quantity: int
    method: str | None = None
    distribution_party: str | None = None


def place_order(
    world: World,
    seller: Seller,
    wishes: Iterable[Wish],
    *,
    pickup_point: bool = False,
    country: str = "NL",
    force: bool = False,
) -> Order:
    """Sell what is asked for; more than correctedStock, or an EAN not on offer, only with `force`."""
    lines = [(wish, _offer_for(seller, wish)) for wish in wishes]
    if not lines:
        raise Refused("An order needs at least one item")
    if not force:
        _check_stock(lines)
    now = world.now()
    number = world.number("order")
    shipping, billing = customers.invent(world.random, number, country, pickup_point)
    day = dutch_date(now)
    order = Order(
        _order_id(number), seller.client_id, now, shipping, billing, pickup_point,
        latest_delivery_date=days_later(day, DELIVERY_DAYS),
        expiry_date=days_later(day, DELIVERY_DAYS + EXPIRY_DAYS),
    )  # fmt: skip
    for wish, offer in lines:
        order.items.append(_sell(world, order, wish, offer, now))
    world.orders[order.order_id] = order
    seller.all_orders.append(order)
    seller.orders.add(order)
    expire_later(world, order)
    item_ids = [item.order_item_id for item in order.items]
    push.tell_of_order(world, order.client_id, "ORDER_CREATED", order.order_id, item_ids)
    return order


def _offer_for(seller: Seller, wish: Wish) -> Offer | None:
    offers = seller.offers.with_ean(wish.ean)
    fitting = [offer for offer in offers if wish.method in (None, offer.method)]
    return next(iter(fitting or offers), None)


def _check_stock(lines: list[tuple[Wish, Offer | None]]) -> None:
    wanted: dict[str, int] = {}
    for wish, offer in lines:
        if offer is None:
            raise Refused(f"No offer has EAN {wish.ean}")
        if wish.method not in (None, offer.method):
            continue
        wanted[offer.offer_id] = wanted.get(offer.offer_id, 0) + wish.quantity
        if wanted[offer.offer_id] > offer.corrected_stock:
            raise Refused(f"Only {offer.corrected_stock} of EAN {wish.ean} can be sold")


def _sell(world: World, order: Order, wish: Wish, offer: Offer | None, now: float) -> OrderItem:
    method = wish.method or (offer.method if offer else "FBR")
    by_bol = method == "FBB" or (offer is not None and offer.fulfilment.get("schedule") == "SHIPPING_VIA_BOL")
    product = world.remember_product(wish.ean, f"Artikel {wish.ean}")
    item = OrderItem(
        order_item_id=str(6_107_000_000 + world.number("order item")),
        order=order,
        ean=wish.ean,
        title=product.title,
        quantity=wish.quantity,
        method=method,
        distribution_party=wish.distribution_party or ("BOL" if by_bol else "RETAILER"),
        unit_price_cents=offer.price_cents if offer else 1999,
        offer=offer,
        offer_sequence=offer.sequence if offer else 0,
        changed_at=now,
    )
    world.items[item.order_item_id] = item
    # An item that bol ships from its own stock takes nothing from the seller's, and the other way round.
    if offer is not None and offer.method == method:
        offer.open_quantity += wish.quantity
        offer.sold_since_update += wish.quantity
    return item


def cancel_open(world: World, item: OrderItem, at: float, most: int | None = None) -> int:
    """Cancel what is still open of an item, or `most` of it; the customer or the seller asked, or bol did it itself."""
    quantity = item.open if most is None else min(most, item.open)
    if quantity <= 0:
        return 0
    item.cancelled += quantity
    if not item.open:
        item.cancellation_request = item.cancellation_request and world.settings.keep_cancellation_request
    offer = item.offer
    if offer is not None and offer.method == item.method:
        offer.open_quantity -= quantity
        if offer.sequence == item.offer_sequence:
            offer.sold_since_update -= quantity
    _changed(world, item, at)
    return quantity


def request_cancellation(world: World, item: OrderItem, at: float) -> bool:
    """Let the customer ask: the item stays open until the seller agrees or ships."""
    if item.open == 0:
        return False
    item.cancellation_request = True
    _changed(world, item, at)
    kind, order = "ORDER_ITEM_CANCELLATION_REQUEST", item.order
    push.tell_of_order(world, order.client_id, kind, order.order_id, [item.order_item_id])
    return True


def withdraw_cancellation_request(world: World, item: OrderItem, at: float) -> bool:
    """Let the customer want it after all; bol tells nobody but who looks."""
    if item.open == 0 or not item.cancellation_request:
        return False
    item.cancellation_request = False
    _changed(world, item, at)
    return True


def ship(
    world: World,
    lines: list[tuple[OrderItem, int]],
    at: float,
    *,
    reference: str | None = None,
    transporter_code: str | None = None,
    track_and_trace: str | None = None,
    shipping_label_id: str | None = None,
) -> Shipment:
    """Send a parcel; whoever calls has checked that the quantities are open."""
    order = lines[0][0].order
    shipment = Shipment(
        str(953_000_000 + world.number("shipment")), order, at, reference, lines,
        str(358_612_000 + world.number("transport")), transporter_code, track_and_trace, shipping_label_id,
    )  # fmt: skip
    for item, quantity in lines:
        item.shipped += quantity
        if item.offer is not None and item.offer.method == item.method:
            item.offer.open_quantity -= quantity
            if item.method == "FBB":
                item.offer.bol_stock -= quantity
        _changed(world, item, at)
    book(world, shipment)
    return shipment


def book(world: World, shipment: Shipment) -> None:
    """Note a parcel wherever it is looked for."""
    shipment.order.shipments.append(shipment)
    world.shipments[shipment.shipment_id] = shipment
    world.transports[shipment.transport_id] = shipment
    method = shipment.items[0][0].method
    world.sellers[shipment.order.client_id].shipments[method].append(shipment)


def _changed(world: World, item: OrderItem, at: float) -> None:
    item.changed_at = at
    world.sellers[item.order.client_id].orders.changed(item.order)
    hide_later(world, item.order)


def hide_later(world: World, order: Order) -> None:
    """Let a handled order disappear from the list in time."""
    listed = world.sellers[order.client_id].orders
    if not order.is_open:
        world.timers.schedule(order.changed_at + VISIBLE_SECONDS, lambda _: listed.hide(order))


def expire_later(world: World, order: Order) -> None:
    """Let bol cancel what is not confirmed when the expiry date is over, and stop the sale of it.

    "Not confirmed by the third day after the latest delivery date": cancelled, and the offer's stock set to 0
    (partner platform, cancellations).
    """
    over = start_of_dutch_day(date.fromisoformat(order.expiry_date) + timedelta(days=1))
    world.timers.schedule(over, lambda at: _expire(world, order, at))


def _expire(world: World, order: Order, at: float) -> None:
    if not world.settings.day_three_rule:
        return
    book = world.sellers[order.client_id].offers
    for item in order.items:
        if item.method != "FBR" or not cancel_open(world, item, at):
            continue
        offer = item.offer
        if offer is not None and offer.method == "FBR" and offer.offer_id in book.by_id:
            offer.amount = 0
            number = world.number("modification")
            book.touch(offer, at=at, sequence=number, reference=offer.reference)


def _order_id(number: int) -> str:
    # Odd multiplier and power-of-two range: every number gives another id, and neighbours look unrelated.
    left = number * 0x9E3779B1 % 2**32
    text = ""
    for _ in range(7):
        left, digit = divmod(left, len(ALPHABET))
        text = ALPHABET[digit] + text
    return f"C00{text}"

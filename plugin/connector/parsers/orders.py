"""Order lists and orders. Essential: ids, the ordered quantity and, in the detail, the price."""

from __future__ import annotations

from decimal import Decimal

from plugin.connector.models.orders import (
    Discount,
    Order,
    OrderItem,
    OrderPage,
    OrderSummary,
    OrderSummaryItem,
)
from plugin.connector.parsers.address import read_address
from plugin.connector.parsing import Fields, ShapeError
from plugin.connector.resources.caller import PAGE_SIZE

#: "FBR" or "FBB" until now.
LONGEST_METHOD = 10


def read_order_page(fields: Fields) -> OrderPage:
    """Read a page. One order without an id hides no other; where none has one, the answer is no list of orders."""
    parts = fields.parts("orders")
    named = [part for part in parts if part.id("orderId")] or parts
    orders = tuple(_summary(part) for part in named)
    return OrderPage(orders, last=len(parts) < PAGE_SIZE, nameless=len(parts) - len(orders))


def _summary(fields: Fields) -> OrderSummary:
    """One order that can't be read must not hide the others: its id is enough to read its details."""
    order_id, placed_at = fields.essential_id("orderId"), fields.moment("orderPlacedDateTime")
    try:
        items = tuple(_summary_item(item) for item in fields.parts("orderItems"))
    except ShapeError:
        return OrderSummary(order_id, placed_at, (), readable=False)
    return OrderSummary(order_id, placed_at, items)


def _summary_item(fields: Fields) -> OrderSummaryItem:
    return OrderSummaryItem(
        order_item_id=fields.essential_id("orderItemId"),
        ean=fields.ean(),
        fulfilment_method=fields.text("fulfilmentMethod", LONGEST_METHOD) or "",
        fulfilment_status=fields.text("fulfilmentStatus") or "",
        quantity=fields.essential_count("quantity"),
        quantity_shipped=fields.count("quantityShipped") or 0,
        quantity_cancelled=fields.count("quantityCancelled") or 0,
        cancellation_request=fields.flag("cancellationRequest"),
        latest_changed_at=fields.moment("latestChangedDateTime"),
    )


def read_order(fields: Fields) -> Order:
    billing = fields.part("billingDetails")
    return Order(
        order_id=fields.essential_id("orderId"),
        placed_at=fields.moment("orderPlacedDateTime"),
        pickup_point=fields.flag("pickupPoint", "pickUpPoint"),
        delivery=read_address(fields.part_or_empty("shipmentDetails")),
        billing=read_address(billing) if billing else None,
        items=tuple(_item(item) for item in fields.parts("orderItems")),
    )


def _item(fields: Fields) -> OrderItem:
    fulfilment, offer = fields.part_or_empty("fulfilment"), fields.part_or_empty("offer")
    product = fields.part_or_empty("product")
    return OrderItem(
        order_item_id=fields.essential_id("orderItemId"),
        ean=product.ean(),
        title=product.text("title") or "",
        quantity=fields.essential_count("quantity"),
        quantity_shipped=fields.count("quantityShipped") or 0,
        quantity_cancelled=fields.count("quantityCancelled") or 0,
        cancellation_request=fields.flag("cancellationRequest"),
        method=fulfilment.text("method", LONGEST_METHOD) or "",
        distribution_party=fulfilment.text("distributionParty", longest=20),
        latest_delivery_date=fulfilment.day("latestDeliveryDate"),
        exact_delivery_date=fulfilment.day("exactDeliveryDate"),
        expiry_date=fulfilment.day("expiryDate"),
        offer_id=offer.id("offerId"),
        offer_reference=offer.text("reference"),
        unit_price=fields.essential_money("unitPrice"),
        total_price=fields.money("totalPrice"),
        discounts=tuple(_discount(discount) for discount in fields.parts("discounts")),
        commission=fields.money("commission"),
        latest_changed_at=fields.moment("latestChangedDateTime"),
    )


def _discount(fields: Fields) -> Discount:
    return Discount(fields.text("title") or "", fields.money("amount") or Decimal(0))

"""What a request is about: order items, and how many pieces of each."""

from __future__ import annotations

from typing import Any

from bol_sandbox import trade
from bol_sandbox.call import BodyChecks
from bol_sandbox.model import OrderItem
from bol_sandbox.problems import EMPTY, bad_request, invalid
from bol_sandbox.world import World

# Without a quantity all that is open is meant.
Lines = tuple[tuple[str, int | None], ...]
NO_LIMIT = 2**31 - 1


def read(checks: BodyChecks, body: dict[str, Any], most: int = NO_LIMIT) -> Lines:
    items = body.get("orderItems")
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        raise bad_request([("orderItems", f"size must be between 1 and {most}")], body=True)
    return tuple(_line(checks, item, f"orderItems[{index}]") for index, item in enumerate(items))


def _line(checks: BodyChecks, item: object, at: str) -> tuple[str, int | None]:
    if not isinstance(item, dict):
        checks.refuse(at, EMPTY)
        return "", None
    quantity = item.get("quantity")
    if quantity is not None and (not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1):
        checks.refuse(f"{at}.quantity", invalid(quantity))
        quantity = None
    return checks.text(item, "orderItemId", f"{at}.orderItemId"), quantity


def find_open(world: World, client_id: str, lines: Lines) -> list[tuple[OrderItem, int]]:
    """Find the items, all of one order, and check that their quantities are open; all of it or nothing."""
    quantities: dict[str, int] = {}
    for order_item_id, given in lines:
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

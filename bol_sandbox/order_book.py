"""A seller's orders, indexed for the orders list."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bol_sandbox.model import Order, OrderItem

# "Handled orders stay listed 48 hours" (bol Retailer API v10, functional page on orders).
VISIBLE_SECONDS = 48 * 3600


class OrderBook:
    """Orders by what the list asks for: open, recently handled, recently changed."""

    def __init__(self) -> None:
        self.open: dict[str, Order] = {}
        self.visible: dict[str, Order] = {}
        self._changed: dict[str, Order] = {}
        self._pages: dict[object, list[Order]] = {}

    def add(self, order: Order) -> None:
        self.open[order.order_id] = order
        self.visible[order.order_id] = order
        self.changed(order)

    def changed(self, order: Order) -> None:
        """Note that an item changed: the order moves to the end of the row by change."""
        self._changed.pop(order.order_id, None)
        self._changed[order.order_id] = order
        if not order.is_open:
            self.open.pop(order.order_id, None)
        self._pages.clear()

    def hide(self, order: Order) -> None:
        self.visible.pop(order.order_id, None)
        self._pages.clear()

    def newest(
        self, key: object, which: dict[str, Order], wanted: Callable[[OrderItem], bool]
    ) -> list[Order]:
        """List orders with a wanted item, newest first; remembered under `key` until something changes."""
        if key not in self._pages:
            self._pages[key] = [o for o in reversed(which.values()) if any(map(wanted, o.items))]
        return self._pages[key]

    def changed_since(self, at: float) -> Iterator[Order]:
        for order in reversed(self._changed.values()):
            if max(item.changed_at for item in order.items) < at:
                return
            yield order

"""A seller's orders, indexed for the orders list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from bol_sandbox.model import Order, OrderItem

# "Handled orders stay listed 48 hours" (bol Retailer API v10, functional page on orders).
VISIBLE_SECONDS = 48 * 3600
Test = Callable[[OrderItem], bool]


class OrderBook:
    """Orders by what the list asks for: open, recently handled, recently changed."""

    def __init__(self) -> None:
        self.open: dict[str, Order] = {}
        self.visible: dict[str, Order] = {}
        self._changed: dict[str, Order] = {}
        # Per filter: what was read so far, newest first, and where reading goes on.
        self._read: dict[object, tuple[list[Order], Iterator[Order]]] = {}

    def add(self, order: Order) -> None:
        self.open[order.order_id] = order
        self.visible[order.order_id] = order
        self.changed(order)

    def fill(self, orders: Sequence[Order]) -> None:
        """Take in orders with a past, in the order of their placing."""
        for order in sorted(orders, key=lambda order: order.changed_at):
            self._changed[order.order_id] = order
        for order in orders:
            self.visible[order.order_id] = order
            if order.is_open:
                self.open[order.order_id] = order

    def changed(self, order: Order) -> None:
        """Note that an item changed: the order moves to the end of the row by change."""
        self._changed.pop(order.order_id, None)
        self._changed[order.order_id] = order
        if not order.is_open:
            self.open.pop(order.order_id, None)
        self._read.clear()

    def hide(self, order: Order) -> None:
        self.visible.pop(order.order_id, None)
        self._read.clear()

    def newest(
        self, key: object, which: dict[str, Order], wanted: Test, first: int, count: int
    ) -> list[Order]:
        """List orders with a wanted item, newest first, from `first` on.

        Only as far as asked is read, and kept under `key` until an order changes: a new order costs the next
        reader one page, and deep pages are not read from the start each time.
        """
        if key not in self._read:
            fitting = (order for order in reversed(which.values()) if any(map(wanted, order.items)))
            self._read[key] = [], fitting
        seen, rest = self._read[key]
        seen.extend(islice(rest, max(0, first + count - len(seen))))
        return seen[first : first + count]

    def changed_since(self, at: float) -> Iterator[Order]:
        """Walk back over the orders that changed, latest change first."""
        for order in reversed(self._changed.values()):
            if order.changed_at < at:
                return
            yield order

"""Orders as bol describes them (v10, `GET /retailer/orders` and `GET /retailer/orders/{order-id}`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from plugin.connector.models.address import Address

FBR = "FBR"
FBB = "FBB"
BOL = "BOL"


class Quantities:
    """What follows from the three counts and the method, alike in the list and in the detail."""

    quantity: int
    quantity_shipped: int
    quantity_cancelled: int

    @property
    def open_quantity(self) -> int:
        """Pieces neither shipped nor cancelled, never below 0."""
        return max(0, self.quantity - self.quantity_shipped - self.quantity_cancelled)

    @property
    def fully_cancelled(self) -> bool:
        return self.quantity > 0 and self.quantity_cancelled >= self.quantity


@dataclass(frozen=True)
class OrderSummaryItem(Quantities):
    """One item in the list. `fulfilment_method` is "FBR" or "FBB", `fulfilment_status` "OPEN" or "HANDLED";
    both are open text and "" where bol does not say. `cancellation_request`: the customer asked, the item is open."""

    order_item_id: str
    ean: str
    fulfilment_method: str
    fulfilment_status: str
    quantity: int
    quantity_shipped: int
    quantity_cancelled: int
    cancellation_request: bool
    latest_changed_at: datetime | None

    @property
    def is_fbr(self) -> bool:
        return self.fulfilment_method == FBR

    @property
    def is_fbb(self) -> bool:
        return self.fulfilment_method == FBB


@dataclass(frozen=True)
class OrderSummary:
    """`readable` False: the order is there, but its line could not be read; its details may tell more."""

    order_id: str
    placed_at: datetime | None
    items: tuple[OrderSummaryItem, ...]
    readable: bool = True


@dataclass(frozen=True)
class OrderPage:
    """One page of 50, newest first. `last`: it held fewer than 50, there is nothing after it. `nameless`: so many
    orders on it have no id, or none that can be used, and are left out."""

    orders: tuple[OrderSummary, ...]
    last: bool
    nameless: int = 0


@dataclass(frozen=True)
class Discount:
    """`amount` in euro, for the whole item."""

    title: str
    amount: Decimal


@dataclass(frozen=True)
class OrderItem(Quantities):
    """One item of one order. Money in euro including VAT; `total_price` is after discounts and for all pieces,
    `commission` for the whole item. `ean`, `title`, `method` are "" where bol does not say."""

    order_item_id: str
    ean: str
    title: str
    quantity: int
    quantity_shipped: int
    quantity_cancelled: int
    cancellation_request: bool
    method: str
    distribution_party: str | None
    latest_delivery_date: date | None
    exact_delivery_date: date | None
    expiry_date: date | None
    offer_id: str | None
    offer_reference: str | None
    unit_price: Decimal
    total_price: Decimal | None
    discounts: tuple[Discount, ...]
    commission: Decimal | None
    latest_changed_at: datetime | None

    @property
    def is_fbr(self) -> bool:
        return self.method == FBR

    @property
    def is_fbb(self) -> bool:
        return self.method == FBB

    @property
    def shipped_via_bol(self) -> bool:
        """Packed by us, on a label bought from bol (VVB)."""
        return self.is_fbr and self.distribution_party == BOL


@dataclass(frozen=True)
class Order:
    """`delivery` has empty fields where bol sent no address (see Address.is_empty)."""

    order_id: str
    placed_at: datetime | None
    pickup_point: bool
    delivery: Address
    billing: Address | None
    items: tuple[OrderItem, ...]

    @property
    def fully_cancelled(self) -> bool:
        return bool(self.items) and all(item.fully_cancelled for item in self.items)

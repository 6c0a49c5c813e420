"""Shipments: what we tell bol, and what bol knows (v10, `/retailer/shipments`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from plugin.connector.models.address import Address

MAX_ITEMS = 100
MAX_REFERENCE = 90


@dataclass(frozen=True)
class ShipmentItem:
    """`quantity`: pieces in this parcel, at least 1. Always sent, so that never "all that is open" is meant."""

    order_item_id: str
    quantity: int


def check_items(items: Sequence[ShipmentItem]) -> None:
    """Raises ValueError unless these can be the items of one parcel."""
    if not 1 <= len(items) <= MAX_ITEMS:
        raise ValueError(f"a parcel has 1 to {MAX_ITEMS} items")
    if len({item.order_item_id for item in items}) != len(items):
        raise ValueError("an order item may appear once in a parcel")
    if any(not item.order_item_id or item.quantity < 1 for item in items):
        raise ValueError("each item has an order item id and a quantity of at least 1")


@dataclass(frozen=True)
class ShipmentRequest:
    """One parcel of one customer order: 1 to 100 items, each once.

    Exactly one of `transporter_code` (own carrier; with `track_and_trace` if there is one) and
    `shipping_label_id` (bought from bol). `reference`: ours, 1 to 90 characters. A breach is a ValueError.
    Source: ShipmentRequest in bol's v10 description; "either provide Transport or ShippingLabelId".
    """

    items: tuple[ShipmentItem, ...]
    reference: str | None = None
    transporter_code: str | None = None
    track_and_trace: str | None = None
    shipping_label_id: str | None = None

    def __post_init__(self) -> None:
        check_items(self.items)
        if self.reference is not None and not 1 <= len(self.reference) <= MAX_REFERENCE:
            raise ValueError(f"a shipment reference has 1 to {MAX_REFERENCE} characters")
        if bool(self.transporter_code) == bool(self.shipping_label_id):
            raise ValueError("give exactly one of transporter_code and shipping_label_id")
        if self.shipping_label_id and self.track_and_trace:
            raise ValueError("a label brings its own tracking code")


@dataclass(frozen=True)
class ShipmentSummary:
    """One line of the list: which items of which order left, under which reference of ours. `order_id`: "" where bol
    names none."""

    shipment_id: str
    order_id: str
    shipped_at: datetime | None
    reference: str | None
    order_item_ids: tuple[str, ...]
    transport_id: str | None


@dataclass(frozen=True)
class ShipmentPage:
    """One page of 50, newest first, up to 3 months old. `last`: fewer than 50."""

    shipments: tuple[ShipmentSummary, ...]
    last: bool


@dataclass(frozen=True)
class ShippedItem:
    """`quantity` is what was ordered; `quantity_shipped` what this shipment holds, None where bol leaves it out."""

    order_item_id: str
    ean: str
    quantity: int | None
    quantity_shipped: int | None


@dataclass(frozen=True)
class TransportEvent:
    """`code` is open text, such as IN_TRANSIT or DELIVERED_AT_CUSTOMER."""

    code: str
    at: datetime | None


@dataclass(frozen=True)
class Transport:
    transport_id: str | None
    transporter_code: str | None
    track_and_trace: str | None
    shipping_label_id: str | None
    events: tuple[TransportEvent, ...] = ()


@dataclass(frozen=True)
class Shipment:
    shipment_id: str
    order_id: str
    shipped_at: datetime | None
    reference: str | None
    pickup_point: bool
    items: tuple[ShippedItem, ...]
    transport: Transport | None
    delivery: Address = field(default_factory=Address)

"""Offers: a seller's listings with stock and price (v11, `/retailer/offers`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from plugin.connector.models.orders import FBB, FBR

MAX_STOCK = 999


@dataclass(frozen=True)
class Offer:
    """One offer. `title` is unknownProductTitle: bol leaves it out for products that it knows.

    `amount`: pieces as last told by the seller (0 where bol sends no stock); `corrected_stock`: what bol counts as
    sellable, None where bol leaves it out. `price` in euro including VAT for one piece. `method` FBR or FBB,
    `schedule` such as SHIPPING_VIA_BOL, both open text.
    """

    offer_id: str
    ean: str
    reference: str | None
    title: str | None
    amount: int
    corrected_stock: int | None
    managed_by_retailer: bool
    price: Decimal | None
    method: str
    schedule: str | None
    on_hold: bool
    modified_at: datetime | None

    @property
    def is_fbr(self) -> bool:
        return self.method == FBR

    @property
    def is_fbb(self) -> bool:
        return self.method == FBB


@dataclass(frozen=True)
class OfferPage:
    """`next_cursor` leads to the next page and is None on the last one. The list is ordered by last change: an
    offer that changes meanwhile may come twice, the later one counts. `nameless`: so many offers on it have no id, or none
    that can be used, and are left out."""

    offers: tuple[Offer, ...]
    next_cursor: str | None
    nameless: int = 0

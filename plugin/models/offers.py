"""Offers: bol's listings of a seller, linked to products by EAN, and what bol should know of their stock."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, Numeric, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.models.base import Base


class OfferState(StrEnum):
    """Whether bol still knows the offer."""

    LISTED = "listed"
    GONE = "gone"


class Offer(Base):
    """One offer. Level-based: a change only raises ``dirty_version``; what to send is computed when it is sent.

    Due: dirty_version > done_version. product_history_id: the stock-history row by which its product was the last
    modified one with this EAN. confirmed_*: what bol acknowledged, or showed before we sent anything.
    """

    __tablename__ = "bol_offer"
    __table_args__ = (
        UniqueConstraint("store_id", "offer_id"),
        Index("ix_bol_offer_ean", "ean"),
        Index("ix_bol_offer_product", "product_id"),
        Index(
            "ix_bol_offer_due",
            "store_id",
            "next_try_at",
            sqlite_where=text("dirty_version > done_version"),
            postgresql_where=text("dirty_version > done_version"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    offer_id: Mapped[str] = mapped_column(String(40))
    ean: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(500), default="")
    reference: Mapped[str] = mapped_column(String(100), default="")
    method: Mapped[str] = mapped_column(String(10))
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    state: Mapped[str] = mapped_column(String(10), default=OfferState.LISTED)
    seen_at: Mapped[datetime]
    product_id: Mapped[int | None]
    product_history_id: Mapped[int] = mapped_column(default=0)
    corrected_stock: Mapped[int | None]
    confirmed_amount: Mapped[int | None]
    confirmed_managed: Mapped[bool | None]
    confirmed_at: Mapped[datetime | None]
    dirty_version: Mapped[int] = mapped_column(default=0)
    done_version: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")

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


class OfferLink(StrEnum):
    """Who chose an offer's product. UNLINKED: a person took it away, and nothing links it again by itself."""

    AUTO = "auto"
    CREATED = "created"
    HAND = "hand"
    UNLINKED = "unlinked"


#: Something is wrong with the EAN of an offer that is ours: with the number, with its products, or that it has none.
#: One term on purpose: of several, SQLite would take some for a reason to use another index.
AILING = (
    "CASE WHEN method <> 'FBR' OR state <> 'listed' THEN 0 WHEN ean_problem <> '' THEN 1 WHEN link = 'unlinked' THEN 0"
    " WHEN product_id IS NULL THEN 1 WHEN candidates > 1 AND link <> 'hand' THEN 1 ELSE 0 END = 1"
)


class Offer(Base):
    """One offer. Level-based: a change only raises ``dirty_version``; what to send is computed when it is sent.

    Due: dirty_version > done_version and not held. urgent: near zero, or rising from it. product_history_id: the
    stock-history row by which its product was the last modified one with this EAN; candidates: how many products
    have it. ean_problem: what the check of the EAN found (``plugin.sync.eans``), "" for nothing. excluded: a person
    keeps it out of stock updates.

    confirmed_*: what bol acknowledged, or showed before we sent anything. in_doubt: a call was made whose answer is
    not recorded, so that bol may have either amount. sent_*: the newest call. wanted_amount: what the rule called
    for when it was last worked out. read_back_at: when to look what became of a call without an answer.

    zeroed_at: when it last went from something to 0 by our call. held_at: since when the guard keeps a 0 back;
    once nothing is due, it is one that a person keeps on sale. zero_allowed: a person said to send the 0. title_due_at: when to ask bol's catalogue for its name;
    title_attempts: how often that failed.

    changed_at: when the stock changed that is still to be sent, or was sent last; it counts for ``changed_version``.
    """

    __tablename__ = "bol_offer"
    __table_args__ = (
        UniqueConstraint("store_id", "offer_id"),
        # With the store: else a look for some EANs of one store would go through all of its offers.
        Index("ix_bol_offer_ean", "ean", "store_id"),
        # Pages list them by id: without it all of a store would be sorted for fifty. The condition is always true, and
        # named by those lists only: else SQLite takes this index for better than those of the few rows that are due.
        Index(
            "ix_bol_offer_store",
            "store_id",
            "id",
            sqlite_where=text("id > 0"),
            postgresql_where=text("id > 0"),
        ),
        Index("ix_bol_offer_product", "product_id"),
        # Looked for among all offers by what the seller calls them.
        Index("ix_bol_offer_reference", "reference", "store_id"),
        # What the EAN doctor lists and counts, in its order and without reading the rows.
        Index(
            "ix_bol_offer_ailing",
            *("store_id", "ean", "ean_problem", "candidates", "link", "product_id", "method", "state"),
            sqlite_where=text(AILING),
            postgresql_where=text(AILING),
        ),
        Index(
            "ix_bol_offer_due",
            "store_id",
            "urgent",
            "next_try_at",
            sqlite_where=text("dirty_version > done_version AND held_at IS NULL"),
            postgresql_where=text("dirty_version > done_version AND held_at IS NULL"),
        ),
        *(
            Index(
                f"ix_bol_offer_{name}",
                "store_id",
                name,
                sqlite_where=text(f"{name} IS NOT NULL"),
                postgresql_where=text(f"{name} IS NOT NULL"),
            )
            for name in ("read_back_at", "zeroed_at", "held_at", "title_due_at")
        ),
        # Pages count a store's offers by these columns, which the pump leaves alone, without reading the rows.
        Index(
            "ix_bol_offer_counted",
            *("store_id", "state", "method", "link", "excluded", "product_id", "candidates", "ean_problem"),
        ),
        Index(
            "ix_bol_offer_error",
            "store_id",
            "attempts",
            sqlite_where=text("error <> ''"),
            postgresql_where=text("error <> ''"),
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
    link: Mapped[str] = mapped_column(String(10), default=OfferLink.AUTO)
    candidates: Mapped[int] = mapped_column(default=0)
    ean_problem: Mapped[str] = mapped_column(String(20), default="")
    excluded: Mapped[bool] = mapped_column(default=False)
    corrected_stock: Mapped[int | None]
    wanted_amount: Mapped[int | None]
    sent_amount: Mapped[int | None]
    sent_at: Mapped[datetime | None]
    in_doubt: Mapped[bool] = mapped_column(default=False)
    confirmed_amount: Mapped[int | None]
    confirmed_managed: Mapped[bool | None]
    confirmed_at: Mapped[datetime | None]
    confirmed_version: Mapped[int] = mapped_column(default=0)
    ordered_version: Mapped[int] = mapped_column(default=0)
    dirty_version: Mapped[int] = mapped_column(default=0)
    done_version: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime | None]
    changed_version: Mapped[int] = mapped_column(default=0)
    urgent: Mapped[bool] = mapped_column(default=False)
    zeroed_at: Mapped[datetime | None]
    held_at: Mapped[datetime | None]
    zero_allowed: Mapped[bool] = mapped_column(default=False)
    read_back_at: Mapped[datetime | None]
    title_due_at: Mapped[datetime | None]
    title_attempts: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")


class EanLink(Base):
    """The product that a person chose for an EAN when an order waited for it.

    It counts for later orders and new offers of the EAN, as long as no product has the EAN itself.
    """

    __tablename__ = "bol_ean_link"

    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"), primary_key=True)
    ean: Mapped[str] = mapped_column(String(20), primary_key=True)
    product_id: Mapped[int]


class ProductRule(Base):
    """What a store keeps to for one product of the host, instead of its own setting: the safety stock in pieces."""

    __tablename__ = "bol_product_rule"

    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"), primary_key=True)
    product_id: Mapped[int] = mapped_column(primary_key=True)
    safety_stock: Mapped[int]

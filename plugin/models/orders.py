"""Orders of bol and their items, by id and quantity only: names and addresses live in the host's order."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from plugin.models.base import Base


class BolOrderState(StrEnum):
    """What became of an order of bol."""

    FOUND = "found"
    WAITING_FOR_PRODUCT = "waiting for product"
    IMPORTED = "imported"
    NOTHING_TO_SHIP = "nothing to ship"
    TOO_OLD = "before start date"


#: States in which the pieces that are open at bol are not reserved in the host yet.
NOT_IN_HOST = (BolOrderState.FOUND, BolOrderState.WAITING_FOR_PRODUCT)


class BolOrder(Base):
    """An order of bol. read_due_at: when its details must be read (again); None means that nothing is due.

    cancels_on: the day on which bol cancels what is not confirmed as shipped by then. undone: what a person must still do
    about a cancellation, a word of ``plugin.sync.cancel_decisions``.
    """

    __tablename__ = "bol_order"
    __table_args__ = (
        UniqueConstraint("store_id", "order_id"),
        Index("ix_bol_order_due", "store_id", "read_due_at"),
        # Pages list them by id: without it all of a store would be sorted for fifty. The condition is always true, and
        # named by those lists only: else SQLite takes this index for better than those of the few rows that are due.
        Index(
            "ix_bol_order_store",
            "store_id",
            "id",
            sqlite_where=text("id > 0"),
            postgresql_where=text("id > 0"),
        ),
        Index("ix_bol_order_state", "store_id", "state"),
        Index("ix_bol_order_warn", "store_id", "warn_at"),
        # Few of all orders: every page counts them.
        Index(
            "ix_bol_order_undone",
            "store_id",
            "id",
            sqlite_where=text("undone <> ''"),
            postgresql_where=text("undone <> ''"),
        ),
        Index("ix_bol_order_cancels", "store_id", "cancels_on"),
        Index(
            "ix_bol_order_error",
            "store_id",
            "attempts",
            sqlite_where=text("error <> ''"),
            postgresql_where=text("error <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("bol_store.id"))
    order_id: Mapped[str] = mapped_column(String(40))
    placed_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String(30), default=BolOrderState.FOUND)
    host_order_id: Mapped[int | None] = mapped_column(index=True)
    list_signature: Mapped[str] = mapped_column(Text, default="")
    found_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
    read_due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    latest_delivery: Mapped[date | None]
    expires: Mapped[date | None]
    cancels_on: Mapped[date | None]
    warn_at: Mapped[datetime | None]
    undone: Mapped[str] = mapped_column(String(20), default="")

    items: Mapped[list[BolOrderItem]] = relationship(
        back_populates="order", cascade="all, delete-orphan", order_by="BolOrderItem.id"
    )


class BolOrderItem(Base):
    """One item, in pieces as bol counts them. imported: what the host's order line asks for (0: left out).

    product_id: the host's product; set before the import where a person linked it by hand.
    request_kept: a person decided to ship although the customer asks to cancel.
    """

    __tablename__ = "bol_order_item"
    __table_args__ = (
        UniqueConstraint("order_id", "order_item_id"),
        Index("ix_bol_order_item_ean", "ean"),
        # Calls of bol are about items.
        Index("ix_bol_order_item_number", "order_item_id"),
        # Few of all items: every page counts those that nobody has answered.
        Index(
            "ix_bol_order_item_asked",
            "order_id",
            sqlite_where=text("cancellation_request = 1"),
            postgresql_where=text("cancellation_request"),
        ),
        # Few of all items: those of orders that are being shipped.
        Index(
            "ix_bol_order_item_open",
            "order_id",
            sqlite_where=text("quantity > shipped + cancelled"),
            postgresql_where=text("quantity > shipped + cancelled"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("bol_order.id"))
    order_item_id: Mapped[str] = mapped_column(String(40), index=True)
    ean: Mapped[str] = mapped_column(String(20))
    method: Mapped[str] = mapped_column(String(10))
    distribution_party: Mapped[str] = mapped_column(String(20), default="")
    offer_id: Mapped[str] = mapped_column(String(40), default="")
    quantity: Mapped[int]
    shipped: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    cancelled_before_import: Mapped[int] = mapped_column(default=0)
    cancellation_request: Mapped[bool] = mapped_column(default=False)
    request_kept: Mapped[bool] = mapped_column(default=False)
    title: Mapped[str] = mapped_column(String(500), default="")
    imported: Mapped[int] = mapped_column(default=0)
    product_id: Mapped[int | None]

    order: Mapped[BolOrder] = relationship(back_populates="items")

    @property
    def open(self) -> int:
        return max(0, self.quantity - self.shipped - self.cancelled)


class BolOrderEvent(Base):
    """Something that happened to an order, for people who ask what became of it."""

    __tablename__ = "bol_order_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("bol_order.id"), index=True)
    at: Mapped[datetime]
    text: Mapped[str] = mapped_column(String(500))
    #: A code for what it tells, where something hangs on whether it was told; "" for all else.
    fact: Mapped[str] = mapped_column(Text, default="", server_default="")

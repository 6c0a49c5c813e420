"""Orders, their lines, and the marks that plugins put on them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Numeric, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from host_app.db import Base, utcnow
from host_app.models.catalog import Product, Warehouse
from host_app.plugin_api import OrderState


class Order(Base):
    """An order of a customer. ``source`` (the shop) and ``reference`` (its order id) are its identity."""

    __tablename__ = "customer_order"
    __table_args__ = (
        UniqueConstraint("source", "reference"),
        Index("ix_customer_order_state_deadline", "state", "deadline"),
        # Few of all orders: those whose addresses are still to be erased.
        Index(
            "ix_customer_order_done",
            "source",
            "completed_at",
            sqlite_where=text("delivery IS NOT NULL"),
            postgresql_where=text("delivery IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(80), default="")
    reference: Mapped[str] = mapped_column(String(80))
    shop_name: Mapped[str] = mapped_column(String(120), default="")
    state: Mapped[str] = mapped_column(String(20), default=OrderState.CONCEPT)
    state_before_pause: Mapped[str | None] = mapped_column(String(20))
    # The key of the mark under which a plugin holds the order; None where a person paused it.
    held_by: Mapped[str | None] = mapped_column(String(80))
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("warehouse.id"))
    placed_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    completed_at: Mapped[datetime | None]
    deadline: Mapped[datetime | None]
    delivery: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    billing: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    notes: Mapped[str] = mapped_column(Text, default="")
    cancel_reason: Mapped[str] = mapped_column(String(200), default="")

    warehouse: Mapped[Warehouse] = relationship()
    lines: Mapped[list[OrderLine]] = relationship(
        back_populates="order", cascade="all, delete-orphan", order_by="OrderLine.id"
    )
    marks: Mapped[list[OrderMark]] = relationship(cascade="all, delete-orphan", order_by="OrderMark.id")

    @property
    def number(self) -> str:
        return f"O-{self.id:05d}"

    @property
    def customer(self) -> str:
        return (self.delivery or {}).get("name", "")

    def __str__(self) -> str:
        return self.number


class OrderLine(Base):
    """A line of an order, in pieces: quantity = shipped + cancelled + allocated (on open picklists) + waiting."""

    __tablename__ = "order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "external_ref"),
        # Finds what waits for a product when its stock rises.
        Index(
            "ix_order_line_waiting",
            "product_id",
            "order_id",
            sqlite_where=text("quantity > shipped + cancelled + allocated"),
            postgresql_where=text("quantity > shipped + cancelled + allocated"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    name: Mapped[str] = mapped_column(String(500))
    external_ref: Mapped[str | None] = mapped_column(String(80))
    quantity: Mapped[int]
    allocated: Mapped[int] = mapped_column(default=0)
    shipped: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    unit_price: Mapped[Decimal] = mapped_column(Numeric(12, 2), default=Decimal(0))
    discount: Mapped[Decimal] = mapped_column(Numeric(12, 2), default=Decimal(0))
    note: Mapped[str] = mapped_column(String(500), default="")

    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()

    @property
    def open(self) -> int:
        return self.quantity - self.shipped - self.cancelled

    @property
    def waiting(self) -> int:
        return self.open - self.allocated


class OrderMark(Base):
    """A remark that a plugin shows on an order and its picklists, for example that bol asks to cancel it.

    stops_picking: nothing more of the order may be picked, only put back.
    """

    __tablename__ = "order_mark"
    __table_args__ = (UniqueConstraint("order_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"))
    key: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(String(500))
    stops_picking: Mapped[bool] = mapped_column(default=False, server_default=false())

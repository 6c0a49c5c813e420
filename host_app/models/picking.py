"""Picklists, and the shipments (parcels) that closing them makes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from host_app.db import Base, utcnow
from host_app.models.catalog import Product, Warehouse
from host_app.models.orders import Order, OrderLine


class PicklistState(StrEnum):
    """States of a picklist."""

    NEW = "new"
    PAUSED = "paused"
    CLOSED = "closed"
    CANCELLED = "cancelled"


#: What is picked of these lies in a cart.
OPEN_PICKLISTS = (PicklistState.NEW, PicklistState.PAUSED)


class Picklist(Base):
    """The task to collect an order, or the part of it that is in stock."""

    __tablename__ = "picklist"
    __table_args__ = (Index("ix_picklist_state", "state", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), index=True)
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("warehouse.id"))
    state: Mapped[str] = mapped_column(String(20), default=PicklistState.NEW)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str] = mapped_column(String(80), default="")

    order: Mapped[Order] = relationship()
    warehouse: Mapped[Warehouse] = relationship()
    lines: Mapped[list[PicklistLine]] = relationship(
        back_populates="picklist", cascade="all, delete-orphan", order_by="PicklistLine.id"
    )
    shipments: Mapped[list[Shipment]] = relationship(back_populates="picklist", order_by="Shipment.id")
    labels: Mapped[list[Label]] = relationship(back_populates="picklist", order_by="Label.id")

    @property
    def number(self) -> str:
        return f"P-{self.id:05d}"

    def __str__(self) -> str:
        return self.number


class PicklistLine(Base):
    """What to collect for one order line, and how much of it lies in the cart."""

    __tablename__ = "picklist_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    picklist_id: Mapped[int] = mapped_column(ForeignKey("picklist.id"), index=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    quantity: Mapped[int]
    picked: Mapped[int] = mapped_column(default=0)

    picklist: Mapped[Picklist] = relationship(back_populates="lines")
    order_line: Mapped[OrderLine] = relationship()
    product: Mapped[Product] = relationship()


class Label(Base):
    """A shipping label that a plugin bought for goods on a picklist. ``pieces``: order line id -> pieces it covers."""

    __tablename__ = "label"
    __table_args__ = (UniqueConstraint("picklist_id", "ref"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    picklist_id: Mapped[int] = mapped_column(ForeignKey("picklist.id"))
    ref: Mapped[str] = mapped_column(String(120))
    carrier: Mapped[str] = mapped_column(String(60))
    tracking_code: Mapped[str] = mapped_column(String(80))
    pieces: Mapped[dict[str, int]] = mapped_column(JSON)
    pdf: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    shipment_id: Mapped[int | None] = mapped_column(ForeignKey("shipment.id"), index=True)

    picklist: Mapped[Picklist] = relationship(back_populates="labels")


class Shipment(Base):
    """One parcel that left: a picklist may have several. Withdrawn means that it did not leave after all."""

    __tablename__ = "shipment"

    id: Mapped[int] = mapped_column(primary_key=True)
    picklist_id: Mapped[int] = mapped_column(ForeignKey("picklist.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), index=True)
    carrier: Mapped[str] = mapped_column(String(40))
    tracking_code: Mapped[str | None] = mapped_column(String(80), index=True)
    label_ref: Mapped[str | None] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    withdrawn_at: Mapped[datetime | None]

    picklist: Mapped[Picklist] = relationship(back_populates="shipments")
    order: Mapped[Order] = relationship()
    label: Mapped[Label | None] = relationship(viewonly=True)
    lines: Mapped[list[ShipmentLine]] = relationship(
        back_populates="shipment", cascade="all, delete-orphan", order_by="ShipmentLine.id"
    )


class ShipmentLine(Base):
    """What one parcel holds of one order line, in pieces."""

    __tablename__ = "shipment_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    shipment_id: Mapped[int] = mapped_column(ForeignKey("shipment.id"), index=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), index=True)
    quantity: Mapped[int]

    shipment: Mapped[Shipment] = relationship(back_populates="lines")
    order_line: Mapped[OrderLine] = relationship()

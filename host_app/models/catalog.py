"""Products, their barcodes, and their stock in each warehouse."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from host_app.db import Base, utcnow


class Warehouse(Base):
    """A place where stock lies."""

    __tablename__ = "warehouse"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    active: Mapped[bool] = mapped_column(default=True)

    def __str__(self) -> str:
        return self.name


class Product(Base):
    """An article. ``stock_known`` is False until somebody has set the stock of a product that came without."""

    __tablename__ = "product"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(500))
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    stock_known: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    barcodes: Mapped[list[Barcode]] = relationship(
        back_populates="product", cascade="all, delete-orphan", order_by="Barcode.id"
    )
    stock: Mapped[list[Stock]] = relationship(back_populates="product", order_by="Stock.warehouse_id")

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Barcode(Base):
    """A barcode of a product. The same barcode may stand on two products."""

    __tablename__ = "barcode"
    __table_args__ = (UniqueConstraint("product_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    code: Mapped[str] = mapped_column(String(80), index=True)

    product: Mapped[Product] = relationship(back_populates="barcodes")

    def __str__(self) -> str:
        return self.code


class Stock(Base):
    """Stock of a product in a warehouse, in pieces; changed by relative SQL only.

    physical: on the shelves. reserved: in open order lines, whatever the order's state. allocated: the part of
    reserved that stands on open picklists. Free stock is physical - reserved and may be negative.
    """

    __tablename__ = "stock"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("warehouse.id"), primary_key=True, index=True)
    physical: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)
    allocated: Mapped[int] = mapped_column(default=0)

    product: Mapped[Product] = relationship(back_populates="stock")
    warehouse: Mapped[Warehouse] = relationship()

    @property
    def free(self) -> int:
        return self.physical - self.reserved


class StockHistory(Base):
    """One change of stock, with its reason. The order of ids tells which product was modified last."""

    __tablename__ = "stock_history"

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("warehouse.id"))
    physical_change: Mapped[int]
    reserved_change: Mapped[int]
    physical: Mapped[int]
    reserved: Mapped[int]
    reason: Mapped[str] = mapped_column(String(200))
    who: Mapped[str] = mapped_column(String(80), default="")
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)

    product: Mapped[Product] = relationship()
    warehouse: Mapped[Warehouse] = relationship()

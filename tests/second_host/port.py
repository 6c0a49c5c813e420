"""The second host's warehouse: its own tables, and the host port over them, for one process and one shelf."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cattrs.preconf.json import make_converter
from sqlalchemy import JSON, Engine, ForeignKey, UniqueConstraint, create_engine, delete, event, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from host_app.plugin_api import (
    EVENT_HOOKS,
    AcceptedOrder,
    Choice,
    Event,
    FreeStock,
    HostError,
    LabelledPicklist,
    LabelView,
    LeaseLost,
    NewLabel,
    NewOrder,
    NewProduct,
    Notice,
    OrderCancelled,
    OrderLineView,
    OrderPicked,
    OrderState,
    OrderView,
    Parcel,
    ParcelLine,
    PicklistClosed,
    PicklistView,
    PlatformHealth,
    ProductChanged,
    ProductView,
    StockChange,
    Wake,
)

CARRIERS = {"postnl": "PostNL", "dhl": "DHL"}
DONE = (OrderState.COMPLETED, OrderState.CANCELLED)
SLICE_SECONDS = 60.0


class Base(DeclarativeBase):
    """The base of this host's tables."""


class Article(Base):
    """A product: what lies on the shelf, and what of it is promised to orders."""

    __tablename__ = "article"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    on_shelf: Mapped[int]
    promised: Mapped[int] = mapped_column(default=0)
    known: Mapped[bool]


class ArticleBarcode(Base):
    """A barcode of a product."""

    __tablename__ = "article_barcode"
    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    code: Mapped[str]


class Movement(Base):
    """A change of stock; its id tells which product changed last."""

    __tablename__ = "movement"
    id: Mapped[int] = mapped_column(primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))


class Sale(Base):
    """An order, and in this host its one picklist, too."""

    __tablename__ = "sale"
    __table_args__ = (UniqueConstraint("source", "reference"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    reference: Mapped[str]
    state: Mapped[str]
    held_by: Mapped[str] = mapped_column(default="")
    deadline: Mapped[str] = mapped_column(default="")
    ended_at: Mapped[str] = mapped_column(default="")
    delivery: Mapped[str]
    lines: Mapped[list[SaleLine]] = relationship(order_by="SaleLine.id")
    boxes: Mapped[list[Box]] = relationship(order_by="Box.id")


class SaleLine(Base):
    """A line of an order."""

    __tablename__ = "sale_line"
    id: Mapped[int] = mapped_column(primary_key=True)
    sale_id: Mapped[int] = mapped_column(ForeignKey("sale.id"))
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    quantity: Mapped[int]
    shipped: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    external_ref: Mapped[str]


class Box(Base):
    """The parcel of an order: all that was open of it."""

    __tablename__ = "box"
    id: Mapped[int] = mapped_column(primary_key=True)
    sale_id: Mapped[int] = mapped_column(ForeignKey("sale.id"))
    carrier: Mapped[str]
    tracking_code: Mapped[str]
    pieces: Mapped[dict[str, int]] = mapped_column(JSON)


class Remark(Base):
    """A text that a plugin shows on an order."""

    __tablename__ = "remark"
    sale_id: Mapped[int] = mapped_column(ForeignKey("sale.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]


class Told(Base):
    """What people were told."""

    __tablename__ = "told"
    key: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    read: Mapped[bool] = mapped_column(default=False)


class BoughtLabel(Base):
    """A label that a plugin has bought."""

    __tablename__ = "bought_label"
    ref: Mapped[str] = mapped_column(primary_key=True)
    sale_id: Mapped[int] = mapped_column(ForeignKey("sale.id"))
    pdf: Mapped[bytes]


class Happened(Base):
    """An event that the plugin is still to be told, written with the change that it tells of."""

    __tablename__ = "happened"
    id: Mapped[int] = mapped_column(primary_key=True)
    hook: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)


class Port:
    """The host port; see :class:`host_app.plugin_api.HostPort` for what each part means."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.engine = _engine(folder / "second.sqlite")
        self.redis_url = redis_url
        self.secret_folder = str(folder)
        self.public_url = ""
        self.language = "en"
        #: Wakes whose jobs are still to be run, by name.
        self.woken: dict[str, Wake] = {}
        self._thread = threading.local()

    # transactions

    @property
    def session(self) -> Session:
        session: Session | None = getattr(self._thread, "session", None)
        if session is None:
            raise RuntimeError("No transaction is open.")
        return session

    @property
    def in_transaction(self) -> bool:
        session: Session | None = getattr(self._thread, "session", None)
        return session is not None and session.in_transaction()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        outer: Session | None = getattr(self._thread, "session", None)
        if outer is not None and "wakes" in outer.info:
            raise RuntimeError("A transaction is open already.")
        if outer is not None:
            outer.rollback()
        with Session(self.engine.execution_options(writing=True), expire_on_commit=False) as session:
            session.info["wakes"] = []
            session.connection()
            self._thread.session = session
            try:
                yield session
                session.commit()
            finally:
                self._thread.session = outer
        self._send(session.info["wakes"])

    @contextmanager
    def reading(self) -> Iterator[Session]:
        outer: Session | None = getattr(self._thread, "session", None)
        if outer is not None and "wakes" in outer.info:
            raise RuntimeError("A transaction is open already.")
        with Session(self.engine) as session:
            self._thread.session = session
            try:
                yield session
                session.expunge_all()
            finally:
                self._thread.session = outer

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wake(self, *wakes: Wake) -> None:
        session: Session | None = getattr(self._thread, "session", None)
        if session is not None and "wakes" in session.info:
            session.info["wakes"].extend(wakes)
        else:
            self._send(wakes)

    def _send(self, wakes: Iterable[Wake]) -> None:
        self.woken.update((wake.name, wake) for wake in wakes)

    def health(self) -> PlatformHealth:
        return PlatformHealth("", "", 1, 1, {"": len(self.woken)}, None)

    # products and stock

    def products(self, product_ids: Iterable[int]) -> Mapping[int, ProductView]:
        rows = self.session.scalars(select(Article).where(Article.id.in_(list(product_ids)))).all()
        return {row.id: ProductView(row.id, row.code, row.name, self._barcodes(row.id)) for row in rows}

    def _barcodes(self, article_id: int) -> tuple[str, ...]:
        mine = select(ArticleBarcode.code).where(ArticleBarcode.article_id == article_id)
        return tuple(self.session.scalars(mine.order_by(ArticleBarcode.id)))

    def products_by_code(self, codes: Iterable[str]) -> Mapping[str, int]:
        found = self.session.execute(
            select(Article.code, Article.id).where(Article.code.in_(list(codes)))
        ).all()
        return {code: article_id for code, article_id in found}

    def products_by_barcode(self, barcodes: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        wanted = select(ArticleBarcode).where(ArticleBarcode.code.in_(list(barcodes)))
        for row in self.session.scalars(wanted.order_by(ArticleBarcode.id)):
            found[row.code] = (*found.get(row.code, ()), row.article_id)
        return found

    def create_product(self, product: NewProduct) -> int:
        if self.products_by_code([product.code]):
            raise HostError(f"The code {product.code} is in use.")
        row = Article(
            code=product.code, name=product.name, on_shelf=product.stock or 0, known=product.stock is not None
        )
        self.session.add(row)
        self.session.flush()
        self.session.add_all(ArticleBarcode(article_id=row.id, code=code) for code in product.barcodes)
        self.emit(ProductChanged(row.id))
        self.move(row.id)
        return row.id

    def name_product(self, product_id: int, name: str, instead_of: str) -> bool:
        row = self.session.get(Article, product_id)
        if row is None or row.name != instead_of:
            return False
        row.name = name
        return True

    def free_stock(
        self, product_ids: Iterable[int], warehouse_ids: Sequence[int] | None = None
    ) -> Mapping[int, FreeStock]:
        newest = dict(
            self.session.execute(
                select(Movement.article_id, func.max(Movement.id)).group_by(Movement.article_id)
            )
            .tuples()
            .all()
        )
        rows = self.session.scalars(select(Article).where(Article.id.in_(list(product_ids)))).all()
        return {
            row.id: FreeStock(row.on_shelf - row.promised, newest.get(row.id, 0), row.known, row.promised)
            for row in rows
        }

    def move(self, article_id: int, on_shelf: int = 0, promised: int = 0) -> None:
        """Change the stock of a product; the plugin is told."""
        row = self.session.get_one(Article, article_id)
        row.on_shelf, row.promised = row.on_shelf + on_shelf, row.promised + promised
        moved = Movement(article_id=article_id)
        self.session.add(moved)
        self.session.flush()
        self.emit(StockChange(article_id, moved.id, row.on_shelf - row.promised, self.now()))

    def warehouses(self) -> Sequence[Choice]:
        return [Choice("1", "The shelf")]

    def carriers(self) -> Sequence[Choice]:
        return [Choice(code, title) for code, title in CARRIERS.items()]

    # orders

    def accept_order(self, order: NewOrder) -> AcceptedOrder:
        known = self.session.scalar(
            select(Sale).where(Sale.source == order.source, Sale.reference == order.reference)
        )
        if known is not None:
            return AcceptedOrder(known.id, f"S{known.id}", created=False)
        sale = Sale(
            source=order.source,
            reference=order.reference,
            state=OrderState.PROCESSING if order.process else OrderState.CONCEPT,
            deadline="" if order.deadline is None else order.deadline.isoformat(),
            delivery=f"{order.delivery.name}, {order.delivery.postal_code} {order.delivery.city}",
            lines=[
                SaleLine(article_id=line.product_id, quantity=line.quantity, external_ref=line.external_ref)
                for line in order.lines
            ],
        )
        self.session.add(sale)
        self.session.flush()
        for line in sale.lines:
            self.move(line.article_id, promised=line.quantity)
        return AcceptedOrder(sale.id, f"S{sale.id}", created=True)

    def order(self, order_id: int) -> OrderView | None:
        # Who writes on SQLite has the whole database to itself: that is the lock.
        return self.order_views([order_id]).get(order_id)

    def order_views(self, order_ids: Iterable[int]) -> Mapping[int, OrderView]:
        sales = self.session.scalars(select(Sale).where(Sale.id.in_(list(order_ids)))).all()
        return {
            sale.id: OrderView(
                sale.id,
                f"S{sale.id}",
                sale.source,
                sale.reference,
                OrderState(sale.state),
                tuple(
                    OrderLineView(
                        line.id,
                        line.article_id,
                        line.external_ref,
                        line.quantity,
                        0,
                        line.shipped,
                        line.cancelled,
                    )
                    for line in sale.lines
                ),
            )
            for sale in sales
        }

    def mark_order(self, order_id: int, key: str, text: str | None, *, stops_picking: bool = False) -> None:
        self.session.execute(delete(Remark).where(Remark.sale_id == order_id, Remark.key == key))
        if text:
            self.session.add(Remark(sale_id=order_id, key=key, text=text))

    def set_deadline(self, order_id: int, deadline: datetime) -> None:
        self.session.get_one(Sale, order_id).deadline = deadline.isoformat()

    def cancel_order(self, order_id: int, reason: str) -> None:
        sale = self.session.get_one(Sale, order_id)
        if sale.state == OrderState.CANCELLED:
            return
        if any(line.shipped for line in sale.lines):
            raise OrderPicked("This order was shipped.")
        for line in sale.lines:
            line.cancelled = line.quantity
            self.move(line.article_id, promised=-line.quantity)
        sale.state, sale.ended_at = OrderState.CANCELLED, self.now().isoformat()
        self.emit(OrderCancelled(sale.id, sale.source, sale.reference, reason))

    def take_off(self, order_id: int, order_line_id: int, pieces: int, who: str) -> None:
        sale = self.session.get_one(Sale, order_id)
        line = next((line for line in sale.lines if line.id == order_line_id), None)
        if sale.state in DONE or line is None or pieces > line.quantity - line.shipped - line.cancelled:
            raise HostError("So many are not open.")
        line.cancelled += pieces
        self.move(line.article_id, promised=-pieces)
        if all(line.quantity == line.shipped + line.cancelled for line in sale.lines):
            shipped = any(line.shipped for line in sale.lines)
            sale.state = OrderState.COMPLETED if shipped else OrderState.CANCELLED
            sale.ended_at = self.now().isoformat()

    def hold_order(self, order_id: int, key: str, text: str) -> bool:
        sale = self.session.get_one(Sale, order_id)
        if sale.state in DONE or any(line.shipped for line in sale.lines):
            return False
        sale.state, sale.held_by = OrderState.PAUSED, key
        self.mark_order(order_id, key, text)
        return True

    def release_order(self, order_id: int, key: str) -> None:
        sale = self.session.get_one(Sale, order_id)
        self.mark_order(order_id, key, None)
        if sale.state == OrderState.PAUSED and sale.held_by == key:
            sale.state, sale.held_by = OrderState.PROCESSING, ""

    def erase_addresses(self, source: str, done_before: datetime, most: int = 1000) -> int:
        before = done_before.astimezone(UTC).isoformat()
        ended = select(Sale).where(Sale.source == source, Sale.state.in_(DONE), Sale.ended_at < before)
        sales = self.session.scalars(ended.where(Sale.delivery != "").limit(most)).all()
        for sale in sales:
            sale.delivery = ""
            self.session.execute(delete(BoughtLabel).where(BoughtLabel.sale_id == sale.id))
        return len(sales)

    # parcels: an order is its own picklist

    def picklist(self, picklist_id: int) -> PicklistView | None:
        sale = self.session.get(Sale, picklist_id)
        if sale is None:
            return None
        closed = datetime.fromisoformat(sale.ended_at) if sale.state == OrderState.COMPLETED else None
        pieces = {line.id: line.quantity - line.cancelled for line in sale.lines}
        boxes = tuple(_parcel(self.session, box) for box in sale.boxes)
        state = "closed" if closed else "new"
        return PicklistView(sale.id, sale.id, sale.source, sale.reference, state, closed, boxes, pieces)

    def parcel(self, shipment_id: int) -> Parcel | None:
        box = self.session.get(Box, shipment_id)
        return None if box is None else _parcel(self.session, box)

    def withdrawn(self, shipment_ids: Iterable[int]) -> frozenset[int]:
        return frozenset()  # what has left here can't be taken back

    def close_picklist(self, sale_id: int, carrier: str, tracking_code: str) -> None:
        """Ship what is open of an order in one parcel; the plugin is told.

        :raises HostError: the order is not to be shipped now.
        """
        sale = self.session.get_one(Sale, sale_id)
        if sale.state != OrderState.PROCESSING or carrier not in CARRIERS:
            raise HostError("This order can't be shipped now, or not so.")
        pieces = {str(line.id): line.quantity - line.cancelled for line in sale.lines}
        box = Box(carrier=carrier, tracking_code=tracking_code, pieces=pieces)
        sale.boxes.append(box)
        for line in sale.lines:
            sent = line.quantity - line.cancelled
            line.shipped = sent
            self.move(line.article_id, on_shelf=-sent, promised=-sent)
        now = self.now()
        sale.state, sale.ended_at = OrderState.COMPLETED, now.isoformat()
        self.session.flush()
        parcels = (_parcel(self.session, box),)
        self.emit(PicklistClosed(sale.id, sale.id, sale.source, sale.reference, now, parcels))

    def attach_label(self, label: NewLabel) -> None:
        if self.session.get(BoughtLabel, label.ref) is None:
            self.session.add(BoughtLabel(ref=label.ref, sale_id=label.picklist_id, pdf=label.pdf))

    def labelled_picklists(self, picklist_ids: Iterable[int]) -> Mapping[int, LabelledPicklist]:
        bought = self.session.scalars(select(BoughtLabel).where(BoughtLabel.sale_id.in_(set(picklist_ids))))
        found: dict[int, list[LabelView]] = {sale_id: [] for sale_id in picklist_ids}
        for label in bought:
            found[label.sale_id].append(LabelView(label.ref, "", "", f"/labels/{label.ref}", used=False))
        return {
            sale_id: LabelledPicklist(str(sale_id), f"/sales/{sale_id}", tuple(labels))
            for sale_id, labels in found.items()
        }

    # people

    def notify(self, notice: Notice) -> bool:
        if self.session.get(Told, notice.key) is not None:
            return False
        self.session.add(Told(key=notice.key, title=notice.title))
        self.session.flush()
        return True

    def settle_notices(self, key: str) -> None:
        for row in self.session.scalars(select(Told)):
            if row.key == key or row.key.startswith(f"{key}:"):
                row.read = True

    def order_url(self, order_id: int) -> str:
        return f"/admin/sales/#{order_id}"

    def picked_url(self, order_id: int) -> str:
        return ""  # nothing lies picked: an order is shipped by one button

    # events

    def tell_again(self, plugin: str, since: datetime | None) -> Mapping[str, int]:
        """Tell of each box that left since then; an event that fails stays, so none has to be freed."""
        told = 0
        with self.transaction():
            ended = select(Sale).where(Sale.ended_at >= since.isoformat()) if since else None
            for sale in self.session.scalars(ended) if ended is not None else ():
                for box in sale.boxes:
                    left = (_parcel(self.session, box),)
                    when = datetime.fromisoformat(sale.ended_at)
                    self.emit(PicklistClosed(sale.id, sale.id, sale.source, sale.reference, when, left))
                    told += 1
        return {"picklist_closed": told} if told else {}

    def emit(self, happened: Event) -> None:
        """Write an event in the transaction of the change that it tells of."""
        self.session.add(Happened(hook=EVENT_HOOKS[type(happened)], payload=_json.unstructure(happened)))

    def happened(self) -> list[tuple[str, Any]]:
        """Take what is to be told, as (hook, event), oldest first; it is gone when the transaction commits."""
        rows = self.session.scalars(select(Happened).order_by(Happened.id)).all()
        for row in rows:
            self.session.delete(row)
        return [(row.hook, _json.structure(row.payload, _classes[row.hook])) for row in rows]


class OnlyLease:
    """A lease where one process does all work, one piece after the other: nobody else can have it."""

    def __init__(self, name: str) -> None:
        self.token = f"{name}:{time.monotonic_ns()}"
        self._ends = time.monotonic() + SLICE_SECONDS

    def ensure(self, seconds: float = 30) -> None:
        if time.monotonic() > self._ends + SLICE_SECONDS:
            raise LeaseLost(self.token)

    def slice_over(self) -> bool:
        return time.monotonic() > self._ends


_json = make_converter()
_classes = {hook: happened for happened, hook in EVENT_HOOKS.items()}


def _parcel(session: Session, box: Box) -> Parcel:
    lines = session.scalars(select(SaleLine).where(SaleLine.sale_id == box.sale_id)).all()
    held = tuple(
        ParcelLine(line.id, line.article_id, box.pieces[str(line.id)], line.external_ref)
        for line in lines
        if box.pieces.get(str(line.id))
    )
    return Parcel(box.id, box.carrier, box.tracking_code, None, held)


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine

"""The host port: what plugins may ask of the host, joined from the host's services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime

from flask import Flask, current_app, has_app_context
from sqlalchemy import select
from sqlalchemy.orm import Session

from host_app import db, health, replay
from host_app.carriers import CARRIERS, carrier_title
from host_app.config import Config
from host_app.models import Warehouse
from host_app.plugin_api import (
    AcceptedOrder,
    Choice,
    FreeStock,
    HostPort,
    LabelledPicklist,
    NewLabel,
    NewOrder,
    NewProduct,
    Notice,
    OrderView,
    Parcel,
    PicklistView,
    PlatformHealth,
    ProductView,
    Wake,
)
from host_app.services import catalog, labels, notifications, orders, picking, stock
from host_app.wakes import wake


class Host:
    """The host as plugins see it; see :class:`host_app.plugin_api.HostPort` for what each part means."""

    def __init__(self, app: Flask, config: Config) -> None:
        self._app = app
        self._config = config

    @property
    def redis_url(self) -> str:
        return self._config.redis_url

    @property
    def secret_folder(self) -> str:
        return str(self._config.instance)

    @property
    def public_url(self) -> str:
        return self._config.public_url

    @property
    def language(self) -> str:
        return self._config.language

    @property
    def session(self) -> Session:
        return db.current_session()

    @property
    def in_transaction(self) -> bool:
        return db.in_transaction()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._in_application(), db.transaction() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._in_application(), db.reading() as session:
            yield session

    def _in_application(self) -> AbstractContextManager[object]:
        """A plugin's own threads have no application context, and so no session, until they need one."""
        return nullcontext() if has_app_context() else self._app.app_context()

    def now(self) -> datetime:
        return db.utcnow()

    def health(self) -> PlatformHealth:
        return health.platform_health()

    def wake(self, *wakes: Wake) -> None:
        wake(*wakes)

    def products(self, product_ids: Iterable[int]) -> Mapping[int, ProductView]:
        return catalog.products(product_ids)

    def products_by_code(self, codes: Iterable[str]) -> Mapping[str, int]:
        return catalog.products_by_code(codes)

    def products_by_barcode(self, barcodes: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
        return catalog.products_by_barcode(barcodes)

    def create_product(self, product: NewProduct) -> int:
        return catalog.create_product(product)

    def name_product(self, product_id: int, name: str, instead_of: str) -> bool:
        return catalog.name_product(product_id, name, instead_of)

    def free_stock(
        self, product_ids: Iterable[int], warehouse_ids: Sequence[int] | None = None
    ) -> Mapping[int, FreeStock]:
        return stock.free_stock(product_ids, warehouse_ids)

    def warehouses(self) -> Sequence[Choice]:
        rows = db.current_session().scalars(select(Warehouse).where(Warehouse.active).order_by(Warehouse.id))
        return [Choice(str(row.id), row.name) for row in rows]

    def carriers(self) -> Sequence[Choice]:
        return [Choice(code, carrier_title(code)) for code in CARRIERS]

    def accept_order(self, order: NewOrder) -> AcceptedOrder:
        return orders.accept_order(order)

    def order(self, order_id: int) -> OrderView | None:
        return orders.locked_order_view(order_id)

    def order_views(self, order_ids: Iterable[int]) -> Mapping[int, OrderView]:
        return orders.order_views(order_ids)

    def mark_order(self, order_id: int, key: str, text: str | None, *, stops_picking: bool = False) -> None:
        orders.mark_order(order_id, key, text, stops_picking=stops_picking)

    def set_deadline(self, order_id: int, deadline: datetime) -> None:
        orders.set_deadline(order_id, deadline)

    def cancel_order(self, order_id: int, reason: str) -> None:
        orders.cancel_order(order_id, reason)

    def take_off(self, order_id: int, order_line_id: int, pieces: int, who: str) -> None:
        orders.take_off(order_id, order_line_id, pieces, who=who)

    def hold_order(self, order_id: int, key: str, text: str) -> bool:
        return orders.hold_order(order_id, key, text)

    def release_order(self, order_id: int, key: str) -> None:
        orders.release_order(order_id, key)

    def erase_addresses(self, source: str, done_before: datetime, most: int = 1000) -> int:
        return orders.erase_addresses(source, done_before, most)

    def picklist(self, picklist_id: int) -> PicklistView | None:
        return picking.picklist_view(picklist_id)

    def parcel(self, shipment_id: int) -> Parcel | None:
        return picking.parcel_view(shipment_id)

    def withdrawn(self, shipment_ids: Iterable[int]) -> frozenset[int]:
        return picking.withdrawn(shipment_ids)

    def attach_label(self, label: NewLabel) -> None:
        labels.attach(label)

    def labelled_picklists(self, picklist_ids: Iterable[int]) -> Mapping[int, LabelledPicklist]:
        return labels.labelled_picklists(picklist_ids)

    def notify(self, notice: Notice) -> bool:
        return notifications.notify(notice)

    def settle_notices(self, key: str) -> None:
        notifications.settle(key)

    def order_url(self, order_id: int) -> str:
        return f"/admin/orders/{order_id}"

    def picked_url(self, order_id: int) -> str:
        picklist_id = orders.picked_on(order_id)
        return f"/admin/picklists/{picklist_id}" if picklist_id is not None else ""

    def tell_again(self, plugin: str, since: datetime | None) -> Mapping[str, int]:
        return replay.tell_again(plugin, since)


def host_port() -> HostPort:
    """Return the current application's port."""
    found: HostPort = current_app.extensions["host_port"]
    return found

"""What is due, in one indexed look per kind of work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, or_, select

from host_app.plugin_api import HostPort
from plugin.models import (
    BolOrder,
    EffectState,
    Offer,
    ProcessStatusRow,
    Run,
    RunState,
    ShipmentEffect,
    Store,
    StoreState,
)
from plugin.settings import StoreSettings

ORDERS, STOCK, SHIPMENTS, PRODUCTS = "orders", "stock", "shipments", "products"
#: A row that was sent under a lease which must be over by now, without an answer: its job died.
ABANDONED = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Due:
    """One kind of work of one store that has something to do now."""

    kind: str
    store_id: int


def due(host: HostPort, now: datetime) -> list[Due]:
    """Return all work that is due."""
    with host.reading() as session:
        return [
            Due(kind, store.id)
            for store in session.scalars(select(Store).order_by(Store.id))
            for kind in _kinds(session, store, now)
        ]


def _kinds(session: Any, store: Store, now: datetime) -> Iterator[str]:
    settings = StoreSettings.load(store.settings)
    active = store.state == StoreState.ACTIVE
    if _shipments(session, store.id, now, sending=active and settings.send_shipments):
        yield SHIPMENTS
    if active and settings.import_orders and _orders(session, store, now):
        yield ORDERS
    if active and settings.send_stock and _stock(session, store.id, now):
        yield STOCK
    if _any(session, Run.id, Run.store_id == store.id, Run.state == RunState.RUNNING, Run.due_at <= now):
        yield PRODUCTS


def _orders(session: Any, store: Store, now: datetime) -> bool:
    if store.next_import_at is None or store.next_import_at <= now:
        return True
    if store.import_wanted_at is not None and store.import_wanted_at <= now:
        return True
    return _any(session, BolOrder.id, BolOrder.store_id == store.id, BolOrder.read_due_at <= now)


def _stock(session: Any, store_id: int, now: datetime) -> bool:
    return _any(
        session,
        Offer.id,
        Offer.store_id == store_id,
        Offer.dirty_version > Offer.done_version,
        or_(Offer.next_try_at.is_(None), Offer.next_try_at <= now),
    )


def _shipments(session: Any, store_id: int, now: datetime, *, sending: bool) -> bool:
    """What bol has been asked is followed in a paused store, too."""
    mine = ShipmentEffect.store_id == store_id
    return (
        _any(
            session,
            ProcessStatusRow.id,
            ProcessStatusRow.store_id == store_id,
            ProcessStatusRow.next_poll_at <= now,
        )
        or _any(
            session,
            ShipmentEffect.id,
            mine,
            ShipmentEffect.state == EffectState.UNKNOWN,
            ShipmentEffect.due_at <= now,
        )
        or _any(
            session,
            ShipmentEffect.id,
            mine,
            ShipmentEffect.state == EffectState.SENT,
            ShipmentEffect.process_status_id.is_(None),
            ShipmentEffect.sent_at <= now - ABANDONED,
        )
        or (
            sending
            and _any(
                session,
                ShipmentEffect.id,
                mine,
                ShipmentEffect.state == EffectState.WANTED,
                ShipmentEffect.due_at <= now,
            )
        )
    )


def _any(session: Any, column: Any, *conditions: Any) -> bool:
    return bool(session.scalar(select(exists(select(column).where(*conditions)))))

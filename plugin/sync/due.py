"""What is due: one look finds the stores that may have something to do, an indexed one per kind of work tells what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, exists, or_, select

from host_app.plugin_api import HostPort
from plugin.models import (
    BolOrder,
    CancellationEffect,
    EffectState,
    LabelEffect,
    Offer,
    ProcessStatusRow,
    Run,
    RunState,
    ShipmentEffect,
    Store,
    StoreState,
    TransportEffect,
)
from plugin.settings import StoreSettings
from plugin.sync.cancelling import next_cancellation
from plugin.sync.context import is_active, settings_of
from plugin.sync.corrections import next_correction
from plugin.sync.deadlines import WARNED
from plugin.sync.dirty import in_need, ready
from plugin.sync.labels import abandoned_label, next_label
from plugin.sync.orders import due_orders
from plugin.sync.preview import KIND as PREVIEW
from plugin.sync.products import KIND as IMPORT
from plugin.sync.pump import look_after_due
from plugin.sync.shipments import next_parcel
from plugin.sync.stock_check import KIND as CHECK_RUN
from plugin.sync.sweep import KIND as SWEEP
from plugin.sync.titles import due_titles

ORDERS, STOCK, SHIPMENTS, PRODUCTS = "orders", "stock", "shipments", "products"
CHECK, NAMES, UPKEEP, TIDY = "check", "names", "upkeep", "tidy"
#: A row that was sent under a lease which must be over by now, without an answer: its job died.
ABANDONED = timedelta(seconds=60)
EFFECTS = (ShipmentEffect, CancellationEffect, TransportEffect, LabelEffect)


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
            for store in session.scalars(_with_something(now))
            for kind in _kinds(session, store, now)
        ]


def _with_something(now: datetime) -> Select[Store]:
    """Select the stores that may have something to do: every one that has, and few others.

    Of a thousand stores most have nothing in this second. What :func:`_kinds` yields must be found by something here.
    """

    def of_store(model: Any, *conditions: Any) -> Any:
        return exists().where(model.store_id == Store.id, *conditions)

    def come(column: Any) -> Any:
        return or_(column.is_(None), column <= now)

    asked = (EffectState.WANTED, EffectState.UNKNOWN, EffectState.SENT)
    abandoned = now - ABANDONED
    importing = or_(come(Store.next_import_at), Store.import_wanted_at <= now, Store.next_sweep_at <= now)
    sending = Store.settings["send_stock"].as_boolean() & or_(
        come(Store.next_check_at),
        # Stock was sent after the last look for new orders.
        Store.stock_sent_at.is_not(None)
        & or_(Store.orders_known_at.is_(None), Store.orders_known_at <= Store.stock_sent_at),
    )
    return (
        select(Store)
        .where(
            or_(
                come(Store.next_erase_at),
                come(Store.next_upkeep_at),
                Store.state.in_((StoreState.ACTIVE, StoreState.DISCONNECTING)) & or_(importing, sending),
                of_store(ProcessStatusRow, ProcessStatusRow.next_poll_at <= now),
                *(of_store(model, model.state.in_(asked), model.due_at <= now) for model in EFFECTS),
                *(
                    of_store(
                        model,
                        model.state == EffectState.SENT,
                        model.process_status_id.is_(None),
                        model.sent_at <= abandoned,
                    )
                    for model in EFFECTS
                ),
                of_store(BolOrder, BolOrder.read_due_at <= now),
                of_store(BolOrder, BolOrder.warn_at <= now, BolOrder.state.in_(WARNED)),
                of_store(Offer, in_need(Offer), ready(now)),
                of_store(Offer, Offer.read_back_at <= now),
                of_store(Offer, Offer.title_due_at <= now),
                of_store(Run, Run.state == RunState.RUNNING, Run.due_at <= now),
            )
        )
        .order_by(Store.id)
    )


def _kinds(session: Any, store: Store, now: datetime) -> Iterator[str]:
    if store.next_erase_at is None or store.next_erase_at <= now:
        yield TIDY
    resting = store.rests_until is not None and store.rests_until > now
    if store.state != StoreState.DISCONNECTED and not resting:
        yield from _with_bol(session, store, now)


def _with_bol(session: Any, store: Store, now: datetime) -> Iterator[str]:
    settings, active = settings_of(store), is_active(store)
    if _effects(session, store.id, now, active=active, sending=active and settings.send_shipments):
        yield SHIPMENTS
    if active and _orders(session, store, now, importing=settings.import_orders):
        yield ORDERS
    if active and settings.send_stock and _stock(session, store, settings, now):
        yield STOCK
    if _any(
        session,
        Run.id,
        Run.store_id == store.id,
        Run.kind.in_((IMPORT, PREVIEW)),
        Run.state == RunState.RUNNING,
        Run.due_at <= now,
    ):
        yield PRODUCTS
    if active and _any(session, Offer.id, *due_titles(store.id, now)):
        yield NAMES
    if store.next_upkeep_at is None or store.next_upkeep_at <= now:
        yield UPKEEP
    if _check(
        session, store, now, nightly=active and settings.send_stock and settings.check_time is not None
    ):
        yield CHECK


def _orders(session: Any, store: Store, now: datetime, *, importing: bool) -> bool:
    mine = BolOrder.store_id == store.id
    if _any(session, BolOrder.id, *due_orders(store.id, now, importing=importing)) or _any(
        session, BolOrder.id, mine, BolOrder.warn_at <= now, BolOrder.state.in_(WARNED)
    ):
        return True
    if not importing:
        return False
    moments = (store.next_import_at, store.import_wanted_at)
    if store.next_import_at is None or any(moment is not None and moment <= now for moment in moments):
        return True
    sweeping = (Run.store_id == store.id, Run.kind == SWEEP, Run.state == RunState.RUNNING)
    if _any(session, Run.id, *sweeping):
        return _any(session, Run.id, *sweeping, Run.due_at <= now)
    return store.next_sweep_at is not None and store.next_sweep_at <= now


def _stock(session: Any, store: Store, settings: StoreSettings, now: datetime) -> bool:
    mine = Offer.store_id == store.id
    return (
        _any(session, Offer.id, mine, in_need(Offer), ready(now))
        or _any(session, Offer.id, mine, Offer.read_back_at <= now)
        or look_after_due(store, settings, now)
    )


def _check(session: Any, store: Store, now: datetime, *, nightly: bool) -> bool:
    """A run that is under way goes on in a paused store, too: it only reads then."""
    running = (Run.store_id == store.id, Run.kind == CHECK_RUN, Run.state == RunState.RUNNING)
    if _any(session, Run.id, *running):
        return _any(session, Run.id, *running, Run.due_at <= now)
    return nightly and (store.next_check_at is None or store.next_check_at <= now)


def _effects(session: Any, store_id: int, now: datetime, *, active: bool, sending: bool) -> bool:
    """What bol has been asked is followed in a paused store, too."""
    if _any(
        session,
        ProcessStatusRow.id,
        ProcessStatusRow.store_id == store_id,
        ProcessStatusRow.next_poll_at <= now,
    ):
        return True
    if any(
        _left(session, model, store_id, now)
        for model in (ShipmentEffect, CancellationEffect, TransportEffect)
    ):
        return True
    return (
        (sending and _one(session, next_parcel(store_id, now)))
        or (active and _one(session, next_cancellation(store_id, now)))
        or (sending and _one(session, next_correction(store_id, now)))
        or (active and _one(session, next_label(store_id, now)))
        or (active and _any(session, LabelEffect.id, *abandoned_label(store_id, now - ABANDONED)))
    )


def _left(session: Any, model: Any, store_id: int, now: datetime) -> bool:
    """Tell if an effect must be checked at bol, or was left by a job that died."""
    mine = model.store_id == store_id
    abandoned = (model.process_status_id.is_(None), model.sent_at <= now - ABANDONED)
    return _any(session, model.id, mine, model.state == EffectState.UNKNOWN, model.due_at <= now) or _any(
        session, model.id, mine, model.state == EffectState.SENT, *abandoned
    )


def _one(session: Any, statement: Any) -> bool:
    return session.scalar(statement) is not None


def _any(session: Any, column: Any, *conditions: Any) -> bool:
    return bool(session.scalar(select(exists(select(column).where(*conditions)))))

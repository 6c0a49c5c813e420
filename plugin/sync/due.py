"""What is due: one look finds the stores that may have something to do, one at each of them tells what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, exists, false, or_, select

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
from plugin.sync.cancelling import next_cancellation
from plugin.sync.context import is_active, settings_of
from plugin.sync.correcting import next_correction
from plugin.sync.deadlines import WARNED
from plugin.sync.dirty import in_need, ready
from plugin.sync.findings import KIND as CHECK_RUN
from plugin.sync.labels import abandoned_label, next_label
from plugin.sync.orders import due_orders
from plugin.sync.preview import KIND as PREVIEW
from plugin.sync.products import KIND as IMPORT
from plugin.sync.pump import is_worth_a_job, look_after_due
from plugin.sync.set_right import AHEAD, happened_ahead, was_ahead
from plugin.sync.shipments import next_parcel
from plugin.sync.sweep import KIND as SWEEP
from plugin.sync.titles import due_titles

ORDERS, STOCK, SHIPMENTS, PRODUCTS = "orders", "stock", "shipments", "products"
CHECK, NAMES, UPKEEP, TIDY = "check", "names", "upkeep", "tidy"
#: A row that was sent under a lease which must be over by now, without an answer: its job died.
ABANDONED = timedelta(seconds=60)
EFFECTS = (ShipmentEffect, CancellationEffect, TransportEffect, LabelEffect)
#: Asked each second, the same statements are built once, and given their values each time.
STORE: Any = bindparam("asked_store")
NOW: Any = bindparam("asked_now")
ABANDONED_BEFORE: Any = bindparam("asked_abandoned")
STILL_TO_COME: Any = bindparam("asked_to_come")


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
            for store in session.scalars(_with_something(), _values(now))
            for kind in _kinds(session, store, now)
        ]


def _values(now: datetime) -> dict[str, Any]:
    return {NOW.key: now, ABANDONED_BEFORE.key: now - ABANDONED, STILL_TO_COME.key: now + AHEAD}


@cache
def _with_something() -> Select[Store]:
    """Select the stores that may have something to do: every one that has, and few others.

    Of a thousand stores most have nothing in this second. What :func:`_kinds` yields must be found by something here.
    """

    def of_store(model: Any, *conditions: Any) -> Any:
        return exists().where(model.store_id == Store.id, *conditions)

    def come(column: Any) -> Any:
        return or_(column.is_(None), column <= NOW)

    asked = (EffectState.WANTED, EffectState.UNKNOWN, EffectState.SENT)
    importing = or_(come(Store.next_import_at), Store.import_wanted_at <= NOW, Store.next_sweep_at <= NOW)
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
                *happened_ahead(STILL_TO_COME),
                come(Store.next_upkeep_at),
                Store.state.in_((StoreState.ACTIVE, StoreState.DISCONNECTING)) & or_(importing, sending),
                of_store(ProcessStatusRow, ProcessStatusRow.next_poll_at <= NOW),
                *(of_store(model, model.state.in_(asked), model.due_at <= NOW) for model in EFFECTS),
                *(of_store(model, *_died(model)) for model in EFFECTS),
                of_store(BolOrder, BolOrder.read_due_at <= NOW),
                of_store(BolOrder, BolOrder.warn_at <= NOW, BolOrder.state.in_(WARNED)),
                of_store(Offer, in_need(Offer), ready(NOW)),
                of_store(Offer, Offer.read_back_at <= NOW),
                of_store(Offer, Offer.title_due_at <= NOW),
                of_store(Run, Run.state == RunState.RUNNING, Run.due_at <= NOW),
            )
        )
        .order_by(Store.id)
    )


def _kinds(session: Any, store: Store, now: datetime) -> Iterator[str]:
    if store.next_erase_at is None or store.next_erase_at <= now or was_ahead(store, now):
        yield TIDY
    resting = store.rests_until is not None and store.rests_until > now
    if store.state != StoreState.DISCONNECTED and not resting:
        yield from _with_bol(session, store, now)


def _with_bol(session: Any, store: Store, now: datetime) -> Iterator[str]:
    settings, active = settings_of(store), is_active(store)
    found = session.execute(
        _look(
            active=active,
            shipments=active and settings.send_shipments,
            orders=active and settings.import_orders,
            stock=active and settings.send_stock,
        ),
        _values(now) | {STORE.key: store.id},
    ).one()
    if found.effect:
        yield SHIPMENTS
    if found.order or (active and settings.import_orders and _list(store, found, now)):
        yield ORDERS
    if (found.offer and is_worth_a_job(store, settings, now, far_from_zero=found.far_from_zero)) or (
        active and settings.send_stock and look_after_due(store, settings, now)
    ):
        yield STOCK
    if found.products:
        yield PRODUCTS
    if found.title:
        yield NAMES
    if store.next_upkeep_at is None or store.next_upkeep_at <= now:
        yield UPKEEP
    # Where no night is chosen it comes once, as stock is sent from now on.
    its_time = settings.check_time is not None if store.next_check_at is None else store.next_check_at <= now
    # A check that is under way goes on in a paused store, too: it only reads then.
    if found.check_due or (active and settings.send_stock and its_time and not found.checking):
        yield CHECK


def _list(store: Store, found: Any, now: datetime) -> bool:
    """Tell if the list of orders is to be read, or swept."""
    moments = (store.next_import_at, store.import_wanted_at)
    if store.next_import_at is None or any(moment is not None and moment <= now for moment in moments):
        return True
    return bool(found.sweep_due) or (store.next_sweep_at is not None and store.next_sweep_at <= now)


@cache
def _look(*, active: bool, shipments: bool, orders: bool, stock: bool) -> Select[Any]:
    """Ask everything of one store at once, each question answered by an index; what it may not do is not asked.

    What bol has been asked is followed in a paused store, too.
    """
    effects = [
        _some(ProcessStatusRow, ProcessStatusRow.next_poll_at <= NOW),
        next_label(STORE, NOW, buying=active).exists(),
    ]
    for model in (ShipmentEffect, CancellationEffect, TransportEffect):
        effects += [
            _some(model, model.state == EffectState.UNKNOWN, model.due_at <= NOW),
            _some(model, *_died(model)),
        ]
    if shipments:
        effects += [next_parcel(STORE, NOW).exists(), next_correction(STORE, NOW).exists()]
    orders_due, offers_due, far_from_zero = [], [], []
    if active:
        effects += [
            next_cancellation(STORE, NOW).exists(),
            exists().where(*abandoned_label(STORE, ABANDONED_BEFORE)),
        ]
        orders_due = [
            exists().where(*due_orders(STORE, NOW, importing=orders)),
            _some(BolOrder, BolOrder.warn_at <= NOW, BolOrder.state.in_(WARNED)),
        ]
    if stock:
        offers_due = [_some(Offer, in_need(Offer), ready(NOW)), _some(Offer, Offer.read_back_at <= NOW)]
        far_from_zero = [_some(Offer, in_need(Offer), ready(NOW), Offer.urgent.is_(False))]
    return select(
        or_(*effects).label("effect"),
        or_(false(), *orders_due).label("order"),
        _running([SWEEP], Run.due_at <= NOW).label("sweep_due"),
        or_(false(), *offers_due).label("offer"),
        or_(false(), *far_from_zero).label("far_from_zero"),
        _running([IMPORT, PREVIEW], Run.due_at <= NOW).label("products"),
        (exists().where(*due_titles(STORE, NOW)) if active else false()).label("title"),
        _running([CHECK_RUN]).label("checking"),
        _running([CHECK_RUN], Run.due_at <= NOW).label("check_due"),
    )


def _some(model: Any, *conditions: Any) -> Any:
    return exists().where(model.store_id == STORE, *conditions)


def _running(kinds: Sequence[str], *conditions: Any) -> Any:
    return _some(Run, Run.kind.in_(kinds), Run.state == RunState.RUNNING, *conditions)


def _died(model: Any) -> tuple[Any, ...]:
    """Return the conditions of what was left by a job that died: sent long ago, and no answer came."""
    return (
        model.state == EffectState.SENT,
        model.process_status_id.is_(None),
        model.sent_at <= ABANDONED_BEFORE,
    )

"""What a store owes: work that is due, by kind, with the age of the oldest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

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
from plugin.sync.context import is_active, settings_of
from plugin.sync.correcting import may_be_sent
from plugin.sync.dirty import in_need
from plugin.texts import lazy as _l

#: The kinds of work, as people call them.
KINDS: Mapping[str, str] = {
    "shipments": _l("shipments"),
    "cancellations": _l("cancellations"),
    "labels": _l("labels"),
    "changed tracking codes": _l("changed tracking codes"),
    "answers of bol": _l("answers of bol"),
    "imports and checks": _l("imports and checks"),
    "reading the order list": _l("reading the order list"),
    "orders": _l("orders"),
    "stock updates to be tried again": _l("stock updates to be tried again"),
}
#: The ledgers, by the kind of work that they hold.
EFFECTS: dict[str, Any] = {
    "shipments": ShipmentEffect,
    "cancellations": CancellationEffect,
    "labels": LabelEffect,
    "changed tracking codes": TransportEffect,
}


@dataclass(frozen=True, slots=True)
class Owed:
    """One kind of work that is due, how much of it, and since when the oldest."""

    kind: str
    count: int
    oldest: datetime


def owed(host: HostPort, store: Store) -> list[Owed]:
    """Return what is due now and that the store's state and settings allow. Opens a read transaction."""
    with host.reading():
        return find_owed(host, store)


def find_owed(host: HostPort, store: Store) -> list[Owed]:
    """Return the same in the transaction that is open."""
    found = []
    for kind, column, conditions in _kinds(store):
        count, oldest = host.session.execute(
            select(func.count(), func.min(column)).where(column <= host.now(), *conditions)
        ).one()
        if count:
            found.append(Owed(kind, count, oldest))
    return found


def next_try(host: HostPort, store: Store) -> datetime | None:
    """Return when the next thing of all that waits is done or tried; None where nothing waits. In a transaction."""
    moments = [
        host.session.scalar(select(func.min(column)).where(*conditions))
        for _kind, column, conditions in _kinds(store)
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _kinds(store: Store) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield each kind of work: its name, its due column, its conditions."""
    if store.state == StoreState.DISCONNECTED:
        # Nobody asks for what was left behind.
        return
    settings = settings_of(store)
    yield "answers of bol", ProcessStatusRow.next_poll_at, (ProcessStatusRow.store_id == store.id,)
    yield "imports and checks", Run.due_at, (Run.store_id == store.id, Run.state == RunState.RUNNING)
    if not is_active(store):
        return
    if settings.import_orders:
        yield "reading the order list", Store.next_import_at, (Store.id == store.id,)
        yield "orders", BolOrder.read_due_at, (BolOrder.store_id == store.id,)
    for kind, model in EFFECTS.items():
        if settings.send_shipments or model in (CancellationEffect, LabelEffect):
            open_states = (EffectState.WANTED, EffectState.UNKNOWN)
            # A correction that waits for its shipment is nobody's fault.
            waits = may_be_sent() if model is TransportEffect else ()
            yield kind, model.due_at, (model.store_id == store.id, model.state.in_(open_states), *waits)
    if settings.send_stock:
        # An offer that was not tried yet has no due moment: it goes at once.
        yield (
            "stock updates to be tried again",
            Offer.next_try_at,
            (Offer.store_id == store.id, in_need(Offer)),
        )

"""What pages show of a store at a glance: its counts, its import that runs, and what waits for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from host_app.plugin_api import HostPort
from plugin.models import (
    BolOrder,
    BolOrderState,
    EffectState,
    LabelEffect,
    Offer,
    Run,
    RunState,
    ShipmentEffect,
    Store,
    StoreState,
)
from plugin.settings import StoreSettings
from plugin.sync import runs
from plugin.sync.cancel_decisions import unanswered
from plugin.sync.mapping import AMSTERDAM, start_of_day
from plugin.sync.offer_states import FAILED, LINKED_STATES, OFFER_STATES, WAITING, count_matches, offer_state
from plugin.sync.products import KIND

#: Orders: the states of the row, and this one where the last try to read or take it over failed.
ORDER_STATES = (*(state.value for state in BolOrderState), FAILED)
#: What only a person can end.
FOR_A_PERSON = (EffectState.REFUSED, EffectState.DECISION)
#: A shipment that is not due waits for its carrier's code.
NO_CARRIER = and_(ShipmentEffect.state == EffectState.WANTED, ShipmentEffect.due_at.is_(None))


def order_state() -> ColumnElement[str]:
    """Return the expression that tells in one word where an order stands."""
    return case((BolOrder.error != "", FAILED), else_=BolOrder.state)


@dataclass(frozen=True, slots=True)
class Overview:
    """A store with its counts: orders and offers by state, parcels by the state of their shipment.

    held: offers that the guard keeps from going to zero until a person decides.
    label_decisions: purchases of labels of which only a person can find out if bol sold them.
    requests: orders of which the customer asks to cancel something, and nobody has answered.
    importing: the walk over the offers that is under way. last_import: the newest one.
    matches: offers by how they came to their product, and by what is unclear about it.
    names_to_come: products whose names are being read from bol's catalogue. at: when this was so.
    """

    store: Store
    settings: StoreSettings
    last_import: Run | None
    orders: Mapping[str, int]
    offers: Mapping[str, int]
    parcels: Mapping[str, int]
    parcels_without_carrier: int
    label_decisions: int
    requests: int
    confirmed_today: int
    held: int
    matches: Mapping[str, int]
    names_to_come: int
    at: datetime

    @property
    def active(self) -> bool:
        return self.store.state == StoreState.ACTIVE

    @property
    def importing(self) -> Run | None:
        run = self.last_import
        return run if run is not None and run.state == RunState.RUNNING else None

    @property
    def sending_stock(self) -> bool:
        return self.active and self.settings.send_stock

    @property
    def sending_shipments(self) -> bool:
        return self.active and self.settings.send_shipments

    @property
    def reading_orders(self) -> bool:
        """Tell if orders are being read, or are about to be."""
        wanted = self.store.import_wanted_at is not None or self.store.orders_read_at is None
        return self.active and self.settings.import_orders and (wanted or bool(self.orders["found"]))

    @property
    def linked(self) -> int:
        return sum(self.offers[state] for state in LINKED_STATES)

    @property
    def percent_imported(self) -> int | None:
        """Return how much of the offers was walked over; None where nobody knows how many there are."""
        run = self.importing
        return None if run is None else runs.share_done(run, self._walked(run))

    @property
    def import_left(self) -> timedelta | None:
        """Return how long the walk will take at its pace; None where that can't be told."""
        run = self.importing
        return None if run is None else runs.time_left(run, self._walked(run), self.at)

    def _walked(self, run: Run) -> int:
        return int(run.counts.get("offers", 0))

    @property
    def parcels_for_a_person(self) -> int:
        return sum(self.parcels[state] for state in FOR_A_PERSON)

    @property
    def running(self) -> bool:
        """Tell if the page is about to look different by itself."""
        return (
            self.importing is not None
            or (self.active and bool(self.names_to_come))
            or self.reading_orders
            or bool(self.parcels["sent"])
            or (self.sending_shipments and bool(self.parcels["wanted"]))
            or (self.sending_stock and bool(self.offers[WAITING]))
        )


def overviews(host: HostPort) -> list[Overview]:
    """Return all stores, by name. Opens a read transaction of its own."""
    with host.reading() as session:
        stores = session.scalars(select(Store).order_by(Store.name)).all()
        return [_overview(host, session, store) for store in stores]


def overview(host: HostPort, store_id: int) -> Overview | None:
    """Return one store, or None. Opens a read transaction of its own."""
    with host.reading() as session:
        store = session.get(Store, store_id)
        return None if store is None else _overview(host, session, store)


def waiting_for_a_person(host: HostPort) -> int:
    """Return how many parcels, labels, stopped guards and orders only a person can help. In a transaction."""
    session = host.session
    # Naming the stores lets the database use its indexes, which begin with the store.
    stores = select(Store.id)
    parcels = session.scalar(
        _count_parcels(
            ShipmentEffect.store_id.in_(stores), or_(ShipmentEffect.state.in_(FOR_A_PERSON), NO_CARRIER)
        )
    )
    labels = session.scalar(_count_label_decisions(LabelEffect.store_id.in_(stores)))
    # Many offers, one decision for each store.
    guards = session.scalar(
        select(func.count(Offer.store_id.distinct())).where(
            Offer.store_id.in_(stores), Offer.held_at.is_not(None)
        )
    )
    requests = session.scalar(_count_requests(BolOrder.store_id.in_(stores)))
    orders = session.scalar(
        select(func.count()).where(
            BolOrder.store_id.in_(stores), BolOrder.state == BolOrderState.WAITING_FOR_PRODUCT
        )
    )
    return sum(int(count or 0) for count in (parcels, labels, guards, requests, orders))


def _overview(host: HostPort, session: Any, store: Store) -> Overview:
    return Overview(
        store=store,
        settings=StoreSettings.load(store.settings),
        last_import=session.scalar(
            select(Run).where(Run.store_id == store.id, Run.kind == KIND).order_by(Run.id.desc()).limit(1)
        ),
        orders=_counts(session, order_state(), BolOrder.store_id == store.id, ORDER_STATES),
        offers=_counts(session, offer_state(), Offer.store_id == store.id, OFFER_STATES),
        parcels=_parcels(session, store.id),
        parcels_without_carrier=session.scalar(
            _count_parcels(ShipmentEffect.store_id == store.id, NO_CARRIER)
        ),
        label_decisions=session.scalar(_count_label_decisions(LabelEffect.store_id == store.id)),
        requests=session.scalar(_count_requests(BolOrder.store_id == store.id)),
        confirmed_today=session.scalar(
            _count_parcels(
                ShipmentEffect.store_id == store.id,
                ShipmentEffect.state == EffectState.CONFIRMED,
                ShipmentEffect.settled_at >= _midnight(host.now()),
            )
        ),
        held=session.scalar(_count_held(Offer.store_id == store.id)),
        matches=count_matches(session, store.id),
        names_to_come=session.scalar(
            select(func.count()).where(Offer.store_id == store.id, Offer.title_due_at <= host.now())
        ),
        at=host.now(),
    )


def _counts(session: Any, state: ColumnElement[str], mine: Any, states: tuple[str, ...]) -> dict[str, int]:
    return dict.fromkeys(states, 0) | dict(
        session.execute(select(state, func.count()).where(mine).group_by(state)).all()
    )


def _parcels(session: Any, store_id: int) -> dict[str, int]:
    rows = session.execute(
        select(ShipmentEffect.state, func.count(ShipmentEffect.host_shipment_id.distinct()))
        .where(ShipmentEffect.store_id == store_id)
        .group_by(ShipmentEffect.state)
    ).all()
    return {state.value: 0 for state in EffectState} | dict(rows)


def _count_parcels(*conditions: ColumnElement[bool]) -> Select[int]:
    return select(func.count(ShipmentEffect.host_shipment_id.distinct())).where(*conditions)


def _count_label_decisions(mine: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).where(mine, LabelEffect.state == EffectState.DECISION)


def _count_held(mine: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).where(mine, Offer.held_at.is_not(None))


def _count_requests(mine: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).where(mine, unanswered())


def _midnight(now: datetime) -> datetime:
    return start_of_day(now.astimezone(AMSTERDAM).date())

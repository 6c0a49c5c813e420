"""What pages show of a store at a glance: its counts, what waits and how old it is, its runs, and when all will be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal_column, not_, or_, select

from host_app.plugin_api import HostPort
from plugin.connector import PUBLISHED_LIMITS
from plugin.connector.budget import rule_for
from plugin.models import (
    BolOrder,
    BolOrderState,
    CancellationEffect,
    EffectState,
    LabelEffect,
    Offer,
    OfferLink,
    OfferState,
    Run,
    RunState,
    ShipmentEffect,
    Store,
    StoreState,
    TransportEffect,
)
from plugin.settings import StoreSettings
from plugin.sync import runs
from plugin.sync.cancel_decisions import unanswered
from plugin.sync.dirty import held as is_held
from plugin.sync.dirty import in_need, kept_on_sale
from plugin.sync.ean_doctor import ailments
from plugin.sync.findings import KIND as CHECK
from plugin.sync.mapping import AMSTERDAM, FBR, start_of_day
from plugin.sync.offer_states import (
    BOL_SHIPS,
    BY_HAND,
    CREATED,
    EXCLUDED,
    FAILED,
    FOUND,
    GONE,
    HELD,
    INVALID,
    KEPT_ON_SALE,
    LINKED_STATES,
    MATCHES,
    NO_PRODUCT,
    OFFER_STATES,
    SEVERAL,
    UNLINKED,
    UP_TO_DATE,
    WAITING,
)
from plugin.sync.owed import next_try
from plugin.sync.products import KIND as IMPORT
from plugin.sync.sweep import KIND as SWEEP

#: Orders: the states of the row, and this one where the last try to read or take it over failed.
ORDER_STATES = (*(state.value for state in BolOrderState), FAILED)
#: What only a person can end.
FOR_A_PERSON = (EffectState.REFUSED, EffectState.DECISION)
#: Effects on which bol, or we, are at work.
AT_WORK = (EffectState.WANTED, EffectState.SENT, EffectState.UNKNOWN)
#: Written out, so that the index of rows with an error is used.
AN_ERROR = "error <> ''"
#: An end that is nearer than this is not worth telling.
SOON = timedelta(minutes=1)


def order_state() -> ColumnElement[str]:
    """Return the expression that tells in one word where an order stands."""
    return case((BolOrder.error != "", FAILED), else_=BolOrder.state)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one kind of work has left to do: a word of ``WORK``, how many, and since when the oldest waits."""

    kind: str
    number: int
    oldest: datetime | None


#: Two reads of the offers that are closer together count as one for people.
APART = timedelta(minutes=2)
#: Kinds of work that may wait, and the calls each piece of it takes.
ORDERS_WAIT, STOCK_WAITS, COMPARING = "orders", "stock", "comparing"
SHIPMENTS_WAIT, CANCELLATIONS_WAIT = "shipments", "cancellations"
CORRECTIONS_WAIT, LABELS_WAIT = "corrections", "labels"
WORK: Mapping[str, tuple[str, str]] = {
    ORDERS_WAIT: ("GET", "/retailer/orders/{order-id}"),
    SHIPMENTS_WAIT: ("POST", "/retailer/shipments"),
    STOCK_WAITS: ("PATCH", "/retailer/offers/{offer-id}"),
    COMPARING: ("PATCH", "/retailer/offers/{offer-id}"),
    CANCELLATIONS_WAIT: ("PUT", "/retailer/orders/cancellation"),
    CORRECTIONS_WAIT: ("PUT", "/retailer/transports/{transport-id}"),
    LABELS_WAIT: ("POST", "/retailer/shipping-labels"),
}
#: The share of a limit that is used when much waits.
USED = 0.95


@dataclass(frozen=True, slots=True)
class LastRun:
    """When a flow was last done well, and its newest run, where it has runs."""

    flow: str
    at: datetime | None
    newest: Run | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """A store with its counts: orders and offers by state, parcels by the state of their shipment where that is not
    the end of it.

    held: offers that the guard keeps from going to zero until a person decides.
    label_decisions: purchases of labels of which only a person can find out if bol sold them.
    requests: orders of which the customer asks to cancel something, and nobody has answered.
    importing: the walk over the offers that is under way. last_import: the newest one.
    matches: offers by how they came to their product, and by what is unclear about it.
    names_to_come: products whose names are being read from bol's catalogue. at: when this was so.
    next_try: when something is tried next, while bol can't be asked.
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
    next_try: datetime | None
    waiting: Sequence[Waiting] = field(default=())
    flows: Sequence[LastRun] = field(default=())

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
    def waits_for_first_order(self) -> bool:
        """Tell if orders are imported, and bol has had none so far."""
        return self.active and self.settings.import_orders and not any(self.orders.values())

    @property
    def linked(self) -> int:
        return sum(self.offers[state] for state in LINKED_STATES)

    @property
    def percent_imported(self) -> int | None:
        """Return how much of the offers was walked over; None where nobody knows how many there are."""
        run = self.importing
        return None if run is None else runs.share_done(run, self._walked(run))

    @property
    def compared_since(self) -> datetime | None:
        """Return when a stock check read the offers, where that was well after they were read to import products."""
        compared = next((flow.at for flow in self.flows if flow.flow == CHECK), None)
        read = self.last_import.finished_at if self.last_import is not None else None
        return compared if compared is not None and read is not None and compared - read > APART else None

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
    def done_at(self) -> datetime | None:
        """Return when all that waits will be done, by bol's limits; None where that is soon, or nothing goes on.

        While bol can't be asked, it is counted from the next try.
        """
        if not self.active:
            return None
        begin = max(self.at, self.store.next_import_at or self.at) if self.store.problem else self.at
        takes: dict[tuple[str, str], float] = {}
        for item in self.waiting:
            if self._goes_on(item.kind):
                # Kinds that are done by the same call share its limit.
                takes[WORK[item.kind]] = takes.get(WORK[item.kind], 0.0) + _seconds(item)
        longest = max(takes.values(), default=0.0)
        end = begin + timedelta(seconds=longest)
        return end if longest and end - self.at >= SOON else None

    def _goes_on(self, kind: str) -> bool:
        if kind in (SHIPMENTS_WAIT, CORRECTIONS_WAIT):
            return self.settings.send_shipments
        return True

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


def _overview(host: HostPort, session: Any, store: Store) -> Overview:
    now = host.now()
    imports, checks, sweeps = (_runs(session, store.id, kind) for kind in (IMPORT, CHECK, SWEEP))
    offers, matches = _offers(session, store.id)
    settings = StoreSettings.load(store.settings)
    return Overview(
        store=store,
        settings=settings,
        last_import=imports[0],
        orders=_orders(session, store.id),
        offers=offers,
        parcels=_parcels(session, store.id),
        parcels_without_carrier=_parcels_without_carrier(session, store.id),
        label_decisions=session.scalar(
            select(func.count()).where(
                LabelEffect.store_id == store.id, LabelEffect.state == EffectState.DECISION
            )
        ),
        requests=_requests(session, store.id),
        confirmed_today=session.scalar(
            _count_parcels(
                ShipmentEffect.store_id == store.id,
                ShipmentEffect.state == EffectState.CONFIRMED,
                ShipmentEffect.settled_at >= _midnight(now),
            )
        ),
        held=session.scalar(select(func.count()).where(Offer.store_id == store.id, is_held(Offer))),
        matches=matches,
        names_to_come=session.scalar(
            select(func.count()).where(Offer.store_id == store.id, Offer.title_due_at <= now)
        ),
        at=now,
        next_try=next_try(host, store) if store.problem else None,
        waiting=_work(session, store.id, settings),
        flows=(
            LastRun("orders", store.orders_imported_at),
            LastRun("products", imports[1], imports[0]),
            LastRun("stock", store.stock_sent_at),
            LastRun("shipments", _last_confirmed(session, store.id)),
            LastRun("sweep", sweeps[1], sweeps[0]),
            LastRun(CHECK, checks[1], checks[0]),
        ),
    )


# Counting: each statement is answered by an index alone, or by rows that are few. With 100,000 offers and 50,000 orders
# a page has no time for more.


def _orders(session: Any, store_id: int) -> dict[str, int]:
    mine = BolOrder.store_id == store_id
    by_state = select(BolOrder.state, func.count()).where(mine).group_by(BolOrder.state)
    counts = dict.fromkeys(ORDER_STATES, 0) | dict(session.execute(by_state).all())
    # The second condition is always true, and lets the index of those with an error be used.
    failing = by_state.where(literal_column(AN_ERROR), BolOrder.attempts >= 0)
    for state, failed in session.execute(failing).all():
        counts[state] -= failed
        counts[FAILED] += failed
    return counts


def _requests(session: Any, store_id: int) -> int:
    """Of all stores: naming one has the database go through all its orders."""
    return list(session.scalars(select(BolOrder.store_id).where(unanswered()))).count(store_id)


def _offers(session: Any, store_id: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return the offers by their state, and by how they came to their product."""
    mine = Offer.store_id == store_id
    counts, matches = dict.fromkeys(OFFER_STATES, 0), dict.fromkeys(MATCHES, 0)
    listed = (mine, Offer.state == OfferState.LISTED)
    numbers: dict[Any, Any] = {
        GONE: _number(mine, Offer.state == OfferState.GONE),
        # Not "is not": on either side of it, the index has them together.
        (BOL_SHIPS, 0): _number(*listed, Offer.method < FBR),
        (BOL_SHIPS, 1): _number(*listed, Offer.method > FBR),
        **{
            word: _number(ailments(store_id)[kind])
            for word, kind in ((SEVERAL, "several"), (INVALID, "invalid"))
        },
    }
    # Each number is one stretch of the index: to have it group its entries takes five times as long.
    for link in OfferLink:
        so = (*listed, Offer.method == FBR, Offer.link == link)
        numbers[link] = _number(*so)
        for excluded in (False, True):
            flagged = (*so, Offer.excluded.is_(excluded))
            numbers[link, excluded] = _number(*flagged, Offer.product_id.is_(None))
        numbers[link, EXCLUDED] = _number(*so, Offer.excluded.is_(True), Offer.product_id.is_not(None))
    found = dict(zip(numbers, session.execute(select(*numbers.values())).one(), strict=True))
    counts |= {GONE: found[GONE], BOL_SHIPS: found[BOL_SHIPS, 0] + found[BOL_SHIPS, 1]}
    matches |= {SEVERAL: found[SEVERAL], INVALID: found[INVALID]}
    for link, word in ((OfferLink.AUTO, FOUND), (OfferLink.CREATED, CREATED), (OfferLink.HAND, BY_HAND)):
        lonely = found[link, False] + found[link, True]
        matches[word] = found[link] - (lonely if link == OfferLink.AUTO else 0)
        counts[NO_PRODUCT] += lonely
        counts[EXCLUDED] += found[link, EXCLUDED]
        counts[UP_TO_DATE] += found[link] - lonely - found[link, EXCLUDED]
    counts[UNLINKED] = found[OfferLink.UNLINKED]
    # What the pump has to do with: few, but for the moments after a great change.
    ours = (
        mine,
        Offer.state != OfferState.GONE,
        Offer.method == FBR,
        Offer.link != OfferLink.UNLINKED,
        Offer.product_id.is_not(None),
        Offer.excluded.is_(False),
    )
    held = session.scalar(select(func.count()).where(*ours, is_held(Offer)))
    kept = session.scalar(select(func.count()).where(*ours, kept_on_sale(Offer)))
    due = session.scalar(select(func.count()).where(*ours, in_need(Offer)))
    failed = session.scalar(select(func.count()).where(*ours, in_need(Offer), literal_column(AN_ERROR)))
    counts |= {HELD: held, KEPT_ON_SALE: kept, FAILED: failed, WAITING: due - failed}
    counts[UP_TO_DATE] -= held + kept + due
    return counts, matches


def _number(*conditions: ColumnElement[bool]) -> Any:
    return select(func.count()).select_from(Offer).where(*conditions).scalar_subquery()


def _parcels(session: Any, store_id: int) -> dict[str, int]:
    states = (*AT_WORK, *FOR_A_PERSON)
    rows = session.execute(
        select(ShipmentEffect.state, func.count(ShipmentEffect.host_shipment_id.distinct()))
        .where(ShipmentEffect.store_id == store_id, ShipmentEffect.state.in_(states))
        .group_by(ShipmentEffect.state)
    ).all()
    return {state.value: 0 for state in states} | dict(rows)


def _parcels_without_carrier(session: Any, store_id: int) -> int:
    """A shipment that is wanted and not due waits for its carrier's code."""
    waiting = (ShipmentEffect.state == EffectState.WANTED, ShipmentEffect.due_at.is_(None))
    return int(session.scalar(_count_parcels(ShipmentEffect.store_id == store_id, *waiting)))


def _count_parcels(*conditions: ColumnElement[bool]) -> Select[int]:
    return select(func.count(ShipmentEffect.host_shipment_id.distinct())).where(*conditions)


#: Of offers that are due, those of which bol needs an update by all that is known. The others were only marked, by a
#: setting or by what came in of orders: they are compared, and where bol has the right amount nothing is sent.
_TO_SEND = or_(
    Offer.changed_version > Offer.done_version,
    Offer.ordered_version > Offer.done_version,
    Offer.attempts > 0,
    Offer.in_doubt,
    Offer.confirmed_amount.is_(None),
    and_(Offer.wanted_amount.is_not(None), Offer.wanted_amount != Offer.confirmed_amount),
)


def _work(session: Any, store_id: int, settings: StoreSettings) -> list[Waiting]:
    """Return what waits to be done, by kind; kinds of which nothing waits are left out.

    Before stock is sent at all, offers that are marked are nothing that anybody waits for.
    """
    ledgers: dict[str, Any] = {
        SHIPMENTS_WAIT: ShipmentEffect,
        CANCELLATIONS_WAIT: CancellationEffect,
        CORRECTIONS_WAIT: TransportEffect,
        LABELS_WAIT: LabelEffect,
    }
    reading = BolOrder.state == BolOrderState.FOUND, BolOrder.read_due_at.is_not(None)
    looks: list[tuple[str, Any, Any, tuple[Any, ...]]] = [(ORDERS_WAIT, BolOrder, BolOrder.found_at, reading)]
    if settings.send_stock:
        due = in_need(Offer), Offer.product_id.is_not(None)
        looks.append((STOCK_WAITS, Offer, Offer.changed_at, (*due, _TO_SEND)))
        looks.append((COMPARING, Offer, Offer.changed_at, (*due, not_(_TO_SEND))))
    for kind, ledger in ledgers.items():
        looks.append((kind, ledger, ledger.created_at, (ledger.state.in_(AT_WORK),)))
    found = []
    for kind, model, since, conditions in looks:
        number = func.count()
        if model is ShipmentEffect:
            # A parcel of several items is one call.
            number = func.count(ShipmentEffect.host_shipment_id.distinct())
        row = session.execute(
            select(number, func.min(since)).where(model.store_id == store_id, *conditions)
        ).one()
        if row[0]:
            found.append(Waiting(kind, *row))
    return found


def _seconds(item: Waiting) -> float:
    """Return how long this much work takes at bol's limit."""
    rule = rule_for(PUBLISHED_LIMITS, *WORK[item.kind])
    return item.number / (rule.capacity / rule.seconds * USED)


def _runs(session: Any, store_id: int, kind: str) -> tuple[Run | None, datetime | None]:
    """Return the newest run of a kind, and when the newest that came to its end did so."""
    mine = (Run.store_id == store_id, Run.kind == kind)
    newest = session.scalar(select(Run).where(*mine).order_by(Run.id.desc()).limit(1))
    if newest is not None and newest.state == RunState.DONE:
        return newest, newest.finished_at
    done = select(Run.finished_at).where(*mine, Run.state == RunState.DONE)
    return newest, session.scalar(done.order_by(Run.id.desc()).limit(1))


def _last_confirmed(session: Any, store_id: int) -> datetime | None:
    found: datetime | None = session.scalar(
        select(ShipmentEffect.settled_at)
        .where(
            ShipmentEffect.store_id == store_id,
            ShipmentEffect.settled_at.is_not(None),
            ShipmentEffect.state == EffectState.CONFIRMED,
        )
        .order_by(ShipmentEffect.settled_at.desc())
        .limit(1)
    )
    return found


def _midnight(now: datetime) -> datetime:
    return start_of_day(now.astimezone(AMSTERDAM).date())

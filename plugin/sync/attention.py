"""What a person must do, over all stores: found anew at each look, so that what is done leaves by itself.

To add a kind: a word, a finder in ``FINDERS``, and its words in ``templates/bol/tasks.html``. Finders are asked at each
view of each page, also by the menu: each is one look at few rows, by an index that holds those alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import exists, func, literal_column, null, select
from sqlalchemy.orm import aliased, selectinload

from host_app.plugin_api import Choice, HostPort
from plugin.models import (
    BolOrder,
    BolOrderItem,
    BolOrderState,
    CancellationEffect,
    EffectState,
    LabelEffect,
    Offer,
    Run,
    RunState,
    ShipmentEffect,
    Store,
    StoreState,
    TransportEffect,
)
from plugin.settings import StoreSettings
from plugin.sync.cancel_decisions import (
    ACTIVE,
    MOST_NAMED,
    OPEN_AT_BOL,
    OPEN_HERE,
    WITHDRAWN_HERE,
    cancelled_here,
    in_the_way,
    may_accept,
    requested,
    still_here,
    unanswered,
    wish_of,
    withdrawn_here,
)
from plugin.sync.deadlines import STILL_OPEN, WARNED
from plugin.sync.dirty import held, in_need
from plugin.sync.failures import SIGN_IN, without_reference
from plugin.sync.labels import TELL_AFTER as TELL_LABEL_AFTER
from plugin.sync.labels import TO_FETCH
from plugin.sync.left_labels import left_over
from plugin.sync.mapping import AMSTERDAM, FBR
from plugin.sync.matching import find_products
from plugin.sync.offer_states import IS_KEPT_ON_SALE
from plugin.sync.order_waits import is_dead, to_put_back
from plugin.sync.overview import AN_ERROR
from plugin.sync.pump import TELL_AFTER
from plugin.sync.refused import hopeless
from plugin.sync.sign_in import WARNINGS, days_left

PROBLEM, GUARD, CANCELS, UNDECIDED, LABEL, REQUEST = (
    "problem",
    "guard",
    "bol cancels soon",
    "undecided shipment",
    "label",
    "request",
)
REFUSED, CARRIER, CORRECTION, PRODUCT, UNREADABLE, RUN, STOCK = (
    "refused shipment",
    "carrier",
    "correction",
    "product",
    "order error",
    "run",
    "stock error",
)
CONSENT, TO_BE_FETCHED = "consent", "label to fetch"
#: Labels that are paid, and on which nothing travels.
LABEL_NOT_USED = "label not used"
#: A person chose that bol goes on selling what is not here: nobody is hurried, and nobody forgets it.
KEPT = "kept on sale"
#: A corrected parcel whose carrier has no code: bol was not asked.
UNCODED = "correction without code"
#: bol cancelled what is still open here; or what was cancelled here, and bol still counts on.
STILL_HERE, STILL_AT_BOL = "cancelled at bol", "cancelled here"
#: bol has it as shipped, and its parcel was withdrawn here.
WITHDRAWN = "withdrawn here"
#: About the goods of an order, and about those of a parcel.
OF_ORDERS, OF_PARCELS = (
    frozenset({REQUEST, STILL_HERE, STILL_AT_BOL, WITHDRAWN}),
    frozenset({UNDECIDED, REFUSED, CARRIER}),
)
#: The warehouse's own work, which bol is not asked for.
HERE = frozenset({STILL_HERE, WITHDRAWN})
#: Each is decided by itself; so many are shown one by one, more are one task with a way to their list.
ONE_BY_ONE = frozenset({UNDECIDED, LABEL, TO_BE_FETCHED, REQUEST, STILL_HERE, STILL_AT_BOL, WITHDRAWN})
SHOWN_ALONE = 10
#: So many articles of a task are named.
GOODS_SHOWN = 3
#: More groups of one kind are not shown: mending the first ones mends the rest, or shows it.
MOST_GROUPS = 50
#: So many rows are grouped: beyond that the number is of no use to anybody.
MOST_ROWS = 2000
#: An order that failed so often will fail again.
TRIED = 3
#: bol cancels within a day, or should have done it in the last days.
CANCELS_WITHIN, CANCELLED_SINCE = timedelta(days=1), timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do, however many rows wait for it.

    :param number: how many parcels, orders, offers wait for it.
    :param since: since when the oldest waits, where that is known.
    :param about: what tells tasks of a kind apart: the kind of problem, an EAN, an error, an order of bol, a run's kind.
    :param row_id: a row that it is about (of several, any), for the button; its table depends on the kind.
    :param order_id: the row of the order it is about, where it is about one.
    :param title: what bol calls the article that orders wait for, and pieces: how many of it were ordered.
    """

    kind: str
    store_id: int
    store_name: str
    number: int = 1
    since: datetime | None = None
    about: str = ""
    row_id: int = 0
    order_id: int = 0
    title: str = ""
    pieces: int = 0

    @property
    def decisions(self) -> int:
        """How often somebody must decide until it is done."""
        return self.number if self.kind in ONE_BY_ONE else 1


@dataclass(frozen=True, slots=True)
class Goods:
    """Pieces of one article, as bol calls it."""

    title: str
    ean: str
    pieces: int


@dataclass(frozen=True, slots=True)
class LeftLabel:
    """A label that is paid and not used, as bol's partner service is asked about it.

    :param number: bol's number of it. ``price``: None where it is not known.
    """

    number: str
    price: Decimal | None
    order: str
    goods: Sequence[Goods]


@dataclass(frozen=True, slots=True)
class Subject:
    """The goods that a task is about, the order at bol where its title names none, and where goods are to be put back.

    :param more: how many further articles there are, of which the goods are the first ones.
    :param for_sale: the pieces are what bol goes on selling, not what was ordered.
    :param whole: bol cancelled all of it, so that nothing but putting back is left to do.
    :param here_url: the order here, where pieces are taken off it, with the picklist on which its goods wait to be packed anew.
    :param picked: so many of the pieces must be put back first.
    :param labels: the first labels that are left over; their goods stand with each.
    """

    goods: Sequence[Goods]
    order: str = ""
    picklist_url: str = ""
    whole: bool = False
    here_url: str = ""
    picked: int = 0
    more: int = 0
    for_sale: bool = False
    labels: Sequence[LeftLabel] = ()

    @property
    def number(self) -> int:
        return sum(row.pieces for row in self.goods)


@dataclass(frozen=True, slots=True)
class Look:
    """What finders are given: the host in a transaction, and the stores that are asked about."""

    host: HostPort
    stores: Mapping[int, Store]

    @property
    def session(self) -> Any:
        return self.host.session

    def mine(self, model: Any) -> Any:
        """Naming the stores lets the database use its indexes, which begin with the store."""
        return model.store_id.in_(list(self.stores))

    def task(self, kind: str, store_id: int, **values: Any) -> Task:
        return Task(kind, store_id, self.stores[store_id].name, **values)


def tasks(host: HostPort, store_id: int | None = None) -> list[Task]:
    """Return what a person must do, the most urgent first; of one store, or of all. In a transaction."""
    wanted = select(Store).order_by(Store.name)
    if store_id is not None:
        wanted = wanted.where(Store.id == store_id)
    stores = host.session.scalars(wanted).all()
    look = Look(host, {store.id: store for store in stores if store.state != StoreState.DISCONNECTED})
    gone = Look(host, {store.id: store for store in stores if store.state == StoreState.DISCONNECTED})
    found = [task for find in FINDERS for task in find(look)] if look.stores else []
    # Of a store that is gone only the warehouse's own work can still be done.
    found += [task for task in _cancelled(gone) if task.kind in HERE] if gone.stores else []
    return found


def count(host: HostPort, store_id: int | None = None) -> int:
    """Return how many decisions wait for a person; of one store, or of all. In a transaction."""
    return sum(task.decisions for task in tasks(host, store_id))


def carriers_of(host: HostPort, found: Iterable[Task]) -> dict[Task, Choice]:
    """Return the carrier that each task about an unknown one is about. In a transaction."""
    about = [task for task in found if task.kind in (CARRIER, UNCODED)]
    titles = {choice.key: choice for choice in host.carriers()} if about else {}
    carriers = {}
    for kind, model in ((CARRIER, ShipmentEffect), (UNCODED, TransportEffect)):
        mine = {task.row_id: task for task in about if task.kind == kind}
        rows = host.session.execute(select(model.id, model.host_shipment_id).where(model.id.in_(mine)))
        for row_id, parcel_id in rows.all() if mine else ():
            parcel = host.parcel(parcel_id)
            if parcel is not None:
                carriers[mine[row_id]] = titles.get(parcel.carrier, Choice(parcel.carrier, parcel.carrier))
    return carriers


def hopeless_of(host: HostPort, found: Iterable[Task]) -> frozenset[Task]:
    """Return the tasks about refused shipments of which bol would refuse every one again. In a transaction."""
    refused = [task for task in found if task.kind == REFUSED]
    if not refused:
        return frozenset()
    rows = host.session.scalars(
        select(ShipmentEffect)
        .where(
            ShipmentEffect.store_id.in_({task.store_id for task in refused}),
            ShipmentEffect.state == EffectState.REFUSED,
        )
        .order_by(ShipmentEffect.id)
        .limit(MOST_ROWS)
    ).all()
    again = hopeless(host.session, rows)
    useful = {(row.store_id, without_reference(row.error)) for row in rows if row.id not in again}
    return frozenset(task for task in refused if (task.store_id, task.about) not in useful)


@dataclass(frozen=True, slots=True)
class InTheWay:
    """What keeps a request from being accepted at once, the address of the picklist where it is mended ("" where it can't be),
    and if it can be accepted all the same, to be carried out then."""

    text: str
    url: str
    may_accept: bool = False


def in_the_way_of(host: HostPort, found: Iterable[Task]) -> dict[int, InTheWay]:
    """Return what must be done before a request can be accepted, by the order's row. In a transaction."""
    rows = [task.order_id for task in found if task.kind == REQUEST and task.order_id]
    if not rows:
        return {}
    orders = host.session.scalars(select(BolOrder).where(BolOrder.id.in_(rows))).all()
    views = host.order_views(row.host_order_id for row in orders if row.host_order_id is not None)
    found_here = {}
    for row in orders:
        view = views.get(row.host_order_id)
        if view is None:
            continue
        wish = wish_of(host, row) if view.picked else ""
        if text := in_the_way(view, wish):
            found_here[row.id] = InTheWay(text, host.picked_url(view.order_id), may_accept(view, wish))
    return found_here


def subjects_of(host: HostPort, found: Iterable[Task]) -> dict[Task, Subject]:
    """Return the goods of tasks that are about one order or one article, and the first ones of the guard. In a transaction.

    A few looks for a whole page, however many tasks stand on it.
    """
    alone = [task for task in found if task.number == 1 or task.kind == PRODUCT]
    subjects = {
        # Its EAN stands in the sentence of the task.
        task: Subject([Goods(task.title, "", task.pieces)])
        for task in alone
        if task.kind == PRODUCT and task.title
    }
    subjects |= _of_cancellations(host, [task for task in alone if task.kind in OF_ORDERS and task.order_id])
    subjects |= _of_parcels(host, [task for task in alone if task.kind in OF_PARCELS])
    of_labels = (LABEL, TO_BE_FETCHED)
    subjects |= _of_labels(host, [task for task in alone if task.kind in of_labels])
    subjects |= {task: _left_over(host, task) for task in found if task.kind == LABEL_NOT_USED}
    subjects |= {task: _for_sale(host, task) for task in found if task.kind in (GUARD, KEPT)}
    return {task: subject for task, subject in subjects.items() if subject.goods or subject.labels}


def _left_over(host: HostPort, task: Task) -> Subject:
    """Return the first labels of a store that are paid and not used."""
    effects = host.session.scalars(
        select(LabelEffect)
        .where(LabelEffect.store_id == task.store_id, left_over())
        .order_by(LabelEffect.id)
        .limit(GOODS_SHOWN)
    ).all()
    orders = _orders(host, [effect.order_id for effect in effects])
    labels = []
    for effect in effects:
        order = orders[effect.order_id]
        goods = [_goods(order, item, number) for item, number in effect.pieces.items()]
        labels.append(LeftLabel(effect.label_id or "", effect.price, order.order_id, goods))
    return Subject([], more=max(task.number - len(labels), 0), labels=labels)


def _for_sale(host: HostPort, task: Task) -> Subject:
    """Return the first offers that are about to go to 0, or are kept from it, with what bol sells of them."""
    rows = host.session.execute(
        select(Offer.title, Offer.ean, Offer.product_id, Offer.confirmed_amount, Offer.sent_amount)
        .where(Offer.store_id == task.store_id, held(Offer) if task.kind == GUARD else IS_KEPT_ON_SALE)
        .order_by(Offer.id)
        .limit(GOODS_SHOWN)
    ).all()
    products = host.products([row.product_id for row in rows if not row.title and row.product_id])
    goods = []
    for row in rows:
        product = products.get(row.product_id)
        title = row.title or (product.name if product is not None else "")
        # After a lost answer bol may have what was sent.
        goods.append(Goods(title, row.ean, row.confirmed_amount or row.sent_amount or 0))
    return Subject(goods, more=max(task.number - len(goods), 0), for_sale=True)


def _of_cancellations(host: HostPort, found: Sequence[Task]) -> dict[Task, Subject]:
    """Return what a customer asks to cancel, and what is cancelled on one side only."""
    orders = _orders(host, [task.order_id for task in found])
    views = host.order_views(row.host_order_id for row in orders.values() if row.host_order_id is not None)
    subjects = {}
    for task in found:
        row = orders[task.order_id]
        view = views.get(row.host_order_id) if row.host_order_id is not None else None
        pieces: Iterable[tuple[BolOrderItem, int]] = ()
        put_back, whole, here, picked = "", False, "", 0
        if task.kind == REQUEST:
            pieces = [(item, item.open) for item in requested(row)]
        elif view is not None and task.kind == STILL_HERE:
            pieces = still_here(row, view)
            put_back, here = host.picked_url(view.order_id), host.order_url(view.order_id)
            whole = is_dead(row) and not any(line.shipped for line in view.lines)
            picked = to_put_back(row, view)
        elif view is not None and task.kind == WITHDRAWN:
            pieces, here = withdrawn_here(host, row, view), host.order_url(view.order_id)
        elif view is not None:
            pieces = [(item, item.open) for item in cancelled_here(row, view)]
        goods = [Goods(item.title, item.ean, number) for item, number in pieces]
        subjects[task] = Subject(goods, picklist_url=put_back, whole=whole, here_url=here, picked=picked)
    return subjects


def _of_parcels(host: HostPort, found: Sequence[Task]) -> dict[Task, Subject]:
    """Return what is in parcels of which something must be decided."""
    if not found:
        return {}
    mine = aliased(ShipmentEffect)
    alike = (mine.host_shipment_id == ShipmentEffect.host_shipment_id) & (mine.state == ShipmentEffect.state)
    rows = host.session.execute(
        select(ShipmentEffect.id, mine.id, mine.order_id, mine.order_item_id, mine.quantity)
        .join(mine, alike)
        .where(ShipmentEffect.id.in_([task.row_id for task in found]))
        .order_by(mine.id)
    ).all()
    orders = _orders(host, [row[2] for row in rows])
    subjects = {}
    for task in found:
        # Of what is decided one by one each item is a task of its own.
        alone = task.kind in ONE_BY_ONE
        of_task = [row for row in rows if row[0] == task.row_id and (row[1] == row[0] or not alone)]
        goods = [_goods(orders[order_id], item, number) for *_, order_id, item, number in of_task]
        subjects[task] = Subject(goods, orders[of_task[0][2]].order_id if of_task and not alone else "")
    return subjects


def _of_labels(host: HostPort, found: Sequence[Task]) -> dict[Task, Subject]:
    """Return what travels on labels that are lost, or can't be fetched."""
    if not found:
        return {}
    rows = host.session.execute(
        select(LabelEffect.id, LabelEffect.pieces).where(LabelEffect.id.in_([task.row_id for task in found]))
    )
    pieces, orders = dict(rows.all()), _orders(host, [task.order_id for task in found])
    return {
        task: Subject(
            [_goods(orders[task.order_id], item, number) for item, number in pieces[task.row_id].items()]
        )
        for task in found
        if task.row_id in pieces
    }


def _orders(host: HostPort, rows: Iterable[int]) -> dict[int, BolOrder]:
    """Return orders with their items, by their row."""
    wanted = set(rows)
    if not wanted:
        return {}
    found = select(BolOrder).where(BolOrder.id.in_(wanted)).options(selectinload(BolOrder.items))
    return {row.id: row for row in host.session.scalars(found)}


def _goods(row: BolOrder, order_item_id: str, pieces: int) -> Goods:
    item = next((item for item in row.items if item.order_item_id == order_item_id), None)
    return Goods(item.title, item.ean, pieces) if item is not None else Goods("", "", pieces)


# finders


def _problems(look: Look) -> Iterator[Task]:
    """The line to bol is down, and comes back only when somebody does something."""
    for store in look.stores.values():
        if store.problem_kind:
            yield look.task(PROBLEM, store.id, about=store.problem_kind, since=store.problem_at)


def _consents(look: Look) -> Iterator[Task]:
    """What a seller allowed at bol's login page ends soon."""
    for store in look.stores.values():
        left = days_left(store, look.host.now())
        if left is not None and left <= max(WARNINGS) and store.problem_kind != SIGN_IN:
            yield look.task(CONSENT, store.id, about=str(left))


def _guards(look: Look) -> Iterator[Task]:
    stopped = (
        select(Offer.store_id, func.count(), func.min(Offer.held_at))
        .where(look.mine(Offer), held(Offer))
        .group_by(Offer.store_id)
    )
    for store_id, number, since in look.session.execute(stopped):
        yield look.task(GUARD, store_id, number=number, since=since)


def _kept_on_sale(look: Look) -> Iterator[Task]:
    """Offers that a person had bol go on selling without stock here."""
    kept = (
        select(Offer.store_id, func.count(), func.min(Offer.held_at))
        .where(look.mine(Offer), IS_KEPT_ON_SALE)
        .group_by(Offer.store_id)
    )
    for store_id, number, since in look.session.execute(kept):
        state = look.stores[store_id].state
        if state in (StoreState.ACTIVE, StoreState.PAUSED):
            yield look.task(KEPT, store_id, number=number, since=since, about=state)


def _cancelled_soon(look: Look) -> Iterator[Task]:
    """Orders that bol cancels for want of a shipment, unless they leave now."""
    today = look.host.now().astimezone(AMSTERDAM).date()
    active = [store.id for store in look.stores.values() if store.state == StoreState.ACTIVE]
    soon = (
        select(BolOrder.store_id, func.count())
        .where(
            BolOrder.store_id.in_(active),
            BolOrder.state.in_(WARNED),
            BolOrder.cancels_on.between(today - CANCELLED_SINCE, today + CANCELS_WITHIN),
            STILL_OPEN,
        )
        .group_by(BolOrder.store_id)
    )
    for store_id, number in look.session.execute(soon):
        yield look.task(CANCELS, store_id, number=number)


def _undecided(look: Look) -> Iterator[Task]:
    """Nobody could find out whether bol has these shipments."""
    waiting = (
        select(ShipmentEffect.store_id, ShipmentEffect.id, ShipmentEffect.order_id, BolOrder.order_id,
               ShipmentEffect.unknown_since)
        .join(BolOrder)
        .where(look.mine(ShipmentEffect), ShipmentEffect.state == EffectState.DECISION)
    )  # fmt: skip
    yield from _one_by_one(look, UNDECIDED, waiting.order_by(ShipmentEffect.id))


def _labels(look: Look) -> Iterator[Task]:
    """bol may have charged a label whose number was lost."""
    waiting = (
        select(LabelEffect.store_id, LabelEffect.id, LabelEffect.order_id, BolOrder.order_id,
               LabelEffect.created_at)
        .join(BolOrder)
        .where(look.mine(LabelEffect), LabelEffect.state == EffectState.DECISION)
    )  # fmt: skip
    yield from _one_by_one(look, LABEL, waiting.order_by(LabelEffect.id))


def _not_fetched(look: Look) -> Iterator[Task]:
    """Labels that are bought, and can't be had from bol."""
    stuck = (
        select(LabelEffect.store_id, LabelEffect.id, LabelEffect.order_id, BolOrder.order_id,
               LabelEffect.unknown_since)
        .join(BolOrder)
        .where(
            look.mine(LabelEffect), TO_FETCH, LabelEffect.unknown_since <= look.host.now() - TELL_LABEL_AFTER
        )
    )  # fmt: skip
    yield from _one_by_one(look, TO_BE_FETCHED, stuck.order_by(LabelEffect.id))


def _not_used(look: Look) -> Iterator[Task]:
    """Labels that are paid and left over: all of a store's are settled with bol in one go."""
    rows = look.session.execute(
        select(
            LabelEffect.store_id, LabelEffect.id, LabelEffect.order_id, BolOrder.order_id, LabelEffect.due_at
        )
        .join(BolOrder)
        .where(look.mine(LabelEffect), left_over())
        .order_by(LabelEffect.id)
        .limit(MOST_ROWS)
    )
    by_store: dict[int, list[Any]] = {}
    for row in rows:
        by_store.setdefault(row[0], []).append(row)
    for store_id, mine in by_store.items():
        orders = list(dict.fromkeys(row[3] for row in mine))
        yield look.task(
            LABEL_NOT_USED,
            store_id,
            number=len(mine),
            about=", ".join(orders[:MOST_NAMED]) + (", …" if len(orders) > MOST_NAMED else ""),
            since=min(row[4] for row in mine),
            row_id=mine[0][1],
            order_id=mine[0][2],
        )


def _requests(look: Look) -> Iterator[Task]:
    """Customers ask to cancel, and nobody has answered."""
    waiting = (
        select(BolOrder.store_id, BolOrder.id, BolOrder.id, BolOrder.order_id, BolOrder.read_at)
        # Of all stores: naming some has the database go through all their orders.
        .where(unanswered())
        .order_by(BolOrder.id)
    )
    yield from _one_by_one(look, REQUEST, waiting)


def _cancelled(look: Look) -> Iterator[Task]:
    """Goods that lie picked for an order that bol cancelled, orders cancelled here that bol still counts on, and parcels
    withdrawn here that bol has as shipped."""
    asked = exists().where(CancellationEffect.order_id == BolOrder.id, CancellationEffect.state.in_(ACTIVE))
    for kind, undone in (
        (STILL_HERE, OPEN_HERE),
        (STILL_AT_BOL, OPEN_AT_BOL),
        (WITHDRAWN, WITHDRAWN_HERE),
    ):
        # When bol was read says nothing of when a parcel was withdrawn: its own page tells that.
        since = null() if kind == WITHDRAWN else BolOrder.read_at
        waiting = (
            select(BolOrder.store_id, BolOrder.id, BolOrder.id, BolOrder.order_id, since)
            # The literal words let the database use the index of the few that are not empty.
            .where(
                look.mine(BolOrder),
                literal_column("bol_order.undone <> ''"),
                BolOrder.undone == undone,
                ~asked,
            )
            .order_by(BolOrder.id)
        )
        yield from _one_by_one(look, kind, waiting)


def _one_by_one(look: Look, kind: str, statement: Any) -> Iterator[Task]:
    """Rows of (store, row, order's row, order at bol, since): each its own task, or all of a store's one where many."""
    by_store: dict[int, list[Any]] = {}
    for row in look.session.execute(statement.limit(MOST_ROWS)):
        if row[0] in look.stores:
            by_store.setdefault(row[0], []).append(row)
    for store_id, rows in by_store.items():
        if len(rows) > SHOWN_ALONE:
            since = min((row[4] for row in rows if row[4] is not None), default=None)
            yield look.task(kind, store_id, number=len(rows), since=since)
            continue
        for _store, row_id, order_row, order_id, since in rows:
            yield look.task(kind, store_id, about=order_id, row_id=row_id, order_id=order_row, since=since)


def _refused(look: Look) -> Iterator[Task]:
    """Shipments that bol refused, by its reason."""
    yield from _by_error(
        look,
        REFUSED,
        ShipmentEffect,
        [ShipmentEffect.state == EffectState.REFUSED],
        ShipmentEffect.settled_at,
    )


def _carriers(look: Look) -> Iterator[Task]:
    """Shipments that wait for their carrier's code: the error names the carrier."""
    waiting = [ShipmentEffect.state == EffectState.WANTED, ShipmentEffect.due_at.is_(None)]
    yield from _by_error(look, CARRIER, ShipmentEffect, waiting, ShipmentEffect.created_at)


def _by_error(look: Look, kind: str, model: Any, conditions: list[Any], since: Any) -> Iterator[Task]:
    rows = look.session.execute(
        select(model.store_id, model.id, model.error, since, model.host_shipment_id)
        .where(look.mine(model), *conditions)
        .order_by(model.id)
        .limit(MOST_ROWS)
    )
    yield from _grouped(look, kind, rows)


def _grouped(look: Look, kind: str, rows: Iterable[Any]) -> Iterator[Task]:
    """Rows of (store, row, error, since, what is counted) as one task for each reason."""
    groups: dict[tuple[int, str], list[Any]] = {}
    for row in rows:
        groups.setdefault((row[0], without_reference(row[2])), []).append(row)
    for (store_id, reason), alike in list(groups.items())[:MOST_GROUPS]:
        yield look.task(
            kind,
            store_id,
            number=len({row[4] for row in alike}),
            about=reason,
            since=min((row[3] for row in alike if row[3] is not None), default=None),
            row_id=alike[0][1],
        )


def _corrections(look: Look) -> Iterator[Task]:
    """Corrected tracking codes that bol did not take, and those that it was not asked to take: their carrier has no code."""
    rows = look.session.execute(
        select(
            TransportEffect.store_id,
            TransportEffect.id,
            TransportEffect.error,
            TransportEffect.created_at,
            TransportEffect.host_shipment_id,
            TransportEffect.transporter_code,
        )
        .where(look.mine(TransportEffect), TransportEffect.state == EffectState.REFUSED)
        .order_by(TransportEffect.id)
        .limit(MOST_ROWS)
    ).all()
    yield from _grouped(look, UNCODED, [row for row in rows if not row[5]])
    yield from _grouped(look, CORRECTION, [row for row in rows if row[5]])


def _products(look: Look) -> Iterator[Task]:
    """Orders that wait for a product, by its EAN."""
    waiting = (
        select(BolOrder.id, BolOrder.store_id, BolOrder.found_at)
        .where(look.mine(BolOrder), BolOrder.state == BolOrderState.WAITING_FOR_PRODUCT)
        .order_by(BolOrder.id)
        .limit(MOST_ROWS)
        .subquery()
    )
    grouped = (
        select(
            waiting.c.store_id,
            BolOrderItem.ean,
            func.count(waiting.c.id.distinct()),
            func.min(waiting.c.found_at),
            func.min(waiting.c.id),
            func.max(BolOrderItem.title),
            func.sum(BolOrderItem.quantity - BolOrderItem.shipped - BolOrderItem.cancelled),
        )
        .join(BolOrderItem, BolOrderItem.order_id == waiting.c.id)
        .where(BolOrderItem.product_id.is_(None), BolOrderItem.method.in_((FBR, "")))
        .group_by(waiting.c.store_id, BolOrderItem.ean)
        .order_by(func.min(waiting.c.id))
        .limit(MOST_GROUPS)
    )
    rows = look.session.execute(grouped).all()
    for store_id in {row[0] for row in rows}:
        mine = [row for row in rows if row[0] == store_id]
        settings = StoreSettings.load(look.stores[store_id].settings)
        # Other items of these orders may have their product.
        known = find_products(look.host, settings, [row[1] for row in mine])
        for _store, ean, number, since, order_id, title, pieces in mine:
            if ean not in known:
                yield look.task(
                    PRODUCT,
                    store_id,
                    number=number,
                    about=ean,
                    since=since,
                    order_id=order_id,
                    title=title,
                    pieces=int(pieces),
                )


def _unreadable(look: Look) -> Iterator[Task]:
    """Orders that could not be read or taken over, again and again, by the reason."""
    rows = look.session.execute(
        select(BolOrder.store_id, BolOrder.id, BolOrder.error, BolOrder.found_at, BolOrder.id)
        .where(look.mine(BolOrder), literal_column("bol_order.error <> ''"), BolOrder.attempts >= TRIED)
        .order_by(BolOrder.id)
        .limit(MOST_ROWS)
    )
    yield from _grouped(look, UNREADABLE, rows)


def _runs(look: Look) -> Iterator[Task]:
    """Long work that failed for good, and was not done anew since."""
    newer = aliased(Run)
    later = select(newer.id).where(
        newer.store_id == Run.store_id, newer.kind == Run.kind, newer.id > Run.id
    )  # fmt: skip
    failed = select(Run).where(look.mine(Run), Run.state == RunState.FAILED, ~later.exists()).order_by(Run.id)
    for run in look.session.scalars(failed):
        yield look.task(RUN, run.store_id, about=run.kind, since=run.finished_at, row_id=run.id)


def _stock(look: Look) -> Iterator[Task]:
    """Stock updates that failed again and again, while bol can be reached."""
    reached = [store.id for store in look.stores.values() if not store.problem]
    failing = (
        select(Offer.store_id, func.count(), func.min(Offer.sent_at))
        .where(
            Offer.store_id.in_(reached),
            literal_column(AN_ERROR),
            Offer.attempts >= TELL_AFTER,
            in_need(Offer),
        )
        .group_by(Offer.store_id)
    )
    for store_id, number, since in look.session.execute(failing):
        yield look.task(STOCK, store_id, number=number, since=since)


Finder = Callable[[Look], Iterable[Task]]
#: The most urgent first.
FINDERS: tuple[Finder, ...] = (
    _problems,
    _consents,
    _guards,
    _cancelled_soon,
    _undecided,
    _labels,
    _not_fetched,
    _cancelled,
    _requests,
    _refused,
    _carriers,
    _corrections,
    _not_used,
    _products,
    _unreadable,
    _runs,
    _stock,
    _kept_on_sale,
)

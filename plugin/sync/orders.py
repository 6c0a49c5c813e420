"""Orders: the list says which orders changed, each changed one is read and taken over, exactly once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from host_app.plugin_api import HostError, HostPort, LeaseLost, Level, logging_about
from plugin import connector
from plugin.connector import BolError, MalformedAnswer
from plugin.models import BolOrder, BolOrderItem, BolOrderState, Offer, Store, StoreState
from plugin.models.orders import NOT_IN_HOST
from plugin.sync import counters
from plugin.sync.cancel_decisions import requested
from plugin.sync.cancellations import apply_changes
from plugin.sync.context import CALL_SECONDS, Context, order_url
from plugin.sync.deadlines import cancel_day, warn_moment
from plugin.sync.dirty import mark_order_items, mark_pending
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.links import hand_links, link_offers, remembered
from plugin.sync.mapping import FBR, host_order, items_to_pick
from plugin.sync.matching import find_matches, find_products
from plugin.sync.offers import record_offers
from plugin.sync.order_list import SANDBOX_EVERY, list_is_due, read_list_if_due, too_old
from plugin.sync.parallel import in_flight
from plugin.sync.pending import pending_quantities
from plugin.sync.products import Wanted, create_products, lock_products, wanted_for
from plugin.sync.timeline import note
from plugin.texts import gettext as _

log = logging.getLogger(__name__)

#: More than the limit needs at real latencies: while one order is taken over, the others still use their moments.
DETAILS_AT_ONCE = 12
BATCH = 200


def import_orders(ctx: Context) -> bool:
    """Read the list if that is due, then every order that is due. True when some are left."""
    if not ctx.active:
        return False
    importing = ctx.settings.import_orders
    if importing and not read_list_if_due(ctx):
        return False
    return read_due_orders(ctx) or (importing and list_is_due(ctx))


def lock_row(ctx: Context, order_row_id: int) -> BolOrder:
    """Return an order of this store, locked. In a transaction."""
    row: BolOrder = ctx.host.session.scalars(
        select(BolOrder).where(BolOrder.id == order_row_id).with_for_update(key_share=True)
    ).one()
    return row


def due_stores(host: HostPort, only: int | None, *, forced: bool) -> list[int]:
    """Return the active stores whose import is due; with ``forced`` ask for it at once. In a transaction."""
    session, now = host.session, host.now()
    active = [Store.state == StoreState.ACTIVE]
    if only is not None:
        active.append(Store.id == only)
    if forced:
        session.execute(update(Store).where(*active).values(import_wanted_at=now))
    due = or_(Store.next_import_at.is_(None), Store.next_import_at <= now, Store.import_wanted_at <= now)
    return list(session.scalars(select(Store.id).where(*active, due).order_by(Store.id)))


def retry_waiting(host: HostPort, product_id: int) -> list[int]:
    """A product is new or changed: orders that wait for its code or a barcode go on. In a transaction."""
    product = host.products([product_id]).get(product_id)
    if product is None:
        return []
    session = host.session
    waiting = session.execute(
        select(BolOrder.id, BolOrder.store_id)
        .join(BolOrderItem)
        .where(
            BolOrder.state == BolOrderState.WAITING_FOR_PRODUCT,
            BolOrderItem.ean.in_([product.code, *product.barcodes]),
        )
    ).all()
    if waiting:
        session.execute(
            update(BolOrder)
            .where(BolOrder.id.in_([row.id for row in waiting]))
            .values(read_due_at=host.now(), attempts=0)
        )
    return sorted({row.store_id for row in waiting})


def due_orders(store_id: int, now: datetime, *, importing: bool) -> list[Any]:
    """Return the conditions of orders to be read now. Where no orders are imported, those that came in before still are."""
    due = [BolOrder.store_id == store_id, BolOrder.read_due_at <= now]
    return due if importing else [*due, BolOrder.host_order_id.is_not(None)]


def read_due_orders(ctx: Context) -> bool:
    """Read every order that is due, several at a time, oldest first. True when some are left."""
    while not ctx.lease.slice_over():
        down, found = _read_all(ctx)
        if down is not None:
            ctx.report_problem(down)
            _put_off_all(ctx, down)
            return False
        if not found:
            _note_done(ctx)
            return False
    return True


@dataclass(frozen=True, slots=True)
class _Question:
    """What bol is asked for: an order, or the offers that one which was read needs."""

    row_id: int
    order_id: str
    began: datetime
    order: connector.Order | None = None
    #: By offer id: if the order needs it to be taken over. One is asked for after the other.
    offers: Mapping[str, bool] = field(default_factory=dict)
    #: The offers that are here, and the pieces of orders still to come, by EAN, as they were known before.
    here: tuple[connector.Offer, ...] = ()
    pending: Mapping[str, int] = field(default_factory=dict)


class _Questions:
    """What to ask bol for, one after the other: offers of orders that were read, then the orders that are due."""

    def __init__(self, ctx: Context) -> None:
        self.found = 0
        self.down: BolError | None = None
        self._ctx = ctx
        self._reading: set[int] = set()
        self._rows: deque[Any] = deque()
        self._offers: deque[_Question] = deque()

    def __iter__(self) -> _Questions:
        return self

    def __next__(self) -> _Question:
        if self.down is not None:
            raise StopIteration
        if self._offers:
            return self._offers.popleft()
        ctx = self._ctx
        if ctx.lease.slice_over():
            raise StopIteration
        self._rows = self._rows or deque(_next_due(ctx, self._reading))
        if not self._rows:
            raise StopIteration
        row = self._rows.popleft()
        self.found += 1
        self._reading.add(row.id)
        return _Question(row.id, row.order_id, ctx.now())

    def follow(self, question: _Question) -> None:
        """The order can be taken over when the offers of this question are here."""
        self._offers.append(question)

    def over(self, question: _Question) -> None:
        """The order is taken over, or was set aside; what is due of it from now on is asked for again."""
        self._reading.discard(question.row_id)


def _read_all(ctx: Context) -> tuple[BolError | None, int]:
    """Read what is due and take each order over as it comes; return how many there were.

    An error that every further call would meet ends it and is returned, too.
    """
    questions = _Questions(ctx)
    answers = in_flight(
        DETAILS_AT_ONCE,
        questions,
        lambda question: _ask(ctx, question),
        lambda: ctx.lease.ensure(CALL_SECONDS),
    )
    for done in answers:
        for question, answer in done:
            if isinstance(answer, BolError):
                if line_is_down(answer):
                    questions.down = answer
                else:
                    _set_aside(ctx, question.row_id, answer)
                questions.over(question)
                continue
            further = None
            with logging_about(order=question.order_id), _holding_up_no_other(ctx, question):
                known = _with_answer(ctx, question, answer)
                if known.offers:
                    further = known
                else:
                    _take_over(ctx, known)
            if further is not None:
                questions.follow(further)
            else:
                questions.over(question)
    return questions.down, questions.found


def _next_due(ctx: Context, reading: Collection[int]) -> Sequence[Any]:
    """Return the oldest orders that are due and not being read."""
    with ctx.host.reading() as session:
        found: Sequence[Any] = session.execute(
            select(BolOrder.id, BolOrder.order_id)
            .where(
                *due_orders(ctx.store_id, ctx.now(), importing=ctx.settings.import_orders),
                BolOrder.id.not_in(list(reading)),
            )
            .order_by(BolOrder.placed_at, BolOrder.id)
            .limit(BATCH)
        ).all()
    return found


def _ask(ctx: Context, question: _Question) -> connector.Order | connector.Offer | BolError | None:
    """In a thread without a database session: return the order, or the next offer that it waits for.

    One call, as the lease was made to last for one. None: the offer can't be read.
    """
    if question.order is None:
        try:
            return ctx.client.orders.get(question.order_id)
        except BolError as error:
            return error
    offer_id, needed = next(iter(question.offers.items()))
    try:
        return ctx.client.offers.get(offer_id)
    except BolError as error:
        # An order that needs nothing of its offer does not wait for it; the stock check finds it later.
        return error if line_is_down(error) and needed else None


def _with_answer(
    ctx: Context, question: _Question, answer: connector.Order | connector.Offer | None
) -> _Question:
    """Return what is known with this answer, and which offers are still to be asked for."""
    if isinstance(answer, connector.Order):
        needed = _missing_offers(ctx, answer)
        pending = _pending_before(ctx, question.row_id, answer) if needed else {}
        return replace(question, order=answer, offers=needed, pending=pending)
    _asked, *others = question.offers.items()
    return replace(question, offers=dict(others), here=(*question.here, *([answer] if answer else [])))


def _pending_before(ctx: Context, row_id: int, order: connector.Order) -> dict[str, int]:
    """Return the pieces, by EAN, of this order and of others that the host does not have yet.

    bol is asked for its offers after this: it has subtracted all of them.
    """
    items = items_to_pick(order)
    with ctx.host.reading() as session:
        found = pending_quantities(session, ctx.store_id, [item.ean for item in items])
        row = session.get_one(BolOrder, row_id)
        # What the list told of this very order may be old, or lack items.
        listed = [item for item in row.items if row.state in NOT_IN_HOST and item.method in (FBR, "")]
        for item in listed:
            found[item.ean] = found.get(item.ean, 0) - item.open
    for wanted in items:
        found[wanted.ean] = found.get(wanted.ean, 0) + wanted.open_quantity
    return found


@contextmanager
def _holding_up_no_other(ctx: Context, question: _Question) -> Iterator[None]:
    """Set an order aside that can't be taken over: it is told where nobody foresaw why, and tried again."""
    try:
        yield
    except LeaseLost:
        raise
    except BolError as error:
        _set_aside(ctx, question.row_id, error)
    except Exception as error:
        if not isinstance(error, HostError):
            log.exception("order %s could not be taken over", question.order_id)
        _set_aside(ctx, question.row_id, error)
        with ctx.host.transaction():
            ctx.notify(
                f"order-refused:{question.order_id}",
                "order",
                Level.DANGER,
                _("order %(order)s could not be taken over", order=question.order_id),
                _("%(reason)s It is tried again by itself.", reason=_reason(error)),
            )


def _take_over(ctx: Context, question: _Question) -> None:
    """Make the host agree with one order of bol, in one transaction."""
    order, offers = question.order, question.here
    assert order is not None
    with ctx.host.transaction():
        if ctx.settings.import_products or offers:
            lock_products(ctx)
        row = lock_row(ctx, question.row_id)
        if row.read_at is not None and row.read_at > question.began:
            # Somebody who began later was faster, as this job hung: which answer is newer can't be told.
            row.read_due_at = ctx.now()
            return
        _check_complete(row, order)
        _done_reading(row, question.began, ctx.now())
        if offers:
            record_offers(ctx, offers, question.began)
            link_offers(ctx, find_matches(ctx.host, ctx.settings.lookup, [offer.ean for offer in offers]))
        was_here = row.host_order_id is not None
        _apply(ctx, row, question, order)
        if not was_here:
            # What the host reserves now marks its offers itself. The rest was counted as sold, and may not be any more.
            mark_pending(ctx, {item.ean for item in row.items if not item.imported}, found=False)


def _check_complete(row: BolOrder, order: connector.Order) -> None:
    """An answer that lacks items of the order, or is about another one, must not pass for the order.

    :raises MalformedAnswer: it does.
    """
    known = {item.order_item_id for item in row.items}
    if (
        order.order_id != row.order_id
        or not order.items
        or known - {item.order_item_id for item in order.items}
    ):
        raise MalformedAnswer("items of the order are missing from the answer")


def _done_reading(row: BolOrder, claimed_at: datetime, now: datetime) -> None:
    """Note that an order was read. What marked it as due since the read began stays: it may be about a later change."""
    row.read_at, row.attempts, row.error = now, 0, ""
    if row.read_due_at is not None and row.read_due_at <= claimed_at:
        row.read_due_at = None


def _apply(ctx: Context, row: BolOrder, question: _Question, order: connector.Order) -> None:
    row.placed_at = order.placed_at or row.placed_at
    if row.latest_delivery is None and row.expires is None:
        row.latest_delivery = _first_day(order, "latest_delivery_date")
        row.expires = _first_day(order, "expiry_date")
        row.cancels_on = cancel_day(row.latest_delivery, row.expires)
        row.warn_at = warn_moment(row.cancels_on)
    mark_order_items(ctx, [item.ean for item in order.items])
    if row.host_order_id is not None:
        take_changes(ctx, row, order)
        return
    _update_items(ctx, row, order)
    ctx.host.session.flush()
    wanted = items_to_pick(order)
    if not wanted:
        row.state = BolOrderState.NOTHING_TO_SHIP
        return
    if too_old(ctx, row.placed_at):
        row.state = BolOrderState.TOO_OLD
        return
    products = _known_products(ctx, wanted) | _linked_by_hand(row)
    missing = [item for item in wanted if item.ean not in products]
    if missing and ctx.settings.import_products and all(item.ean for item in missing):
        products |= create_products(ctx, _wanted_products(missing, question.here), question.pending)
        missing = []
    if missing:
        if row.state != BolOrderState.WAITING_FOR_PRODUCT:
            names = ", ".join(item.ean or item.title for item in missing)
            note(ctx.host, row.id, _("Waits for a product: %(names)s", names=names))
        row.state = BolOrderState.WAITING_FOR_PRODUCT
        _tell_of_missing(ctx, row, order, missing)
        return
    accepted = ctx.host.accept_order(
        host_order(
            order,
            products,
            source=ctx.source,
            shop_name=ctx.store_name,
            process=ctx.settings.process_orders,
            warehouse_id=ctx.settings.warehouse_id,
            now=ctx.now(),
        )
    )
    if row.state == BolOrderState.WAITING_FOR_PRODUCT:
        ctx.settle(f"order-waits:{row.order_id}")
    row.state, row.host_order_id = BolOrderState.IMPORTED, accepted.order_id
    note(ctx.host, row.id, _("Taken over as order %(number)s", number=accepted.number))
    counters.note(ctx.host.session, ctx.store_id, ctx.now(), counters.ORDERS)
    imported = {item.order_item_id: item for item in wanted}
    for item in row.items:
        if item.order_item_id in imported:
            item.imported = imported[item.order_item_id].open_quantity
            item.cancelled_before_import = item.cancelled
            item.product_id = products[item.ean]
    if requested(row):
        apply_changes(ctx, row, order)


def take_changes(ctx: Context, row: BolOrder, order: connector.Order) -> None:
    """Act on what bol shows of an order that came in before. In a transaction, with the row locked."""
    _update_items(ctx, row, order)
    ctx.host.session.flush()
    apply_changes(ctx, row, order)


def _update_items(ctx: Context, row: BolOrder, order: connector.Order) -> None:
    known = {item.order_item_id: item for item in row.items}
    for item in order.items:
        kept = known.get(item.order_item_id)
        if kept is None:
            kept = BolOrderItem(
                order_item_id=item.order_item_id, imported=0, cancelled_before_import=0, request_kept=False
            )
            row.items.append(kept)
        kept.ean = item.ean or kept.ean or ""
        kept.method = item.method or kept.method or ""
        kept.distribution_party = item.distribution_party or ""
        kept.offer_id = item.offer_id or ""
        kept.quantity, kept.shipped, kept.cancelled = (
            item.quantity,
            item.quantity_shipped,
            item.quantity_cancelled,
        )
        kept.cancellation_request = item.cancellation_request
        kept.title = item.title[:500]


def _known_products(ctx: Context, items: Sequence[connector.OrderItem]) -> dict[str, int]:
    """Return the host's product of each item's EAN.

    An offer that a person linked goes before what is found, and that before what was chosen for an earlier order.
    """
    eans = [item.ean for item in items]
    found = remembered(ctx.host.session, ctx.store_id, eans) | find_products(ctx.host, ctx.settings, eans)
    return found | hand_links(ctx.host.session, ctx.store_id, [item.offer_id or "" for item in items])


def _linked_by_hand(row: BolOrder) -> dict[str, int]:
    """Return the products that a person chose for items that were waiting for one."""
    return {item.ean: item.product_id for item in row.items if item.product_id is not None}


def _first_day(order: connector.Order, name: str) -> date | None:
    """Return the earliest of a date that the items to pick have."""
    return min(
        (day for item in items_to_pick(order) if (day := getattr(item, name)) is not None), default=None
    )


def _missing_offers(ctx: Context, order: connector.Order) -> dict[str, bool]:
    """Return the offers to be read: those that are new here, and those of items whose product is to be made.

    An offer that is made at bol after the last import is first heard of by an order: its stock must follow, too.
    Each with whether the order can't be taken over without it.
    """
    items = {item.offer_id: item for item in items_to_pick(order) if item.offer_id}
    with ctx.host.reading() as session:
        creating = ctx.settings.import_products
        known = _known_products(ctx, list(items.values())) if creating else {}
        wanted = {offer_id for offer_id, item in items.items() if creating and item.ean not in known}
        there = select(BolOrder.id).where(
            *(BolOrder.store_id == ctx.store_id, BolOrder.order_id == order.order_id),
            BolOrder.host_order_id.is_not(None),
        )
        if session.scalar(there) is None:
            here = select(Offer.offer_id).where(Offer.store_id == ctx.store_id, Offer.offer_id.in_(items))
            new = items.keys() - set(session.scalars(here))
        else:
            new = set()
    return {offer_id: offer_id in wanted for offer_id in items if offer_id in wanted or offer_id in new}


def _wanted_products(items: Sequence[connector.OrderItem], offers: Sequence[connector.Offer]) -> list[Wanted]:
    """Return the products to create: from the offer, or from the order with unknown stock."""
    by_ean = {offer.ean: offer for offer in offers}
    return [
        wanted_for(offer, item.title)
        if (offer := by_ean.get(item.ean)) is not None
        else Wanted(item.ean, item.title, (item.offer_reference or "").strip(), item.unit_price, None)
        for item in items
    ]


def _tell_of_missing(
    ctx: Context, row: BolOrder, order: connector.Order, missing: Sequence[connector.OrderItem]
) -> None:
    names = ", ".join(f"{item.ean or _('no EAN')} {item.title}".strip() for item in missing)
    ctx.notify(
        f"order-waits:{order.order_id}",
        "order",
        Level.WARNING,
        _("order %(order)s waits for a product", order=order.order_id),
        _(
            "No product has this code or barcode: %(names)s. Add it, and the order comes in by itself; or link a product "
            "that you have.",
            names=names,
        ),
        order_url(ctx.store_id, row.id),
    )


def _put_off_all(ctx: Context, error: BolError) -> None:
    when = max(come_back(error, ctx.now()), ctx.now() + SANDBOX_EVERY)
    with ctx.host.transaction() as session:
        session.execute(
            update(BolOrder)
            .where(BolOrder.store_id == ctx.store_id, BolOrder.read_due_at <= when)
            .values(read_due_at=when)
        )


def _note_done(ctx: Context) -> None:
    """Note that everything that was found is taken over."""
    with ctx.host.transaction() as session:
        session.execute(
            update(Store)
            .where(
                Store.id == ctx.store_id,
                or_(Store.orders_imported_at.is_(None), Store.orders_imported_at < Store.orders_read_at),
            )
            .values(orders_imported_at=ctx.now())
        )


def _reason(error: Exception) -> str:
    if isinstance(error, BolError):
        return error.operator_text(_)
    if isinstance(error, HostError):
        return str(error)
    return _("An error that nobody foresaw: %(name)s.", name=type(error).__name__)


def _set_aside(ctx: Context, row_id: int, error: Exception) -> None:
    """Note why an order could not be read or taken over; it is tried again, ever later, and holds up no other."""
    with ctx.host.transaction() as session:
        row = session.get(BolOrder, row_id)
        if row is None:
            return
        row.attempts += 1
        row.error = _reason(error)
        row.read_due_at = ctx.now() + min(
            timedelta(seconds=10) * 2 ** min(row.attempts, 10), timedelta(hours=1)
        )

"""Orders: the list says which orders changed, each changed one is read and taken over, exactly once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, or_, select, update

from host_app.plugin_api import HostError, HostPort, LeaseLost, Level, logging_about
from plugin import connector
from plugin.connector import BolError, NotFound
from plugin.models import BolOrder, BolOrderItem, BolOrderState, Store, StoreState
from plugin.sync.cancelling import take_confirmed
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.eans import other_forms
from plugin.sync.failures import come_back, line_is_down, tried_again
from plugin.sync.order_list import SANDBOX_EVERY, list_is_due, read_list_if_due
from plugin.sync.parallel import in_flight
from plugin.sync.taking_over import Reading, lock_row, take_over, with_order
from plugin.texts import gettext as _

log = logging.getLogger(__name__)

#: More than the limit needs at real latencies: while one order is taken over, the others still use their moments.
DETAILS_AT_ONCE = 12
#: Orders that are looked up together; between them the list has its turn.
BATCH = 100


def import_orders(ctx: Context) -> bool:
    """Read the list if that is due, then every order that is due. True when some are left."""
    if not ctx.active:
        return False
    importing = ctx.settings.import_orders
    if importing and not read_list_if_due(ctx):
        return False
    return read_due_orders(ctx) or _list_comes_first(ctx)


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
    numbers = {
        form for number in (product.code, *product.barcodes) for form in (number, *other_forms(number))
    }
    waiting = session.execute(
        select(BolOrder.id, BolOrder.store_id)
        .join(BolOrderItem)
        .where(BolOrder.state == BolOrderState.WAITING_FOR_PRODUCT, BolOrderItem.ean.in_(numbers))
    ).all()
    if waiting:
        session.execute(
            update(BolOrder)
            .where(BolOrder.id.in_([row.id for row in waiting]))
            .values(read_due_at=host.now(), attempts=0)
        )
    return sorted({row.store_id for row in waiting})


def retry_all_waiting(host: HostPort) -> list[int]:
    """Let every order look for its products anew: some may have come untold. Return the stores. In a transaction."""
    session = host.session
    waiting = BolOrder.state == BolOrderState.WAITING_FOR_PRODUCT
    stores = session.scalars(select(BolOrder.store_id).where(waiting).distinct()).all()
    if stores:
        session.execute(update(BolOrder).where(waiting).values(read_due_at=host.now(), attempts=0))
    return sorted(stores)


def due_orders(store_id: Any, now: Any, *, importing: bool) -> list[Any]:
    """Return the conditions of orders to be read now. Where no orders are imported, those that came in before still are."""
    due = [BolOrder.store_id == store_id, BolOrder.read_due_at <= now]
    return due if importing else [*due, BolOrder.host_order_id.is_not(None)]


def read_due_orders(ctx: Context) -> bool:
    """Read every order that is due, several at a time. True when some are left."""
    while not ctx.lease.slice_over():
        down, found = _read_all(ctx)
        if down is not None:
            ctx.report_problem(down)
            _put_off_all(ctx, down)
            return False
        if not found:
            _note_done(ctx)
            return False
        if _list_comes_first(ctx):
            break
    return True


def _list_comes_first(ctx: Context) -> bool:
    """Tell if the list is to be read before more of the orders: it may tell new ones, for which stock waits."""
    return ctx.settings.import_orders and list_is_due(ctx)


class _Queue:
    """What to read next, one after the other: offers that an order waits for, then the orders that are due."""

    def __init__(self, ctx: Context) -> None:
        self.found = 0
        self.down: BolError | None = None
        self._ctx = ctx
        self._reading: set[int] = set()
        self._rows: deque[Any] = deque()
        self._waiting: deque[Reading] = deque()

    def __iter__(self) -> _Queue:
        return self

    def __next__(self) -> Reading:
        if self.down is not None:
            raise StopIteration
        if self._waiting:
            return self._waiting.popleft()
        ctx = self._ctx
        if ctx.lease.slice_over():
            raise StopIteration
        if not self._rows and not (self.found and _list_comes_first(ctx)):
            self._rows.extend(_next_due(ctx, self._reading))
        if not self._rows:
            raise StopIteration
        row = self._rows.popleft()
        self.found += 1
        self._reading.add(row.id)
        return Reading(row.id, row.order_id, ctx.now())

    def read_on(self, reading: Reading) -> None:
        """The order can be taken over when its missing offers are here."""
        self._waiting.append(reading)

    def over(self, reading: Reading) -> None:
        """The order is taken over, or was set aside; what is due of it from now on is asked for again."""
        self._reading.discard(reading.row_id)


def _read_all(ctx: Context) -> tuple[BolError | None, int]:
    """Read what is due and take each order over as it comes; return how many there were.

    An error that every further call would meet ends it and is returned, too.
    """
    queue = _Queue(ctx)
    answers = in_flight(
        DETAILS_AT_ONCE,
        queue,
        lambda reading: _ask(ctx, reading),
        lambda: ctx.lease.ensure(CALL_SECONDS),
    )
    for done in answers:
        for reading, answer in done:
            if isinstance(answer, BolError):
                # What bol says of offers need not be so for orders: only this one waits.
                if line_is_down(answer) and reading.order is None:
                    queue.down = answer
                else:
                    _set_aside(ctx, reading.row_id, answer, gone=isinstance(answer, NotFound))
                queue.over(reading)
                continue
            with logging_about(order=reading.order_id), _holding_up_no_other(ctx, reading):
                known = _with_answer(ctx, reading, answer)
                if known.missing:
                    queue.read_on(known)
                    continue
                take_over(ctx, known)
            queue.over(reading)
    return queue.down, queue.found


def _next_due(ctx: Context, reading: Collection[int]) -> Sequence[Any]:
    """Return orders that are due and not being read: new ones first, as stock waits for them, and the oldest of each."""
    values = {"store": ctx.store_id, "now": ctx.now(), "reading": list(reading), "most": BATCH}
    with ctx.host.reading() as session:
        found: Sequence[Any] = session.execute(
            _due_statement(importing=ctx.settings.import_orders), values
        ).all()
    return found


@cache
def _due_statement(*, importing: bool) -> Select[int, str]:
    """Build it once: it is asked for each order that was read."""
    return (
        select(BolOrder.id, BolOrder.order_id)
        .where(
            *due_orders(bindparam("store"), bindparam("now"), importing=importing),
            BolOrder.id.not_in(bindparam("reading", expanding=True)),
        )
        .order_by(BolOrder.host_order_id.is_not(None), BolOrder.placed_at, BolOrder.id)
        .limit(bindparam("most"))
    )


def _ask(ctx: Context, reading: Reading) -> connector.Order | connector.Offer | BolError | None:
    """In a thread without a database session: return the order, or the next offer that it waits for.

    One call, as the lease was made to last for one. None: the offer can't be read.
    """
    if reading.order is None:
        try:
            return ctx.client.orders.get(reading.order_id)
        except BolError as error:
            return error
    offer_id, needed = next(iter(reading.missing.items()))
    try:
        return ctx.client.offers.get(offer_id)
    except BolError as error:
        # An order that needs nothing of its offer does not wait for it; the stock check finds it later.
        return error if line_is_down(error) and needed else None


def _with_answer(ctx: Context, reading: Reading, answer: connector.Order | connector.Offer | None) -> Reading:
    return (
        with_order(ctx, reading, answer)
        if isinstance(answer, connector.Order)
        else reading.with_offer(answer)
    )


@contextmanager
def _holding_up_no_other(ctx: Context, reading: Reading) -> Iterator[None]:
    """Set an order aside that can't be taken over: it is told where nobody foresaw why, and tried again."""
    try:
        yield
    except LeaseLost:
        raise
    except BolError as error:
        _set_aside(ctx, reading.row_id, error)
    except Exception as error:
        if not isinstance(error, HostError):
            log.exception("order %s could not be taken over", reading.order_id)
        _set_aside(ctx, reading.row_id, error)
        with ctx.host.transaction():
            ctx.notify(
                # Once a day: it may be over in between, and what then is not taken over may be a cancellation.
                f"order-refused:{reading.order_id}:{ctx.now():%Y-%m-%d}",
                "order",
                Level.DANGER,
                _("order %(order)s could not be taken over", order=reading.order_id),
                tried_again(_reason(error)),
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


def _set_aside(ctx: Context, row_id: int, error: Exception, *, gone: bool = False) -> None:
    """Note why an order could not be read or taken over; it is tried again, ever later, and holds up no other.

    :param gone: bol does not show the order any more.
    """
    with ctx.host.transaction():
        row = lock_row(ctx, row_id)
        if gone and row.host_order_id is not None:
            take_confirmed(ctx, row)
            if not any(item.imported and item.open for item in row.items):
                # All of it is shipped or cancelled, so that there is nothing more to be read.
                row.attempts, row.error, row.read_due_at = 0, "", None
                return
        row.attempts += 1
        row.error = _reason(error)
        row.read_due_at = ctx.now() + min(
            timedelta(seconds=10) * 2 ** min(row.attempts, 10), timedelta(hours=1)
        )
        if isinstance(error, BolError) and error.retry_after is not None:
            row.read_due_at = max(row.read_due_at, ctx.now() + timedelta(seconds=error.retry_after))

"""The list of orders: finds every order that is new or changed, over any number of pages, slices and restarts."""

from __future__ import annotations

import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, or_, select, update

from host_app.plugin_api import Level
from plugin import connector
from plugin.connector import BolError, BudgetExhausted, RateLimited
from plugin.models import BolOrder, BolOrderItem, BolOrderState, Store
from plugin.settings import StoreSettings
from plugin.sync.context import CALL_SECONDS, Context, current_settings
from plugin.sync.deadlines import STILL_OPEN, WARNED
from plugin.sync.dirty import mark_pending
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.mapping import CLOCKS, LISTED_LATE, is_ours, read_interval, start_of_day
from plugin.sync.timeline import note
from plugin.texts import gettext as _
from plugin.texts import ngettext

SANDBOX_EVERY = timedelta(seconds=10)
#: What rests on knowing the new orders (amounts that are sent, products that are made) looks for them again when the
#: last look began longer ago. At 5 s and one page that takes 12 of bol's 25 calls a minute; where a look needs more
#: pages it is taken accordingly more seldom.
FRESH = timedelta(seconds=5)
SELDOMEST = timedelta(minutes=1)
#: A look for new orders turns no more pages than this; where more came in since the last one, the list is read.
LOOK_PAGES = 4
#: After a gap of this length the list is read, which goes on where it stopped, in place of a look, which does not.
GAP = timedelta(minutes=10)
#: What is handled leaves the list 48 hours later (bol, orders and shipments); an hour less, as clocks and reads take time.
LISTED = timedelta(hours=47)
#: Who needs to know the new orders waits no longer for room in the budget; there is always some soon, or not for long.
TURN_SECONDS = 1.0
#: A read that has not read anything yet begins anew when it stood still this long.
BEGIN_ANEW = timedelta(minutes=1)
#: Import and stock pump read side by side; who finds the other one at it leaves it the pages, until it stands so long.
LEFT_TO_THE_OTHER = 1.5
LOOKS_AGAIN = 0.1
#: A list that keeps changing while it is read is taken as read after this many passes; the daily sweep finds the rest.
MAX_PASSES = 5
#: So many pages of a first pass are asked for at once; few, because some are asked for in vain, beyond the end.
PAGES_AT_ONCE = 3


@dataclass(slots=True)
class Noted:
    """What a page told: orders that are new or changed, and those of them that an earlier read should have told."""

    changes: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A page of one pass of one read of the list."""

    began: datetime | None
    number: int
    page: int


def read_list_if_due(ctx: Context) -> bool:
    """Read one pass of the list if that is due; False where bol could not be asked.

    What the published limit leaves no room for now goes on later, where it stopped.
    """
    if not list_is_due(ctx):
        return True
    try:
        _read_pass(ctx)
    except (BudgetExhausted, RateLimited) as error:
        _come_back(ctx, max(come_back(error, ctx.now()), ctx.now() + timedelta(seconds=1)))
    except BolError as error:
        ctx.report_problem(error)
        _come_back(ctx, max(come_back(error, ctx.now()), ctx.now() + SANDBOX_EVERY))
        return not line_is_down(error)
    else:
        ctx.clear_problem()
    return True


def list_is_due(ctx: Context) -> bool:
    """Tell if a read of the list should begin or go on now."""
    with ctx.host.reading() as session:
        return session.scalar(_list_due(), {"store": ctx.store_id, "now": ctx.now()}) is not None


@cache
def _list_due() -> Select[int]:
    now: Any = bindparam("now")
    due = or_(Store.next_import_at.is_(None), Store.next_import_at <= now, Store.import_wanted_at <= now)
    return select(Store.id).where(Store.id == bindparam("store"), due)


def _read_pass(ctx: Context, *, until_known: bool = False) -> None:
    """Read the list from where the last slice stopped to its end, or until the new orders are known.

    Status ALL, so that what was handled or cancelled between two reads is seen: it stays listed for 48 hours (bol,
    orders and shipments). Newest first: orders that arrive meanwhile push rows down, so that they come twice. Orders
    that leave meanwhile pull rows up, past the page that is being read: so a list of several pages is read again
    until a pass tells nothing new. The read counts only then.

    New orders stand at the top, so they are known long before the end of a long list. The rest of it leaves room in
    the budget.
    """
    _begin(ctx)
    ahead: dict[Place, Future[connector.OrderPage]] = {}
    other = _Other()
    unknown: datetime | None = None
    with ThreadPoolExecutor(PAGES_AT_ONCE) as pool:
        while not ctx.lease.slice_over():
            with ctx.host.reading() as session:
                store = session.scalars(select(Store).where(Store.id == ctx.store_id)).one()
            if store.list_began_at is None:
                # The stock pump reads the list, too, and was first to end this read.
                return
            if not _knows(store, store.list_began_at):
                unknown = store.list_began_at
            elif until_known and unknown == store.list_began_at:
                # The other one has come by the new orders.
                return
            interval = None if store.list_full else read_interval(store.orders_read_at, ctx.now())
            if interval is None and not store.list_full:
                _update(ctx, list_full=True, list_page=1, list_pass=1, list_changes=0)
                continue
            place = Place(store.list_began_at, store.list_pass, store.list_page)
            if other.is_moving(place):
                ctx.lease.ensure(CALL_SECONDS)
                time.sleep(LOOKS_AGAIN)
                continue
            if place not in ahead:
                ahead = {place: _ask(ctx, pool, store, place.page, interval)}
            page = ahead.pop(place).result()
            if not page.last:
                for after in _to_ask_for(place, store):
                    if after not in ahead:
                        ahead[after] = _ask(ctx, pool, store, after.page, interval)
            with ctx.host.transaction():
                if not _is_at(ctx, place):
                    # The other one has noted this page: to ask for each page twice would use up bol's limit.
                    other.was_first(place)
                    continue
                noted = note_page(ctx, page)
                known = not _knows(store, place.began) and _goes_back_far_enough(page, store)
                if known:
                    _note_known(ctx, place.began)
                _advance(ctx, store, noted.changes, last=page.last)
            if page.last or (known and until_known):
                return


class _Other:
    """Who reads the same list at the same time, as far as its moving on tells."""

    def __init__(self) -> None:
        self._seen: Place | None = None
        self._since = 0.0

    def was_first(self, place: Place) -> None:
        self._seen, self._since = place, time.monotonic()

    def is_moving(self, place: Place) -> bool:
        """Tell if the other one was seen, and has moved on a moment ago."""
        if self._seen is None:
            return False
        if self._seen != place:
            self._seen, self._since = place, time.monotonic()
        if time.monotonic() - self._since < LEFT_TO_THE_OTHER:
            return True
        self._seen = None
        return False


def _to_ask_for(here: Place, store: Store) -> list[Place]:
    """Return the pages to ask for while this one, which is not the last, is noted.

    One, and never before the page in front of it is here, so that rows only shift down. In the first pass several:
    a second one follows where there are several pages, and finds what slipped through between them. But not while it
    comes by the new orders, of which none may slip through.
    """
    among_new = store.orders_known_at is not None and not _knows(store, here.began)
    ahead = 1 if here.number > 1 or among_new else PAGES_AT_ONCE
    return [replace(here, page=here.page + more) for more in range(1, ahead + 1)]


def _ask(
    ctx: Context, pool: ThreadPoolExecutor, store: Store, page: int, interval: int | None
) -> Future[connector.OrderPage]:
    """Ask bol for a page of the list, in a thread."""
    ctx.lease.ensure(CALL_SECONDS)
    urgent = not (minds_orders(ctx.settings) and _knows(store, store.list_began_at))
    return pool.submit(ctx.client.orders.page, page, change_interval_minutes=interval, urgent=urgent)


def minds_orders(settings: StoreSettings) -> bool:
    """Tell if new orders must be known before stock is sent: they are imported, and bol does not subtract all."""
    return bool(settings.send_stock and settings.managed_by_retailer and settings.import_orders)


def spacing(store: Store) -> timedelta:
    """Return the least time between two looks for new orders, by the pages that the last one took."""
    return min(FRESH * max(1, store.orders_known_pages), SELDOMEST)


def is_fresh(store: Store, now: datetime) -> bool:
    """Tell if what is known of new orders is so young that there is no need to look again."""
    return _knew(store, now, spacing(store))


def known_lately(store: Store, now: datetime) -> bool:
    """Tell if new orders were known a minute ago: bol's limit leaves room for a look again by then."""
    return _knew(store, now, SELDOMEST)


def _knew(store: Store, now: datetime, within: timedelta) -> bool:
    """Tell if new orders were known so lately. A moment that is still to come was noted by a clock that was wrong."""
    known_at = store.orders_known_at
    return known_at is not None and known_at - CLOCKS <= now < known_at + within


def know_orders(ctx: Context, newest: datetime) -> bool:
    """Know every order that bol had listed at ``newest``; False where the slice ends first.

    The list is sorted by the moment of placing, newest first (bol, orders and shipments), and orders leave it 48 hours
    after they were handled at the earliest: those placed since the last look stand at the top, and no row above them
    can leave. So a look turns pages until it comes to orders older than the last look. After a gap, and where there
    are very many, the list itself is read, whose place is kept; import and pump may read the same page, and only one
    moves on.

    :raises BolError: bol can't be asked.
    """
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            store = session.scalars(select(Store).where(Store.id == ctx.store_id)).one()
        known_at = store.orders_known_at
        if known_at is not None and known_at > ctx.now() + CLOCKS:
            # By a clock that was wrong: what is known since when can't be told.
            _update(ctx, orders_known_at=None)
            continue
        if _knows(store, newest):
            return True
        # One that is under way and has passed the new orders must go on to its end before another can begin.
        gap = known_at is None or (known_at + GAP <= ctx.now() and not _knows(store, store.list_began_at))
        if gap or not _look(ctx, store):
            _read_pass(ctx, until_known=True)
    return False


def _look(ctx: Context, store: Store) -> bool:
    """Look for the orders that are new since the last look; False where there are too many for that."""
    began = ctx.now()
    known_at = store.orders_known_at
    # As far back as pages are turned: bol leaves out what did not change in this time.
    interval = read_interval(known_at, began)
    for number in range(1, LOOK_PAGES + 1):
        ctx.lease.ensure(CALL_SECONDS)
        page = ctx.client.orders.page(
            number, change_interval_minutes=interval, deadline=connector.Deadline.after(turn=TURN_SECONDS)
        )
        enough = _goes_back_far_enough(page, store)
        with ctx.host.transaction() as session:
            mine = select(Store.orders_known_at).where(Store.id == ctx.store_id)
            known_at = session.scalar(mine.with_for_update(key_share=True))
            if known_at is not None and known_at > began:
                # Somebody else began later and was faster: this page is old.
                return True
            note_page(ctx, page)
            if enough:
                _note_known(ctx, began, number)
        if enough:
            return True
    return False


def _knows(store: Store, moment: datetime | None) -> bool:
    """Tell if every order that bol had listed at this moment is known."""
    known_at = store.orders_known_at
    return moment is not None and known_at is not None and known_at >= moment


def _goes_back_far_enough(page: connector.OrderPage, store: Store) -> bool:
    """Tell if all orders that are new since the last look stand on this page and those before it.

    Before the first look only the whole list tells.
    """
    if store.orders_known_at is None:
        return False
    oldest = min((order.placed_at for order in page.orders if order.placed_at is not None), default=None)
    return page.last or (oldest is not None and oldest < store.orders_known_at - LISTED_LATE)


def _note_known(ctx: Context, began: datetime | None, pages: int | None = None) -> None:
    """Note that every order is known that bol had listed when a look or read began. In a transaction."""
    if began is None:
        return
    values: dict[str, object] = {"orders_known_at": began, "orders_look_after": None}
    if pages is not None:
        values["orders_known_pages"] = pages
    older = or_(Store.orders_known_at.is_(None), Store.orders_known_at < began)
    ctx.host.session.execute(update(Store).where(Store.id == ctx.store_id, older).values(**values))


def put_off(ctx: Context, error: BolError) -> None:
    """New orders could not be looked for: the next look, and a read that has begun, come later.

    Opens a transaction of its own.
    """
    when = max(come_back(error, ctx.now()), ctx.now() + timedelta(seconds=2))
    mine = update(Store).where(Store.id == ctx.store_id)
    with ctx.host.transaction() as session:
        session.execute(mine.values(orders_look_after=when))
        session.execute(
            mine.where(Store.list_began_at.is_not(None), Store.next_import_at < when).values(
                next_import_at=when
            )
        )


def _is_at(ctx: Context, place: Place) -> bool:
    """Tell if the read still stands at this page, and keep it there. In a transaction."""
    here = select(Store.id).where(
        Store.id == ctx.store_id,
        Store.list_began_at == place.began,
        Store.list_pass == place.number,
        Store.list_page == place.page,
    )
    return ctx.host.session.scalar(here.with_for_update(key_share=True)) is not None


def _begin(ctx: Context) -> None:
    """Begin a read, unless one is under way that has read something, or was begun just now.

    One that stood still for long, as where bol could not be reached, begins anew: what it would come to know is old,
    and rows have left the list since, so that others may have slipped past the page at which it stands.
    """
    now = ctx.now()
    stands = and_(Store.list_page == 1, Store.list_pass == 1, Store.list_began_at < now - BEGIN_ANEW)
    stood = func.coalesce(Store.list_moved_at, Store.list_began_at) < now - GAP
    with ctx.host.transaction() as session:
        moments = select(func.coalesce(Store.orders_read_at, Store.list_moved_at))
        read_at = session.scalar(moments.where(Store.id == ctx.store_id))
        begun = session.execute(
            update(Store)
            .where(Store.id == ctx.store_id, or_(Store.list_began_at.is_(None), stands, stood))
            .values(
                list_moved_at=now,
                list_began_at=now,
                list_full=Store.orders_read_at.is_(None),
                list_page=1,
                list_pass=1,
                list_changes=0,
                next_import_at=now,
            )
        )
        if begun.rowcount and read_at is not None and read_at < now - LISTED:
            _read_what_left_the_list(ctx, now)


def _read_what_left_the_list(ctx: Context, now: datetime) -> None:
    """After a gap longer than bol lists what was handled, read each order that was open before it. In a transaction.

    bol may have cancelled it meanwhile, or somebody shipped it in the seller portal, and no list tells that any more.
    """
    ctx.host.session.execute(
        update(BolOrder)
        .where(
            BolOrder.store_id == ctx.store_id,
            BolOrder.state.in_(WARNED),
            STILL_OPEN,
            BolOrder.read_due_at.is_(None),
            or_(BolOrder.read_at.is_(None), BolOrder.read_at < now - LISTED),
        )
        .values(read_due_at=now, attempts=0)
        .execution_options(synchronize_session=False)
    )


def _advance(ctx: Context, store: Store, changes: int, *, last: bool) -> None:
    """Note that a page was read, in the transaction that noted its orders."""
    began, now = store.list_began_at or ctx.now(), ctx.now()
    total = store.list_changes + changes
    session = ctx.host.session
    mine = update(Store).where(
        Store.id == ctx.store_id,
        Store.list_began_at == store.list_began_at,
        Store.list_pass == store.list_pass,
        Store.list_page == store.list_page,
    )
    if not last:
        session.execute(mine.values(list_page=store.list_page + 1, list_changes=total, list_moved_at=now))
        return
    again = store.list_page > 1 and store.list_pass < MAX_PASSES and (store.list_pass == 1 or total > 0)
    if again:
        session.execute(
            mine.values(list_page=1, list_pass=store.list_pass + 1, list_changes=0, list_moved_at=now)
        )
        return
    session.execute(
        mine.values(
            list_began_at=None, orders_read_at=began, next_import_at=max(began + every(ctx), ctx.now())
        )
    )
    _note_known(ctx, began)
    session.execute(
        update(Store)
        .where(Store.id == ctx.store_id, Store.import_wanted_at <= began)
        .values(import_wanted_at=None)
    )


def note_page(ctx: Context, page: connector.OrderPage, told_before: datetime | None = None) -> Noted:
    """Note which orders of a page must be read: those that are new or look different. In a transaction.

    :param told_before: a change before this moment should have been told by an earlier read, and counts as missed.
    """
    session, now, noted, orders = ctx.host.session, ctx.now(), Noted(), page.orders
    told: list[tuple[BolOrder, str]] = []
    ordered: set[str] = set()
    # Import, sweep and stock pump may note the same order: one after the other.
    session.execute(select(Store.id).where(Store.id == ctx.store_id).with_for_update(key_share=True))
    # As it is now: orders that are set aside after it was changed are not looked for again.
    first_day = current_settings(ctx).orders_from
    known = {
        row.order_id: row
        for row in session.scalars(
            select(BolOrder).where(
                BolOrder.store_id == ctx.store_id, BolOrder.order_id.in_([order.order_id for order in orders])
            )
        )
    }
    for order in orders:
        row = known.get(order.order_id)
        signatures = _signatures(row.list_signature) if row is not None else {}
        changed = [item for item in order.items if signatures.get(item.order_item_id) != _signature(item)]
        if row is not None and not changed and order.readable:
            continue
        noted.changes += 1
        changed_at = max((item.latest_changed_at for item in changed if item.latest_changed_at), default=None)
        missed = told_before is not None and changed_at is not None and changed_at < told_before
        noted.missed += missed
        if row is None:
            row = known[order.order_id] = _new_row(ctx, order, first_day)
            told.append((row, _("Found at bol")))
            if row.state == BolOrderState.FOUND:
                ordered |= {item.ean for item in order.items if is_ours(item.fulfilment_method)}
        else:
            row.read_due_at, row.attempts = now, 0
        # A list of what changed leaves out items that did not.
        signatures |= {item.order_item_id: _signature(item) for item in changed}
        row.list_signature = ";".join(sorted(signatures.values()))
        if missed:
            told.append((row, _("Found by the daily check: this change had been missed")))
    # All orders of the page at once: written one by one they would take longer than the call.
    session.flush()
    for row, text in told:
        note(ctx.host, row.id, text)
    session.flush()
    mark_pending(ctx, ordered)
    if page.nameless:
        _tell_of_nameless(ctx, page.nameless)
    return noted


def _tell_of_nameless(ctx: Context, count: int) -> None:
    """Tell people of orders that nobody can ask bol about, once a day. In a transaction."""
    ctx.notify(
        f"orders-nameless:{ctx.now():%Y-%m-%d}",
        "order",
        Level.WARNING,
        ngettext(
            "bol lists %(num)s order without a number that can be used",
            "bol lists %(num)s orders without a number that can be used",
            count,
        ),
        _(
            "It can't come in here. Look in bol's seller portal which order is missing here, and ship it from there."
        ),
    )


def _new_row(ctx: Context, order: connector.OrderSummary, first_day: date | None) -> BolOrder:
    row = BolOrder(
        store_id=ctx.store_id,
        order_id=order.order_id,
        placed_at=order.placed_at,
        state=BolOrderState.FOUND,
        found_at=ctx.now(),
        attempts=0,
        error="",
        items=[
            BolOrderItem(
                order_item_id=item.order_item_id,
                ean=item.ean,
                method=item.fulfilment_method,
                quantity=item.quantity,
                shipped=item.quantity_shipped,
                cancelled=item.quantity_cancelled,
                cancellation_request=item.cancellation_request,
                request_kept=False,
                imported=0,
                cancelled_before_import=0,
                distribution_party="",
                offer_id="",
                title="",
            )
            for item in order.items
        ],
    )
    ctx.host.session.add(row)
    ours = [item for item in order.items if is_ours(item.fulfilment_method)]
    if order.items and not any(item.open_quantity for item in ours):
        row.state = BolOrderState.NOTHING_TO_SHIP
    elif too_old(first_day, order.placed_at):
        row.state = BolOrderState.TOO_OLD
    else:
        row.read_due_at = ctx.now()
    return row


def _signature(item: connector.OrderSummaryItem) -> str:
    """Return what of an item in the list tells that it changed."""
    return (
        f"{item.order_item_id}:{item.quantity}:{item.quantity_shipped}:{item.quantity_cancelled}"
        f":{int(item.cancellation_request)}:{item.fulfilment_status}"
    )


def _signatures(kept: str) -> dict[str, str]:
    """Return the signature of each item, as the lists before told it."""
    return {signature.partition(":")[0]: signature for signature in kept.split(";") if signature}


#: An item of a signature.
_TOLD = re.compile(r"(?P<id>.+):\d+:(?P<shipped>\d+):(?P<cancelled>\d+):(?P<asked>[01]):[^:]*")


def is_behind(row: BolOrder, order: connector.Order) -> bool:
    """Tell if bol's answer about an order shows less than its list has told of it: it was read a moment too early.

    Nothing would have it read again, as the list has told what it knows.
    """
    shown = {item.order_item_id: item for item in order.items}
    for told in filter(None, map(_TOLD.fullmatch, row.list_signature.split(";"))):
        item = shown.get(told["id"])
        if item is not None and (
            item.quantity_shipped < int(told["shipped"])
            or item.quantity_cancelled < int(told["cancelled"])
            or (told["asked"] == "1" and item.open_quantity and not item.cancellation_request)
        ):
            return True
    return False


def too_old(first_day: date | None, placed_at: datetime | None) -> bool:
    """Tell if an order was placed before the day from which the store imports orders."""
    return first_day is not None and placed_at is not None and placed_at < start_of_day(first_day)


def every(ctx: Context) -> timedelta:
    """Return the time between two reads of the list."""
    return SANDBOX_EVERY if ctx.sandbox else timedelta(minutes=ctx.settings.import_minutes)


def _come_back(ctx: Context, when: datetime) -> None:
    _update(ctx, next_import_at=when, import_wanted_at=None)


def _update(ctx: Context, **values: object) -> None:
    with ctx.host.transaction() as session:
        session.execute(update(Store).where(Store.id == ctx.store_id).values(**values))

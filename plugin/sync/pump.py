"""The stock pump: one per store sends each offer's amount as it is right when it is sent, the most urgent first."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select, update

from host_app.plugin_api import Level
from plugin.connector import BolError, BudgetExhausted, NotFound
from plugin.models import BolOrder, Offer, OfferState, Store
from plugin.settings import StoreSettings
from plugin.sync import counters
from plugin.sync.amounts import amounts, is_at_bol
from plugin.sync.context import CALL_SECONDS, Context, is_active, settings_of
from plugin.sync.dirty import change_offers, in_need, lock_offers, near_zero, ready
from plugin.sync.failures import LONGEST_PAUSE, come_back, line_is_down
from plugin.sync.guard import Guard, empties, end_if_over, hold
from plugin.sync.order_list import (
    GAP,
    is_fresh,
    know_orders,
    known_lately,
    minds_orders,
    put_off,
    spacing,
)
from plugin.sync.parallel import in_flight
from plugin.texts import gettext as _

#: Offers looked at together; more are claimed when fewer than LOW_WATER wait for their call.
BATCH = 100
LOW_WATER = 60
#: Enough calls in flight to use 50 a second at 300 ms each (bol's published limit for PATCH of offers).
IN_FLIGHT = 24
#: How long the pump waits for calls before it looks for offers that became due meanwhile.
LOOK_AGAIN = 0.25
#: A call that could not begin within this time is left for later: the lease was renewed for CALL_SECONDS only.
BEGIN_WITHIN = 4.0
#: After this many failures in a row a person is told; it goes on being tried.
TELL_AFTER = 5
#: After an update new orders are looked for a little sooner, so that the next update need not wait for it.
SOONER = 0.8
#: When to look what became of a call whose answer was lost.
READ_BACK = timedelta(minutes=1)
READ_BACK_AT_ONCE = 4
#: No more is read back after this many seconds of a job: where bol is slow, updates must have their turn, too.
READ_BACK_SECONDS = 10.0


class OfferGone(NotFound):
    """bol does not know the offer, asked twice in two ways."""


class NotBegun(BolError):
    """The call was never made: the pump stopped first."""


@dataclass(frozen=True, slots=True)
class Push:
    """One amount to send: what an offer's stock should be, computed from the version that was claimed."""

    row_id: int
    offer_id: str
    ean: str
    version: int
    attempts: int
    amount: int
    empties: bool
    changed_at: datetime | None = None


def push_stock(ctx: Context) -> bool:
    """Send the stock of every offer that is due. True when some are left.

    Before amounts are worked out the new orders at bol are known, and after the last update they are looked for once
    more: with ``managedByRetailer`` bol subtracts only orders placed after an update (bol Offers API v11,
    UpdateStock), so that an order placed before it and not known here would be sold twice.
    """
    if not ctx.active or not ctx.settings.send_stock:
        return False
    _read_back(ctx)
    return _Pump(ctx).run()


def is_worth_a_job(store: Store, settings: StoreSettings, now: datetime, *, far_from_zero: bool) -> bool:
    """Tell if there is sense in a job for amounts that are due: new orders are known, or can be looked for.

    :param far_from_zero: amounts are due that need not wait for the next look.
    """
    return not minds_orders(settings) or _may_look(store, now) or (far_from_zero and known_lately(store, now))


def look_after_due(store: Store, settings: StoreSettings, now: datetime) -> bool:
    """Tell if new orders must be looked for because stock was sent after the last look began."""
    if store.stock_sent_at is None or not minds_orders(settings) or not _may_look(store, now):
        return False
    known_at = store.orders_known_at
    return known_at is None or (known_at <= store.stock_sent_at and known_at + spacing(store) * SOONER <= now)


def _may_look(store: Store, now: datetime) -> bool:
    """Tell if new orders may be looked for: a while ago bol could not be asked, or its limit left no room.

    A moment that is further away than any pause was noted by a clock that was wrong.
    """
    after = store.orders_look_after
    return after is None or not now < after <= now + LONGEST_PAUSE


class _Pump:
    """One job: its calls in flight, and what was found about the line to bol."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._guard = Guard(ctx)
        self._counts = counters.Counts(ctx.store_id)
        self._running: dict[Future[BolError | None], Push] = {}
        self._down: BolError | None = None
        self._stopping = False
        self._claimed_at = 0.0
        self._empty = False
        self._outdated = False
        #: New orders are not known to the second: only what is far from zero is sent.
        self._far_from_zero = False
        self._no_room = False

    def run(self) -> bool:
        """Work until nothing is due, the slice is over, or bol can't be asked. True when work is left."""
        ctx = self._ctx
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            try:
                left = self._work(pool)
                while self._down is None and not left and self._look_after():
                    left = self._work(pool)
            finally:
                self._stopping = True
        end_if_over(ctx, self._store())
        if self._down is None:
            if not self._no_room:
                ctx.clear_problem()
            return left
        if not isinstance(self._down, BudgetExhausted):
            ctx.report_problem(self._down)
        self._put_off(self._down)
        return False

    def _work(self, pool: ThreadPoolExecutor) -> bool:
        ctx = self._ctx
        self._empty = False
        while True:
            if self._may_claim():
                self._claimed_at = time.monotonic()
                # What becomes due after this look is not claimed by this one: orders may not be known for it.
                self._empty = not (self._anything_due() and self._orders_known())
                if not self._empty:
                    for push in self._claim():
                        ctx.lease.ensure(CALL_SECONDS)
                        self._running[pool.submit(self._call, push, time.monotonic())] = push
                    continue
            if not self._running:
                return self._down is None and not self._empty
            done, _ = wait(self._running, timeout=LOOK_AGAIN, return_when=FIRST_COMPLETED)
            if done:
                self._settle([(self._running.pop(future), future.result()) for future in done])

    def _may_claim(self) -> bool:
        if self._down is not None or self._outdated or self._ctx.lease.slice_over():
            return False
        if not self._running:
            return not self._empty
        waited = time.monotonic() - self._claimed_at >= LOOK_AGAIN
        return len(self._running) <= LOW_WATER and (waited or not self._empty)

    # orders first

    def _orders_known(self) -> bool:
        """Look for new orders if the last look is too old; False where orders must be taken over first."""
        ctx = self._ctx
        if not minds_orders(ctx.settings):
            return True
        self._far_from_zero = False
        store = self._store()
        if not is_fresh(store, ctx.now()):
            try:
                if not know_orders(ctx, ctx.now()):
                    return False
            except BudgetExhausted as error:
                # bol's limit for the list leaves no room for some seconds. Amounts that a few orders can't use up need
                # not wait for it. None is put off: the import may come by the new orders before there is room.
                lately = known_lately(self._store(), ctx.now())
                self._far_from_zero = lately and self._anything_due(near_zero=False)
                if not self._far_from_zero:
                    self._no_room = True
                    put_off(ctx, error)
                    return False
            except BolError as error:
                # Nothing is sent that might be sold already.
                self._list_failed(error)
                return False
        return not self._orders_to_come()

    def _orders_to_come(self) -> bool:
        """Tell if an order of before a gap was found and not tried yet.

        One that failed must not hold up the stock for ever.
        """
        ctx = self._ctx
        to_come = exists(
            select(BolOrder.id).where(
                BolOrder.store_id == ctx.store_id,
                BolOrder.read_due_at <= ctx.now(),
                BolOrder.host_order_id.is_(None),
                BolOrder.attempts == 0,
                BolOrder.placed_at <= ctx.now() - GAP,
            )
        )
        with ctx.host.reading() as session:
            return bool(session.scalar(select(to_come)))

    def _look_after(self) -> bool:
        """Look for new orders once more after the last update; True where that brought something up."""
        ctx = self._ctx
        store = self._store()
        if not look_after_due(store, ctx.settings, ctx.now()):
            return False
        try:
            return not know_orders(ctx, ctx.now()) or self._anything_due()
        except BolError as error:
            self._list_failed(error)
            return False

    def _list_failed(self, error: BolError) -> None:
        self._down = error
        put_off(self._ctx, error)

    def _store(self) -> Store:
        with self._ctx.host.reading() as session:
            store: Store = session.scalars(select(Store).where(Store.id == self._ctx.store_id)).one()
        return store

    def _anything_due(self, *, near_zero: bool = True) -> bool:
        ctx = self._ctx
        conditions = self._due() if near_zero else [*self._due(), Offer.urgent.is_(False)]
        with ctx.host.reading() as session:
            return bool(session.scalar(select(exists(select(Offer.id).where(*conditions)))))

    def _due(self) -> list[Any]:
        ctx = self._ctx
        busy = [push.row_id for push in self._running.values()]
        return [Offer.store_id == ctx.store_id, in_need(Offer), ready(ctx.now()), Offer.id.not_in(busy)]

    # claiming

    def _claim(self) -> list[Push]:
        """Choose what to send next and write down that it is about to be sent."""
        ctx = self._ctx
        with ctx.host.reading() as session:
            rows: list[Offer] = []
            # Two looks, because an index can't be read in falling and rising order at once.
            for urgent in (False,) if self._far_from_zero else (True, False):
                if len(rows) < BATCH:
                    rows += session.scalars(
                        select(Offer)
                        .where(*self._due(), Offer.urgent.is_(urgent))
                        .order_by(Offer.next_try_at, Offer.id)
                        .limit(BATCH - len(rows))
                    ).all()
            wanted = amounts(ctx.host, ctx.store_id, ctx.settings, rows) if rows else {}
            # Read after the rows: what the new settings marked must not be settled by the old ones.
            store = session.scalars(select(Store).where(Store.id == ctx.store_id)).one()
        self._outdated = not is_active(store) or settings_of(store) != ctx.settings
        if self._outdated:
            return []
        # Fewer than were asked for: what becomes due from here on is looked for a little later.
        self._empty = len(rows) < BATCH
        settled = [
            row for row in rows if wanted[row.id] is None or is_at_bol(row, wanted[row.id], ctx.settings)
        ]
        to_send = [row for row in rows if row not in settled]
        wait = [row for row in to_send if near_zero(wanted[row.id])] if self._far_from_zero else []
        to_send = [row for row in to_send if row not in wait]
        zeros = [row for row in to_send if empties(row, wanted[row.id]) and not row.zero_allowed]
        held = zeros if zeros and self._guard.stops([row.id for row in zeros], store) else []
        pushes = [
            Push(
                row.id,
                row.offer_id,
                row.ean,
                row.dirty_version,
                row.attempts,
                amount,
                empties(row, amount),
                row.changed_at if row.changed_version == row.dirty_version else None,
            )
            for row in to_send
            if row not in held and (amount := wanted[row.id]) is not None
        ]
        # Near zero first.
        pushes.sort(key=lambda push: push.amount)
        if rows:
            self._write_down(settled, held, pushes, wanted, wait)
        return pushes

    def _write_down(
        self,
        settled: Sequence[Offer],
        held: Sequence[Offer],
        pushes: Sequence[Push],
        wanted: dict[int, int | None],
        wait: Sequence[Offer],
    ) -> None:
        ctx, now = self._ctx, self._ctx.now()
        ctx.lease.ensure(CALL_SECONDS)
        with ctx.host.transaction() as session:
            if pushes:
                self._note_sent(session)
            elif held:
                # The guard notes at the store that it stopped them: locked before the offers, as everywhere.
                session.execute(
                    select(Store.id).where(Store.id == ctx.store_id).with_for_update(key_share=True)
                )
            lock_offers(session, wanted)
            _update(
                session,
                [
                    _done(row.id, row.dirty_version)
                    | {"wanted_amount": wanted[row.id], "zero_allowed": False}
                    for row in settled
                ],
            )
            _rest(session, [row.id for row in settled])
            _update(session, [{"id": row.id, "urgent": True} for row in wait])
            if held:
                hold(ctx, held)
            # From the first call on bol's amount is in doubt until its answer is recorded, also for the next job if
            # this one dies in between.
            _update(
                session,
                [
                    {
                        "id": push.row_id,
                        "in_doubt": True,
                        "wanted_amount": push.amount,
                        "sent_amount": push.amount,
                        "sent_at": now,
                    }
                    for push in pushes
                ],
            )

    def _note_sent(self, session: Any) -> None:
        """Before offers are changed: who reads the order list locks the store's row before them, too."""
        session.execute(
            update(Store).where(Store.id == self._ctx.store_id).values(stock_sent_at=self._ctx.now())
        )

    # sending

    def _call(self, push: Push, submitted: float) -> BolError | None:
        """In a thread without a database session."""
        if self._stopping or self._down is not None or time.monotonic() - submitted > BEGIN_WITHIN:
            return NotBegun()
        ctx = self._ctx
        try:
            ctx.client.offers.set_stock(push.offer_id, push.amount, ctx.settings.managed_by_retailer)
        except NotFound as error:
            return OfferGone(str(error)) if self._is_gone(push) else error
        except BolError as error:
            return error
        return None

    def _is_gone(self, push: Push) -> bool:
        """One 404 may be a mistake of the moment: the offer is gone when reading it says so, too."""
        try:
            self._ctx.client.offers.get(push.offer_id)
        except NotFound:
            return True
        except BolError:
            pass
        return False

    def _settle(self, results: Sequence[tuple[Push, BolError | None]]) -> None:
        """Record the ends of calls. A PATCH is absolute: after any failure the newest amount is sent, nothing asked."""
        ctx, now = self._ctx, self._ctx.now()
        made = [(push, error) for push, error in results if not isinstance(error, NotBegun)]
        if not made:
            return
        # Who was overtaken records nothing: bol may have a newer amount of somebody else's.
        ctx.lease.ensure(CALL_SECONDS)
        with ctx.host.transaction() as session:
            self._note_sent(session)
            lock_offers(session, [push.row_id for push, _ in made])
            _update(session, [self._confirmed(push, now) for push, error in made if error is None])
            for push, error in made:
                if error is not None:
                    self._failed(session, push, error, now)
                elif push.attempts >= TELL_AFTER:
                    ctx.settle(f"stock-failed:{push.offer_id}")
            _rest(session, [push.row_id for push, _ in made])
            for push, error in made:
                if error is None:
                    self._counts.add(counters.STOCK)
                    if push.changed_at is not None:
                        self._counts.add(counters.STOCK_DELAY, 1, now - push.changed_at)
            self._counts.write_if_due(session, now, last=not self._running)
        self._down = self._down or next(
            (error for _, error in made if error is not None and line_is_down(error)), None
        )

    def _confirmed(self, push: Push, now: datetime) -> dict[str, Any]:
        values = _done(push.row_id, push.version) | {
            "in_doubt": False,
            "confirmed_amount": push.amount,
            "confirmed_managed": self._ctx.settings.managed_by_retailer,
            "confirmed_at": now,
            "confirmed_version": push.version,
            "zero_allowed": False,
            "zeroed_at": now if push.empties else None,
        }
        if not push.empties and push.amount == 0:
            # Sent as 0 once more: it counts from the first time.
            del values["zeroed_at"]
        return values

    def _failed(self, session: Any, push: Push, error: BolError, now: datetime) -> None:
        ctx = self._ctx
        if isinstance(error, OfferGone):
            gone = _done(push.row_id, push.version) | {"in_doubt": False, "state": OfferState.GONE}
            _update(session, [gone | {"error": error.operator_text(_)}])
            ctx.notify(
                f"offer-gone:{push.offer_id}:{now:%Y-%m-%d}",
                "stock",
                Level.WARNING,
                _("the offer of %(ean)s is gone at bol", ean=push.ean),
                _("Its stock is not sent any more. If it is there all the same, press “Import products”."),
            )
            return
        values = {
            "id": push.row_id,
            "attempts": push.attempts + 1,
            "error": error.operator_text(_),
            "next_try_at": max(come_back(error, now, push.attempts), now + timedelta(seconds=1)),
        }
        if error.executed == "unknown":
            values["read_back_at"] = now + READ_BACK
        _update(session, [values])
        if push.attempts + 1 == TELL_AFTER and not line_is_down(error):
            ctx.notify(
                f"stock-failed:{push.offer_id}:{now:%Y-%m-%d}",
                "stock",
                Level.WARNING,
                _("the stock of %(ean)s can't be sent to bol", ean=push.ean),
                error.operator_text(_),
            )

    def _put_off(self, error: BolError) -> None:
        """Leave what was not sent for later, so that the pump rests while the line is down."""
        ctx = self._ctx
        when = max(come_back(error, ctx.now()), ctx.now() + timedelta(seconds=2))
        with ctx.host.transaction() as session:
            change_offers(
                session, Offer.store_id == ctx.store_id, in_need(Offer), ready(when), next_try_at=when
            )


def _done(row_id: int, version: int) -> dict[str, Any]:
    """The claimed version is dealt with; a change that came meanwhile stays due."""
    return {
        "id": row_id,
        "done_version": version,
        "attempts": 0,
        "error": "",
        "next_try_at": None,
    }


def _update(session: Any, rows: Iterable[dict[str, Any]]) -> None:
    """Update offers by their ids; they are locked."""
    if values := list(rows):
        session.execute(update(Offer), values)


def _rest(session: Any, row_ids: Collection[int]) -> None:
    """What is dealt with is not urgent any more; what changed meanwhile is as urgent as that made it."""
    if row_ids:
        session.execute(
            update(Offer)
            .where(Offer.id.in_(row_ids), Offer.urgent.is_(True), Offer.dirty_version <= Offer.done_version)
            .values(urgent=False)
            .execution_options(synchronize_session=False)
        )


def _read_back(ctx: Context) -> None:
    """Look what became of calls whose answers were lost: what bol shows then counts."""
    with ctx.host.reading() as session:
        rows = session.scalars(
            select(Offer)
            .where(Offer.store_id == ctx.store_id, Offer.read_back_at <= ctx.now())
            .order_by(Offer.id)
            .limit(BATCH)
        ).all()

    def read(row: Offer) -> Any:
        try:
            return ctx.client.offers.get(row.offer_id)
        except BolError as error:
            return error

    def in_time() -> Iterator[Offer]:
        began = time.monotonic()
        for row in rows:
            if time.monotonic() - began > READ_BACK_SECONDS:
                return
            yield row

    answers = in_flight(READ_BACK_AT_ONCE, in_time(), read, lambda: ctx.lease.ensure(CALL_SECONDS))
    for done in answers:
        with ctx.host.transaction() as session:
            for row, shown in done:
                _take_back(ctx, session, row, shown)


def _take_back(ctx: Context, session: Any, row: Offer, shown: Any) -> None:
    mine = update(Offer).where(Offer.id == row.id)
    if isinstance(shown, BolError) and not isinstance(shown, NotFound):
        session.execute(mine.values(read_back_at=ctx.now() + READ_BACK))
        return
    session.execute(mine.values(read_back_at=None))
    if isinstance(shown, NotFound):
        # The pump finds out if it is gone for good.
        session.execute(mine.values(dirty_version=Offer.dirty_version + 1, held_at=None))
        return
    still = mine.where(Offer.dirty_version == row.dirty_version, Offer.done_version == row.done_version)
    if (shown.amount, shown.managed_by_retailer) != (row.confirmed_amount, row.confirmed_managed):
        session.execute(
            still.values(
                confirmed_amount=shown.amount,
                confirmed_managed=shown.managed_by_retailer,
                dirty_version=Offer.dirty_version + 1,
                held_at=None,
            )
        )
    session.execute(mine.values(corrected_stock=shown.corrected_stock, seen_at=ctx.now()))

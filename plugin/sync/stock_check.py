"""The stock check: walks bol's list of offers, compares it with what should stand there, reports, and has it sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import func, select, update

from host_app.plugin_api import HostError, HostPort, Level
from plugin import connector
from plugin.connector import BadRequest, BolError, NotFound, OfferPage
from plugin.models import Offer, OfferState, Run, RunState, Store
from plugin.settings import StoreSettings
from plugin.sync import runs
from plugin.sync.comparing import keep, look_at
from plugin.sync.context import CALL_SECONDS, Context, is_active, settings_of, store_url
from plugin.sync.failures import come_back, line_is_down
from plugin.sync.findings import (
    BEFORE_ACTIVATION,
    BEFORE_SENDING,
    KIND,
    NIGHT,
    OCCASION,
    SENDING_BEGAN,
    Action,
    Asked,
    Cause,
)
from plugin.sync.mapping import AMSTERDAM
from plugin.sync.offers import tell_of_nameless
from plugin.sync.products import lock_products
from plugin.texts import gettext as _
from plugin.texts import ngettext, number

#: Stores with more offers are not checked by night; a person may still start a check.
LARGEST = 100_000
PAGE_SIZE = 100
#: So many offers that the list did not show are read one by one, so many at once.
MOST_READS = 500
READS_AT_ONCE = 8
BATCH = 40
#: Settings by which the amounts are computed: a report is about the amounts by these.
RULES = ("stock_warehouses", "safety_stock", "max_stock", "managed_by_retailer")
#: The walk is under way; after it, ``REST`` and the row id up to which offers that it did not show were read.
WALK, REST = "walk", "rest"
#: What stays counted when a walk begins anew: differences are kept once per run.
KEPT_COUNTS = (OCCASION, "rules", "differed", "on their way", "corrected", "gone")
AGAIN = timedelta(seconds=5)
#: A call gets so many seconds to leave this process, before the work on another page keeps it from running.
HEAD_START = 0.01
#: So often is a batch of single reads tried that fails, before those that can't be read are passed over.
PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run is: its cursor as stored, and what it counted so far."""

    run_id: int
    cursor: str
    counts: dict[str, Any]
    started_at: datetime
    changing: bool

    @property
    def phase(self) -> str:
        return self.cursor.partition(":")[0] or WALK

    @property
    def place(self) -> str:
        return self.cursor.partition(":")[2]


class Overtaken(Exception):
    """The run was stopped, or somebody else has gone on with it."""


def next_check(now: datetime, at: time) -> datetime:
    """Return the first moment after ``now`` at which it is this time in Amsterdam, in UTC.

    Once each night: of an hour that comes twice it is the first, and one that is skipped counts as the next.
    """
    day = now.astimezone(AMSTERDAM).date()
    nights = (datetime.combine(day + timedelta(days=n), at, AMSTERDAM).astimezone(UTC) for n in range(3))
    return next(moment for moment in nights if moment > now)


def start(host: HostPort, store_id: int, *, dry: bool, who: str) -> int:
    """Begin a check and return its run. A store that sends no stock gets one that only reports. In a transaction.

    :raises HostError: one is under way, or the store does not exist.
    """
    store: Store | None = host.session.scalar(select(Store).where(Store.id == store_id).with_for_update())
    if store is None:
        raise HostError(_("This store does not exist."))
    if runs.running(host, store_id, KIND) is not None:
        raise HostError(_("A stock check is under way already: wait for it, or stop it first."))
    settings = StoreSettings.load(store.settings)
    sends = is_active(store) and settings_of(store).send_stock
    occasion = ""
    if not sends and (store.activated_at is None or not who):
        occasion = BEFORE_ACTIVATION
    elif not settings.send_stock:
        occasion = BEFORE_SENDING
    return _begin(host, store_id, settings, dry=dry or not sends, who=who, occasion=occasion).id


def rules_of(settings: StoreSettings) -> list[Any]:
    """Return the settings by which amounts are computed, as JSON values."""
    values = settings.dump()
    return [values[name] for name in RULES]


def check_stock(ctx: Context) -> bool:
    """Begin the nightly check when its time has come, and go on with the one that is under way.

    True when something of it is left.
    """
    with ctx.host.reading():
        run = runs.running(ctx.host, ctx.store_id, KIND)
    run = run or _begin_if_due(ctx)
    if run is None or run.due_at is None or run.due_at > ctx.now():
        return False
    changing = not run.dry and _sending(ctx)
    step = Step(run.id, run.cursor, dict(run.counts), run.started_at, changing)
    try:
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            return _walk(ctx, pool, step) if step.phase == WALK else _read_rest(ctx, pool, step)
    except Overtaken:
        return False
    except BolError as error:
        _postpone(ctx, run.id, error)
        return False


def _sending(ctx: Context) -> bool:
    return ctx.active and ctx.settings.send_stock


def _begin_if_due(ctx: Context) -> Run | None:
    """Begin a check where its time has come: each night, and once where stock is sent from now on."""
    at, now = ctx.settings.check_time, ctx.now()
    if not _sending(ctx):
        return None
    night = None if at is None else next_check(now, at)
    with ctx.host.transaction() as session:
        store = session.scalars(select(Store).where(Store.id == ctx.store_id).with_for_update()).one()
        due_at, store.next_check_at = store.next_check_at, store.next_check_at or night
        if due_at is None or due_at > now:
            return None
        store.next_check_at = night
        if _listed(session, ctx.store_id) > LARGEST:
            ctx.notify(
                "check-too-large",
                "stock",
                Level.WARNING,
                _(
                    "more than %(most)s offers: the nightly stock check is left out",
                    most=number(LARGEST),
                ),
                _(
                    "Stores of this size are not compared with bol by themselves. Changes of stock are sent as always; "
                    "start a check yourself, at a quiet hour."
                ),
                f"{store_url(ctx.store_id)}checks",
            )
            return None
        # Whoever turns sending on has it begin now, and a night begins at its minute.
        nightly = at is not None and due_at == next_check(due_at - timedelta(minutes=1), at)
        occasion = NIGHT if nightly else SENDING_BEGAN
        return _begin(ctx.host, ctx.store_id, ctx.settings, dry=False, who="", occasion=occasion)


def _begin(
    host: HostPort, store_id: int, settings: StoreSettings, *, dry: bool, who: str, occasion: str
) -> Run:
    session, now = host.session, host.now()
    runs.prune(host, store_id, KIND)
    run = Run(
        store_id=store_id,
        kind=KIND,
        state=RunState.RUNNING,
        cursor="",
        counts={"rules": rules_of(settings), OCCASION: occasion},
        expected=_listed(session, store_id),
        dry=dry,
        asked_by=who,
        started_at=now,
        due_at=now,
        error="",
    )
    session.add(run)
    session.flush()
    return run


def _listed(session: Any, store_id: int) -> int:
    return int(
        session.scalar(
            select(func.count()).where(Offer.store_id == store_id, Offer.state == OfferState.LISTED)
        )
    )


# the walk


def _walk(ctx: Context, pool: ThreadPoolExecutor, step: Step) -> bool:
    """Note page after page, with the next one on its way meanwhile. True when something is left."""
    asked = _moment_of_asking(ctx)
    coming = _ask(ctx, pool, step.place)
    while True:
        # What is under way is looked up while a page comes in, not when the next could be asked for already. Being
        # a little early is safe: what began since then is left out, too.
        ahead = _moment_of_asking(ctx)
        page = coming.result()
        more = page.next_cursor if page.offers else None
        following = _ask(ctx, pool, more) if more and not ctx.lease.slice_over() else None
        if following is not None:
            wait([following], timeout=HEAD_START)
        place = f"{WALK}:{more}" if more else f"{REST}:0"
        step = _note(ctx, step, asked, page.offers, place, nameless=page.nameless)
        if following is None:
            return True
        asked, coming = ahead, following


def _ask(ctx: Context, pool: ThreadPoolExecutor, cursor: str) -> Future[OfferPage]:
    ctx.lease.ensure(CALL_SECONDS)
    return pool.submit(ctx.client.offers.page, cursor=cursor or None, page_size=PAGE_SIZE)


def _moment_of_asking(ctx: Context) -> Asked:
    if not _sending(ctx):
        return Asked(ctx.now(), frozenset(), sending=False)
    with ctx.host.reading() as session:
        flying = session.scalars(
            select(Offer.id).where(
                Offer.store_id == ctx.store_id,
                Offer.dirty_version > Offer.done_version,
                Offer.held_at.is_(None),
                Offer.in_doubt.is_(True),
            )
        ).all()
    return Asked(ctx.now(), frozenset(flying), sending=True)


# offers that the walk did not show


def _read_rest(ctx: Context, pool: ThreadPoolExecutor, step: Step) -> bool:
    """Read offers one by one that the list did not show; bol not knowing them makes them gone. True when some are left."""
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            rows = session.scalars(
                select(Offer)
                .where(
                    Offer.store_id == ctx.store_id,
                    Offer.state == OfferState.LISTED,
                    Offer.seen_at < step.started_at,
                    Offer.id > int(step.place),
                )
                .order_by(Offer.id)
                .limit(BATCH)
            ).all()
        if not rows or step.counts.get("read singly", 0) >= MOST_READS:
            _finish(ctx, step)
            return False
        ctx.lease.ensure(CALL_SECONDS)
        asked = _moment_of_asking(ctx)
        answers = list(pool.map(lambda row: _read_one(ctx, row.offer_id), rows))
        failed = [answer for answer in answers if isinstance(answer, BolError)]
        if failed and (step.counts.get("failures", 0) < PATIENCE or any(map(line_is_down, failed))):
            raise failed[0]
        # One that can't be read however often it is tried must not keep the check from its end.
        shown = [answer for answer in answers if isinstance(answer, connector.Offer)]
        gone = [row for row, answer in zip(rows, answers, strict=True) if answer is None]
        _count(step.counts, "read singly", len(rows))
        step = _note(ctx, step, asked, shown, f"{REST}:{rows[-1].id}", gone)
    return True


def _read_one(ctx: Context, offer_id: str) -> connector.Offer | BolError | None:
    """Read one offer; None where bol does not know it."""
    try:
        return ctx.client.offers.get(offer_id)
    except NotFound:
        return None
    except BolError as error:
        return error


# noting what bol showed


def _note(
    ctx: Context,
    step: Step,
    asked: Asked,
    offers: Iterable[connector.Offer],
    cursor: str,
    gone: Sequence[Offer] = (),
    *,
    nameless: int = 0,
) -> Step:
    """Compare, keep what differs, and move on, in one transaction. Returns where the run is then.

    :param gone: offers that bol does not know any more.
    :param nameless: how many offers bol showed without a number.
    :raises Overtaken: the run is not there any more; nothing was kept.
    """
    shown = list({offer.offer_id: offer for offer in offers}.values())
    look = look_at(ctx, asked, shown, changing=step.changing)
    counts = dict(step.counts)
    with ctx.host.transaction() as session:
        if look.to_record:
            # An order may record the same new offer just now.
            lock_products(ctx)
        run = session.scalars(
            select(Run)
            .where(Run.id == step.run_id, Run.cursor == step.cursor, Run.state == RunState.RUNNING)
            .with_for_update()
        ).one_or_none()
        if run is None:
            raise Overtaken
        kept = keep(ctx, run, look, gone, changing=step.changing)
        tell_of_nameless(ctx, nameless)
        for name, number in look.counts.items():
            _count(counts, name, number)
        _count(counts, "offers", len(shown))
        _count(counts, "differed", sum(item.cause != Cause.ON_ITS_WAY for item in kept))
        _count(counts, "on their way", sum(item.cause == Cause.ON_ITS_WAY for item in kept))
        _count(counts, "corrected", sum(item.action in (Action.MARKED, Action.LINKED) for item in kept))
        _count(counts, "gone", sum(item.cause == Cause.GONE for item in kept))
        counts.pop("failures", None)
        run.cursor, run.counts, run.error, run.due_at = cursor, counts, "", ctx.now()
    return replace(step, cursor=cursor, counts=counts)


def _finish(ctx: Context, step: Step) -> None:
    with ctx.host.transaction() as session:
        ended = session.execute(
            update(Run)
            .where(Run.id == step.run_id, Run.cursor == step.cursor, Run.state == RunState.RUNNING)
            .values(state=RunState.DONE, finished_at=ctx.now(), due_at=None, error="")
        )
        differed, corrected = step.counts.get("differed", 0), step.counts.get("corrected", 0)
        if ended.rowcount and differed and step.changing:
            ctx.notify(
                f"check:{step.run_id}",
                "stock",
                Level.WARNING,
                ngettext(
                    "the stock check found %(num)s offer that differed",
                    "the stock check found %(num)s offers that differed",
                    differed,
                ),
                ngettext(
                    "%(num)s is sent to bol anew. The report tells the likely cause of each.",
                    "%(num)s are sent to bol anew. The report tells the likely cause of each.",
                    corrected,
                )
                if corrected
                else _("Nothing is sent to bol for that. The report tells the likely cause of each."),
                f"{store_url(ctx.store_id)}checks/{step.run_id}",
            )


def _postpone(ctx: Context, run_id: int, error: BolError) -> None:
    """Leave a run for later; where bol does not accept its cursor any more, the walk begins anew."""
    with ctx.host.transaction() as session:
        run = session.scalars(
            select(Run).where(Run.id == run_id, Run.state == RunState.RUNNING).with_for_update()
        ).one_or_none()
        if run is None:
            return
        counts = dict(run.counts)
        failures = int(counts.get("failures", 0))
        if isinstance(error, BadRequest) and run.cursor.startswith(f"{WALK}:"):
            run.cursor = ""
            counts = {name: counts[name] for name in KEPT_COUNTS if name in counts}
        run.counts = counts | {"failures": failures + 1}
        run.error = error.operator_text(_)
        run.due_at = max(come_back(error, ctx.now(), failures), ctx.now() + AGAIN)


def _count(counts: dict[str, Any], name: str, more: int) -> None:
    counts[name] = counts.get(name, 0) + more

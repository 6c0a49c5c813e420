"""Process statuses: bol's answers to writes are followed to their end state, many in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from plugin.connector import BolError, ProcessStatus
from plugin.models import (
    CancellationEffect,
    EffectState,
    LabelEffect,
    ProcessStatusRow,
    ShipmentEffect,
    TransportEffect,
)
from plugin.sync import correcting, labels
from plugin.sync.cancelling import EVENT_TYPE as CANCEL
from plugin.sync.cancelling import confirm
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.effects import is_final
from plugin.sync.failures import come_back
from plugin.sync.shipments import after_confirmation, mark_confirmed
from plugin.sync.taking_over import lock_row

#: bol takes 1 to 1,000 ids in one question (shared API v10, get-process-status-bulk).
BULK = 1000
LONGEST_WAIT = timedelta(minutes=5)
#: Answers that are recorded together: on SQLite everybody else who writes waits meanwhile.
AT_ONCE = 25
FRESH = timedelta(minutes=10)
#: bol forgets a process status after a day or two; what has not ended by then is settled by looking.
FOLLOWED = timedelta(hours=24)
#: A status that bol does not show may only be late; until then its absence says nothing.
MISSING_AFTER = timedelta(minutes=10)
#: The number of a label comes with its status alone: it is waited for to the end.
NEVER_MISSING = ("CREATE_SHIPPING_LABEL",)


def poll_due(ctx: Context) -> bool:
    """Ask for every status that is due and pass on those that ended. True when some are left."""
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            rows = session.scalars(
                select(ProcessStatusRow)
                .where(ProcessStatusRow.store_id == ctx.store_id, ProcessStatusRow.next_poll_at <= ctx.now())
                .order_by(ProcessStatusRow.next_poll_at)
                .limit(BULK)
            ).all()
        if not rows:
            return False
        ctx.lease.ensure(CALL_SECONDS)
        try:
            statuses = _ask(ctx, rows)
        except BolError as error:
            ctx.report_problem(error)
            _expire(ctx, rows)
            when = max(come_back(error, ctx.now()), ctx.now() + timedelta(seconds=2))
            with ctx.host.transaction() as session:
                session.execute(
                    update(ProcessStatusRow)
                    .where(
                        ProcessStatusRow.id.in_([row.id for row in rows]),
                        ProcessStatusRow.next_poll_at.is_not(None),
                    )
                    .values(next_poll_at=when)
                )
            return False
        # Of a store that sends no stock and imports nothing, or is leaving, nothing else tells that bol answers again.
        ctx.clear_problem()
        _record(ctx, rows, statuses)
    return True


def _ask(ctx: Context, rows: Sequence[ProcessStatusRow]) -> dict[str, ProcessStatus]:
    """Ask for these statuses; where bol refuses the whole question, for each by itself."""
    ids = [row.process_status_id for row in rows]
    try:
        return dict(ctx.client.statuses.bulk(ids))
    except BolError as error:
        if not is_final(error) or len(ids) == 1:
            raise
    found: dict[str, ProcessStatus] = {}
    for status_id in ids:
        ctx.lease.ensure(CALL_SECONDS)
        try:
            found |= ctx.client.statuses.bulk([status_id])
        except BolError as error:
            if not is_final(error):
                raise
    return found


def _expire(ctx: Context, rows: Sequence[ProcessStatusRow]) -> None:
    """End what was followed long enough, also while bol can't be asked: it is settled by looking then."""
    _record(ctx, [row for row in rows if ctx.now() - row.created_at > FOLLOWED], {})


def _record(ctx: Context, rows: Sequence[ProcessStatusRow], statuses: Mapping[str, ProcessStatus]) -> None:
    """Record bol's answers, a few in each transaction; what somebody is changing, each in one of its own afterwards."""
    for batch in _together(rows):
        held = _note_all(ctx, batch, statuses, waiting=len(batch) == 1)
        for row in held:
            _note_all(ctx, [row], statuses, waiting=True)


def _note_all(
    ctx: Context, rows: Sequence[ProcessStatusRow], statuses: Mapping[str, ProcessStatus], *, waiting: bool
) -> Sequence[ProcessStatusRow]:
    """Record these answers in one transaction; return those that were left out, as somebody holds their effects.

    :param waiting: nothing is left out. Only who records one answer may wait: parcels of several orders are locked in
        no order that others keep to, as people correct them in any.
    """
    ctx.lease.ensure(CALL_SECONDS)
    confirmed: list[ShipmentEffect] = []
    with ctx.host.transaction():
        held = set() if waiting else _held(ctx, rows)
        for row in rows:
            if row.process_status_id not in held:
                confirmed += _note(ctx, row, statuses.get(row.process_status_id))
        mark_confirmed(ctx, confirmed)
    return [row for row in rows if row.process_status_id in held]


def _held(ctx: Context, rows: Sequence[ProcessStatusRow]) -> set[str]:
    """Lock the parcels, and corrections of parcels, that wait for these statuses; return those of which somebody holds one."""
    session, ids = ctx.host.session, [row.process_status_id for row in rows]
    held: set[str] = set()
    for model in (ShipmentEffect, TransportEffect):
        wait = select(model.id, model.process_status_id).where(
            model.store_id == ctx.store_id,
            model.process_status_id.in_(ids),
            model.state == EffectState.SENT,
        )
        waiting = dict(session.execute(wait).all())
        for effect_id, _status in session.execute(wait.with_for_update(skip_locked=True)):
            waiting.pop(effect_id, None)
        held.update(waiting.values())
    return held


def _together(rows: Sequence[ProcessStatusRow]) -> Iterator[Sequence[ProcessStatusRow]]:
    """Return what is recorded together. A cancellation locks its order, and nobody locks several of those in one order."""
    yield from ([row] for row in rows if row.event_type == CANCEL)
    rest = [row for row in rows if row.event_type != CANCEL]
    yield from (rest[first : first + AT_ONCE] for first in range(0, len(rest), AT_ONCE))


def _note(ctx: Context, row: ProcessStatusRow, status: ProcessStatus | None) -> Sequence[ShipmentEffect]:
    """Record one answer; return the shipments that it confirms. In a transaction."""
    session, now = ctx.host.session, ctx.now()
    too_old = now - row.created_at > FOLLOWED
    missing = status is None and now - row.created_at > MISSING_AFTER and row.event_type not in NEVER_MISSING
    if (status is None or status.pending) and not too_old and not missing:
        session.execute(
            update(ProcessStatusRow)
            # Not where bol told meanwhile, by webhook, that it has ended: the answer in hand is older than that.
            .where(ProcessStatusRow.id == row.id, ProcessStatusRow.next_poll_at == row.next_poll_at)
            .values(polls=row.polls + 1, next_poll_at=_next_poll(row, now))
        )
        return ()
    outcome = status.status if status is not None and not status.pending else "EXPIRED"
    message = (status.error_message or "") if status is not None else ""
    session.execute(
        update(ProcessStatusRow)
        .where(ProcessStatusRow.id == row.id)
        .values(status=outcome, error_message=message, polls=row.polls + 1, next_poll_at=None, ended_at=now)
    )
    return _pass_on(ctx, row, status, outcome, message)


def _pass_on(
    ctx: Context, row: ProcessStatusRow, status: ProcessStatus | None, outcome: str, message: str
) -> Sequence[ShipmentEffect]:
    """SUCCESS confirms. Anything else is looked into at once: what bol has decided, not what its message says.

    Return the shipments that it confirms.
    """
    session, now, process_status_id = ctx.host.session, ctx.now(), row.process_status_id
    if row.event_type == CANCEL:
        _lock_order(ctx, process_status_id)
    shipped = _waiting(session, ctx.store_id, ShipmentEffect, process_status_id)
    for effect in shipped:
        if outcome == "SUCCESS":
            effect.state, effect.settled_at, effect.error, effect.due_at = (
                EffectState.CONFIRMED,
                now,
                "",
                None,
            )
            after_confirmation(ctx, effect)
        else:
            _to_check(effect, now, message)
    for effect in _waiting(session, ctx.store_id, CancellationEffect, process_status_id):
        if outcome == "SUCCESS":
            confirm(ctx, session, effect)
        else:
            _to_check(effect, now, message)
    for effect in _waiting(session, ctx.store_id, TransportEffect, process_status_id):
        correcting.settle(ctx, effect, outcome, message)
    for effect in _waiting(session, ctx.store_id, LabelEffect, process_status_id):
        labels.settle(ctx, effect, status, outcome, message)
    session.flush()
    return shipped if outcome == "SUCCESS" else ()


def _lock_order(ctx: Context, process_status_id: str) -> None:
    """Lock the order that is being cancelled before anything of it, as everywhere."""
    order_id = ctx.host.session.scalar(
        select(CancellationEffect.order_id).where(
            CancellationEffect.store_id == ctx.store_id,
            CancellationEffect.process_status_id == process_status_id,
        )
    )
    if order_id is not None:
        lock_row(ctx, order_id)


def _waiting(session: Any, store_id: int, model: Any, process_status_id: str) -> Sequence[Any]:
    """Return the effects that wait for this status, locked."""
    found: Sequence[Any] = session.scalars(
        select(model)
        .where(
            model.store_id == store_id,
            model.process_status_id == process_status_id,
            model.state == EffectState.SENT,
        )
        .order_by(model.id)
        .with_for_update()
    ).all()
    return found


def _to_check(effect: Any, now: datetime, message: str) -> None:
    effect.state, effect.due_at, effect.error = EffectState.UNKNOWN, now, message
    effect.unknown_since = effect.unknown_since or now


def _next_poll(row: ProcessStatusRow, now: datetime) -> datetime:
    """Return when to ask again: after 1, 2, 4, then each 8 seconds, and from ten minutes on ever later.

    A parcel that must be stopped is still in the house for some minutes: its packer hears of it within ten seconds.
    """
    age = now - row.created_at
    if age > FRESH:
        return now + min(age / 10, LONGEST_WAIT)
    return now + timedelta(seconds=min(2 ** min(row.polls, 3), 8))

"""Process statuses: bol's answers to writes are followed to their end state, many in one call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from plugin.connector import BolError, ProcessStatus
from plugin.models import EffectState, ProcessStatusRow, ShipmentEffect
from plugin.sync.context import Context
from plugin.sync.failures import come_back
from plugin.sync.products import CALL_SECONDS

#: bol takes 1 to 1,000 ids in one question (shared API v10, get-process-status-bulk).
BULK = 1000
LONGEST_WAIT = timedelta(minutes=5)
#: bol forgets a process status after a day or two; what has not ended by then is settled by looking.
FOLLOWED = timedelta(hours=24)
MISSING_AFTER = 3


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
            statuses = ctx.client.statuses.bulk([row.process_status_id for row in rows])
        except BolError as error:
            when = max(come_back(error, ctx.now()), ctx.now() + timedelta(seconds=2))
            with ctx.host.transaction() as session:
                session.execute(
                    update(ProcessStatusRow)
                    .where(ProcessStatusRow.id.in_([row.id for row in rows]))
                    .values(next_poll_at=when)
                )
            return False
        with ctx.host.transaction():
            for row in rows:
                _note(ctx, row, statuses.get(row.process_status_id))
    return True


def _note(ctx: Context, row: ProcessStatusRow, status: ProcessStatus | None) -> None:
    """Record one answer. In a transaction."""
    session, now = ctx.host.session, ctx.now()
    too_old = now - row.created_at > FOLLOWED
    missing = status is None and row.polls + 1 >= MISSING_AFTER
    if (status is None or status.pending) and not too_old and not missing:
        session.execute(
            update(ProcessStatusRow)
            .where(ProcessStatusRow.id == row.id)
            .values(polls=row.polls + 1, next_poll_at=_next_poll(row, now))
        )
        return
    outcome = status.status if status is not None and not status.pending else "EXPIRED"
    message = (status.error_message or "") if status is not None else ""
    session.execute(
        update(ProcessStatusRow)
        .where(ProcessStatusRow.id == row.id)
        .values(status=outcome, error_message=message, polls=row.polls + 1, next_poll_at=None, ended_at=now)
    )
    waiting = session.scalars(
        select(ShipmentEffect.id).where(
            ShipmentEffect.store_id == ctx.store_id,
            ShipmentEffect.process_status_id == row.process_status_id,
            ShipmentEffect.state == EffectState.SENT,
        )
    ).all()
    if waiting:
        _pass_on(ctx, waiting, outcome, message)


def _pass_on(ctx: Context, effect_ids: Sequence[int], outcome: str, message: str) -> None:
    """SUCCESS confirms. Anything else is looked into at once: what bol has decides, not what its message says."""
    session, now = ctx.host.session, ctx.now()
    if outcome == "SUCCESS":
        values = {"state": EffectState.CONFIRMED, "settled_at": now, "error": "", "due_at": None}
    else:
        values = {
            "state": EffectState.UNKNOWN,
            "unknown_since": func.coalesce(ShipmentEffect.unknown_since, now),
            "due_at": now,
            "error": message,
        }
    session.execute(update(ShipmentEffect).where(ShipmentEffect.id.in_(effect_ids)).values(**values))


def _next_poll(row: ProcessStatusRow, now: datetime) -> datetime:
    """Each wait is longer than the one before: 1, 2, 4 ... seconds, at most five minutes."""
    return now + min(timedelta(seconds=2 ** min(row.polls, 9)), LONGEST_WAIT)

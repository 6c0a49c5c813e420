"""What all effects on bol have in common: how a failed call is recorded, followed and checked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from plugin.connector import BadRequest, BolError, Conflict, NotExecuted, NotFound, ProcessStatus
from plugin.models import EffectState, ProcessStatusRow
from plugin.sync.context import Context
from plugin.sync.failures import come_back
from plugin.texts import gettext as _

FIRST_POLL = timedelta(seconds=1)
FIRST_CHECK = timedelta(seconds=5)
#: Waits between looks at bol, in seconds.
CHECKS = (5, 15, 30, 60, 120, 300)
#: bol works asynchronously: before this, not finding an effect says nothing at all.
RESEND_AFTER = timedelta(minutes=5)
DECIDE_AFTER = timedelta(hours=3)
#: bol's clock and ours may differ by this much.
CLOCK = timedelta(minutes=1)
#: bol refuses these for good: the same request again would be refused again.
FINAL = (BadRequest, NotFound, Conflict)
#: A conflict passes, as a rule; one that does not in so many tries, which take more than an hour, is for a person.
MOST_CONFLICTS = 10


def is_final(error: BolError) -> bool:
    """Tell if bol refused for good."""
    return isinstance(error, FINAL) and error.retry_after is None


def refusal(error: BolError, attempts: int) -> str | None:
    """Return why a request is not made again by itself; None where it is.

    :param attempts: how often the effect was tried, this time included.
    """
    if is_final(error):
        return error.operator_text(_)
    if isinstance(error, Conflict) and attempts >= MOST_CONFLICTS:
        return _(
            "bol reports a conflict with another change, however often it is tried. Look at the order in bol's seller portal."
        )
    return None


def is_hopeless(error: BolError, since: datetime | None, now: datetime) -> bool:
    """Tell if a person must look for an effect, as bol, which can be reached, has failed to show anything of it for so long."""
    reached = not isinstance(error, NotExecuted)
    return reached and since is not None and now - since >= DECIDE_AFTER


def after_failure(error: BolError, now: datetime, attempts: int) -> dict[str, Any]:
    """Return what to record of a call that failed: not done is known and tried again; all else gets checked.

    :param attempts: how often the effect was tried, this time included.
    """
    if isinstance(error, NotExecuted):
        when = max(come_back(error, now, attempts - 1), now + timedelta(seconds=1))
        return {"state": EffectState.WANTED, "due_at": when, "error": error.operator_text(_)}
    return {
        "state": EffectState.UNKNOWN,
        "unknown_since": now,
        "due_at": now + FIRST_CHECK,
        "error": error.operator_text(_),
    }


def next_check(since: datetime, now: datetime) -> datetime:
    """Return when to look again for an effect that is unknown since then."""
    age = (now - since).total_seconds()
    return now + timedelta(seconds=next((seconds for seconds in CHECKS if seconds > age), CHECKS[-1]))


def follow(ctx: Context, status: ProcessStatus) -> None:
    """Follow a process status from now on; one that is followed already stays so. In a transaction.

    bol's demo answers each request with the same number: one that has ended is followed anew.
    """
    session, now = ctx.host.session, ctx.now()
    known = status_row(session, ctx.store_id, status.id)
    if known is not None and known.ended_at is not None:
        known.status, known.error_message, known.ended_at = "PENDING", "", None
        known.polls, known.next_poll_at = 0, now + FIRST_POLL
    elif known is None:
        session.add(
            ProcessStatusRow(
                store_id=ctx.store_id,
                process_status_id=status.id,
                event_type=status.event_type,
                status="PENDING",
                error_message="",
                created_at=now,
                polls=0,
                next_poll_at=now + FIRST_POLL,
            )
        )
        session.flush()


def remember(ctx: Context, status: ProcessStatus) -> None:
    """Keep a status that has ended as one we know of, so that it is not taken for a later request's. In a transaction."""
    follow(ctx, status)
    row = status_row(ctx.host.session, ctx.store_id, status.id)
    if row is not None:
        row.status, row.error_message = status.status, status.error_message or ""
        row.next_poll_at, row.ended_at = None, row.ended_at or ctx.now()
        ctx.host.session.flush()


def status_row(session: Any, store_id: int, process_status_id: str | None) -> ProcessStatusRow | None:
    """Return what we know of a process status."""
    if process_status_id is None:
        return None
    found: ProcessStatusRow | None = session.scalar(
        select(ProcessStatusRow).where(
            ProcessStatusRow.store_id == store_id, ProcessStatusRow.process_status_id == process_status_id
        )
    )
    return found


def own_status(
    session: Any, store_id: int, sent_at: datetime | None, statuses: Iterable[ProcessStatus]
) -> ProcessStatus | None:
    """Return the status of the request whose answer was lost: created since, and of no request we know of.

    At most one effect of an item is unsettled, so a status that came since can only be this one's, or that of
    somebody who does the same in bol's portal at the same minute; both mean that it must not be asked again.
    """
    since = [
        status
        for status in statuses
        if status.id
        and sent_at is not None
        and status.created_at is not None
        and status.created_at >= sent_at - CLOCK
    ]
    known = set(
        session.scalars(
            select(ProcessStatusRow.process_status_id).where(
                ProcessStatusRow.store_id == store_id,
                ProcessStatusRow.process_status_id.in_([status.id for status in since]),
            )
        )
    )
    return next((status for status in since if status.id not in known), None)

"""What is kept for a time only: names and addresses, the log of calls, runs, process statuses, and old timelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, or_, select, update

from plugin.models import BolOrder, BolOrderEvent, BolOrderItem, ProcessStatusRow, Store
from plugin.models.orders import NOT_IN_HOST
from plugin.sync import call_log, counters, runs
from plugin.sync.context import Surroundings

EVERY = timedelta(hours=1)
#: bol itself forgets a process status after a day or two.
STATUSES = timedelta(days=7)
TIMELINES = timedelta(days=90)
#: Rows that are looked at, and deleted, in one transaction.
AT_ONCE = 1_000


def erase_if_due(ctx: Surroundings) -> bool:
    """Erase and delete what is old, once an hour. Also in a paused store. True when some is left."""
    now = ctx.now()
    with ctx.host.reading() as session:
        due = session.scalar(
            select(Store.id).where(
                Store.id == ctx.store_id, or_(Store.next_erase_at.is_(None), Store.next_erase_at <= now)
            )
        )
    if due is None:
        return False
    call_log.prune(ctx)
    counters.prune(ctx)
    runs.prune_in_parts(ctx)
    _in_parts(ctx, ProcessStatusRow, now - STATUSES, _old_statuses)
    _in_parts(ctx, BolOrderEvent, now - TIMELINES, _old_events)
    while not ctx.lease.slice_over():
        with ctx.host.transaction():
            erased = ctx.host.erase_addresses(
                ctx.source, now - timedelta(days=ctx.settings.address_days), AT_ONCE
            )
        if erased < AT_ONCE:
            break
    if ctx.lease.slice_over():
        return True
    with ctx.host.transaction() as session:
        session.execute(update(Store).where(Store.id == ctx.store_id).values(next_erase_at=now + EVERY))
    return False


Find = Callable[[Surroundings, int], Any]


def _in_parts(ctx: Surroundings, model: Any, before: datetime, find: Find) -> None:
    """Delete old rows of a table, the oldest first.

    Rows are made in order of time, so the first one that is young ends the search: a table is never walked through.

    :param find: selects (id, moment, may be deleted) of the rows after an id.
    """
    after = 0
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            rows: Sequence[Any] = session.execute(find(ctx, after).limit(AT_ONCE)).all()
        old = [row for row in rows if row.moment < before]
        gone = [row.id for row in old if row.done]
        if gone:
            with ctx.host.transaction() as session:
                session.execute(delete(model).where(model.id.in_(gone)))
        if len(old) < AT_ONCE:
            return
        after = old[-1].id


def _old_statuses(ctx: Surroundings, after: int) -> Any:
    return (
        select(
            ProcessStatusRow.id,
            ProcessStatusRow.created_at.label("moment"),
            ProcessStatusRow.next_poll_at.is_(None).label("done"),
        )
        .where(ProcessStatusRow.store_id == ctx.store_id, ProcessStatusRow.id > after)
        .order_by(ProcessStatusRow.id)
    )


def _old_events(ctx: Surroundings, after: int) -> Any:
    """An order is done when nothing of it is open at bol and it waits for nothing here."""
    still_open = exists().where(
        BolOrderItem.order_id == BolOrder.id,
        BolOrderItem.quantity > BolOrderItem.shipped + BolOrderItem.cancelled,
    )
    return (
        select(
            BolOrderEvent.id,
            BolOrderEvent.at.label("moment"),
            (~still_open & BolOrder.state.not_in(NOT_IN_HOST)).label("done"),
        )
        .join(BolOrder, BolOrder.id == BolOrderEvent.order_id)
        .where(BolOrder.store_id == ctx.store_id, BolOrderEvent.id > after)
        .order_by(BolOrderEvent.id)
    )

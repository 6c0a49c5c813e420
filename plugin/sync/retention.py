"""Names and addresses of orders that are done, and the log of calls, are kept for a number of days and erased then."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import or_, select, update

from plugin.models import Store
from plugin.sync import counters
from plugin.sync.call_log import prune
from plugin.sync.context import Context

EVERY = timedelta(hours=1)


def erase_if_due(ctx: Context) -> bool:
    """Erase old addresses and old calls, once an hour. Also in a paused store. Nothing is left afterwards."""
    now = ctx.now()
    with ctx.host.reading() as session:
        due = session.scalar(
            select(Store.id).where(
                Store.id == ctx.store_id, or_(Store.next_erase_at.is_(None), Store.next_erase_at <= now)
            )
        )
    if due is None:
        return False
    prune(ctx)
    counters.prune(ctx)
    with ctx.host.transaction() as session:
        ctx.host.erase_addresses(ctx.source, now - timedelta(days=ctx.settings.address_days))
        session.execute(update(Store).where(Store.id == ctx.store_id).values(next_erase_at=now + EVERY))
    return False

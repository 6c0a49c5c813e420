"""Counts what happens in each hour, for the charts: written in transactions that record outcomes anyway, and kept some weeks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import case, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from plugin.models import HourlyCount
from plugin.sync.context import Surroundings

#: Orders taken over, and parcels confirmed, with the time since their picklist was closed.
ORDERS, SHIPMENTS = "orders", "shipments"
#: Stock updates that bol took; those of them that told of a change of stock, with the time since that.
STOCK, STOCK_DELAY = "stock", "stock delay"
#: Calls to bol, with their time, and those of them that failed.
CALLS, FAILED_CALLS = "calls", "failed calls"
#: Before the name of one of bol's limits: calls that count towards it.
LIMIT = "limit "
KEPT = timedelta(days=35)
EVERY_SECONDS = 1.0


class Counts:
    """Counts of one store, gathered in memory. What a job that dies has gathered and not written is lost."""

    def __init__(self, store_id: int) -> None:
        self._store_id = store_id
        self._gathered: dict[str, tuple[int, float, float]] = {}
        self._written = time.monotonic()

    def add(self, name: str, count: int = 1, took: timedelta | None = None) -> None:
        """Count something that happened, and how long it took where that is known."""
        seconds = max(0.0, took.total_seconds()) if took is not None else 0.0
        known, total, most = self._gathered.get(name, (0, 0.0, 0.0))
        self._gathered[name] = (known + count, total + seconds, max(most, seconds))

    def write_if_due(self, session: Any, now: datetime, *, last: bool) -> None:
        """Write about once a second, and at the end. In a transaction."""
        if last or time.monotonic() - self._written >= EVERY_SECONDS:
            self.write(session, now)

    def write(self, session: Any, now: datetime) -> None:
        """Add what was gathered to the rows of this hour. In a transaction."""
        self._written = time.monotonic()
        if self._gathered:
            _add(session, self._store_id, now, self._gathered)
            self._gathered = {}


def note(session: Any, store_id: int, now: datetime, name: str, *, took: timedelta | None = None) -> None:
    """Count one thing at once. In a transaction."""
    counts = Counts(store_id)
    counts.add(name, 1, took)
    counts.write(session, now)


def prune(ctx: Surroundings) -> None:
    """Forget hours that no chart shows any more."""
    old = HourlyCount.store_id == ctx.store_id, HourlyCount.hour < ctx.now() - KEPT
    with ctx.host.reading() as session:
        found = session.scalar(select(HourlyCount.hour).where(*old).limit(1))
    if found is not None:
        with ctx.host.transaction() as session:
            session.execute(delete(HourlyCount).where(*old))


def _add(session: Any, store_id: int, now: datetime, counts: Mapping[str, tuple[int, float, float]]) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    # In one order everywhere, so that two that count the same can't lock each other out.
    rows = [
        {"store_id": store_id, "name": name, "hour": hour, "count": count, "total": total, "most": most}
        for name, (count, total, most) in sorted(counts.items())
    ]
    session.execute(_statement(session.get_bind().dialect.name), rows)


@cache
def _statement(dialect: str) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(HourlyCount.__table__)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["store_id", "name", "hour"],
        set_={
            "count": HourlyCount.count + new.count,
            "total": HourlyCount.total + new.total,
            "most": case((HourlyCount.most > new.most, HourlyCount.most), else_=new.most),
        },
    )

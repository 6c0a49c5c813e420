"""When each flow of a store last went well: what monitoring and the status command tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from plugin.models import Run, RunState, ShipmentEffect, Store
from plugin.sync.findings import KIND as CHECK
from plugin.sync.products import KIND as IMPORT
from plugin.sync.sweep import KIND as SWEEP


def last_good_runs(session: Any, store: Store) -> Mapping[str, datetime | None]:
    """Return, by flow, when it last came to its end; None where it never did. In a transaction."""
    ended = dict(
        session.execute(
            select(Run.kind, func.max(Run.finished_at))
            .where(Run.store_id == store.id, Run.state == RunState.DONE)
            .group_by(Run.kind)
        ).all()
    )
    newest = select(func.max(ShipmentEffect.settled_at)).where(ShipmentEffect.store_id == store.id)
    return {
        "orders": store.orders_read_at,
        "products": ended.get(IMPORT),
        "sweep": ended.get(SWEEP),
        "stock check": ended.get(CHECK),
        "stock": store.stock_sent_at,
        "shipments": session.scalar(newest),
    }

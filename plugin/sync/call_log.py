"""Keeps the log of calls to bol: gathered in memory while calls are made, written about once a second."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from host_app.plugin_api import HostPort, Lease
from plugin.connector import PUBLISHED_LIMITS, CallRecord
from plugin.connector.budget import rule_for
from plugin.models import ApiCall, BolOrder, BolOrderItem, EffectState, ShipmentEffect
from plugin.sync.context import Surroundings
from plugin.sync.counters import CALLS, FAILED_CALLS, LIMIT, Counts

EVERY_SECONDS = 1.0
#: More than a store makes in a minute: what could not be written for so long is let go, the oldest first.
MOST_KEPT = 10_000
PRUNED_AT_ONCE = 5_000
log = logging.getLogger(__name__)

#: What calls are logged as made for where a packer waits for the answer.
PACKING = "packing"


class CallLog:
    """The calls of one slice of a job. ``note`` may be called by many threads; only the one that made the log writes.

    A killed job loses what it gathered since the last writing: the log is for people, and nothing is decided by it.
    """

    def __init__(self, host: HostPort, store_id: int, job: str) -> None:
        self._host, self._store_id, self._job = host, store_id, job
        self._waiting: deque[CallRecord] = deque(maxlen=MOST_KEPT)
        self._thread = threading.get_ident()
        self._written = time.monotonic()

    def note(self, record: CallRecord) -> None:
        """Remember a call."""
        self._waiting.append(record)

    def write_if_due(self) -> None:
        """Write what was gathered, once a second; not in other threads, nor inside a transaction."""
        if (
            time.monotonic() - self._written >= EVERY_SECONDS
            and threading.get_ident() == self._thread
            and not self._host.in_transaction
        ):
            self.write()

    def write(self, learnt: Callable[[], None] | None = None) -> None:
        """Write what was gathered, in one transaction. A database that refuses it does not end the job.

        :param learnt: writes in the same transaction what the calls have told, for whom each wait is one too many.
        """
        calls = [self._waiting.popleft() for _ in range(len(self._waiting))]
        rows = [self._row(call) for call in calls]
        counted = _counted(self._store_id, calls)
        self._written = time.monotonic()
        if not rows:
            return
        try:
            with self._host.transaction() as session:
                session.execute(insert(ApiCall), rows)
                counted.write(session, self._host.now())
                if learnt is not None:
                    learnt()
        except SQLAlchemyError as error:
            log.warning("%d calls to bol could not be logged: %s", len(rows), type(error).__name__)

    def _row(self, record: CallRecord) -> dict[str, Any]:
        return {
            "store_id": self._store_id,
            "at": record.at,
            "job": self._job,
            "method": record.method,
            "route": record.route,
            "subject": subject_of(record),
            "status": record.status,
            "duration_ms": record.duration_ms,
            "request_id": record.request_id or "",
            "error": record.error or "",
        }


def _counted(store_id: int, calls: Iterable[CallRecord]) -> Counts:
    """Count calls for the charts: all, those that failed, and those under each of bol's limits."""
    counted = Counts(store_id)
    for call in calls:
        counted.add(CALLS, 1, timedelta(milliseconds=call.duration_ms))
        if call.error:
            counted.add(FAILED_CALLS)
        if limit := _limit(call.method, call.route):
            counted.add(f"{LIMIT}{limit}")
    return counted


@cache
def _limit(method: str, route: str) -> str:
    """Return the name of the limit that calls of a route count towards, "" where bol publishes none."""
    rule = rule_for(PUBLISHED_LIMITS, method, route)
    return rule.name if rule in PUBLISHED_LIMITS else ""


class LoggingLease:
    """A lease that writes the log on the way: flows look after their lease before each call."""

    def __init__(self, lease: Lease, calls: CallLog) -> None:
        self._lease, self._calls = lease, calls

    @property
    def token(self) -> str:
        return self._lease.token

    def ensure(self, seconds: float) -> None:
        self._calls.write_if_due()
        self._lease.ensure(seconds)

    def slice_over(self) -> bool:
        self._calls.write_if_due()
        return self._lease.slice_over()


def subject_of(record: CallRecord) -> str:
    """Return what the call was about, from the ids in it: ``order A000X``, ``order item 1``, ``offer ...``, ``ean ...``."""
    # The demo's paths have other words than the template, but as many.
    parts = zip(record.route.split("/"), record.path.split("/"), strict=False)
    named = [
        f"{name[1:-1].removesuffix('-id').replace('-', ' ')} {value}"
        for name, value in parts
        if name.startswith("{")
    ]
    return ", ".join(named or [record.about])[:160]


@dataclass(frozen=True, slots=True)
class Story:
    """What a call was about, as far as it is known here: the row of the order, and its shipment to try again."""

    order_row_id: int
    effect_id: int | None = None


def stories(host: HostPort, store_id: int, calls: Sequence[ApiCall]) -> dict[int, Story]:
    """Return, by call, the order that it was about; with the shipment of that item that only a person can have sent again.

    A call is never repeated as it was: the ledger sends what is right now. In a transaction.
    """
    session = host.session
    items = {call.id: _ids("order item", call.subject) for call in calls}
    orders = {call.id: _ids("order", call.subject) for call in calls}
    item_ids, order_ids = ({one for named in of.values() for one in named} for of in (items, orders))
    # Two looks, each by its index, and none where calls were about something else.
    by_item = dict(
        session.execute(
            select(BolOrderItem.order_item_id, BolOrder.id)
            .join(BolOrder)
            .where(BolOrder.store_id == store_id, BolOrderItem.order_item_id.in_(item_ids))
        ).all()
        if item_ids
        else ()
    )
    by_order = dict(
        session.execute(
            select(BolOrder.order_id, BolOrder.id).where(
                BolOrder.store_id == store_id, BolOrder.order_id.in_(order_ids)
            )
        ).all()
        if order_ids
        else ()
    )
    waiting = dict(
        session.execute(
            select(ShipmentEffect.order_item_id, ShipmentEffect.id).where(
                ShipmentEffect.store_id == store_id,
                ShipmentEffect.order_item_id.in_(by_item),
                ShipmentEffect.state.in_((EffectState.REFUSED, EffectState.DECISION)),
            )
        ).all()
        if by_item
        else ()
    )
    found = {}
    for call in calls:
        order = next(
            (by_item[one] for one in items[call.id] if one in by_item),
            next((by_order[one] for one in orders[call.id] if one in by_order), None),
        )
        if order is not None:
            effect = next((waiting[one] for one in items[call.id] if one in waiting), None)
            found[call.id] = Story(order, effect if call.error else None)
    return found


def _ids(kind: str, subject: str) -> list[str]:
    """Return the ids of this kind that a subject names; one that was cut off names nothing."""
    named = (part.strip().rpartition(" ") for part in subject.split(","))
    return [number for words, _, number in named if words == kind]


def prune(ctx: Surroundings) -> None:
    """Delete calls that are older than the store's number of days, some thousands in each transaction."""
    before = ctx.now() - timedelta(days=ctx.settings.call_log_days)
    mine = ApiCall.store_id == ctx.store_id
    while not ctx.lease.slice_over():
        with ctx.host.reading() as session:
            oldest = session.execute(
                select(ApiCall.id, ApiCall.at).where(mine).order_by(ApiCall.id).limit(PRUNED_AT_ONCE)
            ).all()
        gone = [row.id for row in oldest if row.at < before]
        if not gone:
            return
        with ctx.host.transaction() as session:
            session.execute(delete(ApiCall).where(mine, ApiCall.id <= gone[-1]))
        if len(gone) < len(oldest):
            return

"""Events to plugins: written with the change they tell of, delivered after it, at least once and in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from cattrs.preconf.json import make_converter
from flask import current_app
from sqlalchemy import Select, bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.orm import aliased

from host_app.db import (
    changed_rows,
    current_session,
    is_writing,
    reading,
    transaction,
    utcnow,
    was_in_the_way,
)
from host_app.languages import kept_text
from host_app.leases import HeldLease
from host_app.models import EventDelivery
from host_app.plugin_api import EVENT_HOOKS, Event, HostPort, Level, Notice, StockChange, Wake
from host_app.plugins import HOST_QUEUE, plugins
from host_app.wakes import wake

BATCH = 200
#: Waits before the second to the seventh try, in seconds; a delivery that fails after them is parked.
BACKOFF = (2, 4, 8, 16, 32, 64)
LONGEST_WAIT = timedelta(seconds=2 * BACKOFF[-1])


class _Gone(Exception):
    """Another process has delivered some of these events, or a newer one has taken their place."""


_convert = make_converter()
_classes = {hook: event for event, hook in EVENT_HOOKS.items()}


def dispatch_wake(plugin: str) -> Wake:
    """Return the wake that delivers what one plugin has still to be told."""
    return Wake(f"host:dispatch:{plugin}", HOST_QUEUE, "host_app.events:dispatch", (plugin,))


def emit(event: Event, subject: str) -> None:
    """Write an event for each interested plugin, in the transaction of the change that it tells of.

    :param subject: what the event is about, such as ``product:12``; its order is kept per subject.
    :raises RuntimeError: no transaction is open, or one for reading only.
    """
    if not is_writing():
        raise RuntimeError("An event is written in the transaction of the change that it tells of.")
    interested = plugins().interested(type(event))
    _write(event, subject, interested)
    wake(*(dispatch_wake(plugin) for plugin in interested))


def tell(plugin: str, event: Event, subject: str) -> bool:
    """Write an event for one plugin, in a transaction; False where it is not interested. Nobody is woken."""
    if plugin not in plugins().interested(type(event)):
        return False
    _write(event, subject, [plugin])
    return True


def _write(event: Event, subject: str, names: Sequence[str]) -> None:
    if not names:
        return
    payload = _convert.unstructure(event)
    now = utcnow()
    current_session().execute(
        # The table and not the class: this runs in every change that somebody waits for, and is twice as fast.
        insert(EventDelivery.__table__),
        [
            {
                "plugin": plugin,
                "kind": EVENT_HOOKS[type(event)],
                "subject": subject,
                "payload": payload,
                "created_at": now,
            }
            for plugin in names
        ],
    )


def dispatch(host: HostPort, lease: HeldLease, plugin: str) -> bool | list[Wake]:
    """Job: tell one plugin its events, oldest first, in small batches.

    True when some are left, else the wakes that the plugin asked for last, to be sent or worked on at once.
    """
    wakes: list[Wake] = []
    while not lease.slice_over():
        lease.ensure()
        batch = _due(plugin)
        if not batch:
            return wakes
        # There is more to tell: others begin with what was asked for so far.
        wake(*wakes)
        try:
            wakes = _deliver(host, plugin, batch)
        except Exception as error:
            if was_in_the_way(error):
                current_app.logger.warning("events for plugin %s made way for another job", plugin)
            elif not isinstance(error, _Gone):
                current_app.logger.exception(
                    "a batch for plugin %s failed, its events are delivered one by one", plugin
                )
            wakes = []
            for row in batch:
                lease.ensure()
                wakes += _deliver_alone(host, plugin, row)
    wake(*wakes)
    return True


def due(names: Sequence[str]) -> list[Wake]:
    """Return the wakes of those plugins that have events to be told now."""
    return [dispatch_wake(name) for name in names if _due(name, limit=1)]


def _due(plugin: str, limit: int = BATCH) -> list[EventDelivery]:
    """Return the oldest deliveries that may be tried now; a failed one holds back later ones of its own subject."""
    with reading() as session:
        now = utcnow()
        values = {"plugin": plugin, "now": now, "at_most": now + LONGEST_WAIT, "most": limit}
        return list(session.scalars(_due_statement(), values).all())


@cache
def _due_statement() -> Select[tuple[EventDelivery]]:
    """Build it once: that takes longer than running it, and every change of stock waits for it."""
    plugin = bindparam("plugin")
    earlier = aliased(EventDelivery)
    held_back = exists().where(
        earlier.plugin == plugin,
        earlier.attempts > 0,
        earlier.subject == EventDelivery.subject,
        earlier.id < EventDelivery.id,
    )
    # Further away than the longest wait: noted by a clock that was ahead.
    ready = or_(
        EventDelivery.next_try_at.is_(None),
        EventDelivery.next_try_at <= bindparam("now"),
        EventDelivery.next_try_at > bindparam("at_most"),
    )
    return (
        select(EventDelivery)
        .where(EventDelivery.plugin == plugin, EventDelivery.parked_at.is_(None), ready, ~held_back)
        .order_by(EventDelivery.id)
        .limit(bindparam("most"))
    )


def _deliver(host: HostPort, plugin: str, rows: Sequence[EventDelivery]) -> list[Wake]:
    """Tell a plugin these events in one transaction, which also removes them; return the wakes it asks for.

    Changes of stock are told last and folded: only the newest of each product counts.
    """
    wakes: list[Wake] = []
    stock: dict[int, StockChange] = {}
    with transaction() as session:
        mine = delete(EventDelivery).where(EventDelivery.id.in_([row.id for row in rows]))
        if changed_rows(session, mine) != len(rows):
            raise _Gone
        for row in rows:
            event: Any = _convert.structure(row.payload, _classes[row.kind])
            if isinstance(event, StockChange):
                known = stock.get(event.product_id)
                if known is None or event.history_id > known.history_id:
                    stock[event.product_id] = event
            else:
                wakes += plugins().call(plugin, row.kind, host=host, event=event) or []
        if stock:
            changes = tuple(sorted(stock.values(), key=lambda change: change.history_id))
            wakes += plugins().call(plugin, "stock_changed", host=host, changes=changes) or []
    return wakes


def _deliver_alone(host: HostPort, plugin: str, row: EventDelivery) -> list[Wake]:
    """Tell one event; where that fails, put it off, and after the last try park it and tell people."""
    if _held_back(plugin, row):
        return []
    try:
        return _deliver(host, plugin, [row])
    except _Gone:
        return []
    except Exception as error:
        current_app.logger.exception("event %s of plugin %s failed", row.id, plugin)
        with transaction() as session:
            now = utcnow()
            parked = row.attempts >= len(BACKOFF)
            noted = changed_rows(
                session,
                update(EventDelivery)
                .where(EventDelivery.id == row.id)
                .values(
                    attempts=EventDelivery.attempts + 1,
                    next_try_at=None if parked else now + timedelta(seconds=BACKOFF[row.attempts]),
                    parked_at=now if parked else None,
                    error=f"{type(error).__name__}: {error}"[:2000],
                ),
            )
            if parked and noted:
                host.notify(
                    Notice(
                        key=f"delivery-parked:{row.id}:{row.attempts}",
                        kind="host.delivery",
                        level=Level.DANGER,
                        title=kept_text(
                            "The plugin %(plugin)s could not be told of %(subject)s",
                            plugin=plugin,
                            subject=row.subject,
                        ),
                        body=kept_text(
                            "It was tried %(count)s times. Mend the cause, then press “Pass on again”.",
                            count=row.attempts + 1,
                        ),
                        url="/admin/deliveries/",
                    )
                )
    return []


def _held_back(plugin: str, row: EventDelivery) -> bool:
    """Tell if an earlier event of the same subject has failed, so that this one must wait for it."""
    with reading() as session:
        return bool(
            session.scalar(
                select(
                    exists().where(
                        EventDelivery.plugin == plugin,
                        EventDelivery.subject == row.subject,
                        EventDelivery.attempts > 0,
                        EventDelivery.id < row.id,
                    )
                )
            )
        )


def deliver_again(delivery_id: int) -> bool:
    """Try a parked delivery once more; where it fails, people are told anew. False where it is not parked."""
    with transaction() as session:
        freed = changed_rows(
            session,
            update(EventDelivery)
            .where(EventDelivery.id == delivery_id, EventDelivery.parked_at.is_not(None))
            .values(parked_at=None, next_try_at=utcnow()),
        )
        row = session.get(EventDelivery, delivery_id)
        if row is not None:
            wake(dispatch_wake(row.plugin))
    return bool(freed)

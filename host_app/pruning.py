"""Deletes what nobody reads any more, once an hour and some rows at a time, so that a year of work stays fast."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update

from host_app.db import insert_if_absent, reading, transaction, utcnow
from host_app.models import Notification, Schedule
from host_app.plugin_api import HostPort, Lease, Wake
from host_app.plugins import HOST_QUEUE

EVERY = timedelta(hours=1)
READ_NOTIFICATIONS = timedelta(days=90)
NOTIFICATIONS = timedelta(days=365)
BATCH = 1_000
NAME = "prune"
PRUNE = Wake("host:prune", HOST_QUEUE, "host_app.pruning:prune")


def due(now: datetime) -> bool:
    """Tell if it is time to look."""
    with reading() as session:
        row = session.get(Schedule, NAME)
    return row is None or row.next_at <= now


def prune(host: HostPort, lease: Lease) -> bool:
    """Job: delete old notifications. True when some are left.

    A notification that is gone may be told again: by then the fact it told is long over.
    """
    now = utcnow()
    old: ColumnElement[bool] = or_(
        Notification.read_at < now - READ_NOTIFICATIONS, Notification.at < now - NOTIFICATIONS
    )
    while True:
        if lease.slice_over():
            return True
        lease.ensure(0)
        with transaction() as session:
            ids = session.scalars(select(Notification.id).where(old).limit(BATCH)).all()
            session.execute(delete(Notification).where(Notification.id.in_(ids)))
        if len(ids) < BATCH:
            break
    with transaction() as session:
        insert_if_absent(session, Schedule, {"name": NAME, "next_at": now}, ["name"])
        session.execute(update(Schedule).where(Schedule.name == NAME).values(next_at=now + EVERY))
    return False

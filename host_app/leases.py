"""Leases: at most one process works on a subject, and who comes meanwhile makes it look once more."""

from __future__ import annotations

import os
import secrets
import socket
import time
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from sqlalchemy import Table, bindparam, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from host_app.db import changed_rows, reading, transaction, utcnow
from host_app.models import LeaseRow
from host_app.plugin_api import LeaseLost

LEASE_SECONDS = 45.0
RENEW_SECONDS = 15.0
SLICE_SECONDS = 60.0
#: The longest that a lease or rest may last, and the clocks of machines differ. One that lasts longer was taken by a clock that
#: was ahead, by somebody who is gone, or finds it lost when it renews it.
LONGEST = timedelta(minutes=2)
#: The table and not the class: no session holds a lease as an object.
LEASES = cast(Table, LeaseRow.__table__)
#: The token of a subject that rests after a failure; and how tokens begin of those who took it since, until one ends well.
RESTING, AFTER_FAILURE = "resting", "again-"


class HeldLease:
    """A lease that this process holds; see :class:`host_app.plugin_api.Lease`."""

    def __init__(self, subject: str, token: str, asked: float) -> None:
        self.subject = subject
        self.token = token
        #: Work on the subject has failed, and nobody has done it well since.
        self.failed_before = token.startswith(AFTER_FAILURE)
        self._started = self._renewed = asked

    def ensure(self, seconds: float = LEASE_SECONDS - RENEW_SECONDS) -> None:
        """Renew the lease when it is a third over, or has less than ``seconds`` left.

        :raises LeaseLost: somebody else holds it.
        """
        age = time.monotonic() - self._renewed
        if age < RENEW_SECONDS and LEASE_SECONDS - age >= seconds:
            return
        asked = time.monotonic()
        with transaction() as session:
            renewed = changed_rows(
                session,
                update(LeaseRow)
                .where(LeaseRow.subject == self.subject, LeaseRow.token == self.token)
                .values(expires_at=_now(session) + timedelta(seconds=LEASE_SECONDS)),
            )
        if not renewed:
            raise LeaseLost(self.subject)
        self._renewed = asked

    def slice_over(self) -> bool:
        """Tell if the work has lasted a slice and should stop at the next safe place."""
        return time.monotonic() - self._started >= SLICE_SECONDS

    def release(self) -> bool:
        """Give the lease back; tell if somebody came by meanwhile, so that the work must be looked at once more."""
        with transaction() as session:
            missed = session.scalar(_releasing(), {"of": self.subject, "by": self.token})
        return bool(missed)

    def rest(self, seconds: float) -> None:
        """Keep everybody off the subject for a while, after work on it failed in a way that nobody foresaw."""
        with transaction() as session:
            session.execute(
                update(LeaseRow)
                .where(LeaseRow.subject == self.subject, LeaseRow.token == self.token)
                .values(token=RESTING, expires_at=_now(session) + timedelta(seconds=seconds))
            )


def acquire(subject: str) -> HeldLease | None:
    """Take the lease of a subject; None where another process holds it, which will then look once more."""
    token = secrets.token_hex(16)
    with transaction() as session:
        # Counted from here, after the wait for the lock, and so never longer than the row says.
        asked = time.monotonic()
        now = _now(session)
        taken = session.scalar(
            _taking(session.get_bind().dialect.name),
            {
                "of": subject,
                "by": token,
                "again": f"{AFTER_FAILURE}{token}",
                "who": f"{socket.gethostname()}:{os.getpid()}",
                "now": now,
                "at_most": now + LONGEST,
                "until": now + timedelta(seconds=LEASE_SECONDS),
            },
        )
        if taken is None:
            session.execute(update(LeaseRow).where(LeaseRow.subject == subject).values(missed=True))
    return HeldLease(subject, taken, asked) if taken in (token, f"{AFTER_FAILURE}{token}") else None


@cache
def _taking(dialect: str) -> Any:
    """Insert a lease, or take one that is over; returns the token. Built once: every job begins with it."""
    values = {
        "token": bindparam("by"),
        "holder": bindparam("who"),
        "expires_at": bindparam("until"),
        "missed": False,
    }
    failed = or_(LEASES.c.token == RESTING, LEASES.c.token.startswith(AFTER_FAILURE))
    over = {**values, "token": case((failed, bindparam("again")), else_=bindparam("by"))}
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    is_over = or_(LEASES.c.expires_at <= bindparam("now"), LEASES.c.expires_at > bindparam("at_most"))
    return (
        insert(LEASES)
        .values(subject=bindparam("of"), **values)
        .on_conflict_do_update(index_elements=["subject"], set_=over, where=is_over)
        .returning(LEASES.c.token)
    )


@cache
def _releasing() -> Any:
    """Delete a lease that is still held; returns if somebody came by."""
    return (
        delete(LEASES)
        .where(LEASES.c.subject == bindparam("of"), LEASES.c.token == bindparam("by"))
        .returning(LEASES.c.missed)
    )


def held(subjects: list[str]) -> set[str]:
    """Return those of the subjects that somebody works on now."""
    with reading() as session:
        now = _now(session)
        mine = select(LeaseRow.subject).where(LeaseRow.subject.in_(subjects))
        return set(
            session.scalars(mine.where(LeaseRow.expires_at > now, LeaseRow.expires_at <= now + LONGEST))
        )


def _now(session: Session) -> datetime:
    """Return the database's time: the clocks of several machines need not agree."""
    if session.get_bind().dialect.name == "postgresql":
        return session.scalars(select(func.clock_timestamp())).one()
    return utcnow()

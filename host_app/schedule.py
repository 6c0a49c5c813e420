"""What is due: asked of the host and each plugin once a second, by any number of schedulers."""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import delete, or_, update

from host_app import events, health, leases, mail, pruning
from host_app.db import changed_rows, current_session, db, insert_if_absent, reading, transaction, utcnow
from host_app.models import EventDelivery, Schedule
from host_app.plugin_api import OrderImport, Wake
from host_app.plugins import plugins
from host_app.port import host_port
from host_app.services import backorders
from host_app.services.orders import BACKORDERS
from host_app.wakes import waker

IMPORT_EVERY = timedelta(minutes=1)
#: What is further away was noted by a clock that was ahead.
LONGEST_WAIT = IMPORT_EVERY + timedelta(minutes=5)
# Not the subject of the button, whose event must not be replaced.
IMPORT_SUBJECT = "order-import:schedule"
log = logging.getLogger(__name__)


def tick(now: datetime) -> list[Wake]:
    """Ask for everything that is due and wake it; return the wakes that were sent."""
    claim_import_event(now)
    wakes = events.due(plugins().names)
    if backorders.due():
        wakes.append(BACKORDERS)
    if pruning.due(now):
        wakes.append(pruning.PRUNE)
    if mail.due(now):
        wakes.append(mail.MAIL)
    if mail.test_due(now):
        wakes.append(mail.TEST)
    for _name, due in plugins().call_each("due", host=host_port(), now=now):
        wakes += due or []
    # Who works on something now looks once more before it ends; waking it each second would only fill the queue.
    busy = leases.held([wake.name for wake in wakes])
    wakes = [wake for wake in wakes if wake.name not in busy]
    waker().send(wakes)
    return wakes


def claim_import_event(now: datetime) -> bool:
    """Tell plugins once a minute that it is time to import orders; one of all schedulers does it."""
    with reading() as session:
        row = session.get(Schedule, "order-import")
    if row is not None and now < row.next_at <= now + LONGEST_WAIT:
        return False
    with transaction() as session:
        insert_if_absent(session, Schedule, {"name": "order-import", "next_at": now}, ["name"])
        claim = (
            update(Schedule)
            .where(
                Schedule.name == "order-import",
                or_(Schedule.next_at <= now, Schedule.next_at > now + LONGEST_WAIT),
            )
            .values(next_at=now + IMPORT_EVERY)
        )
        if not changed_rows(session, claim):
            return False
        _emit_import_event(now)
    return True


def _emit_import_event(now: datetime) -> None:
    """Emit the event in place of those that are still to be told: one stands for all.

    One that was parked is tried again, or imports would stop until a person looks.
    """
    earlier = EventDelivery.subject == IMPORT_SUBJECT
    current_session().execute(delete(EventDelivery).where(earlier, EventDelivery.attempts == 0))
    current_session().execute(
        update(EventDelivery)
        .where(earlier, EventDelivery.parked_at.is_not(None))
        .values(parked_at=None, next_try_at=now, attempts=len(events.BACKOFF))
    )
    events.emit(OrderImport(), IMPORT_SUBJECT)


def run(app: Flask) -> None:
    """Run the loop until SIGTERM or SIGINT. A tick that fails is logged; the next one comes all the same."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        began = time.monotonic()
        with app.app_context():
            try:
                health.beat()
                tick(utcnow())
            except Exception:
                log.exception("a tick of the scheduler failed")
            finally:
                db.session.remove()
        stop.wait(max(0.0, 1.0 - (time.monotonic() - began)))

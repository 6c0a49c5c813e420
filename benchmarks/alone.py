"""``python -m benchmarks.alone walk|check|products STORE``: does one piece of work in this process, which nothing else runs in.

Prints as JSON how long it took, the peak memory of the process, and how many statements it sent to the database.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from host_app import create_app, jobs
from host_app.db import db, reading
from host_app.leases import acquire
from host_app.port import host_port
from plugin.jobs.wakes import wake_for
from plugin.models import Run, RunState
from plugin.runtime import Runtime

WALK = "walk"


@dataclass(slots=True)
class Measured:
    """What one piece of work took. peak: megabytes. statements: sent to the database, begins and commits left out."""

    seconds: float = 0.0
    peak: float = 0.0
    statements: int = 0


def main(kind: str, store_id: int) -> None:
    """Work until nothing is left, and tell."""
    app, measured = create_app(), Measured()

    @event.listens_for(Engine, "before_cursor_execute")
    def count(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        measured.statements += not statement.startswith("BEGIN")

    with app.app_context():
        began = time.perf_counter()
        if kind == WALK:
            walk(store_id)
        else:
            work(kind, store_id)
        measured.seconds = time.perf_counter() - began
        db.session.remove()
        db.engine.dispose()
    measured.peak = peak()
    print(json.dumps(asdict(measured)))


def peak() -> float:
    """Return the most memory that this program took, in megabytes.

    By Linux's own account of it: the usual one begins with what the process that started this one had taken.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def walk(store_id: int) -> None:
    """Read bol's list of offers and do nothing with it."""
    runtime = Runtime(host_port())
    lease = acquire("benchmark")
    assert lease is not None
    with runtime.context(store_id, lease, urgent=False) as ctx:
        assert ctx is not None
        cursor, more = None, True
        while more:
            page = ctx.client.offers.page(cursor=cursor)
            cursor, more = page.next_cursor, bool(page.offers and page.next_cursor)
    lease.release()


def work(kind: str, store_id: int) -> None:
    """Run the job, slice after slice, while a run of the store is under way."""
    wake = wake_for(kind, store_id)
    while under_way(store_id):
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


def under_way(store_id: int) -> bool:
    with reading() as session:
        running = select(Run.id).where(Run.store_id == store_id, Run.state == RunState.RUNNING)
        return session.scalar(running) is not None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

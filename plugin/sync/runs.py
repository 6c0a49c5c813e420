"""Runs: long work of a store that people watch and can stop."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Select, delete, select, update

from host_app.plugin_api import HostError, HostPort
from plugin.models import Discrepancy, Run, RunState
from plugin.sync.context import Surroundings
from plugin.texts import gettext as _

#: So many runs of a kind are kept per store, with what they found.
KEPT = 30
PRUNED_AT_ONCE = 1_000
#: Who asked for a run that a command started.
COMMAND_LINE = "command line"


def stop(host: HostPort, store_id: int, run_id: int) -> None:
    """End a run where it is; what it did stays done. In a transaction.

    :raises HostError: it has ended already, or does not exist.
    """
    stopped = host.session.execute(
        update(Run)
        .where(Run.id == run_id, Run.store_id == store_id, Run.state == RunState.RUNNING)
        .values(state=RunState.STOPPED, finished_at=host.now(), due_at=None, error="")
    )
    if not stopped.rowcount:
        raise HostError(_("This has ended already."))


def stop_all(host: HostPort, store_id: int) -> None:
    """End every run of a store where it is. In a transaction."""
    host.session.execute(
        update(Run)
        .where(Run.store_id == store_id, Run.state == RunState.RUNNING)
        .values(state=RunState.STOPPED, finished_at=host.now(), due_at=None, error="")
    )


def running(host: HostPort, store_id: int, kind: str) -> Run | None:
    """Return the run of this kind that is under way. In a transaction."""
    found: Run | None = host.session.scalar(
        select(Run).where(Run.store_id == store_id, Run.kind == kind, Run.state == RunState.RUNNING)
    )
    return found


def prune(host: HostPort, store_id: int, kind: str) -> None:
    """Forget the oldest runs of a kind, with what they found. In a transaction."""
    session = host.session
    old = session.scalars(_old(store_id, kind)).all()
    if old:
        session.execute(delete(Discrepancy).where(Discrepancy.run_id.in_(old)))
        session.execute(delete(Run).where(Run.id.in_(old)))


def prune_in_parts(ctx: Surroundings) -> None:
    """Forget the oldest runs of every kind, some rows in each transaction."""
    with ctx.host.reading() as session:
        kinds = session.scalars(select(Run.kind).where(Run.store_id == ctx.store_id).distinct()).all()
        old = [run_id for kind in kinds for run_id in session.scalars(_old(ctx.store_id, kind))]
    for run_id in old:
        while not ctx.lease.slice_over():
            with ctx.host.transaction() as session:
                found = session.scalars(
                    select(Discrepancy.id).where(Discrepancy.run_id == run_id).limit(PRUNED_AT_ONCE)
                ).all()
                if not found:
                    session.execute(delete(Run).where(Run.id == run_id))
                    break
                session.execute(delete(Discrepancy).where(Discrepancy.id.in_(found)))


def _old(store_id: int, kind: str) -> Select[int]:
    return (
        select(Run.id)
        .where(Run.store_id == store_id, Run.kind == kind, Run.state != RunState.RUNNING)
        .order_by(Run.id.desc())
        .offset(KEPT)
    )


def share_done(run: Run, done: int) -> int | None:
    """Return how much of a run is done, in percent; None where nobody knows how much there is."""
    if not run.expected:
        return None
    return min(100, done * 100 // run.expected)


def time_left(run: Run, done: int, now: datetime) -> timedelta | None:
    """Return how long a run will take at the pace it had so far; None where that can't be told yet."""
    passed = now - run.started_at
    if not run.expected or done <= 0 or done >= run.expected or passed < timedelta(seconds=1):
        return None
    return passed * (run.expected - done) / done

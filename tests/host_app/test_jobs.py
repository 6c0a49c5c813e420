"""Jobs run under the lease of their name, may come twice, and fail in the open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import select, update

import host_app.db
from host_app import events, jobs, leases
from host_app.db import db, reading, transaction, utcnow
from host_app.models import LeaseRow, Notification, Warehouse
from host_app.plugin_api import HostPort, Lease, LeaseLost, OrderCancelled, Wake
from host_app.services import notifications
from host_app.wakes import waker
from tests.conftest import AppFactory
from tests.host_app import probe as probes
from tests.host_app.probe import QUEUE, Probe, count, running

WAKE = ("probe:work", QUEUE, "tests.host_app.probe:work", [7])
Work = Callable[..., bool | None]


@pytest.fixture
def probe(make_any_app: AppFactory) -> Iterator[Probe]:
    with running(make_any_app) as probe:
        yield probe


@pytest.fixture
def doing() -> Iterator[Callable[[Work], None]]:
    """Say what the job does."""
    yield probes.working.append
    probes.working.clear()


def queued(redis_url: str) -> int:
    return len(Queue(QUEUE, connection=redis.Redis.from_url(redis_url), serializer=JSONSerializer).jobs)


def notices() -> list[str]:
    with reading() as session:
        return list(session.scalars(select(Notification.title)))


def test_a_job_gets_host_lease_and_arguments_and_leaves_no_lease(probe: Probe, doing: Any) -> None:
    got: list[Any] = []
    doing(lambda host, lease, number: got.append((leases.held(["probe:work"]), number)))
    jobs.run_wake(*WAKE)
    assert got == [({"probe:work"}, 7)]
    assert count(LeaseRow) == 0


@pytest.mark.parametrize("job", ["os:system", "hostile_app.jobs:run", "plugin.jobs:run", "tests:run"])
def test_a_job_of_a_package_that_is_no_loaded_plugin_is_refused(probe: Probe, job: str) -> None:
    with pytest.raises(ValueError, match="not a job"):
        jobs.run_wake("name", QUEUE, job, [])


def test_who_finds_the_lease_taken_leaves_and_the_holder_looks_once_more(
    probe: Probe, doing: Any, redis_url: str
) -> None:
    calls: list[int] = []

    def work(_host: HostPort, _lease: Lease, number: int) -> None:
        calls.append(number)
        jobs.run_wake(*WAKE)  # the same wake once more, while this one works

    doing(work)
    jobs.run_wake(*WAKE)
    assert calls == [7]
    assert queued(redis_url) == 1


def test_a_job_with_work_left_is_woken_again(probe: Probe, doing: Any, redis_url: str) -> None:
    doing(lambda *_: True)
    jobs.run_wake(*WAKE)
    assert queued(redis_url) == 1


def test_a_job_that_is_done_is_not_woken_again(probe: Probe, doing: Any, redis_url: str) -> None:
    doing(lambda *_: False)
    jobs.run_wake(*WAKE)
    assert queued(redis_url) == 0


def test_a_failure_is_told_once_a_day_and_its_subject_rests(probe: Probe, doing: Any) -> None:
    calls: list[int] = []

    def fail(_host: HostPort, _lease: Lease, number: int) -> None:
        calls.append(number)
        raise ValueError("secret of a customer")

    doing(fail)
    for _ in range(2):
        with pytest.raises(ValueError):
            jobs.run_wake(*WAKE)
        jobs.run_wake(*WAKE)  # rests, so nothing is done
        with transaction() as session:
            row = session.scalars(select(LeaseRow)).one()
            assert timedelta(seconds=8) < row.expires_at - utcnow() < timedelta(seconds=11)
            row.expires_at = utcnow() - timedelta(seconds=1)
    assert calls == [7, 7]
    assert notices() == ["Background work failed: probe:work"]
    with reading() as session:
        assert "secret" not in session.scalars(select(Notification.body)).one()


def expire() -> None:
    """Let every lease be over."""
    with transaction() as session:
        session.execute(update(LeaseRow).values(expires_at=datetime(2000, 1, 1, tzinfo=UTC)))


def raise_it(error: BaseException) -> None:
    raise error


class Flaky:
    """A job that fails while it is told to."""

    def __init__(self, doing: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing, self.ahead = True, timedelta(0)
        real = host_app.db.utcnow
        monkeypatch.setattr("host_app.db.utcnow", lambda: real() + self.ahead)
        monkeypatch.setattr("host_app.jobs.utcnow", lambda: real() + self.ahead)
        doing(self._work)

    def _work(self, *_: Any) -> None:
        if self.failing:
            raise ValueError

    def run(self, *, failing: bool) -> None:
        self.failing = failing
        expire()
        if failing:
            with pytest.raises(ValueError):
                jobs.run_wake(*WAKE)
        else:
            jobs.run_wake(*WAKE)


def unread() -> list[bool]:
    with reading() as session:
        rows = session.scalars(select(Notification).order_by(Notification.id)).all()
        return [row.read_at is None for row in rows]


def test_what_was_told_of_a_failure_is_over_once_the_job_goes_well_and_told_anew_when_it_fails_again(
    probe: Probe, doing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Flaky(doing, monkeypatch)
    # Well within a day, whenever this runs.
    midnight = utcnow().replace(hour=0, minute=30) + timedelta(days=1)
    job.ahead = midnight - utcnow()
    job.run(failing=True)
    job.run(failing=True)
    assert unread() == [True]
    job.run(failing=False)
    assert unread() == [False]
    # Not each time, where it goes well by turns.
    job.run(failing=True)
    assert unread() == [False]
    job.ahead += timedelta(hours=1)
    job.run(failing=True)
    assert unread() == [False, True]
    job.ahead += timedelta(hours=2)
    job.run(failing=True)
    assert unread() == [False, True]
    # What somebody has read stands, until the day is over.
    with transaction():
        notifications.mark_read(None, "ann")
    job.ahead += timedelta(hours=2)
    job.run(failing=True)
    assert unread() == [False, False]
    job.ahead += timedelta(days=1)
    job.run(failing=True)
    assert unread() == [False, False, True]


def test_what_was_told_of_a_failure_is_over_although_the_next_one_at_it_was_killed(
    probe: Probe, doing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for kill -9: nothing is recorded."""

    job = Flaky(doing, monkeypatch)
    job.run(failing=True)
    with monkeypatch.context() as patch:
        patch.setattr(probes, "working", [lambda *_: raise_it(Killed())])
        expire()
        with pytest.raises(Killed):
            jobs.run_wake(*WAKE)
    assert unread() == [True]
    job.run(failing=False)
    assert unread() == [False]
    assert count(LeaseRow) == 0


def test_a_job_that_goes_well_ends_nothing_that_was_told_of_others(
    probe: Probe, doing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Flaky(doing, monkeypatch)
    for name in ("probe:work:1", "probe:worker"):
        with pytest.raises(ValueError):
            jobs.run_wake(name, *WAKE[1:])
    job.run(failing=False)
    assert unread() == [True, True]


def test_a_job_that_left_changed_rows_behind_still_fails_in_the_open(probe: Probe, doing: Any) -> None:
    def fail(host: HostPort, *_: Any) -> None:
        db.session.add(Warehouse(name="stray", active=True))
        raise ValueError

    doing(fail)
    with pytest.raises(ValueError):
        jobs.run_wake(*WAKE)
    assert len(notices()) == 1
    assert count(Warehouse) == 0


def test_a_lost_lease_is_no_failure(probe: Probe, doing: Any) -> None:
    def lose(*_: Any) -> None:
        raise LeaseLost("probe:work")

    doing(lose)
    jobs.run_wake(*WAKE)
    assert notices() == []


def tell_with_wakes(probe: Probe, *queues: str) -> None:
    """Have the probe ask for a wake on each of these queues when it is told something, and tell it."""
    probe.wakes = [Wake(f"probe:{queue}", queue, WAKE[2], (queue,)) for queue in queues]
    with transaction():
        events.emit(OrderCancelled(1, "shop:1", "1", "why"), "order:1")
    waker().redis.flushdb()
    wake = events.dispatch_wake("probe")
    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args), go_on=True)


def test_what_an_event_asks_for_is_worked_on_at_once_the_most_urgent_first(
    probe: Probe, doing: Any, redis_url: str
) -> None:
    got: list[Any] = []
    doing(
        lambda host, lease, queue: got.append((queue, leases.held([f"probe:{queue}", "host:dispatch:probe"])))
    )
    tell_with_wakes(probe, "later", QUEUE)
    assert got == [(QUEUE, {f"probe:{QUEUE}"})]
    waiting = Queue("later", connection=redis.Redis.from_url(redis_url), serializer=JSONSerializer)
    assert [job.args[0] for job in waiting.jobs] == ["probe:later"]


def test_after_a_long_job_what_follows_is_left_to_another(
    probe: Probe, doing: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "GO_ON_SECONDS", 0.0)
    got: list[Any] = []
    doing(lambda *_: got.append(1))
    tell_with_wakes(probe, QUEUE)
    assert got == [] and queued(redis_url) == 1

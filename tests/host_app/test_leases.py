"""One process at a time works on a subject, whatever dies, waits or comes late."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from host_app import leases
from host_app.db import db, reading, transaction
from host_app.leases import LEASE_SECONDS, RENEW_SECONDS, SLICE_SECONDS, HeldLease
from host_app.models import LeaseRow
from host_app.plugin_api import LeaseLost
from tests.conftest import AppFactory


class Monotonic:
    """A clock of the process, set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    clock = Monotonic()
    monkeypatch.setattr(leases, "time", clock)
    return clock


@pytest.fixture
def any_app(make_any_app: AppFactory) -> Any:
    app = make_any_app(blocked_plugins=("bol",))
    with app.app_context():
        yield app
        db.session.remove()


def take(subject: str = "work") -> HeldLease:
    lease = leases.acquire(subject)
    assert lease is not None
    return lease


def age(seconds: float) -> None:
    """Let every lease be that much older for the database."""
    with transaction() as session:
        for row in session.scalars(select(LeaseRow)):
            row.expires_at -= timedelta(seconds=seconds)


def remaining() -> float:
    with reading() as session:
        row = session.scalars(select(LeaseRow)).one()
        return (row.expires_at - leases._now(session)).total_seconds()


def test_one_of_many_processes_gets_the_lease(make_any_app: AppFactory) -> None:
    apps = [make_any_app(blocked_plugins=("bol",)) for _ in range(6)]
    start, got = threading.Barrier(len(apps)), []

    def compete(app: Flask) -> None:
        with app.app_context():
            start.wait()
            if lease := leases.acquire("work"):
                got.append(lease)
            db.session.remove()

    threads = [threading.Thread(target=compete, args=(app,)) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    with apps[0].app_context():
        assert got[0].release() is True, "those who left want it looked at once more"


def test_leases_of_other_subjects_are_free(any_app: Flask) -> None:
    take("one")
    take("two")
    assert leases.held(["one", "two", "three"]) == {"one", "two"}


def test_who_came_by_meanwhile_makes_the_holder_look_once_more(any_app: Flask) -> None:
    lease = take()
    assert leases.acquire("work") is None
    assert lease.release() is True
    assert take().release() is False


def test_nobody_is_lost_between_the_holders_last_look_and_its_release(make_any_app: AppFactory) -> None:
    apps = [make_any_app(blocked_plugins=("bol",)) for _ in range(2)]
    for _ in range(20):
        with apps[0].app_context():
            lease = take()
            start, second = threading.Barrier(2), []

            def come_by(start: threading.Barrier = start, second: list[Any] = second) -> None:
                with apps[1].app_context():
                    start.wait()
                    second.append(leases.acquire("work"))
                    db.session.remove()

            thread = threading.Thread(target=come_by)
            thread.start()
            start.wait()
            missed = lease.release()
            thread.join()
            assert missed is (second[0] is None), "either it got the lease, or the holder was told"
            if second[0]:
                second[0].release()


def test_the_lease_of_a_dead_holder_ends_by_itself(any_app: Flask) -> None:
    dead = take()
    age(LEASE_SECONDS - 1)
    assert leases.acquire("work") is None
    age(1)
    heir = take()
    assert dead.release() is False, "the late holder must not take the heir's lease away"
    assert heir.release() is False


def test_a_lease_is_renewed_when_a_third_is_over(any_app: Flask, clock: Monotonic) -> None:
    lease = take()
    age(RENEW_SECONDS - 1)
    clock.now += RENEW_SECONDS - 1
    lease.ensure()
    assert remaining() < LEASE_SECONDS - RENEW_SECONDS + 2
    age(1)
    clock.now += 1
    lease.ensure()
    assert remaining() > LEASE_SECONDS - 2


def test_a_long_call_gets_more_than_its_time(any_app: Flask, clock: Monotonic) -> None:
    lease = take()
    age(10)
    clock.now += 10
    lease.ensure(20)
    assert remaining() < LEASE_SECONDS - 8, "35 s are left, which is enough"
    lease.ensure(40)
    assert remaining() > LEASE_SECONDS - 2


def test_a_lost_lease_refuses_all_further_work(any_app: Flask, clock: Monotonic) -> None:
    lease = take()
    age(LEASE_SECONDS)
    clock.now += LEASE_SECONDS
    take()
    with pytest.raises(LeaseLost):
        lease.ensure()


def test_a_late_holder_whom_nobody_followed_goes_on(any_app: Flask, clock: Monotonic) -> None:
    lease = take()
    age(LEASE_SECONDS * 2)
    clock.now += LEASE_SECONDS * 2
    lease.ensure()
    assert leases.acquire("work") is None


def test_a_slice_is_over_after_a_minute(any_app: Flask, clock: Monotonic) -> None:
    lease = take()
    clock.now += SLICE_SECONDS - 1
    assert not lease.slice_over()
    clock.now += 1
    assert lease.slice_over()


def test_after_a_failure_the_subject_rests(any_app: Flask) -> None:
    take().rest(10)
    assert leases.acquire("work") is None
    assert leases.held(["work"]) == {"work"}
    age(10)
    assert take().release() is False


def test_on_postgresql_the_databases_clock_counts(
    make_postgres_app: AppFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_postgres_app(blocked_plugins=("bol",)).app_context():
        take()
        behind = leases.utcnow()
        monkeypatch.setattr(leases, "utcnow", lambda: behind + timedelta(hours=1))
        assert leases.acquire("work") is None, "a machine whose clock is fast must not take what is held"
        with transaction() as session:
            session.execute(update(LeaseRow).values(expires_at=behind - timedelta(seconds=1)))
        monkeypatch.setattr(leases, "utcnow", lambda: behind - timedelta(hours=1))
        assert leases.acquire("work") is not None


def test_a_lease_taken_by_a_clock_that_was_ahead_is_over_once_the_clock_is_right(any_app: Flask) -> None:
    late = take()
    with transaction() as session:
        ahead = leases._now(session) + timedelta(hours=3)
        session.execute(update(LeaseRow).values(expires_at=ahead))
    assert leases.held(["work"]) == set()
    lease = take()
    assert leases.held(["work"]) == {"work"}
    assert leases.acquire("work") is None
    late._renewed -= RENEW_SECONDS
    with pytest.raises(LeaseLost):
        late.ensure()
    lease.release()

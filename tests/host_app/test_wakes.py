"""Wakes fold, may get lost without harm, and never keep anybody waiting."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import redis
from flask import Flask, current_app
from rq import Queue
from rq.serializers import JSONSerializer

from host_app import events, jobs, schedule
from host_app.db import transaction, utcnow
from host_app.plugin_api import HostPort, Lease, OrderCancelled, Wake
from host_app.wakes import KEY_SECONDS, Waker, wake, wake_key, waker
from tests.conftest import AppFactory
from tests.host_app import probe as probes
from tests.host_app.probe import QUEUE, Probe, running

WAKE = Wake("probe:work", QUEUE, "tests.host_app.probe:work", (7,))
AWAY = "redis://127.0.0.1:1/0"


def queued(redis_url: str, queue: str = QUEUE) -> list[list[object]]:
    found = Queue(queue, connection=redis.Redis.from_url(redis_url), serializer=JSONSerializer)
    return [list(job.args) for job in found.jobs]


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_repeated_wakes_start_one_job_until_its_key_ends(app: Flask, redis_url: str) -> None:
    for _ in range(3):
        wake(WAKE, WAKE)
    assert queued(redis_url) == [[WAKE.name, WAKE.queue, WAKE.job, [7]]]
    lasts = redis.Redis.from_url(redis_url).ttl(wake_key(WAKE.name))
    assert KEY_SECONDS - 2 <= lasts <= KEY_SECONDS
    waker().clear(WAKE.name)
    wake(WAKE)
    assert len(queued(redis_url)) == 2


def test_a_wake_is_sent_after_the_commit_and_never_after_a_rollback(app: Flask, redis_url: str) -> None:
    with transaction():
        wake(WAKE)
        assert queued(redis_url) == []
    assert len(queued(redis_url)) == 1
    waker().clear(WAKE.name)
    with pytest.raises(ValueError), transaction():
        wake(WAKE)
        raise ValueError
    assert len(queued(redis_url)) == 1


def test_the_key_is_gone_before_the_job_looks_at_what_is_due(make_app: AppFactory, redis_url: str) -> None:
    seen: list[int] = []

    def look(host: HostPort, lease: Lease, number: int) -> None:
        seen.append(len(queued(redis_url)))
        wake(WAKE)  # what becomes due from here on starts a new job
        seen.append(len(queued(redis_url)))

    probes.working.append(look)
    try:
        with running(make_app):
            wake(WAKE)
            jobs.run_wake(*queued(redis_url)[0])  # type: ignore[arg-type]
    finally:
        probes.working.pop()
    assert seen == [1, 2]


@pytest.mark.parametrize("kind", ["nobody listens", "nobody answers"])
def test_redis_away_neither_raises_nor_keeps_waiting(app: Flask, mute: str, kind: str) -> None:
    away = Waker(AWAY if kind == "nobody listens" else mute)
    began = time.monotonic()
    for _ in range(50):
        assert away.send([WAKE]) is False
    assert time.monotonic() - began < 2, "after one failure, nothing is tried for some seconds"


def test_a_change_made_while_redis_is_away_is_told_after_the_next_sweep(
    make_any_app: AppFactory, redis_url: str
) -> None:
    with running(make_any_app):
        current_app.extensions["host_waker"] = Waker(AWAY)
        with transaction():
            events.emit(OrderCancelled(1, "shop:1", "1", "why"), "order:1")
        assert queued(redis_url, "host") == []
    with running(make_any_app):
        sent = schedule.tick(utcnow())
        assert events.dispatch_wake("probe") in sent
        # A new installation has its tidying due as well.
        asked = {arguments[0] for arguments in queued(redis_url, "host")}
        assert asked == {"host:dispatch:probe", "host:prune"}


def test_a_wake_that_redis_forgot_is_sent_again(make_app: AppFactory, redis_url: str) -> None:
    probe = Probe()
    probe.due_wakes = [WAKE]
    with running(make_app, probe):
        schedule.tick(utcnow())
        redis.Redis.from_url(redis_url).flushall()
        schedule.tick(utcnow())
        assert len(queued(redis_url)) == 1

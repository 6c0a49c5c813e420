"""The platform's signs of life, of real workers and schedulers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from flask import Flask
from rq import Worker
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from host_app import events
from host_app.db import db, transaction
from host_app.health import platform_health
from host_app.plugin_api import OrderCancelled
from tests.conftest import AppFactory
from tests.host_app import probe as probes
from tests.host_app.probe import eventually


@pytest.fixture
def house(make_any_app: AppFactory) -> Iterator[Flask]:
    app = make_any_app()
    with app.app_context():
        yield app
        db.session.remove()


def alive() -> tuple[int | None, int | None]:
    health = platform_health()
    return health.workers, health.schedulers


def worker_state(redis_url: str) -> str:
    (worker,) = Worker.all(connection=redis.Redis.from_url(redis_url), serializer=JSONSerializer)
    return str(worker.get_state())


def test_workers_and_schedulers_are_counted_while_they_run(
    app: Flask, tmp_path: Path, redis_url: str
) -> None:
    assert alive() == (0, 0)
    database = db.engine.url.render_as_string(hide_password=False)
    environment = probes.environment(tmp_path, redis_url, database)
    started = [probes.start(environment, what) for what in ("worker", "scheduler")]
    try:
        eventually(lambda: alive() == (1, 1), seconds=60)
        # RQ counts a worker from its birth, and a moment later listens to who asks it to stop.
        eventually(lambda: worker_state(redis_url) == WorkerStatus.IDLE, seconds=60)
    finally:
        for process in started:
            process.terminate()
            process.communicate(timeout=30)
    assert alive()[0] == 0


def test_a_scheduler_that_is_silent_is_not_counted(app: Flask, redis_url: str) -> None:
    redis.Redis.from_url(redis_url).zadd("host:schedulers", {"elsewhere:1": 1.0})
    assert alive() == (0, 0)


def test_the_oldest_event_is_told(house: Flask) -> None:
    assert platform_health().oldest_event_at is None
    with transaction():
        events.emit(OrderCancelled(1, "shop:1", "A", "why"), "order:A")
    assert platform_health().oldest_event_at is not None

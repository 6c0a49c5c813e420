"""The RQ worker of the platform: the application is built once, each job runs in a fork of it."""

from __future__ import annotations

import logging
import signal
import time

import redis
from flask import Flask
from rq import Worker
from rq.serializers import JSONSerializer

from host_app.db import db
from host_app.plugins import plugins
from host_app.processes import die_with

AGAIN_SECONDS = 1.0
log = logging.getLogger(__name__)


class HostWorker(Worker):
    """Runs each job inside the application's context, on database connections of its own."""

    app: Flask
    asked_to_stop = False

    def handle_warm_shutdown_request(self) -> None:
        self.asked_to_stop = True
        super().handle_warm_shutdown_request()

    def main_work_horse(self, *args: object, **kwargs: object) -> None:
        # A job has a process group of its own, so that whoever kills the worker does not reach it.
        die_with(self.pid)
        super().main_work_horse(*args, **kwargs)

    def perform_job(self, *args: object, **kwargs: object) -> bool:
        with self.app.app_context():
            # Connections that were open before the fork belong to the parent; two processes on one would hang.
            db.engine.dispose(close=False)
            try:
                return bool(super().perform_job(*args, **kwargs))
            finally:
                db.session.remove()
                db.engine.dispose()


def build(app: Flask) -> HostWorker:
    """Return a worker that serves the queues of the host and of every plugin, most urgent first.

    The intervals bound how long a job of a killed worker waits: RQ finds it after a minute or so. What it was about
    is found sooner, because its lease ends after 45 s and the scheduler wakes it.
    """
    settings = app.extensions["host_config"]
    with app.app_context():
        queues = plugins().queues
    worker = HostWorker(
        queues,
        connection=redis.Redis.from_url(settings.redis_url),
        serializer=JSONSerializer,
        worker_ttl=45,
        maintenance_interval=30,
        job_monitoring_interval=10,
    )
    worker.app = app
    return worker


def run(app: Flask, *, burst: bool = False) -> None:
    """Work until SIGTERM (the job at hand is finished first), or with ``burst`` until the queues are empty.

    RQ waits for a Redis that goes away while it waits for jobs, but ends where that happens at any other moment:
    then it begins anew.
    """
    while True:
        worker = None
        try:
            worker = build(app)
            worker.work(burst=burst, logging_level="WARNING", with_scheduler=False)
        except redis.RedisError as error:
            if burst:
                raise
            log.warning("Redis is away: %s", error)
        if burst or (worker and worker.asked_to_stop):
            return
        # The handlers are those of the worker that ended.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        time.sleep(AGAIN_SECONDS)

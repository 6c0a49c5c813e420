"""The RQ worker of the platform: the application is built once, and jobs run in forks of it."""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections import Counter
from typing import Any

import redis
from flask import Flask
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from sqlalchemy.orm import configure_mappers

from host_app.db import db
from host_app.plugins import plugins
from host_app.processes import die_with

AGAIN_SECONDS = 1.0
#: Of each kind of job the worker itself does the first, second, fourth, eighth ... up to this one.
LAST_OWN = 64
log = logging.getLogger(__name__)


class HostWorker(Worker):
    """Runs each job inside the application's context, on database connections of its own, in a fork.

    A fork begins with what the worker has learned: imported modules, mapped classes, compiled statements. What the
    worker never did every fork would have to learn anew, and that takes longer than most jobs. So the worker does a
    few jobs of each kind itself.
    """

    app: Flask
    asked_to_stop = False
    _own_job = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._done: Counter[str] = Counter()

    def execute_job(self, job: Job, queue: Queue) -> None:
        kind = _kind(job)
        self._done[kind] += 1
        number = self._done[kind]
        self._own_job = number <= LAST_OWN and number.bit_count() == 1
        if not self._own_job:
            super().execute_job(job, queue)
            return
        execution = self.prepare_execution(job)
        self.perform_job(job, queue, execution)
        self.set_state(WorkerStatus.IDLE)
        # What was learned stays: the collectors of forks need not go through it, nor copy its pages by doing so.
        gc.collect()
        gc.freeze()

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Return how long the worker counts as alive without a sign of life; during its own jobs it gives none."""
        if self._own_job and job.timeout:
            return int(job.timeout) + 60
        return int(super().get_heartbeat_ttl(job, working_time))

    def handle_warm_shutdown_request(self) -> None:
        self.asked_to_stop = True
        super().handle_warm_shutdown_request()

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Tell that the worker lives; one that was asked to stop while it waits for a job stops now.

        RQ stops it by an exception out of the signal. What may catch that, as all that mends something quietly does, would have
        it wait for jobs for ever.
        """
        if self.asked_to_stop and self.get_state() == WorkerStatus.IDLE:
            raise StopRequested
        super().heartbeat(*args, **kwargs)

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


def _kind(job: Job) -> str:
    """Name what is run: of a wake the job that it is for, see :func:`host_app.jobs.run_wake`."""
    return str(job.args[2]) if job.func_name == "host_app.jobs.run_wake" else str(job.func_name)


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
    configure_mappers()
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

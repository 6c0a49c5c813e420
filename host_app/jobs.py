"""The one function that RQ calls: runs a job of the host or of a plugin under the lease of its name."""

from __future__ import annotations

from importlib import import_module

import redis
from flask import current_app

from host_app import leases
from host_app.db import db, transaction, utcnow
from host_app.plugin_api import LeaseLost, Level, Notice, Wake
from host_app.plugins import plugins
from host_app.port import host_port
from host_app.wakes import waker

FAILED_REST_SECONDS = 10.0


def run_wake(name: str, queue: str, job: str, args: list[int | str]) -> None:
    """Do the work that a wake calls for, unless another process is at it.

    RQ may run this twice, and wakes may come twice: the lease makes that harmless. The wake's key is removed before
    anything is looked at, so that what becomes due from here on starts a new job.

    :raises Exception: what the job raised, after its lease was put to rest for ten seconds.
    """
    if not plugins().owns_job(job):
        raise ValueError(f"{job} is not a job of the host or of a loaded plugin")
    wake = Wake(name, queue, job, tuple(args))
    try:
        waker().clear(name)
    except redis.RedisError:
        current_app.logger.warning("Redis is away; the wake key of %s expires by itself", name)
    lease = leases.acquire(name)
    if lease is None:
        return
    module, function = job.split(":")
    try:
        more = getattr(import_module(module), function)(host_port(), lease, *args)
    except LeaseLost:
        current_app.logger.warning("the lease of %s was lost; whoever holds it goes on", name)
        return
    except Exception as error:
        # Rows that the job left changed must not be in the way of what is recorded now.
        db.session.remove()
        lease.rest(FAILED_REST_SECONDS)
        _tell_people(name, error)
        raise
    if lease.release() or more:
        waker().send([wake])


def _tell_people(name: str, error: Exception) -> None:
    """Notify once a day and job: a failure that nobody foresaw must not stay in a log."""
    with transaction():
        host_port().notify(
            Notice(
                key=f"job-failed:{name}:{utcnow():%Y-%m-%d}",
                kind="host.job",
                level=Level.DANGER,
                title=f"The background job {name} failed",
                body=f"{type(error).__name__}. It is tried again by itself; the log of the worker tells more.",
            )
        )

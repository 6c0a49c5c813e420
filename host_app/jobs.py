"""The one function that RQ calls: runs a job of the host or of a plugin under the lease of its name."""

from __future__ import annotations

import time
from importlib import import_module

import redis
from flask import current_app
from sqlalchemy import or_, select

from host_app import leases
from host_app.db import db, reading, transaction, utcnow, was_in_the_way
from host_app.languages import kept_text
from host_app.models import Notification
from host_app.plugin_api import HostError, LeaseLost, Level, Notice, Wake, logging_about
from host_app.plugins import plugins
from host_app.port import host_port
from host_app.services import notifications
from host_app.wakes import waker

FAILED_REST_SECONDS = 10.0
#: A job that took longer leaves what follows to another one: RQ ends a job after 120 s.
GO_ON_SECONDS = 10.0
#: Of notifications about jobs that failed.
KIND = "host.job"


def run_wake(name: str, queue: str, job: str, args: list[int | str], *, go_on: bool = False) -> None:
    """Do the work that a wake calls for, unless another process is at it.

    RQ may run this twice, and wakes may come twice: the lease makes that harmless. The wake's key is removed before
    anything is looked at, so that what becomes due from here on starts a new job.

    :param go_on: do the most urgent of what follows from it, too: a change of stock reaches its shop sooner when it
        waits for one job only. What follows is otherwise sent as wakes.
    :raises Exception: what the job raised, after its lease was put to rest for ten seconds.
    """
    began = time.monotonic()
    following = sorted(dict.fromkeys(_work(Wake(name, queue, job, tuple(args)))), key=_urgency)
    if not go_on or time.monotonic() - began > GO_ON_SECONDS:
        waker().send(following)
    elif following:
        waker().send(following[1:])
        _work(following[0])


def _work(wake: Wake) -> list[Wake]:
    """Do one job under its lease; return what is to be done next where it tells that."""
    if not plugins().owns_job(wake.job):
        raise ValueError(f"{wake.job} is not a job of the host or of a loaded plugin")
    try:
        waker().clear(wake.name)
    except redis.RedisError:
        current_app.logger.warning("Redis is away; the wake key of %s expires by itself", wake.name)
    lease = leases.acquire(wake.name)
    if lease is None:
        return []
    module, function = wake.job.split(":")
    try:
        with logging_about(job=wake.name):
            left = getattr(import_module(module), function)(host_port(), lease, *wake.args)
    except LeaseLost:
        current_app.logger.warning("the lease of %s was lost; whoever holds it goes on", wake.name)
        return []
    except Exception as error:
        # Rows that the job left changed must not be in the way of what is recorded now.
        db.session.remove()
        if was_in_the_way(error):
            # A job may die anywhere and is done again: here at once, and nobody need know.
            current_app.logger.warning("%s made way for another job, and is done again", wake.name)
            lease.release()
            waker().send([wake])
            return []
        lease.rest(FAILED_REST_SECONDS)
        _tell_people(wake.name, error)
        raise
    if lease.failed_before:
        _failure_is_over(wake.name)
    following = left if isinstance(left, list) else []
    if lease.release() or (left and not following):
        waker().send([wake])
    return following


def _urgency(wake: Wake) -> int:
    queues = plugins().queues
    return queues.index(wake.queue) if wake.queue in queues else len(queues)


def _tell_people(name: str, error: Exception) -> None:
    """Notify once a day and job: a failure that nobody foresaw must not stay in a log.

    Where it was over in between it is told again, once an hour at most. The words of a HostError are for people; what
    other errors say may quote a row.
    """
    reason = str(error).rstrip(".") if isinstance(error, HostError) else type(error).__name__
    now, told = utcnow(), _told(name)
    with transaction() as session:
        stands = select(Notification.id).where(
            Notification.key.startswith(f"{told}{now:%Y-%m-%d}", autoescape=True),
            or_(Notification.read_at.is_(None), Notification.read_by != ""),
        )
        if session.scalar(stands.limit(1)) is not None:
            return
        host_port().notify(
            Notice(
                key=f"{told}{now:%Y-%m-%dT%H}",
                kind=KIND,
                level=Level.DANGER,
                title=kept_text("Background work failed: %(name)s", name=name),
                body=kept_text(
                    "%(error)s. It is tried again by itself; the log of the background work tells more.",
                    error=reason,
                ),
            )
        )


def _failure_is_over(name: str) -> None:
    """Mark what was told of a job's failures as read, now that it went well."""
    told = _told(name)
    with reading() as session:
        unread = session.execute(
            select(Notification.id, Notification.key).where(
                Notification.read_at.is_(None),
                Notification.kind == KIND,
                Notification.key.startswith(told, autoescape=True),
            )
        ).all()
    # Not those of a job whose name begins with this one's.
    keys = [key for _id, key in unread if ":" not in key.removeprefix(told)]
    if keys:
        with transaction():
            for key in keys:
                notifications.settle(key)


def _told(name: str) -> str:
    return f"job-failed:{name}:"

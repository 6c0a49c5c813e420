"""The platform's own signs of life: database, Redis, workers, schedulers, queues and events that are still to be told."""

from __future__ import annotations

import os
import socket
import time

import redis
from flask import current_app
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from host_app import migrate, redis_server
from host_app.db import reading
from host_app.models import EventDelivery
from host_app.plugin_api import PlatformHealth
from host_app.plugins import plugins
from host_app.wakes import waker

SCHEDULERS = "host:schedulers"
#: A scheduler that has given no sign of life for so long is gone; a tick of a busy one may take some seconds.
SILENT_SECONDS = 30


def beat() -> None:
    """Tell that a scheduler is alive. Never raises where Redis is away."""
    now = time.time()
    try:
        client = waker().redis
        client.zadd(SCHEDULERS, {f"{socket.gethostname()}:{os.getpid()}": now})
        client.zremrangebyscore(SCHEDULERS, 0, now - SILENT_SECONDS)
        client.expire(SCHEDULERS, SILENT_SECONDS)
    except redis.RedisError:
        # The waker says so already.
        pass


def platform_health() -> PlatformHealth:
    """Look at everything; what is away is told, not raised. Outside of any transaction."""
    database = _database_trouble()
    url = current_app.extensions["host_config"].redis_url
    trouble = redis_server.answers(url)
    workers, schedulers, queued = (None, None, {}) if trouble else _redis_state(url)
    oldest = None
    if database is None:
        with reading() as session:
            oldest = session.scalar(
                select(func.min(EventDelivery.created_at)).where(EventDelivery.parked_at.is_(None))
            )
    return PlatformHealth(database or "", trouble or "", workers, schedulers, queued, oldest)


def _database_trouble() -> str | None:
    try:
        if migrate.up_to_date():
            return None
    except SQLAlchemyError as error:
        # Texts of drivers may quote the address, and with it a password.
        return f"The database can't be used: {type(error).__name__}."
    return "The database lacks tables or columns of this version: it was not upgraded."


def _redis_state(url: str) -> tuple[int, int, dict[str, int]]:
    """Return living workers, living schedulers, and the length of each queue."""
    with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
        # A worker's record goes by itself when it has given no sign of life for a while.
        workers = Worker.all(connection=client, serializer=JSONSerializer)
        schedulers = client.zcount(SCHEDULERS, time.time() - SILENT_SECONDS, "+inf")
        queued = {
            name: Queue(name, connection=client, serializer=JSONSerializer).count for name in plugins().queues
        }
    return len(workers), int(schedulers), queued

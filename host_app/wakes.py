"""Wake-up calls: starting jobs soon after a commit, at most one start per name and ten seconds.

A wake may get lost (Redis away) or come twice; what is owed stands in the database, and the scheduler asks for it
each second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import redis
from flask import current_app
from rq import Queue
from rq.serializers import JSONSerializer

from host_app import db
from host_app.plugin_api import Wake

Result = TypeVar("Result")

JOB_SECONDS = 120
KEY_SECONDS = 10
REST_SECONDS = 5
FAILED_SECONDS = 24 * 3600


def wake_key(name: str) -> str:
    """Return the Redis key that folds wakes of this name."""
    return f"wake:{name}"


class Waker:
    """Sends wakes to Redis.

    Web requests must not wait for Redis: time limits are short, and after a failure nothing is tried for some
    seconds.
    """

    def __init__(self, url: str, *, seconds: float = 0.25) -> None:
        self.redis = redis.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)
        self._rest_until = 0.0
        self._queues: dict[str, Queue] = {}

    def send(self, wakes: Iterable[Wake]) -> bool:
        """Start the jobs of these wakes that nobody has asked for in the last ten seconds.

        Never raises; tells if Redis could be reached.
        """
        if time.monotonic() < self._rest_until:
            return False
        try:
            for wake in dict.fromkeys(wakes):
                if self.redis.set(wake_key(wake.name), "1", nx=True, ex=KEY_SECONDS):
                    self._queue(wake.queue).enqueue_call(
                        "host_app.jobs.run_wake",
                        args=(wake.name, wake.queue, wake.job, list(wake.args)),
                        kwargs={"go_on": True},
                        timeout=JOB_SECONDS,
                        result_ttl=0,
                        failure_ttl=FAILED_SECONDS,
                    )
        except redis.RedisError as error:
            self._rest_until = time.monotonic() + REST_SECONDS
            current_app.logger.warning(
                "Redis is away, jobs start with the next sweep: %s", type(error).__name__
            )
            return False
        return True

    def attempt(self, action: Callable[[redis.Redis], Result]) -> Result | None:
        """Do something in Redis that may as well not be done; None where it could not be reached. Never raises."""
        if time.monotonic() < self._rest_until:
            return None
        try:
            return action(self.redis)
        except redis.RedisError:
            self._rest_until = time.monotonic() + REST_SECONDS
            return None

    def clear(self, name: str) -> None:
        """Let the next wake of this name start a job; called by the job before it looks at what is due."""
        self.redis.delete(wake_key(name))

    def _queue(self, name: str) -> Queue:
        if name not in self._queues:
            self._queues[name] = Queue(name, connection=self.redis, serializer=JSONSerializer)
        return self._queues[name]


def waker() -> Waker:
    """Return the application's waker."""
    found: Waker = current_app.extensions["host_waker"]
    return found


def wake(*wakes: Wake) -> None:
    """Send wakes: after the commit of the open transaction, or at once where none is open."""
    sender = waker()
    if not db.after_commit(sender.send, wakes):
        sender.send(wakes)

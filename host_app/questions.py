"""Questions to plugins while a person stands waiting: two seconds at most, and never in the way of the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app

from host_app.db import db, is_writing
from host_app.plugin_api import language, speaking
from host_app.plugins import plugins
from host_app.port import host_port

SECONDS = 2.0
FAILURES = 3
REST_SECONDS = 30.0
THREADS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What one plugin said. ``failed``: it raised, was too late, or was not asked after failing three times."""

    plugin: str
    value: Any = None
    failed: bool = False


class Questions:
    """Asks plugins in a small thread pool.

    A question that failed three times in a row rests for 30 s, so that a shop that is down costs nobody two seconds
    at each parcel.
    """

    def __init__(self, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="question")
        self._lock = threading.Lock()
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}

    def ask(self, hook: str, **arguments: Any) -> list[Answer]:
        """Ask every plugin that implements the hook, at the same time.

        :raises RuntimeError: a transaction is open, which an answer might have to wait for.
        """
        if is_writing():
            raise RuntimeError("Questions are asked outside of transactions.")
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        asked: dict[str, Future[Any] | None] = {}
        for name in plugins().names:
            if plugins().implements(name, hook):
                resting = self._rests(name, hook)
                asked[name] = (
                    None if resting else self._pool.submit(self._call, app, language(), name, hook, arguments)
                )
        wait([future for future in asked.values() if future], timeout=self._seconds)
        return [self._answer(name, hook, future) for name, future in asked.items()]

    def _call(self, app: Flask, spoken: str, name: str, hook: str, arguments: dict[str, Any]) -> Any:
        with speaking(spoken), app.app_context():
            try:
                return plugins().call(name, hook, host=host_port(), seconds=self._seconds, **arguments)
            finally:
                db.session.remove()

    def _answer(self, name: str, hook: str, future: Future[Any] | None) -> Answer:
        if future is None:
            return Answer(name, failed=True)
        if not future.done():
            future.cancel()
            current_app.logger.warning("plugin %s did not answer %s in time", name, hook)
        elif (error := future.exception()) is not None:
            current_app.logger.error("plugin %s failed in %s", name, hook, exc_info=error)
        else:
            self._note(name, hook, failed=False)
            return Answer(name, future.result())
        self._note(name, hook, failed=True)
        return Answer(name, failed=True)

    def _rests(self, name: str, hook: str) -> bool:
        with self._lock:
            count, since = self._failures.get((name, hook), (0, 0.0))
            if count < FAILURES:
                return False
            if self._clock() - since < REST_SECONDS:
                return True
            # This asker tries once more; others go on resting until it knows better.
            self._failures[name, hook] = (count, self._clock())
            return False

    def _note(self, name: str, hook: str, *, failed: bool) -> None:
        with self._lock:
            if not failed:
                self._failures.pop((name, hook), None)
                return
            count, _ = self._failures.get((name, hook), (0, 0.0))
            self._failures[name, hook] = (count + 1, self._clock())


def questions() -> Questions:
    """Return the application's asker of questions."""
    found: Questions = current_app.extensions["host_questions"]
    return found

"""Mends harm after its time, in a thread of its own: people may be waiting for what is broken."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

Mend = Callable[[], None]


class Mender:
    """One thread for the whole life of a house: programs that it starts end with it."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Mend]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._busy = self._closed = self._hurried = False
        self._thread = threading.Thread(target=self._work, name="mender", daemon=True)
        self._thread.start()

    def later(self, seconds: float, mend: Mend) -> None:
        """Mend something so many seconds from now."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), mend))
            self._changed.notify_all()

    def finish(self) -> None:
        """Mend what is still broken at once, and wait for that."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._due and not self._busy)
            self._hurried = False

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                mend = self._next()
                if mend is None:
                    return
                self._busy = True
            mend()

    def _next(self) -> Mend | None:
        """Wait for what is due; None where there will be nothing more."""
        while not self._closed:
            if self._due and (self._hurried or self._due[0][0] <= time.monotonic()):
                return heapq.heappop(self._due)[2]
            self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
        return None

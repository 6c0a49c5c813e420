"""Work that falls due at a moment of sandbox time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Work = Callable[[float], None]


class Timers:
    """A heap that is emptied on every request, so that a moved clock has its effect at once."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Work]] = []
        self._tie = count()

    def schedule(self, at: float, work: Work) -> None:
        heapq.heappush(self._heap, (at, next(self._tie), work))

    def settle(self, now: float) -> bool:
        """Do all that is due, each at its own moment, so that a leap of a day keeps the order of events."""
        due = bool(self._heap) and self._heap[0][0] <= now
        while self._heap and self._heap[0][0] <= now:
            at, _, work = heapq.heappop(self._heap)
            work(at)
        return due

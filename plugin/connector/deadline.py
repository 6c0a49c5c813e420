"""One total deadline, passed through token, budget and HTTP."""

from __future__ import annotations

import time
from dataclasses import dataclass

DEFAULT_SECONDS = 20.0


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock of this process, and an earlier one until which room in the budget is waited for."""

    at: float
    turn_at: float | None = None

    @classmethod
    def after(cls, seconds: float = DEFAULT_SECONDS, *, turn: float | None = None) -> Deadline:
        """`turn`: for at most so many of the seconds a call waits for room in the budget; None for all of them."""
        now = time.monotonic()
        return cls(now + seconds, None if turn is None else now + min(turn, seconds))

    def turn_remaining(self) -> float:
        """Seconds left to wait for room in the budget, never below 0."""
        return self.remaining() if self.turn_at is None else max(0.0, self.turn_at - time.monotonic())

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining() <= 0

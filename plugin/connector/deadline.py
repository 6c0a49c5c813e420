"""One total deadline, passed through token, budget and HTTP."""

from __future__ import annotations

import time
from dataclasses import dataclass

DEFAULT_SECONDS = 20.0


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock of this process."""

    at: float

    @classmethod
    def after(cls, seconds: float = DEFAULT_SECONDS) -> Deadline:
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining() <= 0

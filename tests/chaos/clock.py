"""One clock for all programs of a house, which the test moves: hours pass while nobody works."""

from __future__ import annotations

import mmap
import os
import struct
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import host_app.db

VARIABLE = "CHAOS_CLOCK"


class Clock:
    """How far the house's time is ahead, in a file that every program has mapped."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._seconds = mmap.mmap(file.fileno(), 8)

    @property
    def ahead(self) -> float:
        return float(struct.unpack("d", self._seconds[:8])[0])

    def advance(self, seconds: float) -> None:
        self._seconds[:8] = struct.pack("d", self.ahead + seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)


def install(clock: Clock) -> None:
    """Let the host, and through its port the plugins, tell this clock's time."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return datetime.now(tz) + timedelta(seconds=clock.ahead)  # type: ignore[return-value]

    module: Any = host_app.db
    module.datetime = Moved


def install_from_environment() -> None:
    """Let a program of the house tell its time."""
    install(Clock(Path(os.environ[VARIABLE])))

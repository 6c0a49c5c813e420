"""The sandbox's own time, which a test can move forward."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DUTCH = ZoneInfo("Europe/Amsterdam")


class Clock:
    """Real time plus what was advanced; seconds since 1970, as a float."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        # No finer than what is written out: who asks for "since" a moment read from an answer must find it.
        return round(time.time() + self.ahead, 6)

    def advance(self, seconds: float) -> None:
        self.ahead += seconds

    def reset(self) -> None:
        self.ahead = 0.0


def stamp(at: float) -> str:
    """Write a moment as the v10 APIs do: `2019-04-29T18:18:21+02:00`."""
    return _stamp(int(at))


# A page of orders writes a hundred moments, most of them the same few.
@lru_cache(maxsize=10_000)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, DUTCH).isoformat()


def fine_stamp(at: float) -> str:
    """Write a moment as the offers API v11 does, with microseconds."""
    return datetime.fromtimestamp(at, DUTCH).isoformat(timespec="microseconds")


def utc_stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def dutch_date(at: float) -> date:
    return datetime.fromtimestamp(at, DUTCH).date()


def start_of_dutch_day(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=DUTCH).timestamp()


def dutch_hour(day: date, hour: int) -> float:
    return datetime(day.year, day.month, day.day, hour, tzinfo=DUTCH).timestamp()


def days_later(day: date, days: int) -> str:
    return (day + timedelta(days=days)).isoformat()

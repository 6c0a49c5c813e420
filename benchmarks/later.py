"""``python -m benchmarks.later SECONDS PROGRAM``: a program of the warehouse whose clock is so many seconds ahead."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self

from flask.cli import main

import host_app.db


class Ahead:
    """How far the clock of this process is ahead, in seconds."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds


@contextmanager
def moved(ahead: Ahead) -> Iterator[None]:
    """Let the host, and through its port the plugins, tell that time."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return datetime.now(tz) + timedelta(seconds=ahead.seconds)  # type: ignore[return-value]

    module: Any = host_app.db
    before, module.datetime = module.datetime, Moved
    try:
        yield
    finally:
        module.datetime = before


if __name__ == "__main__":
    _name, seconds, *command = sys.argv
    sys.argv = ["flask", "--app", "host_app", *command]
    with moved(Ahead(float(seconds))):
        main()

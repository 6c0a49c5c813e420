"""Keeps two supervisors from working on the same instance folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_app.config import ConfigError


@contextmanager
def only_one(instance: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it however the process ends.

    :raises ConfigError: another supervisor holds it.
    """
    with (instance / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"It runs already, on the folder {instance}: end that first, or choose another with HOST_INSTANCE."
            ) from error
        yield

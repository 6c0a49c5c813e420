"""Redis trouble as one of our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from plugin.connector.errors import StoreUnavailable


@contextmanager
def store_errors() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable(type(error).__name__) from error

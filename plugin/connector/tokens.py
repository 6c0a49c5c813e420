"""Access tokens: the protocols, and the seller's own client credentials with a token shared by all processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from plugin.connector.deadline import Deadline
from plugin.connector.errors import NoTimeLeft


class TokenSource(Protocol):
    """Where a client gets its access token. Safe for use by many threads."""

    @property
    def account(self) -> str:
        """Whose calls these are: budgets are counted per account."""

    def token(self, deadline: Deadline) -> str:
        """A token that is believed valid. Raises NotExecuted (SignInRefused, AddressBlocked, ...)."""

    def refused(self, token: str) -> None:
        """bol answered 401 to this token: never hand it out again."""


@dataclass(frozen=True)
class StoredToken:
    """`expires_at`: seconds since 1970 (UTC), the safety margin already taken off."""

    value: str = field(repr=False)
    expires_at: float


class TokenStore(Protocol):
    """Keeps access tokens for all processes. Raises StoreUnavailable when it is away."""

    def get(self, key: str) -> StoredToken | None: ...

    def set(self, key: str, token: StoredToken) -> None: ...

    def delete_if(self, key: str, token: str) -> None:
        """Forget the token of this key if it still is this one."""

    def exclusive(self, key: str, deadline: Deadline) -> AbstractContextManager[None]:
        """Hold the sole right to ask for this key's token. Raises NoTimeLeft if it does not come free in time."""


class MemoryTokenStore:
    """Tokens of one process, for scripts and tests."""

    def __init__(self) -> None:
        self._tokens: dict[str, StoredToken] = {}
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def get(self, key: str) -> StoredToken | None:
        with self._guard:
            return self._tokens.get(key)

    def set(self, key: str, token: StoredToken) -> None:
        with self._guard:
            self._tokens[key] = token

    def delete_if(self, key: str, token: str) -> None:
        with self._guard:
            stored = self._tokens.get(key)
            if stored is not None and stored.value == token:
                del self._tokens[key]

    @contextmanager
    def exclusive(self, key: str, deadline: Deadline) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        if not lock.acquire(timeout=deadline.remaining()):
            raise NoTimeLeft("another thread is still signing in")
        try:
            yield
        finally:
            lock.release()


def now() -> float:
    return time.time()

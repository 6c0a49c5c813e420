"""Access tokens in Redis, encrypted, shared by all processes."""

from __future__ import annotations

import json
import logging
import math
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import redis

from plugin.connector.deadline import Deadline
from plugin.connector.errors import NoTimeLeft
from plugin.connector.redis_errors import store_errors
from plugin.connector.tokens import StoredToken

log = logging.getLogger(__name__)

POLL_SECONDS = 0.03
LOCK_SPARE_SECONDS = 5.0

DELETE_IF_SAME = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Cipher(Protocol):
    """Encrypts with the application's keys. `decrypt` raises for what it cannot read."""

    def encrypt(self, plain: bytes) -> bytes: ...

    def decrypt(self, secret: bytes) -> bytes: ...


class RedisTokenStore:
    """A TokenStore. Give the Redis client a socket_timeout and few retries: a deadline cannot cut a call to
    Redis short, and redis-py by itself goes on trying for many seconds.

    A token that cannot be decrypted, as after a change of keys, is as good as none.
    """

    def __init__(self, client: redis.Redis, cipher: Cipher, *, prefix: str = "bol:token:") -> None:
        self._redis, self._cipher, self._prefix = client, cipher, prefix
        self._delete_if_same = client.register_script(DELETE_IF_SAME)

    def get(self, key: str) -> StoredToken | None:
        return self._read(self._raw(key))

    def set(self, key: str, token: StoredToken) -> None:
        seconds = math.ceil(token.expires_at - time.time())
        if seconds <= 0:
            return
        plain = json.dumps([token.value, token.expires_at]).encode()
        with store_errors():
            self._redis.set(self._prefix + key, self._cipher.encrypt(plain), ex=seconds)

    def delete_if(self, key: str, token: str) -> None:
        raw = self._raw(key)
        stored = self._read(raw)
        if raw is not None and stored is not None and stored.value == token:
            with store_errors():
                self._delete_if_same(keys=[self._prefix + key], args=[raw])

    @contextmanager
    def exclusive(self, key: str, deadline: Deadline) -> Iterator[None]:
        """A lock that outlives the holder's deadline by 5 s only, so that a killed process holds up nobody for long."""
        name, owner = f"{self._prefix}{key}:lock", secrets.token_hex(16)
        lease = math.ceil((deadline.remaining() + LOCK_SPARE_SECONDS) * 1000)
        while not self._take(name, owner, lease):
            if deadline.remaining() <= POLL_SECONDS:
                raise NoTimeLeft("another process is still signing in")
            time.sleep(POLL_SECONDS * random.uniform(0.5, 1.0))
        try:
            yield
        finally:
            self._release(name, owner)

    def _take(self, name: str, owner: str, lease: int) -> bool:
        with store_errors():
            return bool(self._redis.set(name, owner, nx=True, px=lease))

    def _release(self, name: str, owner: str) -> None:
        try:
            self._delete_if_same(keys=[name], args=[owner])
        except redis.RedisError:
            log.warning("a sign-in lock could not be released; it ends by itself")

    def _raw(self, key: str) -> bytes | None:
        with store_errors():
            raw = self._redis.get(self._prefix + key)
        return raw.encode() if isinstance(raw, str) else raw if isinstance(raw, bytes) else None

    def _read(self, raw: bytes | None) -> StoredToken | None:
        if raw is None:
            return None
        try:
            value, expires_at = json.loads(self._cipher.decrypt(raw))
            return StoredToken(str(value), float(expires_at))
        except Exception:  # noqa: BLE001 - each cipher has errors of its own; all of them mean: sign in again
            log.warning("a stored access token cannot be read; signing in again")
            return None

"""Access tokens in Redis, encrypted, shared by all processes."""

from __future__ import annotations

import json
import logging
import math
import time
from typing import Protocol

import redis

from plugin.connector.errors import AddressBlocked
from plugin.connector.redis_errors import store_errors
from plugin.connector.tokens import StoredToken

log = logging.getLogger(__name__)

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

    A token that cannot be decrypted, as after a change of keys, is as good as none. `login` names the address that
    tokens come from: a block of ours there concerns all accounts.
    """

    def __init__(
        self, client: redis.Redis, cipher: Cipher, *, login: str = "", prefix: str = "bol:token:"
    ) -> None:
        self._redis, self._cipher, self._prefix = client, cipher, prefix
        self._block_key = f"{prefix}blocked:{login}"
        self._delete_if_same = client.register_script(DELETE_IF_SAME)

    def get(self, key: str) -> StoredToken | None:
        with store_errors():
            raw, blocked_until = self._redis.mget(self._prefix + key, self._block_key)
        if blocked_until is not None and (left := float(blocked_until) - time.time()) > 0:
            raise AddressBlocked("bol blocked our address a while ago", retry_after=left)
        return self._read(_bytes(raw))

    def set(self, key: str, token: StoredToken) -> None:
        seconds = math.ceil(token.expires_at - time.time())
        if seconds <= 0:
            return
        plain = json.dumps([token.value, token.expires_at]).encode()
        with store_errors():
            self._redis.set(self._prefix + key, self._cipher.encrypt(plain), ex=seconds)

    def delete_if(self, key: str, token: str) -> None:
        with store_errors():
            raw = _bytes(self._redis.get(self._prefix + key))
        stored = self._read(raw)
        if raw is not None and stored is not None and stored.value == token:
            with store_errors():
                self._delete_if_same(keys=[self._prefix + key], args=[raw])

    def delete(self, key: str) -> None:
        """Forget the token of this key: its store was disconnected."""
        with store_errors():
            self._redis.delete(self._prefix + key)

    def block(self, seconds: float) -> None:
        with store_errors():
            self._redis.set(self._block_key, str(time.time() + seconds), ex=max(1, math.ceil(seconds)))

    def _read(self, raw: bytes | None) -> StoredToken | None:
        if raw is None:
            return None
        try:
            value, expires_at = json.loads(self._cipher.decrypt(raw))
            return StoredToken(str(value), float(expires_at))
        except Exception:  # noqa: BLE001 - each cipher has errors of its own; all of them mean: sign in again
            log.warning("a stored access token cannot be read; signing in again")
            return None


def _bytes(raw: object) -> bytes | None:
    return raw.encode() if isinstance(raw, str) else raw if isinstance(raw, bytes) else None

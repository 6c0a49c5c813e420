"""One rate budget per account and endpoint rule, over all processes that share a Redis."""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import redis

from plugin.connector.answers import retry_after
from plugin.connector.budget import PUBLISHED_LIMITS, rule_for
from plugin.connector.budget_scripts import ACQUIRE, LEARN, LOOK
from plugin.connector.deadline import DEFAULT_SECONDS, Deadline
from plugin.connector.errors import BudgetExhausted
from plugin.connector.models.limits import LimitRule
from plugin.connector.redis_errors import store_errors

log = logging.getLogger(__name__)

AHEAD_SECONDS = 0.5
AHEAD_SECONDS_BULK = 0.2
LARGEST_LIMIT = 100_000
DRIFT = 1.001
SLACK_SECONDS = 0.01
SLACK_SHARE = 0.05
ENOUGH_TRIPS = 10


@dataclass(frozen=True)
class Use:
    """One rule: its limit as bol's answers tell it, the calls that count in its window now, and for how many seconds
    bol asked for silence."""

    rule: LimitRule
    limit: int
    used: int
    blocked_seconds: float


class RedisBudget:
    """A Budget. Give the Redis client a socket_timeout and few retries: a deadline cannot cut a call to Redis
    short, and redis-py by itself goes on trying for many seconds.

    `rules` are the limits to begin with; the X-RateLimit headers and Retry-After of answers correct them. At a
    limit of 50 a second about 49 calls a second pass, evenly; a moment is promised at most half a second ahead, so
    a 429 stops the stream soon.
    """

    def __init__(
        self,
        client: redis.Redis,
        rules: tuple[LimitRule, ...] = PUBLISHED_LIMITS,
        *,
        prefix: str = "bol:budget:",
    ) -> None:
        self._rules, self._prefix = rules, prefix
        self._acquire, self._learn = client.register_script(ACQUIRE), client.register_script(LEARN)
        self._look = client.register_script(LOOK)
        self._trips = _Trips()

    def acquire(self, account: str, method: str, path: str, deadline: Deadline, urgent: bool = True) -> None:
        rule = rule_for(self._rules, method, path)
        keys, call_id = self._keys(account, rule), secrets.token_hex(8)
        ahead = AHEAD_SECONDS if urgent else AHEAD_SECONDS_BULK
        while True:
            within = min(ahead, deadline.turn_remaining())
            patience = min(DEFAULT_SECONDS, deadline.remaining())
            args = (rule.capacity, rule.seconds, int(urgent), _micro(within), call_id, _micro(patience))
            with store_errors():
                granted, microseconds = self._acquire(keys=keys, args=args)
            wait = float(microseconds) / 1_000_000
            if granted:
                time.sleep(wait)
                self._trips.begin()
                return
            if wait >= deadline.turn_remaining():
                raise BudgetExhausted(rule.name, method=method, route=rule.path, retry_after=max(wait, 0.1))
            time.sleep(max(wait, 0.001) + random.uniform(0.0, 0.005))

    def learn(self, account: str, method: str, path: str, headers: Mapping[str, str], status: int) -> None:
        rule = rule_for(self._rules, method, path)
        given = {name.lower(): value for name, value in headers.items()}
        limit = _whole(given.get("x-ratelimit-limit"))
        wait = retry_after(given)
        args = (
            rule.capacity,
            rule.seconds,
            status,
            limit if 0 < limit <= LARGEST_LIMIT else -1,
            _whole(given.get("x-ratelimit-remaining")),
            _from_now(_whole(given.get("x-ratelimit-reset"))),
            -1 if wait is None else _micro(wait),
            secrets.token_hex(8),
            _micro(self._trips.end(f"{account} {rule.name}") if rule.seconds <= 1 else 0.0),
        )
        try:
            self._learn(keys=self._keys(account, rule), args=args)
        except redis.RedisError as error:
            log.warning("rate limits of an answer were not kept: %s", type(error).__name__)

    def use(self, account: str) -> list[Use]:
        """How much of each rule is used now. Raises StoreUnavailable."""
        found = []
        for rule in self._rules:
            with store_errors():
                limit, used, blocked = self._look(
                    keys=self._keys(account, rule), args=(rule.capacity, rule.seconds)
                )
            found.append(Use(rule, int(limit), int(used), int(blocked) / 1_000_000))
        return found

    def _keys(self, account: str, rule: LimitRule) -> list[str]:
        base = f"{self._prefix}{{{account}:{rule.name}}}"
        return [base, f"{base}:landed", f"{base}:flying", f"{base}:bulk"]


class _Trips:
    """The shortest time from sending to answer, per rule: what every call needs. The rest of a longer one may have
    been on the way to bol. A slow upward drift lets it follow a network that got slower."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._shortest: dict[str, float] = {}
        self._seen: dict[str, int] = {}

    def begin(self) -> None:
        self._local.began = time.monotonic()

    def end(self, name: str) -> float:
        """Seconds that every call takes, a little less to be safe; 0 until a few calls have shown it."""
        began: float | None = getattr(self._local, "began", None)
        if began is None:
            return 0.0
        self._local.began = None
        took = time.monotonic() - began
        self._shortest[name] = min(took, self._shortest.get(name, took) * DRIFT)
        self._seen[name] = self._seen.get(name, 0) + 1
        if self._seen[name] < ENOUGH_TRIPS:
            return 0.0
        return max(0.0, min(self._shortest[name], 1.0) * (1 - SLACK_SHARE) - SLACK_SECONDS)


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _whole(text: str | None) -> int:
    """A number of a header, -1 for anything else."""
    text = (text or "").strip()
    return int(text[:12]) if text.isascii() and text.isdigit() else -1


def _from_now(reset: int) -> int:
    """X-RateLimit-Reset in seconds from now: bol has sent small numbers and seconds since 1970."""
    return max(1, reset - round(time.time())) if reset > 1_000_000_000 else reset

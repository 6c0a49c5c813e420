"""One rate budget per account and endpoint rule, over all processes that share a Redis."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Mapping

import redis

from plugin.connector.answers import retry_after
from plugin.connector.budget import PUBLISHED_LIMITS, rule_for
from plugin.connector.budget_scripts import ACQUIRE, LEARN
from plugin.connector.deadline import Deadline
from plugin.connector.errors import BudgetExhausted
from plugin.connector.models.limits import LimitRule
from plugin.connector.redis_errors import store_errors

log = logging.getLogger(__name__)

AHEAD_SECONDS = 0.5
AHEAD_SECONDS_BULK = 0.2
REFRESH_SECONDS = 60.0
LARGEST_LIMIT = 100_000


class RedisBudget:
    """A Budget. Give the Redis client a socket_timeout and few retries: a deadline cannot cut a call to
    Redis short, and redis-py by itself goes on trying for many seconds.

    `rules` are the limits to begin with; the X-RateLimit headers and Retry-After of answers correct them. At a
    limit of 50 a second about 48.5 calls a second pass, evenly, in the order of asking; a promise is made at most
    half a second ahead, so a 429 stops the stream soon.
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
        self._told: dict[tuple[str, str], tuple[int, float]] = {}

    def acquire(self, account: str, method: str, path: str, deadline: Deadline, urgent: bool = True) -> None:
        rule = rule_for(self._rules, method, path)
        ahead = round((AHEAD_SECONDS if urgent else AHEAD_SECONDS_BULK) * 1_000_000)
        call_id = secrets.token_hex(8)
        while True:
            within = self._within(ahead, deadline)
            args = (rule.capacity, rule.seconds, int(urgent), within, call_id)
            with store_errors():
                granted, microseconds = self._acquire(keys=self._keys(account, rule), args=args)
            wait = float(microseconds) / 1_000_000
            if granted:
                time.sleep(wait)
                return
            if wait >= deadline.remaining():
                raise BudgetExhausted(rule.name, method=method, route=rule.path, retry_after=max(wait, 0.1))
            time.sleep(max(wait, 0.001) + random.uniform(0.0, 0.005))

    def learn(self, account: str, method: str, path: str, headers: Mapping[str, str], status: int) -> None:
        rule = rule_for(self._rules, method, path)
        given = {name.lower(): value for name, value in headers.items()}
        limit = _whole(given.get("x-ratelimit-limit"))
        limit = limit if 0 < limit <= LARGEST_LIMIT else -1
        remaining, reset = _whole(given.get("x-ratelimit-remaining")), _whole(given.get("x-ratelimit-reset"))
        if not self._worth_telling(account, rule, limit, remaining, status):
            return
        wait = retry_after(given)
        microseconds = -1 if wait is None else round(wait * 1_000_000)
        args = (rule.capacity, rule.seconds, status, limit, remaining, _from_now(reset), microseconds)
        try:
            self._learn(keys=self._keys(account, rule), args=(*args, secrets.token_hex(8)))
        except redis.RedisError as error:
            log.warning("rate limits of an answer were not kept: %s", type(error).__name__)

    def _worth_telling(self, account: str, rule: LimitRule, limit: int, remaining: int, status: int) -> bool:
        """Not the thousandth time that 50 a second is the limit: that would cost every call a trip to Redis."""
        last, at = self._told.get((account, rule.name), (-1, 0.0))
        news = status == 429 or limit != last or time.monotonic() - at > REFRESH_SECONDS
        if not news and (rule.seconds <= 1 and remaining != 0):
            return False
        self._told[(account, rule.name)] = (limit, time.monotonic()) if status != 429 else (-1, 0.0)
        return True

    def _within(self, ahead: int, deadline: Deadline) -> int:
        return min(ahead, round(deadline.remaining() * 1_000_000))

    def _keys(self, account: str, rule: LimitRule) -> list[str]:
        base = f"{self._prefix}{{{account}:{rule.name}}}"
        return [base, f"{base}:calls"]


def _whole(text: str | None) -> int:
    """A number of a header, -1 for anything else."""
    text = (text or "").strip()
    return int(text[:12]) if text.isascii() and text.isdigit() else -1


def _from_now(reset: int) -> int:
    """X-RateLimit-Reset in seconds from now: bol has sent small numbers and seconds since 1970."""
    return max(1, reset - round(time.time())) if reset > 1_000_000_000 else reset

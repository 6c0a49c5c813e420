"""bol's rate limits: sliding windows per client id, method and path."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from bol_sandbox.problems import Problem, too_many_requests


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `capacity` requests in any `seconds` on paths that fit; `*` stands for anything."""

    method: str
    path: str
    capacity: int
    seconds: float

    @property
    def literal_length(self) -> int:
        return len(self.path.replace("*", ""))


# As published at https://api.bol.com/retailer/public/ratelimits in November 2025 and September 2026. The rule for
# single offers (GET) was read as 25 and as 50 a second; the lower one stands here. The last is ours: for operations
# without a published figure, because bol sends the headers on every answer.
PUBLISHED = (
    Rule("GET", "/retailer/orders", 25, 60),
    Rule("GET", "/retailer/orders/*", 25, 1),
    Rule("GET", "/retailer/shipments", 25, 60),
    Rule("POST", "/retailer/shipments", 25, 1),
    Rule("GET", "/retailer/shipments/*", 50, 60),
    Rule("GET", "/retailer/offers", 25, 1),
    Rule("POST", "/retailer/offers", 50, 1),
    Rule("GET", "/retailer/offers/*", 25, 1),
    Rule("PUT", "/retailer/offers/*", 50, 1),
    Rule("PATCH", "/retailer/offers/*", 50, 1),
    Rule("DELETE", "/retailer/offers/*", 50, 1),
    Rule("POST", "/retailer/offers/export", 9, 3600),
    Rule("GET", "/retailer/offers/export/*", 9, 3600),
    Rule("*", "/retailer/returns", 20, 60),
    Rule("*", "/retailer/returns/*", 20, 60),
    Rule("GET", "/retailer/inventory", 20, 60),
    Rule("GET", "/retailer/invoices", 24, 60),
    Rule("GET", "/retailer/invoices/*", 24, 60),
    Rule("GET", "/retailer/commission/*", 28, 1),
    Rule("POST", "/retailer/commissions", 28, 1),
    Rule("*", "/retailer/products/*", 50, 60),
    Rule("GET", "/retailer/products/*/offers", 900, 60),
    Rule("*", "/retailer/content/*", 10, 1),
    Rule("*", "/retailer/subscriptions", 10, 1),
    Rule("*", "/retailer/subscriptions/*", 10, 1),
    Rule("GET", "/retailer/subscriptions/signature-keys", 10, 3600),
    Rule("POST", "/shared/process-status", 2, 1),
    Rule("GET", "/shared/process-status/*", 100, 1),
    Rule("*", "/retailer/*", 25, 1),
    Rule("*", "/shared/*", 25, 1),
)


class Limits:
    """Which rule governs a call, and how much of it each client has used."""

    def __init__(self) -> None:
        self.restore()

    def restore(self) -> None:
        self.replace(PUBLISHED)

    def replace(self, rules: tuple[Rule, ...] | list[Rule]) -> None:
        self.rules = list(rules)
        # The most specific path wins: the one with the most literal characters.
        ordered = sorted(self.rules, key=lambda rule: -rule.literal_length)
        self._patterns = [(rule.method, _pattern(rule.path), rule) for rule in ordered]
        self._used: dict[tuple[Rule, str], deque[float]] = {}

    def find(self, method: str, path: str) -> Rule | None:
        for wanted, pattern, rule in self._patterns:
            if wanted in (method, "*") and pattern.fullmatch(path):
                return rule
        return None

    def take(
        self, method: str, path: str, client_id: str, now: float
    ) -> tuple[dict[str, str], Problem | None]:
        """Count one request; the headers tell what is left, and the problem refuses it."""
        rule = self.find(method, path)
        if rule is None:
            return {}, None
        used = self._used.setdefault((rule, client_id), deque())
        while used and used[0] <= now - rule.seconds:
            used.popleft()
        if len(used) >= rule.capacity:
            wait = math.ceil(used[0] + rule.seconds - now) if used else math.ceil(rule.seconds)
            wait = max(1, wait)
            return _headers(rule, 0, wait), too_many_requests(wait)
        used.append(now)
        reset = max(1, math.ceil(used[0] + rule.seconds - now))
        return _headers(rule, rule.capacity - len(used), reset), None

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "path": rule.path,
                "methods": [rule.method] if rule.method != "*" else ["GET", "POST", "PUT", "PATCH", "DELETE"],
                "maxCapacity": rule.capacity,
                "timeToLive": units,
                "timeUnit": unit,
            }
            for rule in self.rules
            for units, unit in [_in_units(rule.seconds)]
        ]


def _in_units(seconds: float) -> tuple[float, str]:
    for length, unit in ((3600, "HOURS"), (60, "MINUTES")):
        if seconds % length == 0:
            return int(seconds // length), unit
    return seconds, "SECONDS"


def rule_from_json(value: dict[str, Any]) -> Rule:
    return Rule(
        str(value["method"]).upper(), str(value["path"]), int(value["capacity"]), float(value["seconds"])
    )


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in path.split("*")))


def _headers(rule: Rule, remaining: int, reset: int) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(rule.capacity),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
    }

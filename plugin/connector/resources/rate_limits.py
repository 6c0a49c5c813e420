"""bol's published rate limits, readable without signing in."""

from __future__ import annotations

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.models.limits import LimitRule
from plugin.connector.parsers.limits import read_rules
from plugin.connector.resources.caller import Caller


class RateLimits:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def read(self, *, deadline: Deadline | None = None) -> tuple[LimitRule, ...]:
        """GET /retailer/public/ratelimits. Entries that cannot be understood are left out."""
        return read_rules(self._caller.call(routes.RATE_LIMITS, deadline=deadline).json())

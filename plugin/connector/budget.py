"""How many calls we may make: the protocol, bol's published limits, and a budget without limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from plugin.connector.deadline import Deadline
from plugin.connector.models.limits import LimitRule

NO_ANSWER = 0


class Budget(Protocol):
    """Room for calls, per account and endpoint rule. `path` is the documented one, without query.

    One `learn` follows each `acquire` that succeeded, on the same thread.
    """

    def acquire(self, account: str, method: str, path: str, deadline: Deadline, urgent: bool = True) -> None:
        """Wait for room for one call, which is to be sent at once.

        Calls that are not urgent leave room for those that are.
        Raises BudgetExhausted, with seconds to wait, if there is none before the deadline, or StoreUnavailable.
        """

    def learn(self, account: str, method: str, path: str, headers: Mapping[str, str], status: int) -> None:
        """The call is over; take what its answer tells about the limits. `status` is NO_ANSWER without one.

        Never raises: the answer in hand is worth more.
        """


class UnlimitedBudget:
    """No limits at all, for scripts and tests."""

    def acquire(self, account: str, method: str, path: str, deadline: Deadline, urgent: bool = True) -> None:
        return None

    def learn(self, account: str, method: str, path: str, headers: Mapping[str, str], status: int) -> None:
        return None


PUBLISHED_LIMITS: tuple[LimitRule, ...] = (
    LimitRule("/retailer/orders", ("GET",), 25, 60),
    LimitRule("/retailer/orders/*", ("GET",), 25, 1),
    LimitRule("/retailer/shipments", ("GET",), 25, 60),
    LimitRule("/retailer/shipments", ("POST",), 25, 1),
    LimitRule("/retailer/shipments/*", ("GET",), 50, 60),
    LimitRule("/retailer/offers", ("GET",), 25, 1),
    LimitRule("/retailer/offers/*", ("GET",), 25, 1),
    LimitRule("/retailer/offers/*", ("PATCH", "PUT", "DELETE"), 50, 1),
    LimitRule("/retailer/content/*", ("GET",), 10, 1),
    LimitRule("/retailer/shipping-labels/*", ("GET",), 10, 1),
    LimitRule("/retailer/transports/*", ("PUT",), 10, 1),
    LimitRule("/retailer/subscriptions/*", ("DELETE", "GET", "POST", "PUT"), 10, 1),
    LimitRule("/retailer/subscriptions/signature-keys", ("GET",), 10, 3600),
    LimitRule("/shared/process-status", ("POST",), 2, 1),
    LimitRule("/shared/process-status/*", ("GET",), 100, 1),
)
"""A copy of what https://api.bol.com/retailer/public/ratelimits said in 2025 and 2026, for the calls made here.

Where two readings differ the lower one is taken. Those of labels and transports are not published: they are as
careful as UNLISTED, and stand here so that all ids share one. The headers of real answers correct it.
"""

UNLISTED = LimitRule("*", ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"), 10, 1)
"""For calls without a published limit, each route by itself. Our choice."""


def rule_for(rules: tuple[LimitRule, ...], method: str, path: str) -> LimitRule:
    """The most specific rule that covers the call; without one, a careful rule for this path and method alone."""
    covering = [rule for rule in rules if rule.covers(method, path)]
    if covering:
        return max(covering, key=lambda rule: rule.specificity)
    return LimitRule(path, (method.upper(),), UNLISTED.capacity, UNLISTED.seconds)

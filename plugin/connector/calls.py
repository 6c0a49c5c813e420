"""The record of one HTTP attempt, for logs and pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CallRecord:
    """One attempt. `route` is the documented template, `path` what was sent (no query); no bodies, no tokens.

    `about` are ids of order items that a body names, and an order that a query does: "order item 1, order item 2".
    `status` is None without an answer; `error` is the name of the error class, None on success.
    """

    at: datetime
    method: str
    route: str
    path: str
    about: str
    status: int | None
    duration_ms: int
    request_id: str | None
    error: str | None


OnCall = Callable[[CallRecord], None]

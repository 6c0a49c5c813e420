"""One answer of bol, and what its status means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from plugin.connector import errors
from plugin.connector.parsing import Fields, ShapeError, parse_json
from plugin.connector.routes import Route

T = TypeVar("T")

BY_STATUS: Mapping[int, type[errors.BolError]] = {
    400: errors.BadRequest,
    401: errors.SignInRefused,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.BadRequest,
    406: errors.BadRequest,
    409: errors.Conflict,
    415: errors.BadRequest,
    429: errors.RateLimited,
}
"""Statuses that say "not done". Every other one, redirects too, is a ServerError: outcome unknown."""

MAX_VIOLATIONS = 20
MAX_TEXT = 500


@dataclass(frozen=True)
class Answer:
    """`headers` by lower-case name. The body stays out of the repr: it may hold tokens or personal data."""

    route: Route
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str | None:
        given = self.headers.get("x-request-id") or self.headers.get("x-rid") or ""
        return "".join(c for c in given if c.isprintable())[:100] or None

    def json(self) -> object:
        return self._or_malformed(lambda: parse_json(self.body))

    def read(self, parse: Callable[[Fields], T]) -> T:
        """The body as a value. Raises MalformedAnswer if it is not what it should be."""
        return self._or_malformed(lambda: parse(Fields(parse_json(self.body))))

    def malformed(self, detail: str) -> errors.MalformedAnswer:
        return errors.MalformedAnswer(
            detail,
            method=self.route.method,
            route=self.route.template,
            status=self.status,
            request_id=self.request_id,
        )

    def error(self) -> errors.BolError:
        kind = BY_STATUS.get(self.status, errors.ServerError)
        return kind(
            method=self.route.method,
            route=self.route.template,
            status=self.status,
            request_id=self.request_id,
            violations=violations_in(self.body),
            retry_after=retry_after(self.headers) if self.status in (429, 503) else None,
        )

    def _or_malformed(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except ShapeError as error:
            raise self.malformed(str(error)) from None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from Retry-After, which is a number at bol and may be a date by RFC 9110; None if unreadable."""
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(min(int(given[:9]), 86_400))
    try:
        moment = parsedate_to_datetime(given)
        return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), 86_400.0)
    except (ValueError, TypeError, OverflowError):
        return None


def violations_in(body: bytes) -> tuple[errors.Violation, ...]:
    """The violations of a Problem body; () for HTML, plain text and all else."""
    try:
        entries = Fields(parse_json(body)).parts("violations")
    except ShapeError:
        return ()
    read = ((entry.text("name") or "", entry.text("reason") or "") for entry in entries[:MAX_VIOLATIONS])
    return tuple(errors.Violation(name[:MAX_TEXT], reason[:MAX_TEXT]) for name, reason in read)

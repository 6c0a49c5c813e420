"""bol's error bodies ("Problem"), raised as exceptions by the handlers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bol_sandbox.answers import JSON, Answer, reply

PROBLEM_TYPE = "https://api.bol.com/problems"
HOST = "Instance-001"
CONSULT = "Consult the bol.com API documentation for more information."
Violation = tuple[str | None, str]

EMPTY = "The supplied value is empty, but is required."


class Problem(Exception):
    """An answer that says no; the gateway turns it into HTTP in the media type of the operation."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        violations: Sequence[Violation] = (),
        headers: dict[str, str] | None = None,
        bare: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.violations = violations
        self.headers = headers or {}
        self.bare = bare

    def answer(self, media_type: str = JSON, instance: str = "") -> Answer:
        body: dict[str, Any] = {"title": self.title, "status": self.status, "detail": self.detail}
        # Login and rate-limit refusals come from bol's front door and lack `type` and `host`.
        if not self.bare:
            body = {"type": PROBLEM_TYPE, **body, "host": HOST, "instance": f"https://api.bol.com{instance}"}
        # A 404 comes without `violations`, and a cross-field violation without `name`, whatever the schema says.
        if self.violations:
            body["violations"] = [
                {"name": name, "reason": reason} if name else {"reason": reason}
                for name, reason in self.violations
            ]
        made = reply(body, media_type, self.status)
        made.headers.update(self.headers)
        return made


def bad_request(violations: Iterable[Violation], *, body: bool = False) -> Problem:
    what = "request body" if body else "request"
    return Problem(400, f"Error validating {what}. {CONSULT}", "Bad request", violations=list(violations))


def not_found(detail: str = "Not Found") -> Problem:
    return Problem(404, "Not Found", detail)


def not_acceptable(detail: str) -> Problem:
    return Problem(406, "Not Acceptable", detail)


def unauthorized(title: str, detail: str) -> Problem:
    return Problem(401, title, detail, bare=True)


def too_many_requests(seconds: int) -> Problem:
    unit = "second" if seconds == 1 else "seconds"
    detail = f"Too many requests, retry in {seconds} {unit}."
    return Problem(429, "Too Many Requests", detail, headers={"Retry-After": str(seconds)}, bare=True)


def invalid(value: object, allowed: Iterable[str] = ()) -> str:
    """Word a refusal as bol does: what was sent and, for a closed list, what it may be."""
    choices = ", ".join(allowed)
    ending = f", allowed values: {choices}." if choices else "."
    return f"Request contains invalid value(s): '{value}'{ending}"

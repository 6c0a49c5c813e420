"""Faults on demand: answers that are late, wrong, cut short or never come."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from bol_sandbox.answers import Answer, dump
from bol_sandbox.problems import Problem

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(slots=True)
class FaultRule:
    """What goes wrong, where, when and how often.

    "before" answers instead of doing the work (with `delayMs` alone it only makes the work late); "after"
    does the work and then delays, replaces, cuts or withholds the answer.
    """

    when: str = "before"
    method: str | None = None
    path: str | None = None
    status: int | None = None
    delay_ms: float = 0
    drop: bool = False
    truncate: bool = False
    body: Any = None
    probability: float = 1.0
    times: int | None = None
    retry_after: int | None = None
    pattern: re.Pattern[str] | None = None

    @property
    def answers(self) -> bool:
        """Whether the rule gives an answer of its own, or withholds one."""
        return self.drop or self.truncate or self.status is not None or self.body is not None

    def replace(self, answer: Answer | None, media_type: str) -> Answer:
        """Give the spoiled answer; `answer` is the true one where the work was done."""
        status = self.status if self.status is not None else (answer.status if answer else 500)
        if self.body is not None:
            if self.status is None and answer is None:
                status = 200
            if isinstance(self.body, str):
                return Answer(status, self.body.encode(), "text/plain;charset=UTF-8")
            return Answer(status, dump(self.body), f"{media_type};charset=UTF-8")
        if answer is not None and self.status is None:
            return answer
        title = TITLES.get(status, "Error")
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return Problem(status, title, f"{title} (a fault of the sandbox).", headers=headers).answer(
            media_type
        )


class Faults:
    """The rules in force; the first that fits a call, and whose dice agree, is applied."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []
        self._random = random.Random()

    def replace(self, rules: list[FaultRule], seed: int | None = None) -> None:
        self.rules = rules
        self._random = random.Random(seed)

    def pick(self, method: str, path: str) -> FaultRule | None:
        for rule in self.rules:
            if rule.times == 0 or (rule.method is not None and rule.method != method):
                continue
            if rule.pattern is not None and not rule.pattern.fullmatch(path):
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            if rule.times is not None:
                rule.times -= 1
            return rule
        return None


def rule_from_json(value: dict[str, Any]) -> FaultRule:
    """Read one rule of `PUT /sandbox/faults`; a name that is not known is a mistake worth hearing of."""
    known = {
        "method", "path", "when", "status", "delayMs", "drop", "truncate", "body", "probability", "times",
        "retryAfter",
    }  # fmt: skip
    unknown = set(value) - known
    if unknown:
        raise ValueError(f"unknown in a fault rule: {', '.join(sorted(unknown))}")
    when = value.get("when", "before")
    if when not in ("before", "after"):
        raise ValueError(f'\'when\' is "before" or "after", not {when!r}')
    path = value.get("path")
    method = value.get("method")
    return FaultRule(
        when=when,
        method=None if method in (None, "*") else str(method).upper(),
        path=path,
        status=value.get("status"),
        delay_ms=float(value.get("delayMs") or 0),
        drop=bool(value.get("drop")),
        truncate=bool(value.get("truncate")),
        body=value.get("body"),
        probability=float(value.get("probability", 1)),
        times=value.get("times"),
        retry_after=value.get("retryAfter"),
        pattern=None if path is None else re.compile(".*".join(map(re.escape, path.split("*")))),
    )

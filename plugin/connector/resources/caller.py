"""What a resource needs of the client: one signed, budgeted call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from plugin.connector.answers import Answer
from plugin.connector.deadline import Deadline
from plugin.connector.routes import Route

PAGE_SIZE = 50


class Caller(Protocol):
    def call(
        self,
        route: Route,
        *,
        values: Mapping[str, str] | None = None,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
        urgent: bool = True,
    ) -> Answer:
        """The successful answer (2xx) of one call; every other end raises a BolError.

        `urgent` False: the call leaves room in the budget for those that are.
        """


def page_number(number: int) -> tuple[str, str]:
    if number < 1:
        raise ValueError("pages count from 1")
    return "page", str(number)

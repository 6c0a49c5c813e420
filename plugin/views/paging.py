"""Long lists, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from sqlalchemy import Select, func, select

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; ``total`` counts the rows of all pages."""

    rows: Sequence[Any]
    number: int
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // PAGE_SIZE))

    @property
    def first_row(self) -> int:
        return (self.number - 1) * PAGE_SIZE + 1 if self.total else 0

    @property
    def last_row(self) -> int:
        return min(self.number * PAGE_SIZE, self.total)


def read_page(session: Any, statement: Select[*tuple[Any, ...]]) -> Page:
    """Read the page that the request's address asks for; the rows are tuples."""
    total = session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    last = max(1, -(-total // PAGE_SIZE))
    number = min(max(1, request.args.get("page", 1, type=int)), last)
    rows = session.execute(statement.limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE)).all()
    return Page(rows, number, total)


def chosen(name: str, known: Sequence[str]) -> str:
    """Return a filter of the request's address, or nothing where it is not one of those known."""
    value = request.args.get(name, "")
    return value if value in known else ""

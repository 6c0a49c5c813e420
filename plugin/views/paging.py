"""Long lists, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from sqlalchemy import Select, TextClause, func, select, text

PAGE_SIZE = 50
#: From this page on it is worth looking for the rows of a page before they are read.
FAR = 20


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


def listed(model: Any) -> TextClause:
    """Return the condition that lets the index of a store's rows by id be used. It is always true: see the models."""
    return text(f"{model.__tablename__}.id > 0")


def read_page(session: Any, statement: Select[*tuple[Any, ...]]) -> Page:
    """Read the page that the request's address asks for; the rows are tuples, of a model first."""
    model = statement.column_descriptions[0]["entity"]
    bare = statement.order_by(None).with_only_columns(model.id)
    total = session.scalar(select(func.count()).select_from(bare.subquery())) or 0
    last = max(1, -(-total // PAGE_SIZE))
    number = min(max(1, request.args.get("page", 1, type=int)), last)
    if number > FAR:
        # What is passed over is passed over in an index, and not row by row.
        ids = statement.with_only_columns(model.id).limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE)
        statement = statement.where(model.id.in_(session.scalars(ids).all()))
    else:
        statement = statement.limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE)
    return Page(session.execute(statement).all(), number, total)


def chosen(name: str, known: Sequence[str]) -> str:
    """Return a filter of the request's address, or nothing where it is not one of those known."""
    value = request.args.get(name, "")
    return value if value in known else ""

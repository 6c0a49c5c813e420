"""Counts what the database is asked, and tells how it finds the answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from host_app.db import db


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """Yield the statements that are run meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def walks_through(table: str, statements: Sequence[str], least: int) -> list[str]:
    """Return those of the statements, run so often at least, by which SQLite looks at every row of a store, or of all."""
    often = [statement for statement, times in Counter(statements).items() if times >= least]
    whole = re.compile(rf"(SCAN {table}\b)|(SEARCH {table} USING .*autoindex.* \(store_id=\?\))")
    found = []
    with db.engine.connect() as connection:
        for statement in often:
            if not statement.startswith(("SELECT", "UPDATE", "DELETE")) or table not in statement:
                continue
            # Only the shape of the statement counts for the plan.
            values = {f"v{n}": None for n in range(statement.count("?"))}
            pieces = statement.split("?")
            asked = (
                "".join(f"{piece}:{name}" for piece, name in zip(pieces, values, strict=False)) + pieces[-1]
            )
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {asked}"), values).all()
            found += [f"{step}: {statement}" for *_, step in plan if whole.search(step)]
    return found

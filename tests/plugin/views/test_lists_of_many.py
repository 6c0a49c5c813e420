"""Lists read a page of rows, however many there are: none is sorted anew for each look."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from host_app.db import db
from tests.host_app.admin.conftest import Person
from tests.plugin.views.conftest import Site


@pytest.mark.parametrize(
    ("page", "table"),
    [
        ("offers", "bol_offer"),
        ("orders", "bol_order"),
        ("shipments", "bol_shipment_effect"),
        ("calls", "bol_api_call"),
    ],
)
def test_no_list_is_sorted_for_a_page(site: Site, store: int, chief: Person, page: str, table: str) -> None:
    asked: list[tuple[str, Any]] = []
    with site.app.app_context():
        engine = db.engine

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        asked.append((statement, values))

    assert chief.get(f"/admin/bol/{store}/{page}").status_code == 200
    event.remove(engine, "before_cursor_execute", note)
    lists = [
        (text, values)
        for text, values in asked
        if text.startswith(f"SELECT {table}.id, {table}.store_id") and f"ORDER BY {table}.id" in text
    ]
    assert lists
    with engine.connect() as connection:
        for text, values in lists:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            assert not any("B-TREE FOR ORDER BY" in step for step in plan), (text, plan)

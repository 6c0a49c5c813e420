"""Lists read a page of rows, however many there are: none is sorted anew for each look."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, func, select

from host_app.db import db
from plugin.models import BolOrder, Offer, ShipmentEffect
from plugin.sync.dirty import in_need
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


@pytest.mark.parametrize(
    ("condition", "table", "index"),
    [
        (in_need(Offer), "bol_offer", "ix_bol_offer_due"),
        (Offer.held_at.is_not(None), "bol_offer", "ix_bol_offer_held_at"),
        (BolOrder.read_due_at <= func.current_timestamp(), "bol_order", "ix_bol_order_due"),
        (ShipmentEffect.state == "decision", "bol_shipment_effect", "ix_bol_shipment_effect_due"),
    ],
)
def test_few_rows_are_found_by_the_index_that_knows_them(
    site: Site, store: int, condition: Any, table: str, index: str
) -> None:
    """And not by that of the lists, which goes through all of a store."""
    model = {model.__tablename__: model for model in (Offer, BolOrder, ShipmentEffect)}[table]
    with site.app.app_context():
        engine = db.engine
    statement = select(func.count()).select_from(model).where(model.store_id == store, condition)
    text = str(statement.compile(engine, compile_kwargs={"literal_binds": True}))
    with engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert any(f"INDEX {index} " in step for step in plan), (text, plan)

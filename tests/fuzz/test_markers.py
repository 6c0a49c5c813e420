"""Names, titles, codes and errors are anybody's text: wherever a page shows one, it is text and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import JSON, String, inspect, text

from host_app import migrate
from host_app.db import db
from tests.fuzz.values import MARKER
from tests.host_app.admin.conftest import logged_in
from tests.upgrades.test_upgrades import TABLES, VERSION_TABLES, Old, asked_for, loaded

__all__ = ["loaded"]

#: Words of our own, keys that others refer to, and what the test logs in with.
OURS = re.compile(
    r"^(state.*|kind|level|levels|role|password_hash|environment|sign_in|secret|method|link|plugin|key|source|url|carrier"
    r"|ean_problem|cause|action|undone|problem_kind|language|job|route|holder|token|claim|held_by|cursor|label_ref|ref|digest|public_key|event_type|status"
    r"|.*process_status_id|order_item_id|external_ref|offer_id)$"
)
#: Rows of these are looked up by their texts.
LEFT_OUT = {"lease", "schedule", "event_delivery", "mail_setting", "bol_hourly_count", *VERSION_TABLES}


def mark(connection: Any) -> set[str]:
    """Write the marker into every column that holds anybody's text; return their names."""
    marked = set()
    for table in inspect(connection).get_table_names():
        for column in inspect(connection).get_columns(table) if table not in LEFT_OUT else ():
            name = column["name"]
            if OURS.match(name) or (table, name) == ("bol_order", "order_id"):
                continue
            if isinstance(column["type"], JSON) and name in ("delivery", "billing"):
                address = json.dumps(
                    dict.fromkeys(("name", "street", "house_number", "city", "country"), MARKER)
                )
                connection.execute(
                    text(f"UPDATE {table} SET {name} = :value WHERE {name} IS NOT NULL"), {"value": address}
                )
            elif isinstance(column["type"], String) and not isinstance(column["type"], JSON):
                # The administrator who looks keeps her name.
                chief = " WHERE username <> 'chief'" if table == "user_account" else ""
                as_json = table == "bol_setting_change" and name in ("before", "after")
                new = ":value" if as_json else ":value || rowid"
                connection.execute(
                    text(f"UPDATE {table} SET {name} = {new}{chief}"),
                    {"value": json.dumps(MARKER) if as_json else MARKER},
                )
            else:
                continue
            marked.add(f"{table}.{name}")
    return marked


@pytest.mark.parametrize("loaded", ["sqlite"], indirect=True)
def test_no_page_takes_a_text_for_anything_else(loaded: Old) -> None:
    with loaded.app.app_context():
        migrate.upgrade()
        with db.engine.connect().execution_options(writing=True) as connection, connection.begin():
            marked = mark(connection)
            ids = {
                kind: [row[0] for row in connection.execute(text(f"SELECT id FROM {table} ORDER BY id DESC"))]
                for kind, table in TABLES.items()
            }
    assert {"customer_order.notes", "bol_offer.title", "bol_order_item.title", "notification.body"} <= marked
    chief = logged_in(loaded.app, "chief")
    shown = 0
    for rule in loaded.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or {"filename", "key"} & rule.arguments:
            continue
        kinds = dict(asked_for(rule))
        for number in ids[next(iter(kinds))][:4] if kinds else (1,):
            values = dict.fromkeys(kinds.values(), number)
            values |= dict.fromkeys(rule.arguments & {"store_id", "label_id"}, 1)
            path = str(rule.build(values)[1])  # type: ignore[index]
            answer = chief.get(path)
            assert answer.status_code < 500, path
            if answer.mimetype == "text/html":
                for forbidden in ("<script>alert", "<img src=x"):
                    found = answer.text.find(forbidden)
                    assert found < 0, (path, answer.text[found - 300 : found + 100])
                shown += "&lt;script&gt;alert" in answer.text
    assert shown > 30

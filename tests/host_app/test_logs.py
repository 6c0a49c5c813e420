"""Log lines as JSON: what they are about, and nothing of customers."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from host_app.db import reading
from host_app.logs import JsonFormatter
from host_app.plugin_api import logging_about
from tests.conftest import AppFactory


def line(message: str, *arguments: object, failure: bool = False) -> dict[str, Any]:
    info = sys.exc_info() if failure else None
    record = logging.LogRecord("here", logging.WARNING, "file", 1, message, arguments, info)
    found: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return found


def test_a_line_says_what_it_is_about() -> None:
    with logging_about(job="bol:stock:7"), logging_about(store=7, order="A000X"):
        told = line("%d pieces", 3)
    assert (told["message"], told["level"], told["job"]) == ("3 pieces", "warning", "bol:stock:7")
    assert (told["store"], told["order"]) == (7, "A000X")
    assert "order" not in line("afterwards")


def test_values_of_a_statement_that_failed_are_not_told(make_app: AppFactory) -> None:
    with make_app().app_context(), reading() as session:
        with pytest.raises(DatabaseError) as raised:
            session.execute(text("SELECT * FROM nowhere WHERE name = :name"), {"name": "J. Jansen"})
        assert "Jansen" not in str(raised.value)
        customer = "J. Jansen, Dorpsstraat 1"
        try:
            raise ValueError(customer)
        except ValueError:
            told = line("an order could not be read", failure=True)
    assert told["error"] == "ValueError"
    assert "test_logs.py" in told["traceback"]
    assert "Jansen" not in json.dumps(told)


def test_a_program_writes_json_where_it_is_asked_to(tmp_path: Any) -> None:
    code = "import logging; from host_app import create_app; create_app(); logging.getLogger('x').warning('hello')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOST_INSTANCE": str(tmp_path), "HOST_LOG": "json"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stderr.splitlines()[-1])["message"] == "hello"

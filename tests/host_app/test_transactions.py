"""The one place that commits: what it refuses, what it takes back, and how writers wait for each other."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from host_app import db as host_db
from host_app.db import after_commit, current_session, db, reading, transaction
from host_app.models import Warehouse
from tests.conftest import AppFactory
from tests.host_app.probe import running

ROOT = Path(host_db.__file__).parents[1]


def names() -> list[str]:
    with reading() as session:
        return list(session.scalars(select(Warehouse.name).order_by(Warehouse.id)))


def add(name: str) -> Warehouse:
    with transaction() as session:
        warehouse = Warehouse(name=name, active=True)
        session.add(warehouse)
    return warehouse


def rename(warehouse_id: int, name: str) -> None:
    with transaction() as session:
        session.execute(update(Warehouse).where(Warehouse.id == warehouse_id).values(name=name))


def test_a_transaction_commits_at_its_end(app: Flask) -> None:
    add("A")
    assert names() == ["A"]


def test_a_transaction_inside_another_is_refused_and_leaves_the_outer_one_whole(app: Flask) -> None:
    with transaction() as session:
        session.add(Warehouse(name="A", active=True))
        with pytest.raises(RuntimeError, match="open already"), transaction():
            pass
        with pytest.raises(RuntimeError, match="open already"), reading():
            pass
    assert names() == ["A"]


def test_rows_changed_outside_of_a_transaction_are_refused_rather_than_lost(app: Flask) -> None:
    db.session.add(Warehouse(name="stray", active=True))
    with pytest.raises(RuntimeError, match="outside a transaction"), transaction():
        pass


def test_work_outside_of_a_transaction_is_refused(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="No transaction"):
        current_session()


def test_what_raises_leaves_nothing_behind_and_sends_nothing(app: Flask) -> None:
    sent: list[Any] = []
    with pytest.raises(ValueError), transaction() as session:
        session.add(Warehouse(name="A", active=True))
        session.flush()
        after_commit(sent.extend, ["wake"])
        raise ValueError
    assert names() == []
    assert sent == []
    add("B")
    assert names() == ["B"]


def test_what_is_to_follow_the_commit_is_called_once_with_all_items(app: Flask) -> None:
    calls: list[list[str]] = []

    def send(items: list[str]) -> None:
        calls.append(items)
        assert names() == ["A"]

    with transaction() as session:
        session.add(Warehouse(name="A", active=True))
        assert after_commit(send, ["one"])
        assert after_commit(send, ["two"])
        assert calls == []
    assert calls == [["one", "two"]]
    assert not after_commit(send, ["three"])


def test_a_transaction_reads_anew_what_an_earlier_one_has_read(make_any_app: AppFactory) -> None:
    other = make_any_app(blocked_plugins=("bol",))
    with running(make_any_app):
        held = add("before")
        with other.app_context():
            rename(held.id, "after")
        with transaction() as session:
            found = session.get(Warehouse, held.id)
            assert found is not None and found.name == "after"


def test_a_page_that_reads_goes_on_reading_after_a_transaction(app: Flask) -> None:
    with reading() as session:
        assert session.scalars(select(Warehouse)).all() == []
    db.session().begin()
    add("A")
    assert current_session().scalar(select(Warehouse.name)) == "A"


def test_a_second_writer_waits_for_the_first_and_does_not_fail(make_any_app: AppFactory) -> None:
    first, second = (make_any_app(blocked_plugins=("bol",)) for _ in range(2))
    with first.app_context():
        warehouse_id = add("0").id
    inside, results = threading.Event(), []

    def append(app: Flask, sign: str) -> None:
        with app.app_context():
            with transaction() as session:
                statement = select(Warehouse.name).where(Warehouse.id == warehouse_id).with_for_update()
                name = session.scalar(statement)
                if sign == "1":
                    inside.set()
                    waiting.wait(0.3)
                session.execute(
                    update(Warehouse).where(Warehouse.id == warehouse_id).values(name=f"{name}{sign}")
                )
            results.append(sign)
            db.session.remove()

    waiting = threading.Event()
    one = threading.Thread(target=append, args=(first, "1"))
    one.start()
    assert inside.wait(10)
    two = threading.Thread(target=append, args=(second, "2"))
    two.start()
    one.join()
    two.join()
    assert results == ["1", "2"]
    with first.app_context():
        assert names() == ["012"]


def test_a_reader_does_not_wait_for_a_writer(make_any_app: AppFactory) -> None:
    writer, reader = (make_any_app(blocked_plugins=("bol",)) for _ in range(2))
    with writer.app_context(), transaction() as session:
        session.add(Warehouse(name="A", active=True))
        session.flush()
        with reader.app_context():
            assert names() == []


def test_nothing_else_in_the_source_commits() -> None:
    committing = {
        str(path.relative_to(ROOT))
        for package in ("host_app", "plugin")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"\.commit\(", path.read_text())
    }
    assert committing == {"host_app/db.py"}

"""The tables come from migrations: complete, repeatable, and one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import inspect, text

from host_app import create_app, migrate
from host_app.db import Base, db
from tests.conftest import settings_for
from tests.host_app import probe as probes

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    server = request.getfixturevalue("postgres_server")
    name = f"empty_{abs(hash(request.node.nodeid))}"
    server.psql(f"CREATE DATABASE {name};")
    return str(server.get_uri(name)).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def app(empty_database: str, tmp_path: Path) -> Iterator[Flask]:
    app = create_app(settings_for(tmp_path, NOWHERE, empty_database, blocked_plugins=("bol",)))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def differences() -> list[Any]:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": migrate.is_host_table, "compare_type": True}
        )
        return list(compare_metadata(context, Base.metadata))


def test_migrating_twice_changes_nothing_and_gives_exactly_the_tables_of_the_models(app: Flask) -> None:
    assert not migrate.up_to_date()
    migrate.upgrade()
    assert migrate.up_to_date()
    tables = set(inspect(db.engine).get_table_names())
    migrate.upgrade()
    assert migrate.up_to_date()
    assert set(inspect(db.engine).get_table_names()) == tables >= set(Base.metadata.tables)
    assert differences() == []


def test_users_of_the_first_release_get_no_language_and_may_go_back(app: Flask) -> None:
    folder = str(migrate.HOST_FOLDER)
    user = "INSERT INTO user_account (username, password_hash, role, active) VALUES (:name, 'x', 'warehouse', true)"
    with migrate._exclusive() as connection:
        migrate._run(folder, connection, command.upgrade, "0001")
        connection.execute(text(user), {"name": "anna"})
    with migrate._exclusive() as connection:
        migrate._run(folder, connection, command.upgrade, "0002")
        connection.execute(text(user), {"name": "bert"})
        languages = connection.execute(text("SELECT username, language FROM user_account ORDER BY id"))
        assert languages.all() == [("anna", ""), ("bert", "")]
        migrate._run(folder, connection, command.downgrade, "0001")
        names = connection.execute(text("SELECT username FROM user_account ORDER BY id")).scalars()
        assert list(names) == ["anna", "bert"]


def test_two_processes_may_migrate_at_once(empty_database: str, app: Flask, tmp_path: Path) -> None:
    environment = probes.environment(tmp_path, NOWHERE, empty_database)
    environment["HOST_BLOCKED_PLUGINS"] = "bol,probe"
    processes = [probes.start(environment, "upgrade") for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    assert migrate.up_to_date()
    assert differences() == []


def test_a_migration_that_fails_leaves_nothing_behind(app: Flask) -> None:
    with pytest.raises(ValueError), migrate._exclusive() as connection:
        connection.execute(text("CREATE TABLE half_done (id INTEGER)"))
        raise ValueError
    assert "half_done" not in inspect(db.engine).get_table_names()


def test_a_table_that_others_refer_to_can_be_rebuilt_and_references_are_checked_afterwards(
    app: Flask,
) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite rebuilds tables")
    migrate.upgrade()
    with migrate._exclusive() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0
    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_command_tells_that_all_is_well(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["upgrade"])
    assert done.exit_code == 0, done.output
    assert "up to date" in done.output


def test_the_command_takes_the_tables_back_and_says_what_it_does_not_know(app: Flask) -> None:
    migrate.upgrade()
    run = app.test_cli_runner().invoke
    for name, revision, told in (("nobody", "0001", "There are: host"), ("host", "9999", "9999")):
        refused = run(args=["downgrade", name, revision, "--yes"])
        assert refused.exit_code == 1
        assert told in refused.output
    assert migrate.up_to_date()
    done = run(args=["downgrade", "host", "0001", "--yes"])
    assert done.exit_code == 0, done.output
    assert not migrate.up_to_date()

"""Brings the database up to date: the host's tables, then those of each plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from host_app.db import db
from host_app.plugins import plugins

HOST_FOLDER = Path(__file__).parent / "migrations"
#: Any number; it names the lock under which only one process at a time migrates a PostgreSQL database.
LOCK = 7_260_421


def is_host_table(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Tell Alembic which tables are the host's: those of plugins are left alone."""
    if kind != "table" or name is None:
        return True
    return not any(name.startswith(info.table_prefix) for info in plugins().infos.values())


def upgrade() -> None:
    """Run the migrations of the host and of every plugin. Safe to run twice, and from two machines at once."""
    with _exclusive() as connection:
        _run(str(HOST_FOLDER), connection, command.upgrade, "head")
        for info in plugins().infos.values():
            _run(info.migrations, connection, command.upgrade, "head")


def up_to_date() -> bool:
    """Tell if the database has the newest tables of the host and of every plugin."""
    from_folders = {str(HOST_FOLDER): "alembic_version"} | {
        info.migrations: f"{info.table_prefix}alembic_version" for info in plugins().infos.values()
    }
    with db.engine.connect() as connection:
        for folder, version_table in from_folders.items():
            context = MigrationContext.configure(connection, opts={"version_table": version_table})
            if set(ScriptDirectory(folder).get_heads()) != set(context.get_current_heads()):
                return False
    return True


def revise(folder: str, message: str) -> None:
    """Write a new migration from the difference between models and database; for developers."""
    with _exclusive() as connection:
        config = _config(folder, connection)
        command.revision(config, message=message, autogenerate=True)


def _run(folder: str, connection: Connection, action: Any, *arguments: Any) -> None:
    action(_config(folder, connection), *arguments)


def _config(folder: str, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _exclusive() -> Iterator[Connection]:
    """Yield a connection on which only this process migrates; commits at the end."""
    with db.engine.connect().execution_options(writing=True) as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            # Alembic changes a table there by copying and dropping it, and its rows are referred to by others.
            # Inside a transaction the switch has no effect.
            _switch_foreign_keys(connection, "OFF")
        try:
            with connection.begin():
                if not sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
                yield connection
        finally:
            if sqlite:
                _switch_foreign_keys(connection, "ON")


def _switch_foreign_keys(connection: Connection, state: str) -> None:
    driver_connection: Any = connection.connection.driver_connection
    driver_connection.execute(f"PRAGMA foreign_keys={state}")

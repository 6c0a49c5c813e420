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
#: The name of the host beside those of plugins.
HOST = "host"
#: Any number; it names the lock under which only one process at a time migrates a PostgreSQL database.
LOCK = 7_260_421


def is_host_table(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """Tell Alembic which tables are the host's: those of plugins are left alone."""
    if kind != "table" or name is None:
        return True
    return not any(name.startswith(info.table_prefix) for info in plugins().infos.values())


def upgrade() -> None:
    """Run the migrations of the host and of every plugin. Safe to run twice, and from two machines at once.

    Tables that a newer release has migrated are left as they are.
    """
    with _exclusive() as connection:
        for folder, version_table in _folders().items():
            if not _is_newer(folder, version_table, connection):
                _run(folder, connection, command.upgrade, "head")


def downgrade(name: str, revision: str) -> None:
    """Take the tables of the host (``host``) or of a plugin back to an older revision, for an older release.

    :raises LookupError: there is no plugin of this name.
    :raises alembic.util.CommandError: there is no such revision.
    """
    folder = str(HOST_FOLDER) if name == HOST else plugins().infos[name].migrations
    with _exclusive() as connection:
        _run(folder, connection, command.downgrade, revision)


def up_to_date() -> bool:
    """Tell if the database has all that this release needs, of the host and of every plugin.

    It may have more: while a newer release is installed on one machine after the other, the older one works on.
    """
    with db.engine.connect() as connection:
        return all(
            set(ScriptDirectory(folder).get_heads()) == _current(version_table, connection)
            or _is_newer(folder, version_table, connection)
            for folder, version_table in _folders().items()
        )


def _folders() -> dict[str, str]:
    """Return each folder of migrations, the host's first, with the table that tells which of them were run."""
    return {str(HOST_FOLDER): "alembic_version"} | {
        info.migrations: f"{info.table_prefix}alembic_version" for info in plugins().infos.values()
    }


def _current(version_table: str, connection: Connection) -> set[str]:
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    return set(context.get_current_heads())


def _is_newer(folder: str, version_table: str, connection: Connection) -> bool:
    """Tell if migrations were run that this release does not know."""
    known = {script.revision for script in ScriptDirectory(folder).walk_revisions()}
    return not _current(version_table, connection) <= known


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

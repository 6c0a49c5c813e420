"""The database: engine settings, column types, and the only place that commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from flask import has_app_context
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, Executable, MetaData, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction
from sqlalchemy.types import TypeDecorator

BUSY_SECONDS = 15
#: PostgreSQL's code for it.
DEADLOCK = "40P01"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept in UTC; SQLite has no zones, so they are taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("moments must be aware")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of the host's tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False})


@event.listens_for(db.session, "after_begin")
def _note_connected(session: Session, _transaction: SessionTransaction, _connection: Connection) -> None:
    session.info["connected"] = True


@event.listens_for(db.session, "after_transaction_end")
def _note_disconnected(session: Session, ended: SessionTransaction) -> None:
    if ended.parent is None:
        session.info.pop("connected", None)


def utcnow() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: object) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    # The driver would begin transactions by itself, and too late; _begin_on_sqlite does it instead.
    connection.isolation_level = None
    for pragma in (
        "foreign_keys=ON",
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
    ):
        connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "begin")
def _begin_on_sqlite(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # A transaction that reads first and writes later can't wait for the lock on SQLite: it fails. So writers
        # take the lock at their beginning.
        if connection.get_execution_options().get("writing"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # It waits for nobody and can't fail, and is by far the most frequent: straight to the driver.
            connection.connection.cursor().execute("BEGIN")


@contextmanager
def transaction() -> Iterator[Session]:
    """Open the transaction in which rows may change; the only place of the platform that commits.

    A read transaction that is open ends first, so that everything is read anew under the lock.

    :raises RuntimeError: a transaction is open already, or rows were changed outside of one.
    """
    session = db.session()
    if "after_commit" in session.info:
        raise RuntimeError("A transaction is open already: work in it.")
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("Rows were changed outside a transaction.")
    was_reading = session.in_transaction()
    session.rollback()
    # What an earlier transaction read is stale, and the session would hand it out again.
    session.expire_all()
    callbacks: dict[Callable[[list[Any]], object], list[Any]] = {}
    session.info["after_commit"] = callbacks
    try:
        session.connection(execution_options={"writing": True})
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.info["after_commit"]
        if was_reading:
            # A page that was reading goes on reading; what it begins with here costs nothing until it is used.
            session.begin()
    for callback, items in callbacks.items():
        callback(items)


@contextmanager
def reading() -> Iterator[Session]:
    """Open a transaction for reading; at its end it is closed and what was read stays readable, detached.

    :raises RuntimeError: a transaction is open already.
    """
    session = db.session()
    if "after_commit" in session.info:
        raise RuntimeError("A transaction is open already: read in it.")
    was_reading = session.in_transaction()
    session.close()
    session.begin()
    try:
        yield session
    finally:
        session.close()
        if was_reading:
            session.begin()


def current_session() -> Session:
    """Return the session of the open transaction (or of ``reading``).

    :raises RuntimeError: none is open.
    """
    session = db.session()
    if "after_commit" not in session.info and not session.in_transaction():
        raise RuntimeError("No transaction is open.")
    return session


def is_writing() -> bool:
    """Tell if this thread has a transaction open in which rows may change."""
    return has_app_context() and "after_commit" in db.session().info


def in_transaction() -> bool:
    """Tell if this thread has a transaction open at the database, for writing or for reading.

    A session that has begun and was not used yet holds nothing there.
    """
    if not has_app_context():
        # Threads that only call the network have no session at all.
        return False
    info = db.session().info
    return "after_commit" in info or "connected" in info


def insert_if_absent(session: Session, model: type[Base], values: dict[str, Any], unique: list[str]) -> bool:
    """Insert a row unless one with the same ``unique`` columns is there; tell if it was inserted."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(model).values(**values).on_conflict_do_nothing(index_elements=unique)
    return bool(changed_rows(session, statement))


def changed_rows(session: Session, statement: Executable) -> int:
    """Run an INSERT, UPDATE or DELETE; return how many rows it changed."""
    count: int = session.execute(statement).rowcount  # type: ignore[attr-defined]
    return count


def was_in_the_way(error: BaseException) -> bool:
    """Tell if the database has ended a transaction because it and another one waited for each other; nothing of it is kept."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", "") == DEADLOCK


def after_commit(callback: Callable[[list[Any]], object], items: Iterable[Any]) -> bool:
    """Have ``callback`` called once after the commit, with all items given for it; False where none is open."""
    callbacks = db.session().info.get("after_commit")
    if callbacks is None:
        return False
    callbacks.setdefault(callback, []).extend(items)
    return True

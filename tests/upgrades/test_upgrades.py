"""A database that the first release has made, with data in each table, in the middle of its work: it goes on in this one."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import JSON, inspect, text
from sqlalchemy.engine import Connection
from werkzeug.routing import Rule

from bol_sandbox import document
from bol_sandbox.testing import SandboxControls, running_sandbox
from bol_sandbox.world import World
from host_app import create_app, events, migrate
from host_app.db import db, reading
from host_app.models import EventDelivery
from host_app.port import host_port
from plugin.models import EffectState, LabelEffect, Store
from plugin.runtime import Runtime
from tests.conftest import Compiled, settings_for
from tests.host_app.admin.conftest import logged_in
from tests.plugin.conftest import KETTLE, Clock, Shop
from tests.upgrades.record import KEY, PUBLIC_URL

#: The release, and what its tables are called by in the migrations of host and connector.
RELEASE = Path(__file__).parent / "0_1_0"
REVISIONS = {migrate.HOST: "0001", "bol": "0001"}
VERSION_TABLES = ("alembic_version", "bol_alembic_version")
#: Until the leases of the programs that stopped are over.
LEASE_SECONDS = 60

#: Where the ids come from that stand in addresses.
TABLES = {
    "order_id": "customer_order",
    "picklist_id": "picklist",
    "product_id": "product",
    "shipment_id": "shipment",
    "run_id": "bol_run",
    "offers/row_id": "bol_offer",
    "orders/row_id": "bol_order",
}

Columns = dict[str, list[str]]
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Old:
    """An installation of this release on the database of that one."""

    app: Flask
    sandbox: SandboxControls
    clock: Clock
    #: The columns of each table and its rows, as the old release had made them.
    columns: Columns
    rows: Rows

    def now(self) -> Rows:
        """Return what stands in the old release's columns now."""
        with db.engine.connect() as connection:
            return rows(connection, self.columns)


class RecordedShop(Shop):
    """The first store of the record."""

    def __init__(self, old: Old) -> None:
        self.app, self.sandbox, self.clock = old.app, old.sandbox, old.clock
        self.host = host_port()
        self.runtime = Runtime(self.host)
        self.warehouse = self.store_id = 1


@pytest.fixture(params=["sqlite", "postgresql"])
def loaded(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    redis_url: str,
    compiled: Compiled,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Old]:
    """The record, loaded and not migrated yet, at the moment at which it was made, with the sandbox of that moment."""
    record = json.loads(gzip.decompress((RELEASE / f"{request.param}.world.json.gz").read_bytes()))
    clock = Clock()
    clock.ahead = datetime.fromisoformat(record["at"]) - datetime.now(UTC)
    url = load(request.param, tmp_path, request.getfixturevalue)

    def prepare(world: World) -> None:
        document.read(world, record["world"])
        world.clock.ahead += clock.ahead.total_seconds()
        world.limits.replace([])

    with running_sandbox(prepare=prepare) as sandbox:
        monkeypatch.setenv("BOL_ENCRYPTION_KEYS", KEY)
        monkeypatch.setenv("BOL_SANDBOX_URL", sandbox.url)
        monkeypatch.setattr("host_app.db.utcnow", clock.now)
        app = create_app(settings_for(tmp_path, redis_url, url, public_url=PUBLIC_URL))
        app.config.update(TESTING=True)
        compiled.share(app)
        with app.app_context():
            columns = columns_now()
            with db.engine.connect() as connection:
                made = rows(connection, columns)
            db.session.remove()
        yield Old(app, sandbox, clock, columns, made)
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def old(loaded: Old) -> Iterator[Old]:
    """The same, with the application's context open."""
    with loaded.app.app_context():
        yield loaded
        db.session.remove()


def load(dialect: str, folder: Path, fixture: Callable[[str], Any]) -> str | None:
    """Make the recorded database; return its address, or None where the folder has it."""
    script = gzip.decompress((RELEASE / f"{dialect}.sql.gz").read_bytes()).decode()
    if dialect == "sqlite":
        with closing(sqlite3.connect(folder / "warehouse.sqlite")) as connection:
            connection.executescript(script)
        return None
    server = fixture("postgres_server")
    name = f"old_{abs(hash(folder))}"
    server.psql(f"CREATE DATABASE {name};")
    server.psql(f"\\connect {name}\n{script}")
    return str(server.get_uri(name)).replace("postgresql://", "postgresql+psycopg://")


def columns_now() -> Columns:
    """Return the columns of each table."""
    looking = inspect(db.engine)
    return {
        table: [column["name"] for column in looking.get_columns(table)]
        for table in looking.get_table_names()
        if table not in VERSION_TABLES
    }


def rows(connection: Connection, columns: Columns) -> Rows:
    """Return the rows of each table in these columns, in an order of their own; JSON as it is written."""
    as_text = {
        (table, column["name"])
        for table in columns
        for column in inspect(connection).get_columns(table)
        if isinstance(column["type"], JSON)
    }
    found: Rows = {}
    for table, names in columns.items():
        wanted = ", ".join(f"CAST({name} AS TEXT)" if (table, name) in as_text else name for name in names)
        found[table] = sorted(map(tuple, connection.execute(text(f"SELECT {wanted} FROM {table}"))), key=repr)
    return found


def test_everything_is_kept_forwards_and_back_and_forwards_again(old: Old) -> None:
    assert all(old.rows.values()), "the record has nothing in one of its tables"
    migrate.upgrade()
    assert migrate.up_to_date()
    assert old.now() == old.rows
    for name, revision in REVISIONS.items():
        migrate.downgrade(name, revision)
    assert columns_now() == old.columns
    assert old.now() == old.rows
    migrate.upgrade()
    assert migrate.up_to_date()
    assert old.now() == old.rows


def test_programs_of_the_old_release_can_still_read_and_write(old: Old) -> None:
    """While one machine after the other gets the new release, all of them work on the migrated tables."""
    migrate.upgrade()
    with db.engine.connect().execution_options(writing=True) as connection, connection.begin():
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
        for table in old.columns:
            connection.execute(text(f"DELETE FROM {table}"))
        for table, made in old.rows.items():
            names = old.columns[table]
            statement = text(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
            )
            for row in made:
                connection.execute(statement, dict(zip(names, row, strict=True)))
        assert rows(connection, old.columns) == old.rows


def test_work_that_the_old_release_left_goes_on(old: Old) -> None:
    migrate.upgrade()
    shop = RecordedShop(old)
    assert {str(effect.state) for effect in shop.effects()} >= {"sent", "unknown", "wanted"}
    orders = len(shop.host_orders())
    (parked,) = shop.all(EventDelivery, EventDelivery.parked_at.is_not(None))
    new = shop.order((KETTLE, 1))
    shop.pass_time(LEASE_SECONDS)
    shop.pass_time(900, steps=6)

    assert {effect.state for effect in shop.effects()} == {EffectState.CONFIRMED}
    assert len(shop.effects()) == 5
    shipments = shop.shipments_at_bol()
    told = [shipment["transport"]["trackAndTrace"] for shipment in shipments]
    assert sorted(told) == ["0123", "3SLOST", "3SPENDING", "3STOLD", "3SUNTOLD"]
    offer = shop.offer(KETTLE)
    assert offer.dirty_version == offer.done_version
    with reading() as session:
        assert session.get_one(Store, 1).settings["safety_stock"] == 1
    # Two pieces of this product are kept back.
    assert shop.amount_at_bol(KETTLE) == shop.free(KETTLE) - 2
    assert shop.host_order(new).state == "processing"
    assert len(shop.host_orders()) == orders + 1
    # What waited for a person still does.
    assert EffectState.DECISION in {label.state for label in shop.all(LabelEffect)}
    assert len(shop.sandbox.state("seller")["labels"]) == 2
    assert [row.id for row in shop.all(EventDelivery, EventDelivery.parked_at.is_not(None))] == [parked.id]
    assert events.deliver_again(parked.id)
    shop.work()
    assert shop.all(EventDelivery) == []


def test_every_page_shows_what_the_old_release_made(loaded: Old) -> None:
    with loaded.app.app_context():
        migrate.upgrade()
        with db.engine.connect() as connection:
            newest = {
                kind: connection.scalar(text(f"SELECT max(id) FROM {table}"))
                for kind, table in TABLES.items()
            }
    chief = logged_in(loaded.app, "chief")
    shown = 0
    for rule in loaded.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or {"filename", "key"} & rule.arguments:
            continue
        values = {argument: newest[kind] for kind, argument in asked_for(rule)}
        # What belongs to one store is asked for of the first, which has made all of it.
        values |= {name: 1 for name in rule.arguments & {"store_id", "label_id"}}
        path = str(rule.build(values)[1])  # type: ignore[index]
        answer = chief.get(path)
        assert answer.status_code < 500, (path, answer.text)
        shown += answer.status_code == 200
    assert shown > 35


def asked_for(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the kinds of ids that an address takes, with the names of its arguments."""
    for kind in TABLES:
        folder, _slash, argument = kind.rpartition("/")
        if argument in rule.arguments and f"{folder}/" in rule.rule:
            yield kind, argument


def test_a_release_older_than_the_tables_is_ready_and_leaves_them_alone(old: Old) -> None:
    migrate.upgrade()
    with db.engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert migrate.up_to_date()
    migrate.upgrade()
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"

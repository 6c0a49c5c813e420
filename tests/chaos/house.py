"""A house of real programs that may be killed, frozen and started one by one, and whose time may be moved."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import redis
from flask import Flask
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError

import host_app.db
from bol_sandbox.testing import SandboxControls
from host_app import config, create_app, leases, migrate, redis_server
from host_app.config import Config
from host_app.db import db, reading, transaction
from host_app.models import LeaseRow, User, Warehouse
from host_app.models.people import Role
from host_app.processes import die_with
from tests.chaos.clock import VARIABLE, Clock, install
from tests.chaos.mender import Mender
from tests.e2e.house import NOT_INHERITED, PROJECT, free_ports

#: Programs in the order in which they are started.
PROGRAMS = ("redis", "sandbox", "web", "worker-1", "worker-2", "scheduler")
START_SECONDS = 120
LOGIN = "admin"


class House:
    """One installation in a folder, on SQLite or on the database at ``database_url``."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder = folder
        web, sandbox, redis_port = free_ports(3)
        self.url = f"http://127.0.0.1:{web}"
        self.sandbox = SandboxControls(f"http://127.0.0.1:{sandbox}")
        self.environment = {
            name: value for name, value in os.environ.items() if name not in NOT_INHERITED
        } | {
            "HOST_INSTANCE": str(folder),
            "HOST_PORT": str(web),
            "SANDBOX_PORT": str(sandbox),
            "REDIS_PORT": str(redis_port),
            "BOL_SANDBOX_URL": self.sandbox.url,
            "HOST_PUBLIC_URL": self.url,
            "PYTHONUNBUFFERED": "1",
            VARIABLE: str(folder / "clock"),
        }
        if database_url:
            self.environment["DATABASE_URL"] = database_url
        self.settings: Config = config.load(self.environment)
        self.clock = Clock(folder / "clock")
        self.password = secrets.token_hex(8)
        self.app: Flask = create_app(self.settings)
        self.mender = Mender()
        self._others: dict[str, tuple[str, dict[str, str]]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    # programs

    def open(self) -> None:
        """Make the tables and a login, start everything, and wait for the login page."""
        with self.app.app_context():
            migrate.upgrade()
            with transaction() as session:
                user = User(username=LOGIN, role=Role.ADMINISTRATOR, active=True)
                user.set_password(self.password)
                session.add_all([user, Warehouse(name="Main warehouse", active=True)])
            db.engine.dispose()
        for name in PROGRAMS:
            self.start(name)
        self.wait_until_up()

    def start(self, name: str) -> None:
        """Start a program, unless it runs."""
        known = self._running.get(name)
        if known is not None and known.poll() is None:
            return
        with self.log(name).open("ab") as output:
            self._running[name] = subprocess.Popen(
                self._command(name),
                env=self._others[name][1] if name in self._others else self.environment,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509 - both threads live as long as the house
            )

    def log(self, name: str) -> Path:
        """Return the file with everything that a program has said."""
        return self.folder / f"{name}.log"

    def _command(self, name: str) -> list[str]:
        if name == "redis":
            return redis_server.command(self.settings)
        if name == "sandbox":
            return [sys.executable, "-m", "bol_sandbox", "--port", str(self.settings.sandbox_port)]
        if name in self._others:
            return [sys.executable, "-m", "tests.chaos.program", self._others[name][0]]
        command = {"web": "serve", "scheduler": "scheduler"}.get(name, "worker")
        return [sys.executable, "-m", "tests.chaos.program", command]

    def add(self, name: str, command: str, environment: Mapping[str, str]) -> None:
        """Start one more program, of another machine with an environment of its own."""
        self._others[name] = (command, {**self.environment, **environment})
        self.start(name)

    def pids(self, name: str) -> set[int]:
        """Return the process of a program and those of its jobs."""
        process = self._running[name]
        return {process.pid, *(child for child in self._children() if _parent(child) == process.pid)}

    def kill(self, name: str) -> None:
        """kill -9; its jobs die with a worker."""
        process = self._running[name]
        if process.poll() is None:
            process.kill()
            process.wait()

    def kill_job(self) -> bool:
        """kill -9 the child of a worker that has one: a job in the middle."""
        for child in self._children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                return True
        return False

    def freeze(self, name: str) -> None:
        """Let a program stand still."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        process = self._running[name]
        if process.poll() is None:
            process.send_signal(number)

    def _children(self) -> list[int]:
        """Return the processes of jobs: children of workers."""
        workers = {process.pid for name, process in self._running.items() if name.startswith("worker")}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if _parent(int(folder.name)) in workers:
                    found.append(int(folder.name))
        return found

    def heal(self) -> None:
        """Start what does not run, let everything go on that stands still, and wait until it is up."""
        self.sandbox.faults([])
        for name in PROGRAMS:
            self.start(name)
            self.thaw(name)
        for child in self._children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """:raises RuntimeError: a program ended, or takes too long."""
        end = time.monotonic() + START_SECONDS
        ports = (self.settings.port, self.settings.sandbox_port)
        while redis_server.answers(self.settings.redis_url, 0.5) or not all(map(_listens, ports)):
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended:\n{self.log(name).read_text(errors='replace')[-3000:]}")
            if time.monotonic() > end:
                raise RuntimeError("the programs do not come up")
            time.sleep(0.1)

    def close(self) -> None:
        """End everything."""
        self.mender.close()
        self.sandbox.close()
        for name in (*self._others, *reversed(PROGRAMS)):
            if name in self._running:
                self.kill(name)
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    # what else may be harmed

    def empty_redis(self) -> None:
        with (
            suppress(redis.RedisError),
            redis.Redis.from_url(self.settings.redis_url, socket_timeout=2) as client,
        ):
            client.flushall()

    def lose_redis(self) -> None:
        """Redis ends, and its disk is lost."""
        self.kill("redis")
        shutil.rmtree(self.folder / "redis", ignore_errors=True)

    def harm_database(self) -> Callable[[], None]:
        """Cut all connections to PostgreSQL, or keep everybody from writing to SQLite; return how to end that."""
        if self.settings.database_url.startswith("postgresql"):
            with self.app.app_context(), db.engine.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
            return lambda: None
        # The thread that mends is another one.
        connection = sqlite3.connect(
            self.folder / "warehouse.sqlite", check_same_thread=False, isolation_level=None, timeout=15
        )
        connection.execute("BEGIN IMMEDIATE")
        return connection.close

    # time

    def pass_time(self, seconds: float, *, patience: float = 60) -> bool:
        """Let time pass for the house and for bol, in a moment in which no job is at work; False where none comes.

        Programs stand still meanwhile, so that no call is under way, as if the machine had slept.
        """
        end = time.monotonic() + patience
        while time.monotonic() < end:
            with self._standing_still():
                if not self._anybody_works() and self._shift_leases(seconds):
                    self.sandbox.advance(seconds)
                    self.clock.advance(seconds)
                    return True
            time.sleep(0.3)
        return False

    @contextmanager
    def _standing_still(self) -> Iterator[None]:
        names = [name for name in ("scheduler", "worker-1", "worker-2") if name in self._running]
        children: list[int] = []
        for name in names:
            self.freeze(name)
        for child in self._children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                children.append(child)
        try:
            yield
        finally:
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGCONT)
            for name in names:
                self.thaw(name)

    def _anybody_works(self) -> bool:
        """Tell if a living process holds a lease: one that died can't be in the middle of a call.

        Nor is one whose lease is over: it was cut off from the database as it gave the lease back.
        """
        with self.app.app_context():
            with reading() as session:
                rows = session.execute(
                    select(LeaseRow.subject, LeaseRow.holder).where(LeaseRow.token != leases.RESTING)
                ).all()
            held = leases.held([row.subject for row in rows])
            db.session.remove()
        holders = [row.holder for row in rows if row.subject in held]
        return any(Path(f"/proc/{holder.rpartition(':')[2]}").exists() for holder in holders)

    def _shift_leases(self, seconds: float) -> bool:
        """Let time pass for leases on PostgreSQL, too, which go by the clock of the database."""
        if not self.settings.database_url.startswith("postgresql"):
            return True
        with self.app.app_context():
            try:
                with transaction() as session:
                    session.execute(text("SET LOCAL lock_timeout = '1s'"))
                    for lease in session.scalars(select(LeaseRow)):
                        session.execute(
                            update(LeaseRow)
                            .where(LeaseRow.subject == lease.subject)
                            .values(expires_at=lease.expires_at - timedelta(seconds=seconds))
                        )
            except OperationalError:
                return False
            finally:
                db.session.remove()
        return True


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def open_house(folder: Path, database_url: str | None = None) -> Iterator[House]:
    """Open a house, with its time in this process, too; nothing of it is left afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    house = House(folder, database_url)
    module: Any = host_app.db
    before_moving = module.datetime
    install(house.clock)
    before: Mapping[str, str | None] = {"BOL_SANDBOX_URL": os.environ.get("BOL_SANDBOX_URL")}
    os.environ["BOL_SANDBOX_URL"] = house.sandbox.url
    try:
        house.open()
        yield house
    finally:
        house.close()
        restore(before)
        module.datetime = before_moving


def restore(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

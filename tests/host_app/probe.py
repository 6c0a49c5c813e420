"""A plugin for tests of the platform: remembers what it was told, in memory and in a table of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import MetaData, String, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from host_app.db import db, reading
from host_app.plugin_api import (
    ClosingAnswer,
    HostPort,
    Lease,
    OrderCancelled,
    OrderImport,
    PluginInfo,
    StockChange,
    Wake,
    hookimpl,
)

REPOSITORY = Path(__file__).parents[2]
QUEUE = "probe"


class Base(DeclarativeBase):
    metadata = MetaData()


class Mark(Base):
    """What the plugin owes because of an event."""

    __tablename__ = "probe_mark"

    id: Mapped[int] = mapped_column(primary_key=True)
    hook: Mapped[str] = mapped_column(String(40))
    what: Mapped[str] = mapped_column(String(200))


class Probe:
    """The plugin; ``on`` is called with hook and argument, and may raise."""

    def __init__(self, on: Callable[[str, Any], None] | None = None) -> None:
        self.on = on
        self.told: list[tuple[str, Any]] = []
        self.due_wakes: list[Wake] = []
        self.wakes: list[Wake] = []

    @hookimpl
    def plugin_info(self) -> PluginInfo:
        return PluginInfo(
            name="probe",
            title="Probe",
            version="1",
            package="tests.host_app",
            table_prefix="probe_",
            metadata=Base.metadata,
            migrations="",
            queues=(QUEUE,),
        )

    @hookimpl
    def stock_changed(self, host: HostPort, changes: Sequence[StockChange]) -> list[Wake]:
        return self._tell(host, "stock_changed", changes)

    @hookimpl
    def order_cancelled(self, host: HostPort, event: OrderCancelled) -> list[Wake]:
        return self._tell(host, "order_cancelled", event)

    @hookimpl
    def order_import(self, host: HostPort, event: OrderImport) -> list[Wake]:
        return self._tell(host, "order_import", event)

    @hookimpl
    def due(self, host: HostPort, now: datetime) -> list[Wake]:
        return self.due_wakes

    @hookimpl
    def picklist_closing(self, host: HostPort, picklist_id: int, seconds: float) -> ClosingAnswer | None:
        self.told.append(("picklist_closing", picklist_id))
        if self.on:
            self.on("picklist_closing", picklist_id)
        return ClosingAnswer(warnings=("asked",))

    def _tell(self, host: HostPort, hook: str, what: Any) -> list[Wake]:
        self.told.append((hook, what))
        what = getattr(what, "reference", "") if hook == "order_cancelled" else hook
        host.session.add(Mark(hook=hook, what=what))
        host.session.flush()
        if self.on:
            self.on(hook, self.told[-1][1])
        return self.wakes


class Unending:
    """A lease that is never lost."""

    token = "unending"

    def ensure(self, seconds: float = 0) -> None:
        pass

    def slice_over(self) -> bool:
        return False


def stall_if_asked(hook: str, _what: Any) -> None:
    """In another process: tell by a file that a hook runs, and stay in it until that file is gone."""
    if path := os.environ.get("PROBE_STALL"):
        Path(path).write_text(str(os.getpid()))
        while Path(path).exists():
            time.sleep(0.02)


#: What the entry point names in other processes.
plugin = Probe(stall_if_asked)
#: Called with host, lease and arguments by :func:`work`; set by tests.
working: list[Callable[..., bool | None]] = []


def work(host: HostPort, lease: Lease, *args: Any) -> bool:
    """A job of the plugin."""
    return bool(working[-1](host, lease, *args)) if working else False


@contextmanager
def running(make: Callable[..., Flask], probe: Probe | None = None, **changes: Any) -> Iterator[Probe]:
    """Run an application with the probe as its only plugin, its context open."""
    probe = probe or Probe()
    app = make(extra_plugins={"probe": probe}, **{"blocked_plugins": ("bol",)} | changes)
    with app.app_context():
        Base.metadata.create_all(db.engine)
        yield probe
        db.session.remove()
        db.engine.dispose()


def marks(hook: str | None = None) -> list[str]:
    """Return what the probe has marked."""
    with reading() as session:
        return list(
            session.scalars(select(Mark.what).where(Mark.hook == (hook or Mark.hook)).order_by(Mark.id))
        )


def count(model: type) -> int:
    """Return how many rows there are."""
    with reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def environment(folder: Path, redis_url: str, database_url: str, **more: str) -> dict[str, str]:
    """Return the environment of another process that has the probe installed, as its only plugin."""
    installed = folder / "installed"
    information = installed / "probe-1.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[host_app.plugins]\nprobe = tests.host_app.probe:plugin\n")
    return {
        **os.environ,
        "PYTHONPATH": f"{installed}{os.pathsep}{REPOSITORY}",
        "HOST_INSTANCE": str(folder),
        "HOST_BLOCKED_PLUGINS": "bol",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "for-tests-only",
        **more,
    }


def command(*arguments: str) -> list[str]:
    """Return the command line of ``flask --app host_app ...``."""
    return [sys.executable, "-m", "flask", "--app", "host_app", *arguments]


def start(environment: dict[str, str], *arguments: str, log: Path | None = None) -> subprocess.Popen[str]:
    """Start ``flask --app host_app ...`` in a process of its own; what it says goes to ``log``, else to a pipe."""
    with log.open("w") if log else nullcontext(subprocess.PIPE) as output:
        return subprocess.Popen(
            command(*arguments), env=environment, cwd=environment["HOST_INSTANCE"], text=True,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def eventually(check: Callable[[], Any], seconds: float = 20) -> Any:
    """Return the first true answer of ``check``.

    :raises AssertionError: there was none in time.
    """
    end = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < end, f"did not happen within {seconds} seconds"
        time.sleep(0.02)
    return answer

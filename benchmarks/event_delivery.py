"""Events delivered a second to a plugin that does nothing, on SQLite in a temporary folder.

The floor reads and deletes the same rows in transactions of the same size, without events.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import MetaData, delete, select

from benchmarks.result import Result
from host_app import config, create_app, events, migrate
from host_app.db import db, reading, transaction
from host_app.models import EventDelivery
from host_app.plugin_api import HostPort, OrderCancelled, PluginInfo, Wake, hookimpl
from host_app.port import host_port

COUNT = 4000
ROUNDS = 5
GOAL = 0.4


class Idle:
    """A plugin that wants events and does nothing with them."""

    @hookimpl
    def plugin_info(self) -> PluginInfo:
        return PluginInfo("idle", "Idle", "1", "idle", "idle_", MetaData(), "", ())

    @hookimpl
    def order_cancelled(self, host: HostPort, event: OrderCancelled) -> list[Wake]:
        return []


class Unending:
    """A lease that is never lost."""

    def ensure(self, seconds: float = 0) -> None:
        pass

    def slice_over(self) -> bool:
        return False


def measure() -> Iterator[Result]:
    """Measure delivery and floor in turns, and take the median of each."""
    with tempfile.TemporaryDirectory() as folder:
        settings = config.load({"HOST_INSTANCE": folder, "REDIS_URL": "redis://127.0.0.1:1/0"})
        create_tables(settings)
        app = create_app(replace(settings, blocked_plugins=("bol",)), extra_plugins={"idle": Idle()})
        with app.app_context():
            rates = [(rate(deliver), rate(delete_only)) for _ in range(ROUNDS)]
            db.session.remove()
            db.engine.dispose()
    delivered, floor = (statistics.median(column) for column in zip(*rates, strict=True))
    yield Result("event-delivery", delivered, "events/s", floor, GOAL)


def create_tables(settings: config.Config) -> None:
    app = create_app(replace(settings, blocked_plugins=("bol",)))
    with app.app_context():
        migrate.upgrade()
        db.engine.dispose()


def rate(work: Callable[[], Any]) -> float:
    """Return how many events a second are worked off."""
    with transaction():
        for number in range(COUNT):
            events.emit(OrderCancelled(number, "shop:1", str(number), "why"), f"order:{number}")
    began = time.perf_counter()
    work()
    return COUNT / (time.perf_counter() - began)


def deliver() -> None:
    events.dispatch(host_port(), Unending(), "idle")  # type: ignore[arg-type]


def delete_only() -> None:
    while True:
        with reading() as session:
            rows = session.scalars(select(EventDelivery).order_by(EventDelivery.id).limit(events.BATCH)).all()
        if not rows:
            return
        with transaction() as session:
            session.execute(delete(EventDelivery).where(EventDelivery.id.in_([row.id for row in rows])))

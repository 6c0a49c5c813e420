"""Events reach plugins at least once, in order, folded, and past those that fail."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from host_app import events
from host_app.db import db, reading, transaction
from host_app.leases import LEASE_SECONDS
from host_app.models import EventDelivery, LeaseRow, Notification, Warehouse
from host_app.plugin_api import (
    Event,
    OrderCancelled,
    OrderImport,
    Parcel,
    ParcelLine,
    PicklistClosed,
    ProductChanged,
    ShipmentChanged,
    StockChange,
)
from host_app.port import host_port
from tests.conftest import AppFactory
from tests.host_app import probe as probes
from tests.host_app.probe import Mark, Probe, Unending, count, eventually, marks, running


def cancelled(reference: str) -> OrderCancelled:
    return OrderCancelled(1, "shop:1", reference, "why")


def emit(*told: tuple[Event, str]) -> None:
    with transaction():
        for event, subject in told:
            events.emit(event, subject)


def dispatch() -> bool:
    """Tell the probe its events, and whether some are left."""
    return events.dispatch(host_port(), Unending(), "probe") is True  # type: ignore[arg-type]


def deliveries() -> list[EventDelivery]:
    with reading() as session:
        return list(session.scalars(select(EventDelivery).order_by(EventDelivery.id)))


def notices() -> list[str]:
    with reading() as session:
        return list(session.scalars(select(Notification.title).order_by(Notification.id)))


class Clock:
    """The time that events go by."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(events, "utcnow", clock)
    return clock


def failing_on(*references: str) -> Callable[[str, Any], None]:
    def fail(hook: str, what: Any) -> None:
        if getattr(what, "reference", None) in references:
            raise ValueError("poison")

    return fail


def test_an_event_is_written_with_its_change_or_not_at_all(make_any_app: AppFactory) -> None:
    with running(make_any_app):
        with pytest.raises(ValueError), transaction() as session:
            session.add(Warehouse(name="A", active=True))
            events.emit(cancelled("1"), "order:1")
            raise ValueError
        assert (count(Warehouse), deliveries()) == (0, [])
        with transaction() as session:
            session.add(Warehouse(name="A", active=True))
            events.emit(cancelled("1"), "order:1")
        assert (count(Warehouse), len(deliveries())) == (1, 1)


def test_an_event_outside_of_a_transaction_is_refused(make_app: AppFactory) -> None:
    with running(make_app):
        with pytest.raises(RuntimeError, match="in the transaction"):
            events.emit(cancelled("1"), "order:1")
        with pytest.raises(RuntimeError, match="in the transaction"), reading():
            events.emit(cancelled("1"), "order:1")


def test_only_plugins_that_want_an_event_get_a_delivery(make_app: AppFactory) -> None:
    with running(make_app):
        emit((ProductChanged(1), "product:1"), (cancelled("1"), "order:1"))
        assert [(row.plugin, row.kind) for row in deliveries()] == [("probe", "order_cancelled")]


def test_events_are_told_in_order_and_gone_with_the_commit_of_what_they_caused(
    make_any_app: AppFactory,
) -> None:
    with running(make_any_app):
        emit(*((cancelled(str(number)), f"order:{number % 3}") for number in range(7)))
        assert dispatch() is False
        assert marks() == [str(number) for number in range(7)]
        assert deliveries() == []


def test_many_events_are_told_in_batches_of_two_hundred(make_app: AppFactory) -> None:
    with running(make_app) as probe:
        emit(*((StockChange(number, number, 1), f"product:{number}") for number in range(1, 451)))
        dispatch()
        assert [len(changes) for _, changes in probe.told] == [200, 200, 50]


def test_changes_of_stock_are_folded_to_the_newest_of_each_product(make_any_app: AppFactory) -> None:
    with running(make_any_app) as probe:
        changes = [
            StockChange(product, history, history * 10) for history, product in enumerate((1, 2, 1, 1, 2), 1)
        ]
        emit(*((change, f"product:{change.product_id}") for change in changes))
        dispatch()
        assert probe.told == [("stock_changed", (StockChange(1, 4, 40), StockChange(2, 5, 50)))]


def test_every_kind_of_event_comes_back_as_it_was_written() -> None:
    line = ParcelLine(1, 2, 3, "item")
    at = datetime(2026, 11, 1, 9, 30, 15, 123456, tzinfo=UTC)
    for event in (
        StockChange(1, 2, -3),
        PicklistClosed(1, 2, "bol:1", "A", at, (Parcel(1, "postnl", None, None, (line, line)),)),
        OrderImport("bol:1", forced=True),
        OrderImport(),
        ProductChanged(4),
        ShipmentChanged(1, "dhl", "3S", withdrawn=True),
        cancelled("1"),
    ):
        written = events._convert.loads(events._convert.dumps(event), type(event))
        assert written == event


def test_a_poison_event_backs_off_six_times_and_is_then_parked_with_one_notification(
    make_any_app: AppFactory, clock: Clock
) -> None:
    with running(make_any_app, Probe(failing_on("poison"))) as probe:
        emit((cancelled("poison"), "order:1"))
        for wait in events.BACKOFF:
            dispatch()
            (row,) = deliveries()
            assert row.parked_at is None and row.next_try_at == clock.now + timedelta(seconds=wait)
            clock.pass_by(wait - 0.5)
            tries = len(probe.told)
            dispatch()
            assert len(probe.told) == tries, "it was tried before its time"
            clock.pass_by(0.5)
        assert notices() == []
        dispatch()
        (row,) = deliveries()
        assert row.parked_at is not None and row.error == "ValueError: poison"
        assert len(notices()) == 1
        clock.pass_by(3600)
        tries = len(probe.told)
        assert dispatch() is False and events.due(["probe"]) == []
        assert len(probe.told) == tries
        assert marks() == [], "what the plugin did for a failed event was kept"


def test_a_clock_that_was_ahead_and_is_set_right_holds_no_event_back(
    make_any_app: AppFactory, clock: Clock
) -> None:
    with running(make_any_app, Probe(failing_on("poison"))) as probe:
        clock.pass_by(3 * 3600)
        emit((cancelled("poison"), "order:1"))
        dispatch()
        probe.on = None
        clock.pass_by(-3 * 3600)
        assert events.due(["probe"])
        dispatch()
        assert marks() == ["poison"] and deliveries() == []


def test_a_poison_event_holds_back_only_later_events_of_its_own_subject(
    make_any_app: AppFactory, clock: Clock
) -> None:
    with running(make_any_app, Probe(failing_on("poison"))) as probe:
        emit(
            (cancelled("before"), "order:1"),
            (cancelled("poison"), "order:1"),
            (cancelled("other"), "order:2"),
            (cancelled("after"), "order:1"),
        )
        dispatch()
        assert marks() == ["before", "other"]
        emit((cancelled("later"), "order:2"), (cancelled("much later"), "order:1"))
        dispatch()
        assert marks() == ["before", "other", "later"]
        probe.on = None
        clock.pass_by(2)
        dispatch()
        assert marks() == ["before", "other", "later", "poison", "after", "much later"]


def test_deliver_again_tries_a_parked_event_once_more_and_tells_when_it_fails_again(
    make_any_app: AppFactory, clock: Clock
) -> None:
    with running(make_any_app, Probe(failing_on("poison"))) as probe:
        emit((cancelled("poison"), "order:1"), (cancelled("after"), "order:1"))
        for wait in (*events.BACKOFF, 0):
            dispatch()
            clock.pass_by(wait)
        (row, _) = deliveries()
        assert events.deliver_again(row.id)
        assert not events.deliver_again(row.id), "it is not parked any more"
        dispatch()
        assert len(notices()) == 2
        probe.on = None
        assert events.deliver_again(row.id)
        dispatch()
        assert marks() == ["poison", "after"]
        assert not events.deliver_again(row.id)


def test_two_dispatchers_at_once_deliver_once(make_any_app: AppFactory) -> None:
    first, second = (
        make_any_app(extra_plugins={"probe": Probe()}, blocked_plugins=("bol",)) for _ in range(2)
    )
    with running(make_any_app):
        emit(*((cancelled(str(number)), f"order:{number}") for number in range(300)))
        start = threading.Barrier(2)

        def work(app: Flask) -> None:
            with app.app_context():
                start.wait()
                dispatch()
                db.session.remove()

        threads = [threading.Thread(target=work, args=(app,)) for app in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(int, marks())) == list(range(300))
        assert deliveries() == [] and notices() == []


def test_an_event_that_another_process_has_delivered_meanwhile_is_not_a_failure(
    make_any_app: AppFactory,
) -> None:
    with running(make_any_app):
        emit((cancelled("1"), "order:1"), (cancelled("2"), "order:2"))
        rows = deliveries()
        dispatch()
        for row in rows:
            events._deliver_alone(host_port(), "probe", row)
        assert marks() == ["1", "2"]
        assert notices() == []


@pytest.mark.parametrize("killed", ["work horse", "worker"])
def test_a_dispatcher_killed_in_the_middle_of_a_delivery_leaves_it_to_the_next(
    make_any_app: AppFactory, tmp_path: Path, redis_url: str, killed: str
) -> None:
    with running(make_any_app):
        database = db.engine.url.render_as_string(hide_password=False)
        stalling = tmp_path / "stalling"
        environment = probes.environment(tmp_path, redis_url, database, PROBE_STALL=str(stalling))
        emit((cancelled("1"), "order:1"))
        worker = probes.start(environment, "worker", "--burst")
        try:
            horse = int(eventually(lambda: stalling.exists() and stalling.read_text()))
            os.kill(horse if killed == "work horse" else worker.pid, signal.SIGKILL)
            eventually(lambda: not _alive(horse))
            assert (marks(), len(deliveries())) == ([], 1)
        finally:
            stalling.unlink(missing_ok=True)
            worker.kill()
            worker.communicate()
        # The lease of the dead ends by itself; here, sooner.
        _end_leases()
        assert [wake.name for wake in events.due(["probe"])] == ["host:dispatch:probe"]
        dispatch()
        assert (marks(), deliveries()) == (["1"], [])


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def _end_leases() -> None:
    with transaction() as session:
        for row in session.scalars(select(LeaseRow)):
            row.expires_at -= timedelta(seconds=LEASE_SECONDS)


def test_a_worker_delivers_what_was_emitted(make_any_app: AppFactory, tmp_path: Path, redis_url: str) -> None:
    with running(make_any_app):
        database = db.engine.url.render_as_string(hide_password=False)
        emit((cancelled("1"), "order:1"))
        worker = probes.start(probes.environment(tmp_path, redis_url, database), "worker", "--burst")
        output, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0, output
        assert marks() == ["1"] and count(Mark) == 1

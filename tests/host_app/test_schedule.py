"""Any number of schedulers find what is due, and tell it once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from host_app import events, leases, pruning, schedule
from host_app.db import db, reading, transaction, utcnow
from host_app.models import EventDelivery, LeaseRow, Schedule
from host_app.plugin_api import OrderImport, Wake
from host_app.port import host_port
from host_app.services.orders import BACKORDERS
from host_app.services.stock import adjust_stock
from tests.conftest import AppFactory
from tests.host_app.factories import accept, add_product, add_warehouse
from tests.host_app.probe import QUEUE, Probe, Unending, count, running

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
WAKE = Wake("probe:work", QUEUE, "tests.host_app.probe:work")


def test_any_number_of_schedulers_emit_one_order_import_a_minute(make_any_app: AppFactory) -> None:
    apps = [make_any_app(extra_plugins={"probe": Probe()}, blocked_plugins=("bol",)) for _ in range(4)]
    start, claims = threading.Barrier(len(apps)), []

    def run(app: Flask) -> None:
        with app.app_context():
            start.wait()
            for second in range(0, 180, 20):
                claims.append(schedule.claim_import_event(NOON + timedelta(seconds=second)))
            db.session.remove()

    threads = [threading.Thread(target=run, args=(app,)) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert claims.count(True) == 3


def test_a_missed_minute_is_simply_due_and_is_not_made_up_for(make_app: AppFactory) -> None:
    with running(make_app):
        assert schedule.claim_import_event(NOON)
        assert not schedule.claim_import_event(NOON + timedelta(seconds=59))
        assert schedule.claim_import_event(NOON + timedelta(hours=5))
        assert not schedule.claim_import_event(NOON + timedelta(hours=5, seconds=30))


def test_a_clock_that_was_ahead_and_is_set_right_stops_no_import(make_app: AppFactory) -> None:
    with running(make_app):
        assert schedule.claim_import_event(NOON + timedelta(hours=3))
        assert schedule.claim_import_event(NOON)
        assert not schedule.claim_import_event(NOON + timedelta(seconds=59))


def test_import_events_that_nobody_was_told_are_replaced_by_the_newest(make_any_app: AppFactory) -> None:
    with running(make_any_app):
        with transaction():
            events.emit(OrderImport("shop:1", forced=True), "order-import")
        for minute in range(5):
            schedule.claim_import_event(NOON + timedelta(minutes=minute))
        assert count(EventDelivery) == 2, "the button's, and one of the schedule"


def test_an_import_event_that_was_parked_is_tried_again_with_the_next(make_any_app: AppFactory) -> None:
    with running(make_any_app) as probe:
        schedule.claim_import_event(NOON)
        with transaction() as session:
            row = session.scalars(select(EventDelivery)).one()
            row.attempts, row.parked_at = 7, NOON
        assert events.due(["probe"]) == []
        schedule.claim_import_event(utcnow() - timedelta(seconds=1))
        events.dispatch(host_port(), Unending(), "probe")  # type: ignore[arg-type]
        assert [hook for hook, _ in probe.told] == ["order_import", "order_import"]
        assert count(EventDelivery) == 0


def test_what_plugins_say_is_due_is_woken(make_app: AppFactory) -> None:
    with running(make_app) as probe:
        probe.due_wakes = [WAKE]
        assert WAKE in schedule.tick(utcnow())


def test_work_that_somebody_is_at_is_not_woken(make_any_app: AppFactory) -> None:
    with running(make_any_app) as probe:
        probe.due_wakes = [WAKE]
        lease = leases.acquire(WAKE.name)
        assert lease is not None
        assert WAKE not in schedule.tick(utcnow())
        lease.release()
        assert WAKE in schedule.tick(utcnow())


def test_a_plugin_that_fails_keeps_nobody_else_from_what_is_due(
    make_app: AppFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(make_app) as probe:
        probe.due_wakes = None  # type: ignore[assignment]
        assert schedule.tick(utcnow()) == [events.dispatch_wake("probe"), pruning.PRUNE]
        monkeypatch.setattr(Probe, "due", property(lambda self: 1 / 0))
        assert schedule.tick(utcnow()) == [events.dispatch_wake("probe"), pruning.PRUNE]


def test_backorders_whose_stock_has_arrived_are_woken(app: Flask) -> None:
    warehouse, product = add_warehouse(), add_product("A", 0)
    accept("1", (product, 2))
    assert BACKORDERS not in schedule.tick(utcnow())
    with transaction():
        adjust_stock(product, warehouse, change=2, reason="arrived", who="ann")
    assert BACKORDERS in schedule.tick(utcnow())


def test_a_tick_writes_nothing_while_nothing_is_due(make_app: AppFactory) -> None:
    with running(make_app):
        schedule.tick(utcnow())
        with reading() as session:
            before = session.scalars(select(Schedule.next_at)).all()
        schedule.tick(utcnow())
        with reading() as session:
            assert session.scalars(select(Schedule.next_at)).all() == before
        assert count(LeaseRow) == 0

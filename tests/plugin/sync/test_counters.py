"""What happens is counted by the hour, and shown by hour and day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select

from host_app.db import db, reading, transaction
from host_app.services.stock import adjust_stock
from plugin.models import HourlyCount, ShipmentEffect, Store
from plugin.sync import charts, counters
from plugin.sync.mapping import AMSTERDAM
from tests.conftest import AppFactory
from tests.plugin.conftest import KETTLE, TOASTER, Shop


def counted(shop: Shop) -> dict[str, int]:
    with reading() as session:
        rows = session.execute(select(HourlyCount.name, HourlyCount.count))
        found: dict[str, int] = {}
        for name, count in rows:
            found[name] = found.get(name, 0) + count
        return found


def change(shop: Shop, ean: str, pieces: int) -> None:
    product_id = shop.offer(ean).product_id
    with transaction():
        adjust_stock(product_id, shop.warehouse, change=pieces, reason="test", who="ann")


def test_orders_parcels_updates_and_calls_are_counted(shop: Shop) -> None:
    shop.connect(send_stock=True, send_shipments=True)
    shop.work()
    before = counted(shop)
    order_id = shop.order((KETTLE, 1), (TOASTER, 2))
    shop.import_orders()
    shop.close(order_id)
    shop.work()
    shop.pass_time(10)
    now = counted(shop)

    assert now[counters.ORDERS] - before.get(counters.ORDERS, 0) == 1
    # One parcel of two items.
    assert now[counters.SHIPMENTS] == 1
    assert now[counters.STOCK] > before.get(counters.STOCK, 0)
    made = [call for call in shop.sandbox.calls() if "token" not in call["path"]]
    assert now[counters.CALLS] <= len(shop.sandbox.calls())
    assert now[f"{counters.LIMIT}GET /retailer/orders"] == sum(
        call["path"] == "/retailer/orders" for call in made
    )


@pytest.fixture
def stock_clock(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes of stock happen at the time of the clock that tests set ahead."""
    monkeypatch.setattr("host_app.services.stock.utcnow", shop.clock.now)


@pytest.mark.usefixtures("stock_clock")
def test_the_delay_of_stock_is_counted_from_the_newest_change_that_was_told(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    change(shop, KETTLE, -1)
    shop.clock.ahead += timedelta(seconds=40)
    shop.sandbox.advance(40)
    change(shop, KETTLE, -1)
    shop.work()

    with reading() as session:
        row = session.scalars(select(HourlyCount).where(HourlyCount.name == counters.STOCK_DELAY)).one()
    assert row.count == 1
    # The dispatcher tells the newest of the two only.
    assert row.most < 30


@pytest.mark.usefixtures("stock_clock")
def test_a_change_that_waits_for_the_pump_keeps_its_age(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.sandbox.faults([{"method": "PATCH", "status": 503, "when": "before", "times": 1}])
    change(shop, KETTLE, -1)
    shop.work()
    shop.clock.ahead += timedelta(seconds=60)
    shop.sandbox.advance(60)
    change(shop, KETTLE, -1)
    shop.work()

    with reading() as session:
        row = session.scalars(select(HourlyCount).where(HourlyCount.name == counters.STOCK_DELAY)).one()
    assert row.count == 1
    assert 60 <= row.most < 120


@pytest.fixture
def any_store(make_any_app: AppFactory) -> Any:
    app: Flask = make_any_app()
    with app.app_context():
        with transaction() as session:
            session.add(
                Store(id=1, name="S", environment="sandbox", client_id="c", secret="", created_at=datetime.now(UTC))
            )  # fmt: skip
        yield app
        db.session.remove()


def test_counts_of_an_hour_add_up(any_store: Flask) -> None:
    at = datetime(2026, 11, 25, 10, 59, tzinfo=UTC)
    for seconds in (2.0, 5.0, 1.0):
        with transaction() as session:
            counters.note(session, 1, at, counters.SHIPMENTS, took=timedelta(seconds=seconds))
    with transaction() as session:
        counters.note(session, 1, at + timedelta(minutes=1), counters.SHIPMENTS)

    with reading() as session:
        rows = session.scalars(select(HourlyCount).order_by(HourlyCount.hour)).all()
    assert [(row.hour.hour, row.count, row.total, row.most) for row in rows] == [
        (10, 3, 8.0, 5.0),
        (11, 1, 0.0, 0.0),
    ]


def test_a_clock_that_goes_back_takes_nothing_off(any_store: Flask) -> None:
    with transaction() as session:
        counters.note(
            session, 1, datetime(2026, 11, 25, tzinfo=UTC), counters.STOCK_DELAY, took=timedelta(seconds=-3)
        )
    with reading() as session:
        assert session.scalars(select(HourlyCount)).one().total == 0


def test_old_hours_are_forgotten(shop: Shop) -> None:
    shop.connect()
    shop.work()
    with transaction() as session:
        counters.note(session, 1, shop.clock.now() - timedelta(days=36), counters.ORDERS)
        counters.note(session, 1, shop.clock.now() - timedelta(days=34), counters.ORDERS)
    shop.pass_time(3700)

    with reading() as session:
        hours = session.scalars(select(HourlyCount.hour).where(HourlyCount.name == counters.ORDERS)).all()
    assert [(shop.clock.now() - hour).days for hour in hours] == [34]


def test_days_are_those_of_amsterdam(shop: Shop) -> None:
    shop.connect()
    now = shop.clock.now()
    today = now.astimezone(AMSTERDAM).replace(hour=0, minute=0, second=0, microsecond=0)
    with transaction() as session:
        counters.note(session, 1, today.astimezone(UTC), counters.ORDERS)
        counters.note(session, 1, today.astimezone(UTC) - timedelta(hours=1), counters.ORDERS)
    with reading():
        days = charts.charts(shop.host, 1, charts.MONTH)[0]
        hours = charts.charts(shop.host, 1, charts.DAY)[0]

    assert list(days.series[0].values)[-2:] == [1, 1]
    assert len(days.slots) == 30
    assert len({slot.begin.date() for slot in days.slots}) == 30
    assert days.slots[-1].begin == today
    assert len(hours.slots) == 24
    assert hours.slots[-1].begin <= now < hours.slots[-1].begin + timedelta(hours=1)


def test_the_use_of_a_limit_is_told_in_percent(shop: Shop) -> None:
    shop.connect()
    with transaction() as session:
        counts = counters.Counts(1)
        # bol allows 25 a minute, 1,500 an hour.
        counts.add(f"{counters.LIMIT}GET /retailer/orders", 750)
        counts.write(session, shop.clock.now())
    with reading():
        calls = charts.charts(shop.host, 1, charts.DAY)[3]

    assert calls.series[2].values[-1] == pytest.approx(50, abs=2)


def test_a_time_is_drawn_in_the_unit_that_fits(shop: Shop) -> None:
    shop.connect()
    units = []
    for seconds in (0.4, 119, 3000, 9000):
        with transaction() as session:
            session.execute(delete(HourlyCount))
            took = timedelta(seconds=seconds)
            counters.note(session, 1, shop.clock.now(), counters.SHIPMENTS, took=took)
        with reading():
            chart = charts.charts(shop.host, 1, charts.MONTH)[1]
        assert chart.pace is not None
        assert (chart.pace.parcels, chart.pace.mean, chart.pace.slowest) == (1, seconds, seconds)
        units.append((str(chart.series[1].unit), chart.series[1].values[-1]))
    assert units == [("seconds", 0.4), ("seconds", 119), ("minutes", 50), ("hours", 2.5)]


def test_a_parcel_is_confirmed_with_the_last_of_its_items(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1), (TOASTER, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.pass_time(60)
    with transaction() as session:
        first, last = session.query(ShipmentEffect).order_by(ShipmentEffect.id)
        first.created_at = last.created_at = last.settled_at - timedelta(seconds=9)
        first.settled_at = last.settled_at - timedelta(seconds=5)
    with reading():
        pace = charts.charts(shop.host, 1, charts.DAY)[1].pace
    assert pace is not None
    assert (pace.parcels, pace.middle, pace.slowest) == (1, 9, 9)

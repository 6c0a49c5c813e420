"""What is old is deleted by schedule, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from host_app import jobs, pruning, schedule
from host_app.db import reading, transaction, utcnow
from host_app.models import Notification
from tests.conftest import AppFactory


@pytest.fixture
def house(make_any_app: AppFactory) -> Flask:
    return make_any_app()


def notify(key: str, at: timedelta, read: timedelta | None = None) -> None:
    now = utcnow()
    with transaction() as session:
        session.add(
            Notification(
                key=key,
                kind="test",
                level="info",
                title=key,
                body="",
                at=now - at,
                read_at=None if read is None else now - read,
                read_by="",
            )
        )


def work(now: datetime) -> bool:
    """Do as scheduler and worker: tell if it was time to prune."""
    wakes = [wake for wake in schedule.tick(now) if wake.name == pruning.PRUNE.name]
    for wake in wakes:
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    return bool(wakes)


def test_old_notifications_go_once_an_hour_and_others_stay(
    house: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    with house.app_context():
        for number in range(5):
            notify(f"read-{number}", timedelta(days=200), timedelta(days=91))
        notify("never read", timedelta(days=366))
        notify("read lately", timedelta(days=200), timedelta(days=89))
        notify("waits for somebody", timedelta(days=300))
        assert work(utcnow())
        with reading() as session:
            left = set(session.scalars(select(Notification.key)))
        assert left == {"read lately", "waits for somebody"}
        assert not work(utcnow())
        assert work(utcnow() + timedelta(minutes=61))

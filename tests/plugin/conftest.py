"""A warehouse with the connector, connected to a sandbox: jobs run in this process, time is moved by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import delete, select

import host_app.db
from bol_sandbox.testing import SandboxControls, running_sandbox
from host_app import events, jobs
from host_app.db import db, reading, transaction
from host_app.models import LeaseRow, Notification, Order, OrderMark, Picklist, PicklistLine, Stock
from host_app.plugin_api import HostPort, Wake
from host_app.plugins import plugins
from host_app.port import host_port
from host_app.services import backorders, picking
from host_app.services.orders import BACKORDERS
from host_app.services.picking import NewParcel
from plugin.connector import (
    BolClient,
    ClientCredentialsTokens,
    Credentials,
    MemoryTokenStore,
    ShipmentItem,
    ShipmentRequest,
    UnlimitedBudget,
    sandbox_environment,
)
from plugin.models import BolOrder, BolOrderItem, Offer, ShipmentEffect, Store
from plugin.runtime import Runtime
from plugin.settings import StoreSettings
from tests.conftest import AppFactory
from tests.host_app.factories import add_warehouse

KETTLE, TOASTER, LAMP = "8712626055143", "8804269223123", "8717418510749"
OFFERS = (
    {"ean": KETTLE, "title": "Kettle", "price": 24.95, "stock": 20, "reference": "KETTLE-1"},
    {"ean": TOASTER, "title": "Toaster", "price": 39.5, "stock": 10},
    {"ean": LAMP, "title": "Lamp", "price": 12, "stock": 5, "method": "FBB"},
)


class Shop:
    """The warehouse, its store at bol, and short ways to make things happen at either end."""

    def __init__(self, app: Flask, sandbox: SandboxControls, clock: Clock) -> None:
        self.app = app
        self.sandbox = sandbox
        self.clock = clock
        self.host: HostPort = host_port()
        self.runtime = Runtime(self.host)
        self.warehouse = add_warehouse()
        self.store_id = 0
        #: The order that a test is about.
        self.order_id = ""

    def connect(self, **changes: Any) -> int:
        """Connect and activate a store; keyword arguments change its settings."""
        self.store_id = self.runtime.connect_store(
            name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
        )
        self.runtime.save_settings(self.store_id, StoreSettings(**changes))
        self.runtime.activate(self.store_id)
        return self.store_id

    def settings(self, **changes: Any) -> None:
        self.runtime.save_settings(self.store_id, StoreSettings(**changes))

    def due(self) -> list[Wake]:
        wakes = events.due(plugins().names)
        wakes += [BACKORDERS] if backorders.due() else []
        return wakes + (plugins().call("bol", "due", host=self.host, now=self.host.now()) or [])

    def work(self, rounds: int = 50) -> None:
        """Do everything that is due now, as workers would."""
        for _ in range(rounds):
            wakes = self.due()
            if not wakes:
                return
            for wake in wakes:
                jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
        raise AssertionError(f"the work never ends: {self.due()}")

    def pass_time(self, seconds: float, steps: int = 2) -> None:
        """Let time pass at both ends, in steps, and do what becomes due after each."""
        for _ in range(steps):
            self.clock.ahead += timedelta(seconds=seconds / steps)
            self.sandbox.advance(seconds / steps)
            # Redis counts calls in real time; without its memory the budgets begin anew.
            redis.Redis.from_url(self.host.redis_url).flushall()
            self.work()

    def order(self, *items: tuple[str, int], **more: Any) -> str:
        """A customer orders (EAN, quantity) at bol; returns bol's order id."""
        lines = [{"ean": ean, "quantity": quantity} for ean, quantity in items]
        return str(self.sandbox.place_order("seller", lines, **more)["orderId"])

    def import_orders(self) -> None:
        self.runtime.import_orders(self.store_id)
        self.work()

    # reading

    def all(self, model: Any, *conditions: Any) -> list[Any]:
        with reading() as session:
            return list(session.scalars(select(model).where(*conditions).order_by(model.id)))

    def host_orders(self) -> list[Order]:
        return self.all(Order)

    def bol_order(self, order_id: str) -> BolOrder:
        (row,) = self.all(BolOrder, BolOrder.order_id == order_id)
        return row  # type: ignore[no-any-return]

    def host_order(self, order_id: str) -> Order:
        (order,) = self.all(Order, Order.reference == order_id)
        return order  # type: ignore[no-any-return]

    def picklist(self, order_id: str) -> Picklist:
        return self.all(Picklist, Picklist.order_id == self.host_order(order_id).id)[-1]  # type: ignore[no-any-return]

    def picklist_id(self, order_id: str) -> int:
        return self.picklist(order_id).id

    def picklist_lines(self, picklist_id: int) -> list[PicklistLine]:
        return self.all(PicklistLine, PicklistLine.picklist_id == picklist_id)

    def bol_order_items(self, order_id: str) -> list[BolOrderItem]:
        return self.all(BolOrderItem, BolOrderItem.order_id == self.bol_order(order_id).id)

    def bol_order_items_of(self, row: BolOrder) -> list[BolOrderItem]:
        return self.all(BolOrderItem, BolOrderItem.order_id == row.id)

    def forget_leases(self) -> None:
        """Let every lease be over, as 45 s after its holder died."""
        with transaction() as session:
            session.execute(delete(LeaseRow))

    def close(self, order_id: str, carrier: str = "postnl", tracking: str = "3S 123") -> None:
        """Pick and close the newest picklist of an order."""
        picklist_id = self.picklist(order_id).id
        with transaction():
            picking.pick_all(picklist_id)
            picking.close_picklist(picklist_id, [NewParcel(carrier, tracking)], who="ann")

    def picklists(self, order_id: str) -> list[Picklist]:
        return self.all(Picklist, Picklist.order_id == self.host_order(order_id).id)

    def ship_elsewhere(self, order_id: str) -> None:
        """Somebody ships the whole order in bol's seller portal."""
        self._ship_by_hand(
            *(ShipmentItem(item.order_item_id, item.quantity) for item in self.bol_order_items(order_id))
        )

    def ship_pieces_elsewhere(self, order_item_id: str, pieces: int) -> None:
        """Somebody ships pieces of one item in bol's seller portal."""
        self._ship_by_hand(ShipmentItem(order_item_id, pieces))

    def _ship_by_hand(self, *items: ShipmentItem) -> None:
        with closing(self.other_line()) as client:
            client.shipments.create(ShipmentRequest(items, "by hand", "TNT", "3S1", None))

    def other_line(self) -> BolClient:
        """A line to bol that makes no rows here: somebody in the seller portal, or a call that bol carries out late."""
        tokens = ClientCredentialsTokens(
            sandbox_environment(self.sandbox.url),
            Credentials("seller", "secret"),
            MemoryTokenStore(),
            "portal",
        )
        return BolClient(sandbox_environment(self.sandbox.url), tokens, UnlimitedBudget())

    def hours(self, count: float) -> timedelta:
        return timedelta(hours=count)

    def notice_bodies(self) -> list[str]:
        return [row.body for row in self.all(Notification)]

    def items_at_bol(self, order_id: str) -> list[str]:
        orders = {order["orderId"]: order for order in self.sandbox.state("seller")["orders"]}
        return [item["orderItemId"] for item in orders[order_id]["orderItems"]]

    def effects(self) -> list[ShipmentEffect]:
        return self.all(ShipmentEffect)

    def notices(self) -> list[str]:
        return [row.title for row in self.all(Notification)]

    def marks(self) -> list[str]:
        return [row.text for row in self.all(OrderMark)]

    def offer(self, ean: str) -> Offer:
        (row,) = self.all(Offer, Offer.ean == ean)
        return row  # type: ignore[no-any-return]

    def store(self) -> Store:
        (row,) = self.all(Store)
        return row  # type: ignore[no-any-return]

    def free(self, ean: str) -> int:
        product_id = self.offer(ean).product_id
        with reading() as session:
            stock = session.scalars(select(Stock).where(Stock.product_id == product_id)).one()
            return stock.physical - stock.reserved

    def amount_at_bol(self, ean: str) -> int:
        return int(self.sandbox.offer("seller", ean)["stock"]["amount"])

    def writes(self, path: str = "") -> list[dict[str, Any]]:
        """Return the calls that changed something at bol, or tried to."""
        return [
            call
            for call in self.sandbox.calls()
            if call["method"] not in ("GET", "HEAD")
            and call["path"].startswith("/retailer")
            and path in call["path"]
        ]

    def shipments_at_bol(self) -> list[dict[str, Any]]:
        return list(self.sandbox.state("seller")["shipments"])


class Clock:
    """The host's clock, which can be set ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self._now = host_app.db.utcnow

    def now(self) -> datetime:
        return self._now() + self.ahead


@pytest.fixture(scope="session")
def running_bol() -> Iterator[SandboxControls]:
    with running_sandbox() as controls:
        yield controls


@pytest.fixture
def bol_sandbox(running_bol: SandboxControls, monkeypatch: pytest.MonkeyPatch) -> SandboxControls:
    """A sandbox with one seller, no limits, and process statuses that end at once."""
    running_bol.reset()
    running_bol.limits([])
    running_bol.settings(latencyMs=0, processStatusDelayMs=0)
    running_bol.add_seller("seller", "secret", offers=OFFERS)
    monkeypatch.setenv("BOL_SANDBOX_URL", running_bol.url)
    return running_bol


@pytest.fixture
def shop(
    request: pytest.FixtureRequest, bol_sandbox: SandboxControls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """A warehouse with the connector; its store is not connected yet.

    On SQLite, or with TEST_DATABASE=postgresql in the environment on PostgreSQL.
    """
    on_postgres = os.environ.get("TEST_DATABASE") == "postgresql"
    make: AppFactory = request.getfixturevalue("make_postgres_app" if on_postgres else "make_app")
    app = make()
    clock = Clock()
    monkeypatch.setattr("host_app.db.utcnow", clock.now)
    with app.app_context():
        yield Shop(app, bol_sandbox, clock)
        db.session.remove()


@pytest.fixture
def postgres_shop(
    make_postgres_app: AppFactory, bol_sandbox: SandboxControls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """A shop on the database that locks rows, tells of two that wait for each other, and takes no text too long."""
    app, clock = make_postgres_app(), Clock()
    monkeypatch.setattr("host_app.db.utcnow", clock.now)
    with app.app_context():
        yield Shop(app, bol_sandbox, clock)
        db.session.remove()


@pytest.fixture
def pages_of_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of orders that has several pages needs few of them: bol has fifty on each."""
    monkeypatch.setattr("bol_sandbox.orders.PAGE_SIZE", 10)
    monkeypatch.setattr("plugin.connector.parsers.orders.PAGE_SIZE", 10)

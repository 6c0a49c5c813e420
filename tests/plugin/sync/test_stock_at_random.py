"""Whatever happens at both ends while stock is sent: at rest bol has what the rule calls for, and nothing is oversold
outside of the moment that the pump itself can't see."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bol_sandbox.testing import SandboxRefused
from host_app import events, jobs
from host_app.db import reading, transaction
from host_app.plugins import plugins
from host_app.services.stock import adjust_stock
from plugin.connector import BolClient
from plugin.connector.errors import ConnectionLost
from plugin.jobs.wakes import wake_for
from plugin.models import Offer, Store
from plugin.sync.due import STOCK
from plugin.sync.pump import FRESH
from tests.plugin.conftest import KETTLE, LAMP, OFFERS, TOASTER, Shop

#: A long run is started by hand: RANDOM_EXAMPLES=500 make test ARGS="-k at_random".
EXAMPLES = int(os.environ.get("RANDOM_EXAMPLES", "6"))
STEPS = int(os.environ.get("RANDOM_STEPS", "20"))
OURS = (KETTLE, TOASTER)


class Died(BaseException):
    """Stands for kill -9."""


class Life:
    """One store that sends stock, and what happens to it, chosen by a seeded random generator."""

    def __init__(
        self, shop: Shop, seed: int, monkeypatch: pytest.MonkeyPatch, stock: int = 10, **changes: Any
    ) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.patch = monkeypatch
        self.client_id = f"seller-{uuid.uuid4()}"
        shop.sandbox.add_seller(
            self.client_id, "secret", offers=[offer | {"stock": stock} for offer in OFFERS]
        )
        self.lamp = shop.sandbox.offer(self.client_id, LAMP)
        shop.store_id = shop.runtime.connect_store(
            name=self.client_id, environment="sandbox", client_id=self.client_id, client_secret="secret"
        )
        shop.settings(send_stock=True, guard_least=1000, **changes)
        shop.runtime.activate(shop.store_id)
        shop.work()
        self.orders: list[str] = []
        self.sold = dict.fromkeys(OURS, 0)

    def buy(self) -> None:
        """A customer buys what bol shows, never more."""
        ean = self.dice.choice(OURS)
        there = self.shop.sandbox.offer(self.client_id, ean)["stock"]["correctedStock"]
        if there > 0:
            self.order(ean, self.dice.randint(1, min(there, 4)))

    def order(self, ean: str, quantity: int) -> None:
        try:
            order = self.shop.sandbox.place_order(self.client_id, [{"ean": ean, "quantity": quantity}])
        except SandboxRefused:
            return
        self.orders.append(order["orderId"])
        self.sold[ean] += quantity

    def count(self) -> None:
        """Somebody finds or sells some pieces in the warehouse."""
        ean = self.dice.choice(OURS)
        self.adjust(ean, self.dice.randint(-min(3, max(self.free(ean), 0)), 3))

    def find(self) -> None:
        """Somebody finds some pieces in the warehouse."""
        self.adjust(self.dice.choice(OURS), self.dice.randint(1, 3))

    def adjust(self, ean: str, change: int) -> None:
        product_id = self.product(ean)
        if change:
            with transaction():
                adjust_stock(product_id, self.shop.warehouse, change=change, reason="test", who="ann")

    def cancel(self) -> None:
        if self.orders:
            order_id = self.dice.choice(self.orders)
            try:
                self.shop.sandbox.cancel(order_id)
            except SandboxRefused:
                return

    def work(self) -> None:
        self.shop.work()

    def push(self) -> None:
        """The stock job runs, and no import."""
        for wake in events.due(plugins().names):
            jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
        wake = wake_for(STOCK, self.shop.store_id)
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))

    def wait(self) -> None:
        self.shop.pass_time(self.dice.choice((1, 6, 40)), steps=1)

    def fault(self) -> None:
        self.shop.sandbox.faults(
            [
                {
                    "method": self.dice.choice(("PATCH", "GET")),
                    "path": self.dice.choice(("/retailer/offers/*", "/retailer/orders")),
                    "when": self.dice.choice(("before", "after")),
                    "times": self.dice.randint(1, 3),
                }
                | self.dice.choice(({"drop": True}, {"status": 500}, {"status": 429}))
            ]
        )

    def die(self) -> None:
        """A worker dies before or after some call to bol, and 45 seconds later its lease is over."""
        real, left, after = BolClient.call, self.dice.randint(0, 8), self.dice.random() < 0.5

        def call(client: BolClient, *arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left >= 0:
                return real(client, *arguments, **more)
            if after:
                real(client, *arguments, **more)
            raise Died

        with self.patch.context() as patch:
            patch.setattr(BolClient, "call", call)
            try:
                self.shop.work()
            except (Died, ConnectionLost):
                self.shop.forget_leases()

    def rest(self) -> None:
        """Heal everything and let time pass until nothing is owed."""
        self.shop.sandbox.faults([])
        self.shop.forget_leases()
        self.shop.pass_time(4000, steps=3)
        self.shop.pass_time(60, steps=4)

    def row(self, ean: str) -> Offer:
        (row,) = self.shop.all(Offer, Offer.ean == ean, Offer.store_id == self.shop.store_id)
        return row  # type: ignore[no-any-return]

    def product(self, ean: str) -> int:
        return self.row(ean).product_id or 0

    def free(self, ean: str) -> int:
        product_id = self.product(ean)
        with reading():
            return self.shop.host.free_stock([product_id])[product_id].free

    def check(self) -> None:
        """At rest every offer shows what is free, and bol's own goods are untouched."""
        for ean in OURS:
            stock = self.shop.sandbox.offer(self.client_id, ean)["stock"]
            assert stock["correctedStock"] == max(0, self.free(ean)), ean
        assert self.shop.sandbox.offer(self.client_id, LAMP) == self.lamp

    def close(self) -> None:
        self.shop.runtime.pause(self.shop.store_id)
        with transaction() as session:
            session.get_one(Store, self.shop.store_id).next_erase_at = (
                self.shop.hours(24) + self.shop.host.now()
            )


def a_life(shop: Shop, seed: int, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Life:
    life = Life(shop, seed, monkeypatch, **changes)
    acts: list[Callable[[], None]] = [
        life.buy,
        life.buy,
        life.count,
        life.count,
        life.cancel,
        life.work,
        life.push,
        life.wait,
        life.fault,
        life.die,
    ]
    for _ in range(STEPS):
        life.dice.choice(acts)()
    return life


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("managed", [True, False])
def test_at_rest_bol_has_what_the_rule_calls_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, managed: bool, seed: int
) -> None:
    life = a_life(shop, seed, monkeypatch, managed_by_retailer=managed)
    life.rest()
    life.check()
    life.close()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_oversold_but_by_orders_between_a_read_and_the_read_after_the_update(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Customers buy at random moments, also between two calls of a job.

    What remains: an order placed after the read that an update relies on has begun, which is at most FRESH and the
    time of one batch before it, may be sold again until the read after the update, FRESH later, has been answered.
    Nothing is sold here meanwhile but at bol. Free stock may fall below zero by the pieces ordered in such moments, and never by more.
    """
    life = Life(shop, seed, monkeypatch, stock=3)
    chance = life.dice.choice((0.0, 0.0, 0.2))
    exposed = dict.fromkeys(OURS, 0)
    real = BolClient.call
    inside = False

    def call(client: BolClient, *arguments: Any, **more: Any) -> Any:
        nonlocal inside
        if not inside and life.dice.random() < chance:
            inside = True
            buy(seen=False)
            inside = False
        return real(client, *arguments, **more)

    def buy(*, seen: bool) -> None:
        before = dict(life.sold)
        life.buy()
        if not seen:
            for ean in OURS:
                exposed[ean] += life.sold[ean] - before[ean]

    with monkeypatch.context() as patch:
        patch.setattr(BolClient, "call", call)
        for _ in range(STEPS):
            life.dice.choice((lambda: buy(seen=True), life.find, life.push, life.push, life.work))()
            # Everything bought between two jobs is older than the next read.
            shop.clock.ahead += 2 * FRESH
            shop.sandbox.advance(2 * FRESH.total_seconds())
    life.rest()
    for ean in OURS:
        assert life.free(ean) >= -exposed[ean], ean
    life.check()
    life.close()

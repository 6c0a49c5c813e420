"""Whatever happens at both ends while stock is sent: at rest bol has what the rule calls for, and nothing is oversold
outside of the moment that the pump itself can't see."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bol_sandbox.testing import SandboxRefused
from host_app import events, jobs
from host_app.db import reading, transaction
from host_app.models import Order, Picklist, PicklistLine
from host_app.models.picking import PicklistState
from host_app.plugin_api import HostError
from host_app.plugins import plugins
from host_app.services import picking
from host_app.services.picking import NewParcel
from host_app.services.stock import adjust_stock
from plugin.connector import BolClient, routes
from plugin.connector.errors import ConnectionLost
from plugin.jobs.wakes import wake_for
from plugin.models import Offer, Store
from plugin.settings import StoreSettings
from plugin.sync.due import STOCK
from plugin.sync.order_list import FRESH
from tests.plugin.conftest import KETTLE, LAMP, OFFERS, TOASTER, Shop
from tests.plugin.sync.lives import FEW, MANY, STEPS, Died, at_random

OURS = (KETTLE, TOASTER)
#: A busy machine may take this long from the amount being worked out to the call.
SLOW = timedelta(seconds=2)


@dataclass(frozen=True)
class Bought:
    """What a customer bought, and when."""

    ean: str
    quantity: int
    at: datetime


class Branch:
    """One store that sends stock, and its seller at bol."""

    def __init__(self, shop: Shop, stock: int, **changes: Any) -> None:
        self._shop = shop
        self.client_id = f"seller-{uuid.uuid4()}"
        shop.sandbox.add_seller(
            self.client_id, "secret", offers=[offer | {"stock": stock} for offer in OFFERS]
        )
        self.lamp = self.at_bol(LAMP)
        self.store_id = shop.runtime.connect_store(
            name=self.client_id, environment="sandbox", client_id=self.client_id, client_secret="secret"
        )
        self.settings = StoreSettings(send_stock=True, send_shipments=True, guard_least=1000, **changes)
        self.change()
        shop.runtime.activate(self.store_id)
        shop.work()
        self.orders: list[str] = []

    def change(self, **changes: Any) -> None:
        self.settings = replace(self.settings, **changes)
        self._shop.runtime.save_settings(self.store_id, self.settings)

    def at_bol(self, ean: str) -> dict[str, Any]:
        return self._shop.sandbox.offer(self.client_id, ean)

    def open_at_bol(self, ean: str) -> int:
        """Return the pieces of open orders, by bol's own account."""
        return sum(
            item["quantity"] - item["quantityShipped"] - item["quantityCancelled"]
            for order in self._shop.sandbox.state(self.client_id)["orders"]
            for item in order["orderItems"]
            if item["product"]["ean"] == ean
        )

    def row(self, ean: str) -> Offer:
        (row,) = self._shop.all(Offer, Offer.ean == ean, Offer.store_id == self.store_id)
        return row  # type: ignore[no-any-return]


class Life:
    """A warehouse whose goods one or two stores sell, and what happens to it, chosen by a seeded random generator."""

    def __init__(
        self,
        shop: Shop,
        seed: int,
        monkeypatch: pytest.MonkeyPatch,
        stock: int = 10,
        stores: int = 1,
        **changes: Any,
    ) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.patch = monkeypatch
        self.branches = [Branch(shop, stock, **changes) for _ in range(stores)]
        self.bought: list[Bought] = []
        #: What there really is of each, whoever knows of it; kept up by those who buy, count and find.
        self.there = dict.fromkeys(OURS, stock)
        # Products are there from the lives before.
        for ean in OURS:
            self.adjust(ean, stock - self.free(ean))
            self.there[ean] = stock
        shop.work()

    @property
    def branch(self) -> Branch:
        return self.dice.choice(self.branches)

    def buy(self) -> None:
        """A customer buys what bol shows, never more."""
        ean, branch = self.dice.choice(OURS), self.branch
        there = branch.at_bol(ean)["stock"]["correctedStock"]
        if there <= 0:
            return
        quantity = self.dice.randint(1, min(there, 4))
        try:
            order = self.shop.sandbox.place_order(branch.client_id, [{"ean": ean, "quantity": quantity}])
        except SandboxRefused:
            return
        branch.orders.append(order["orderId"])
        self.bought.append(Bought(ean, quantity, self.shop.clock.now()))
        self.there[ean] -= quantity

    def pieces(self, numbers: Iterable[int]) -> int:
        """Return the pieces of these purchases."""
        return sum(self.bought[number].quantity for number in numbers)

    def count(self) -> None:
        """Somebody finds or sells some pieces in the warehouse."""
        ean = self.dice.choice(OURS)
        self.adjust(ean, self.dice.randint(-min(3, max(self.free(ean), 0)), 3))

    def find(self) -> None:
        """Somebody finds some pieces in the warehouse."""
        self.adjust(self.dice.choice(OURS), self.dice.randint(1, 3))

    def adjust(self, ean: str, change: int) -> None:
        product_id = self.product(ean)
        self.there[ean] += change
        if change:
            with transaction():
                adjust_stock(product_id, self.shop.warehouse, change=change, reason="test", who="ann")

    def cancel(self) -> None:
        branch = self.branch
        if branch.orders:
            try:
                self.shop.sandbox.cancel(
                    self.dice.choice(branch.orders), None, self.dice.choice((None, None, 1))
                )
            except SandboxRefused:
                return

    def ship(self) -> None:
        """A packer ships all of a picklist, or a piece of each line."""
        sources = [f"bol:{branch.store_id}" for branch in self.branches]
        lists = self.shop.all(
            Picklist,
            Picklist.state == PicklistState.NEW,
            Picklist.order.has(Order.source.in_(sources)),
        )
        if not lists:
            return
        chosen, everything = self.dice.choice(lists).id, self.dice.random() < 0.5
        try:
            with transaction() as session:
                if everything:
                    picking.pick_all(chosen)
                else:
                    for line in session.query(PicklistLine).filter_by(picklist_id=chosen):
                        picking.pick(line.id, 1)
                picking.close_picklist(chosen, [NewParcel("postnl", "3S1")], who="ann")
        except HostError:
            return

    def rules(self) -> None:
        """Somebody changes by what rule amounts are computed."""
        self.branch.change(
            safety_stock=self.dice.choice((0, 0, 1, 3)), max_stock=self.dice.choice((999, 999, 5))
        )

    def import_products(self) -> None:
        self.shop.runtime.import_products(self.branch.store_id)
        self.work()

    def check_stock(self) -> None:
        """Somebody starts a stock check, or one that only reports."""
        try:
            self.shop.runtime.check_stock(self.branch.store_id, dry=self.dice.random() < 0.3, who="ann")
        except HostError:
            return
        self.work()

    def work(self) -> None:
        self.shop.work()

    def push(self) -> None:
        """The stock jobs run, and no import."""
        for wake in events.due(plugins().names):
            jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
        for branch in self.branches:
            wake = wake_for(STOCK, branch.store_id)
            jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))

    def wait(self) -> None:
        self.shop.pass_time(self.dice.choice((1, 6, 40)), steps=1)

    def fault(self) -> None:
        self.shop.sandbox.faults(
            [
                {
                    "method": self.dice.choice(("PATCH", "GET")),
                    "path": self.dice.choice(
                        ("/retailer/offers/*", "/retailer/offers", "/retailer/orders", "/retailer/orders/*")
                    ),
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

    def product(self, ean: str) -> int:
        return self.branches[0].row(ean).product_id or 0

    def free(self, ean: str) -> int:
        product_id = self.product(ean)
        with reading():
            return self.shop.host.free_stock([product_id])[product_id].free

    def check(self) -> None:
        """At rest every offer shows what the rule calls for, and bol's own goods are untouched."""
        for branch in self.branches:
            rules = branch.settings
            for ean in OURS:
                stock = branch.at_bol(ean)["stock"]
                free = self.free(ean) - rules.safety_stock
                if not rules.managed_by_retailer:
                    free += branch.open_at_bol(ean)
                assert stock["amount"] == max(0, min(free, rules.max_stock)), ean
                assert stock["managedByRetailer"] == rules.managed_by_retailer
                if rules.managed_by_retailer:
                    # No order was placed since that the amount does not know of.
                    assert stock["correctedStock"] == stock["amount"], ean
            assert branch.at_bol(LAMP) == branch.lamp

    def close(self) -> None:
        for branch in self.branches:
            self.shop.runtime.pause(branch.store_id)
            with transaction() as session:
                session.get_one(Store, branch.store_id).next_erase_at = (
                    self.shop.hours(24) + self.shop.host.now()
                )


@pytest.mark.parametrize("managed", [True, False])
@at_random(FEW)
def test_at_rest_bol_has_what_the_rule_calls_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, managed: bool, seed: int
) -> None:
    bol_has_what_the_rule_calls_for(shop, monkeypatch, seed, managed)


@pytest.mark.long
@pytest.mark.parametrize("stores", [1, 2])
@pytest.mark.parametrize("managed", [True, False])
@at_random(MANY)
def test_at_rest_bol_has_what_the_rule_calls_for_in_many_lives(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, managed: bool, stores: int, seed: int
) -> None:
    bol_has_what_the_rule_calls_for(shop, monkeypatch, seed, managed, stores)


def bol_has_what_the_rule_calls_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int, managed: bool, stores: int = 1
) -> None:
    life = Life(shop, seed, monkeypatch, stores=stores, managed_by_retailer=managed)
    acts: list[Callable[[], None]] = [
        *(life.buy, life.buy, life.buy, life.count, life.count, life.cancel, life.ship, life.rules),
        *(life.work, life.work, life.push, life.wait, life.fault, life.die),
        *(life.import_products, life.check_stock),
    ]
    for _ in range(STEPS):
        life.dice.choice(acts)()
    life.rest()
    life.check()
    life.close()


@at_random(FEW)
def test_nothing_is_oversold_but_by_orders_between_the_read_before_an_update_and_the_update(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    nothing_else_is_oversold(shop, monkeypatch, seed)


@pytest.mark.long
@at_random(MANY)
def test_nothing_else_is_oversold_in_many_lives(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    nothing_else_is_oversold(shop, monkeypatch, seed)


def nothing_else_is_oversold(shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Customers buy at random moments, also between any two calls of a job; nothing is sold here but at bol.

    What remains, to the piece: an order of an offer is exposed where it was placed after the newest complete read of
    the order list had begun, at most FRESH before an update of that offer reached bol. No update offers more than
    there is and the pieces of exposed orders; free stock may fall below zero by those pieces, and never by more. It
    lasts no longer than the next read: 2 x FRESH later bol shows no piece more than there is, although nothing was
    imported.
    """
    life = Life(shop, seed, monkeypatch, stock=3)
    (branch,) = life.branches
    chance = life.dice.choice((0.0, 0.1, 0.3))
    eans = {branch.row(ean).offer_id: ean for ean in OURS}
    exposed: set[int] = set()
    #: Updates that offered more than there was, with the exposed orders.
    wrong: list[tuple[str, int]] = []
    #: So many purchases were made when the newest complete read of the list began.
    known = 0
    real, inside, alone = BolClient.call, False, threading.Lock()

    def call(client: BolClient, route: routes.Route, **more: Any) -> Any:
        # One call after the other: what is bought beside a call in flight is neither before nor after it.
        nonlocal inside, known
        with alone:
            if not inside and life.dice.random() < chance:
                inside = True
                life.buy()
                inside = False
            if route == routes.PATCH_OFFER and (ean := eans.get(more["values"]["offer-id"])):
                since, amount = shop.clock.now() - FRESH - SLOW, more["body"]["stock"]["amount"]
                now = {
                    n
                    for n, bought in enumerate(life.bought)
                    if n >= known and bought.ean == ean and bought.at > since
                }
                exposed.update(now)
                if amount > max(0, life.there[ean] + life.pieces(now)):
                    wrong.append((ean, amount))
            began = len(life.bought)
            answer = real(client, route, **more)
            if route == routes.ORDERS:
                known = began
            return answer

    def pass_time(seconds: float) -> None:
        """The scheduler wakes the stock job where that is due, and nothing else."""
        shop.clock.ahead += timedelta(seconds=seconds)
        shop.sandbox.advance(seconds)
        for wake in shop.due():
            if wake == wake_for(STOCK, branch.store_id):
                jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))

    with monkeypatch.context() as patch:
        patch.setattr(BolClient, "call", call)
        for _ in range(STEPS):
            life.dice.choice((life.buy, life.buy, life.find, life.push, life.push, life.work))()
            pass_time(life.dice.choice((0, 0, 2, 7)))
            if life.dice.random() < 0.3:
                inside = True
                for _ in range(3):
                    pass_time(2 * FRESH.total_seconds())
                for ean in OURS:
                    shown = branch.at_bol(ean)["stock"]["correctedStock"]
                    assert shown <= max(0, life.there[ean]), ean
                inside = False
    assert wrong == []
    life.rest()
    for ean in OURS:
        assert life.free(ean) == life.there[ean]
        assert life.free(ean) >= -life.pieces(n for n in exposed if life.bought[n].ean == ean), ean
    life.check()
    life.close()

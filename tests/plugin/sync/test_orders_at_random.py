"""Whatever happens at bol while imports run, die and start again: the host has what bol's state calls for, once."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import func, select

from host_app.db import reading
from host_app.models import Order, OrderLine, Stock
from plugin.connector import BolClient
from plugin.connector.errors import ConnectionLost
from plugin.models import BolOrder
from tests.plugin.conftest import KETTLE, LAMP, OFFERS, TOASTER, Shop
from tests.plugin.sync.lives import FEW, MANY, STEPS, Died, at_random


class Life:
    """One store and what happens to it, chosen by a seeded random generator."""

    def __init__(self, shop: Shop, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shop = shop
        self.dice = random.Random(seed)
        self.patch = monkeypatch
        self.client_id = f"seller-{seed}-{self.dice.random()}"
        shop.sandbox.add_seller(self.client_id, "secret", offers=OFFERS)
        shop.store_id = shop.runtime.connect_store(
            name=self.client_id, environment="sandbox", client_id=self.client_id, client_secret="secret"
        )
        shop.runtime.activate(shop.store_id)
        self.orders: list[str] = []

    def place(self) -> None:
        for _ in range(self.dice.choice((1, 1, 3, 12))):
            eans = self.dice.sample((KETTLE, TOASTER, LAMP), self.dice.randint(1, 3))
            items = [{"ean": ean, "quantity": self.dice.randint(1, 3)} for ean in eans]
            self.orders.append(self.shop.sandbox.place_order(self.client_id, items, force=True)["orderId"])

    def cancel(self) -> None:
        order = self.some_open()
        if order:
            items = [item["orderItemId"] for item in order["orderItems"] if is_open(item)]
            chosen = self.dice.choice((None, items[:1]))
            self.shop.sandbox.cancel(order["orderId"], chosen, self.dice.choice((None, None, 1)))

    def ask(self) -> None:
        order = self.some_open()
        if order:
            self.shop.sandbox.request_cancellation(order["orderId"])

    def import_now(self) -> None:
        self.shop.import_orders()

    def die(self) -> None:
        """A worker dies before or after some call to bol, and 45 seconds later its lease is over."""
        real, left, after = BolClient.call, self.dice.randint(0, 12), self.dice.random() < 0.5

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
                self.shop.import_orders()
            except Died:
                pass
        self.shop.forget_leases()

    def lose_answers(self) -> None:
        real = BolClient.call

        def call(client: BolClient, *arguments: Any, **more: Any) -> Any:
            answer = real(client, *arguments, **more)
            if self.dice.random() < 0.3:
                raise ConnectionLost("lost on the way")
            return answer

        with self.patch.context() as patch:
            patch.setattr(BolClient, "call", call)
            self.shop.import_orders()

    def wait(self) -> None:
        self.shop.pass_time(self.dice.choice((60, 600, 5400)), steps=1)

    def some_open(self) -> dict[str, Any] | None:
        orders = [order for order in self.at_bol() if any(is_open(item) for item in order["orderItems"])]
        return self.dice.choice(orders) if orders else None

    def at_bol(self) -> list[dict[str, Any]]:
        return list(self.shop.sandbox.state(self.client_id)["orders"])

    def live(self) -> None:
        deeds = (
            self.place,
            self.cancel,
            self.cancel,
            self.ask,
            self.import_now,
            self.die,
            self.lose_answers,
            self.wait,
        )
        for _ in range(STEPS):
            self.dice.choice(deeds)()

    def heal(self) -> None:
        self.shop.forget_leases()
        self.shop.pass_time(7200, steps=4)
        self.shop.import_orders()


def is_open(item: dict[str, Any]) -> bool:
    return bool(item["quantity"] > item["quantityShipped"] + item["quantityCancelled"])


@pytest.mark.usefixtures("pages_of_ten")
@at_random(2 * FEW, derandomize=True)
def test_orders_at_random_come_in_exactly_once_and_as_bol_has_them(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    come_in_exactly_once(shop, monkeypatch, seed)


@pytest.mark.long
@pytest.mark.usefixtures("pages_of_ten")
@at_random(MANY)
def test_orders_at_random_come_in_exactly_once_in_many_lives(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    come_in_exactly_once(shop, monkeypatch, seed)


def come_in_exactly_once(shop: Shop, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    life = Life(shop, seed, monkeypatch)
    life.live()
    life.heal()
    for order in life.at_bol():
        agrees(shop, order)
    reserved_agrees()
    shop.runtime.pause(shop.store_id)


def agrees(shop: Shop, order: dict[str, Any]) -> None:
    """The host has the order once, with the pieces that were open when it came in, or cancelled as bol cancelled it."""
    ours = {
        item["orderItemId"]: item for item in order["orderItems"] if item["fulfilment"]["method"] == "FBR"
    }
    still_open = [item for item in ours.values() if is_open(item)]
    found = shop.all(Order, Order.reference == order["orderId"], Order.source == f"bol:{shop.store_id}")
    if not found:
        assert not still_open, f"{order['orderId']} never came in"
        return
    assert len(found) == 1
    lines = shop.all(OrderLine, OrderLine.order_id == found[0].id)
    assert {line.external_ref for line in lines} <= set(ours)
    assert found[0].state == ("processing" if still_open else "cancelled")
    if still_open:
        (row,) = shop.all(BolOrder, BolOrder.order_id == order["orderId"], BolOrder.store_id == shop.store_id)
        imported = {item.order_item_id: item for item in shop.bol_order_items_of(row)}
        for line in lines:
            item = imported[str(line.external_ref)]
            assert line.quantity == ours[item.order_item_id]["quantity"] - item.cancelled_before_import
        assert {item["orderItemId"] for item in still_open} <= {line.external_ref for line in lines}


def reserved_agrees() -> None:
    """What is reserved is what is open, for each product."""
    with reading() as session:
        reserved = dict(
            session.execute(
                select(Stock.product_id, func.sum(Stock.reserved)).group_by(Stock.product_id)
            ).all()
        )
        owed = dict(
            session.execute(
                select(
                    OrderLine.product_id,
                    func.sum(OrderLine.quantity - OrderLine.shipped - OrderLine.cancelled),
                ).group_by(OrderLine.product_id)
            ).all()
        )
    assert {key: value for key, value in reserved.items() if value} == {
        key: value for key, value in owed.items() if value
    }

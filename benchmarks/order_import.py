"""The time until 1,000 open orders of bol are in the warehouse, at 100 ms latency and bol's published limits.

The floor is the time that the limits alone take: each order is read once, 25 a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from sqlalchemy import func, select

from benchmarks.result import Result
from benchmarks.shop import Shop, shop
from host_app.db import reading
from host_app.models import Order
from plugin.sync.due import ORDERS

ORDERS_PLACED = 1000
LATENCY_MS = 100
DETAILS_A_SECOND = 25
#: At most this many times the floor.
GOAL = 1.1


def measure() -> Iterator[Result]:
    """Place the orders, activate the store, and wait until all are in."""
    with shop(offers=50) as running:
        for number in range(ORDERS_PLACED):
            running.order(number)
        running.sandbox.settings(latencyMs=LATENCY_MS)
        running.connect(import_products=False)
        began = time.perf_counter()
        while in_host() < ORDERS_PLACED:
            running.work(ORDERS)
        seconds = time.perf_counter() - began
        check(running)
    yield Result("order-import", seconds, "s", ORDERS_PLACED / DETAILS_A_SECOND, GOAL, higher_is_better=False)


def in_host() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(Order)) or 0


def check(running: Shop) -> None:
    """A result without every order once, or with calls beyond bol's limits, would be worth nothing."""
    refused = [call for call in running.sandbox.calls() if call["status"] == 429]
    if refused or in_host() != ORDERS_PLACED:
        raise RuntimeError(f"{in_host()} orders came in, {len(refused)} calls were over bol's limits")

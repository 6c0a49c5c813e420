"""Stock updates a second while 5,000 changed offers are sent, at 150 ms latency and bol's limit of 50 a second.

Beside it the plain loop that many connectors are: one call after the other with the same client.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.result import Result
from benchmarks.shop import PIECES, Shop, shop
from plugin.sync.due import STOCK

OFFERS = 5000
LATENCY_MS = 150
A_SECOND = 50
GOAL = 0.95
#: The plain loop would need a quarter of an hour for all of them.
LOOPED = 100


def measure() -> Iterator[Result]:
    """Change every offer, let the pump send them, then send some one after the other."""
    with shop(offers=OFFERS) as running:
        running.connect(send_stock=True)
        running.work_all()
        running.change(-1, *running.products().values())
        running.tell()
        running.sandbox.settings(latencyMs=LATENCY_MS)
        yield Result("stock-throughput", pumped(running), "calls/s", A_SECOND, GOAL)
        yield Result("stock-throughput-loop", looped(running), "calls/s", A_SECOND)


def pumped(running: Shop) -> float:
    """Return how many calls a second bol received, from the start of the pump to the last call."""
    before = len(running.sandbox.calls())
    began = time.time()
    while len(calls := running.calls(before)) < OFFERS:
        running.work(STOCK)
    running.check_amounts(dict.fromkeys(running.eans, PIECES - 1))
    if len(calls) != OFFERS:
        raise RuntimeError(f"{len(calls)} calls for {OFFERS} changed offers")
    last: float = max(call["at"] for call in calls)
    return OFFERS / (last - began)


def looped(running: Shop) -> float:
    """Return how many calls a second one thread makes that waits for each answer."""
    some = list(running.offers.values())[:LOOPED]
    with running.context() as ctx:
        began = time.perf_counter()
        for offer_id in some:
            ctx.client.offers.set_stock(offer_id, PIECES, True)
        return LOOPED / (time.perf_counter() - began)

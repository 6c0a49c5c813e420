"""Calls that a burst of 10,000 changes on 500 offers costs: many changes of one offer are one call.

Once with workers that are started after the burst, once with workers that run meanwhile.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.result import Result
from benchmarks.shop import PIECES, Shop, processes, shop, wait_until

OFFERS = 500
CHANGES = 10_000
A_SECOND = 50
#: Calls at most, of a burst that is over when the workers start.
MOST_CALLS = 525
#: Seconds at most, from the last commit until all amounts are right.
MOST_SECONDS = 12.0
QUIET_SECONDS = 3.0
PATIENCE_SECONDS = 120.0


def measure() -> Iterator[Result]:
    """Make the burst twice."""
    with shop(offers=OFFERS) as running:
        running.connect(send_stock=True)
        running.work_all()
        expected = Counter(dict.fromkeys(running.eans, PIECES))
        yield from waiting(running, expected)
        yield from live(running, expected)


def waiting(running: Shop, expected: Counter[str]) -> Iterator[Result]:
    """All changes are committed before the workers start."""
    before = len(running.sandbox.calls())
    burst(running, expected, seed=1)
    with processes(running):
        settled(running, expected)
        time.sleep(QUIET_SECONDS)
    calls = len(running.calls(before))
    yield Result("stock-burst-waiting", calls, "calls", OFFERS, limit=MOST_CALLS, higher_is_better=False)


def live(running: Shop, expected: Counter[str]) -> Iterator[Result]:
    """The workers send while changes are committed."""
    before = len(running.sandbox.calls())
    with processes(running):
        time.sleep(QUIET_SECONDS)
        began = time.monotonic()
        burst(running, expected, seed=2)
        committed = time.monotonic()
        settled(running, expected)
        right = time.monotonic()
        time.sleep(QUIET_SECONDS)
    calls = len(running.calls(before))
    most = OFFERS + A_SECOND * (committed - began)
    yield Result("stock-burst-live", calls, "calls", OFFERS, limit=most, higher_is_better=False)
    yield Result(
        "stock-burst-right-after", right - committed, "s", limit=MOST_SECONDS, higher_is_better=False
    )


def burst(running: Shop, expected: Counter[str], seed: int) -> None:
    """Change products at random, each in a commit of its own, and keep count of what they come to."""
    products, dice = running.products(), random.Random(seed)
    for _ in range(CHANGES):
        ean, pieces = dice.choice(running.eans), dice.choice((-2, -1, 1, 2))
        running.change(pieces, products[ean])
        expected[ean] += pieces


def settled(running: Shop, expected: Counter[str]) -> None:
    """Wait until bol has all amounts. :raises RuntimeError: it takes too long."""
    wait_until(lambda: running.amounts() == expected, PATIENCE_SECONDS)

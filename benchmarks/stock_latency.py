"""From the commit of one change of stock to bol's receiving it, on an idle system with real workers.

The floor is measured in between: two chained jobs that do nothing, in the same workers, and one request.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks import noop
from benchmarks.result import Result
from benchmarks.shop import PIECES, Shop, processes, shop, wait_until

CHANGES = 200
APART = 0.25
#: So many changes, then so many chains, and so on.
TURN = 20
GOAL = 2.0
LIMIT_MS = 100.0
SETTLE_SECONDS = 20.0
QUIET_SECONDS = 2.0

Item = TypeVar("Item")


def measure() -> Iterator[Result]:
    """Change some products one after the other, in turns with chains of jobs, and read when bol was called."""
    with shop(offers=CHANGES) as running:
        running.connect(send_stock=True)
        running.work_all()
        with processes(running):
            time.sleep(QUIET_SECONDS)
            waits, floors = in_turns(running)
        running.check_amounts(dict.fromkeys(running.eans, PIECES - 1))
    for name, share, limit in (("p50", 50, None), ("p95", 95, LIMIT_MS)):
        yield Result(
            f"stock-latency-{name}",
            percentile(waits, share),
            "ms",
            percentile(floors, share),
            GOAL if limit else None,
            limit,
            higher_is_better=False,
        )


def in_turns(running: Shop) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each change, and of each chain of jobs that do nothing."""
    products = running.products()
    connection = redis.Redis.from_url(running.environment["REDIS_URL"])
    queue = Queue(noop.FIRST, connection=connection, serializer=JSONSerializer)
    before = len(running.sandbox.calls())
    host = urlsplit(running.sandbox.url).netloc
    changed: dict[str, float] = {}
    chained: dict[str, float] = {}
    for start in range(0, CHANGES, TURN):
        for ean in apart(running.eans[start : start + TURN]):
            changed[running.offers[ean]] = time.time()
            running.change(-1, products[ean])
        for number in apart(range(start, start + TURN)):
            chained[str(number)] = time.time()
            noop.enqueue_first(queue, host, number)
    wait_until(lambda: len(running.calls(before)) >= CHANGES, SETTLE_SECONDS)
    wait_until(lambda: len(noted(running, before)) >= CHANGES, SETTLE_SECONDS)
    time.sleep(QUIET_SECONDS)
    patches = running.calls(before)
    if len(patches) != CHANGES:
        raise RuntimeError(f"{len(patches)} calls for {CHANGES} changes")
    received = {call["path"].rpartition("/")[2]: call["at"] for call in patches}
    return differences(changed, received), differences(chained, noted(running, before))


def noted(running: Shop, before: int) -> dict[str, float]:
    """Return when the request of each chain was received."""
    return {
        parse_qs(call["query"])["number"][0]: call["at"]
        for call in running.sandbox.calls(before)
        if call["path"] == "/retailer/public/ratelimits"
    }


def apart(items: Iterable[Item]) -> Iterator[Item]:
    """Yield one after the other, ``APART`` seconds from beginning to beginning."""
    began = time.monotonic()
    for number, item in enumerate(items, 1):
        time.sleep(max(0.0, began + number * APART - time.monotonic()))
        yield item


def differences(began: Mapping[str, float], ended: Mapping[str, float]) -> list[float]:
    """Return the milliseconds between the two, for each key."""
    return [(ended[key] - moment) * 1000 for key, moment in began.items()]


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]

"""From the commit of one change of stock to bol's receiving it, on an idle system with real workers.

The floor is measured between the changes: two chained jobs that do nothing, in the same workers, and one request.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks import noop
from benchmarks.result import Result
from benchmarks.shop import PIECES, Shop, processes, shop, wait_until

CHANGES = 200
APART = 0.25
GOAL = 2.0
LIMIT_MS = 100.0
SETTLE_SECONDS = 20.0


def measure() -> Iterator[Result]:
    """Change one product after the other, in turns with the chain of jobs, and read when bol was called."""
    with shop(offers=CHANGES) as running:
        running.connect(send_stock=True)
        running.work_all()
        with processes(running):
            time.sleep(2)
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
    next_at = time.monotonic()
    for number, ean in enumerate(running.eans):
        next_at = sleep_until(next_at + APART)
        changed[running.offers[ean]] = time.time()
        running.change(-1, products[ean])
        next_at = sleep_until(next_at + APART)
        chained[str(number)] = time.time()
        noop.enqueue_first(queue, host, number)
    wait_until(lambda: len(running.calls(before)) >= CHANGES, SETTLE_SECONDS)
    time.sleep(2)
    patches = running.calls(before)
    if len(patches) != CHANGES:
        raise RuntimeError(f"{len(patches)} calls for {CHANGES} changes")
    received = {call["path"].rpartition("/")[2]: call["at"] for call in patches}
    noted = {
        parse_qs(call["query"])["number"][0]: call["at"]
        for call in running.sandbox.calls(before)
        if call["path"] == "/retailer/public/ratelimits"
    }
    return differences(changed, received), differences(chained, noted)


def sleep_until(moment: float) -> float:
    time.sleep(max(0.0, moment - time.monotonic()))
    return moment


def differences(began: Mapping[str, float], ended: Mapping[str, float]) -> list[float]:
    """Return the milliseconds between the two, for each key."""
    return [(ended[key] - moment) * 1000 for key, moment in began.items()]


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]

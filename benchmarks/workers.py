"""Four stores with 500 changed amounts and 50 new orders each, until bol and the warehouse have all, by 1, 2 and 4 workers.

The floor is what bol's limits leave: each store has a budget of its own, so that with a worker for each the slowest kind
of work of one store takes as long as that of all. The machine's processor time is told beside it: it is what limits
workers where the limits of bol no longer do.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator

from sqlalchemy import func, select

from benchmarks.result import Result
from benchmarks.shop import CLIENT, PIECES, Shop, processes, shop, wait_until
from host_app.db import reading
from host_app.models import Order
from plugin.settings import StoreSettings

STORES, OFFERS, ORDERS = 4, 500, 50
WORKERS = (1, 2, 4)
LATENCY_MS = 100
A_SECOND = 50
MOST_SECONDS = 300.0
SECRET = CLIENT[1]


def measure() -> Iterator[Result]:
    """Let the same pile be done by more and more workers."""
    first = 0.0
    for workers in WORKERS:
        with shop(offers=OFFERS) as running:
            sellers, stores = connect(running)
            seconds, busy = pile_done(running, workers, sellers, stores)
        first = first or seconds
        floor = OFFERS / A_SECOND
        yield Result(f"workers-{workers}", seconds, "s", floor, higher_is_better=False)
        yield Result(f"workers-{workers}-processor", busy, "s of processor time", higher_is_better=False)
        # More workers are never to be slower than one.
        yield Result(
            f"workers-{workers}-speed", first / seconds, "x", 1.0, limit=0.95 if workers > 1 else None
        )


def connect(running: Shop) -> tuple[list[str], list[int]]:
    """Connect four stores that sell the same products, everything on; do what that makes due in this process."""
    sellers = [CLIENT[0], *(f"bench-seller-{number}" for number in range(2, STORES + 1))]
    stores = []
    for seller in sellers:
        if seller != CLIENT[0]:
            offers = [
                {"ean": code, "title": f"Product {code}", "price": 10, "stock": PIECES}
                for code in running.eans
            ]
            running.sandbox.add_seller(seller, SECRET, offers=offers)
        store_id = running.runtime.connect_store(
            name=seller, environment="sandbox", client_id=seller, client_secret=SECRET
        )
        running.runtime.save_settings(store_id, StoreSettings(send_stock=True, import_products=False))
        running.runtime.activate(store_id)
        stores.append(store_id)
    running.work_all()
    return sellers, stores


def pile_done(running: Shop, workers: int, sellers: list[str], stores: list[int]) -> tuple[float, float]:
    """Return the seconds until all is done, and the processor time that the workers took for it."""
    products = list(running.products().values())
    running.sandbox.settings(latencyMs=LATENCY_MS)
    before = len(running.sandbox.calls())
    with processes(running, workers=workers):
        # Workers do the first jobs of each kind slowly.
        time.sleep(3)
        ticks = processor_time()
        began = time.time()
        for seller in sellers:
            for number in range(ORDERS):
                item = {"ean": running.eans[number], "quantity": 1}
                running.sandbox.place_order(seller, [item], force=True)
        for store_id in stores:
            running.runtime.import_orders(store_id)
        running.change(-1, *products)
        wait_until(lambda: is_done(running, sellers), MOST_SECONDS, every=0.5)
        busy = processor_time() - ticks
        ended = max(call["at"] for call in running.calls(before))
        check(running, sellers)
    return max(ended - began, 0.1), busy


def is_done(running: Shop, sellers: list[str]) -> bool:
    return orders_here() == ORDERS * STORES and all(right(running, seller) for seller in sellers)


def right(running: Shop, seller: str) -> bool:
    """Tell if bol has the amounts that are in the warehouse: one piece of each left, and what was ordered."""
    wanted = {
        code: PIECES - 1 - (STORES if number < ORDERS else 0) for number, code in enumerate(running.eans)
    }
    return all(offer["amount"] == wanted[offer["ean"]] for offer in running.sandbox.state(seller)["offers"])


def check(running: Shop, sellers: list[str]) -> None:
    """A result with a call beyond bol's limits, or with an order twice, would be worth nothing."""
    running.calls()
    if orders_here() != ORDERS * STORES or not all(right(running, seller) for seller in sellers):
        raise RuntimeError("orders or amounts are not right")


def orders_here() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(Order)) or 0


def processor_time() -> float:
    """Return the processor time of this process's children that live, and of theirs that ended, in seconds."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
                with open(f"/proc/{entry.name}/cmdline", "rb") as file:
                    is_worker = b"\0worker" in file.read()
            except OSError:
                continue
            if is_worker and int(fields[1]) == os.getpid():
                # User and system time, its own and that of jobs that ended.
                found += sum(map(int, fields[11:15])) / ticks
    return found

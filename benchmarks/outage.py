"""bol is away for three hours, while 2,000 shipments, 20,000 changes of stock and 1,000 new orders pile up; then it returns.

Away: every call gets a 503, the login too. Orders are taken over before stock is sent, so the floor is the time that
bol's limits take for both: 25 orders and 50 stock updates a second. Shipments, 25 a second, go beside them, and must be
done before the stock is.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from benchmarks.later import Ahead, moved
from benchmarks.result import Result
from benchmarks.shop import CLIENT, Shop, processes, shop, wait_until
from bol_sandbox.testing import Json
from host_app import jobs
from host_app.db import reading, transaction, utcnow
from host_app.models import Order, Picklist, Product, Stock
from host_app.models.picking import PicklistState
from host_app.services import picking
from plugin.models import EffectState, ShipmentEffect, Store

HOURS = 3
#: bol is tried so often while it is away, in seconds of the warehouse's time.
TRIED_EVERY = 600
EARLIER = 1800
#: One for each of the three: a worker goes from one piece of work to the next, and shipments and orders come first.
WORKERS = 3
MINUTE = 60
#: Customers order these; the others' stock changes.
ORDERED_OFFERS = 50
STOCK_A_SECOND, SHIPMENTS_A_SECOND, ORDERS_A_SECOND = 50, 25, 25
GOAL = 1.1
PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Pile:
    """How much waits for bol when it returns."""

    shipments: int = 2_000
    changes: int = 20_000
    orders: int = 1_000

    @property
    def floor(self) -> float:
        """The seconds that bol's limits take."""
        return max(
            self.orders / ORDERS_A_SECOND + self.changes / STOCK_A_SECOND, self.shipments / SHIPMENTS_A_SECOND
        )


WHOLE = Pile()


def measure(pile: Pile = WHOLE) -> Iterator[Result]:
    """Let it pile up, and measure how long it takes from bol's return."""
    took = catch_up(pile)
    for kind, floor in (
        ("orders", pile.orders / ORDERS_A_SECOND),
        ("shipments", pile.shipments / SHIPMENTS_A_SECOND),
    ):
        # They go before stock.
        yield Result(f"outage-{kind}", took[kind], "s", floor, limit=took["stock"], higher_is_better=False)
    yield Result("outage", took["stock"], "s", pile.floor, GOAL, higher_is_better=False)


def catch_up(pile: Pile) -> dict[str, float]:
    """Return the seconds from bol's return until all orders are in, all shipments are at bol, and all stock is right.

    :raises RuntimeError: something was done twice, or is missing.
    """
    ahead = Ahead()
    with moved(ahead), shop(offers=ORDERED_OFFERS + pile.changes) as running:
        running.connect(send_stock=True, send_shipments=True)
        order(running, pile.shipments)
        read_all(running, ahead)
        # What is shipped meanwhile was ordered earlier in the day, not in the minute before.
        pass_time(running, ahead, EARLIER)
        read_all(running, ahead)
        running.sandbox.faults([{"status": 503}])
        pile_up(running, pile)
        for _ in range(HOURS * 3600 // TRIED_EVERY):
            pass_time(running, ahead, TRIED_EVERY)
            try_once(running)
        before = len(running.sandbox.calls())
        with processes(running, workers=WORKERS, ahead=ahead.seconds):
            running.sandbox.faults([])
            took = returned(running, pile, before)
        check(running, pile, before)
    return took


def pass_time(running: Shop, ahead: Ahead, seconds: float) -> None:
    ahead.seconds += seconds
    running.sandbox.advance(seconds)


def read_all(running: Shop, ahead: Ahead) -> None:
    """Read the list of orders as it is now to its end, minute by minute: bol allows 25 pages in each."""
    since = utcnow()
    while True:
        running.work_all()
        with reading() as session:
            if session.scalar(select(Store.id).where(Store.orders_read_at >= since)) is not None:
                return
        pass_time(running, ahead, MINUTE)


def order(running: Shop, count: int) -> None:
    """Customers order at bol, one piece each."""
    for number in range(count):
        item = {"ean": running.eans[number % ORDERED_OFFERS], "quantity": 1}
        running.sandbox.place_order(CLIENT[0], [item], force=True)


def pile_up(running: Shop, pile: Pile) -> None:
    """The warehouse ships and counts, and customers go on ordering."""
    with reading() as session:
        picklists = session.scalars(select(Picklist.id).where(Picklist.state == PicklistState.NEW)).all()
    for picklist_id in picklists:
        with transaction():
            picking.pick_all(picklist_id)
            parcel = picking.NewParcel("postnl", f"3S{picklist_id}")
            picking.close_picklist(picklist_id, [parcel], who="benchmark")
    products = running.products()
    for ean in running.eans[ORDERED_OFFERS:]:
        running.change(-1, products[ean])
    order(running, pile.orders)


def try_once(running: Shop) -> None:
    """Do what is due now, each work once, as a worker does while bol is away."""
    running.tell()
    for wake in running.due():
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


def returned(running: Shop, pile: Pile, before: int) -> dict[str, float]:
    """Return after how many seconds each kind was done."""
    began = time.monotonic()
    took: dict[str, float] = {}
    sent: Counter[str] = Counter()
    seen = before

    def done() -> bool:
        nonlocal seen
        calls = running.sandbox.calls(seen)
        seen += len(calls)
        sent.update(what for call in calls if (what := _effect(call)))
        for kind, reached in (
            ("shipments", sent["shipments"] >= pile.shipments),
            ("stock", sent["stock"] >= pile.changes and running.amounts() == free()),
            ("orders", in_host() >= pile.shipments + pile.orders),
        ):
            if reached:
                took.setdefault(kind, time.monotonic() - began)
        return len(took) == 3

    wait_until(done, PATIENCE_SECONDS + 3 * pile.floor, every=LOOK_SECONDS)
    wait_until(lambda: confirmed() >= pile.shipments, PATIENCE_SECONDS, every=LOOK_SECONDS)
    return took


def check(running: Shop, pile: Pile, before: int) -> None:
    """:raises RuntimeError: something was done twice or is missing."""
    calls = running.sandbox.calls(before)
    if any(call["status"] == 429 for call in calls):
        raise RuntimeError("calls were over bol's limits")
    state = running.sandbox.state(CLIENT[0])
    shipped = Counter(
        item["orderItemId"] for parcel in state["shipments"] for item in parcel["shipmentItems"]
    )
    if len(shipped) != pile.shipments or set(shipped.values()) != {1}:
        raise RuntimeError(f"{pile.shipments} shipments were owed, and bol has {sum(shipped.values())}")
    counted = {running.offers[ean] for ean in running.eans[ORDERED_OFFERS:]}
    patched = Counter(
        offer for call in calls if _effect(call) == "stock" and (offer := _last(call["path"])) in counted
    )
    if set(patched) != counted or set(patched.values()) != {1}:
        raise RuntimeError(f"{len(counted)} amounts were owed, and {sum(patched.values())} were sent")
    if in_host() != pile.shipments + pile.orders:
        raise RuntimeError(f"{in_host()} orders are here")


def _effect(call: Json) -> str:
    if call["status"] >= 300:
        return ""
    if call["method"] == "PATCH":
        return "stock"
    return "shipments" if (call["method"], call["path"]) == ("POST", "/retailer/shipments") else ""


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def in_host() -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(Order)) or 0


def confirmed() -> int:
    """Return how many shipments bol has confirmed, as far as the warehouse knows."""
    with reading() as session:
        return (
            session.scalar(
                select(func.count())
                .select_from(ShipmentEffect)
                .where(ShipmentEffect.state == EffectState.CONFIRMED)
            )
            or 0
        )


def free() -> dict[str, int]:
    """Return the free stock of each product, by EAN."""
    with reading() as session:
        rows = session.execute(
            select(Product.code, Stock.physical - Stock.reserved).join(Stock, Stock.product_id == Product.id)
        )
        return {code: pieces for code, pieces in rows}

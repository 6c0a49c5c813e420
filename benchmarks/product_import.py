"""The import of a store with 100,000 offers whose products the warehouse has, at 50 ms latency and bol's limits.

The floor is a walk over the same list with the same client that does nothing with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from benchmarks.alone import WALK
from benchmarks.result import Result
from benchmarks.shop import shop
from host_app.db import reading
from host_app.models import Product
from plugin.models import Offer
from plugin.sync.due import PRODUCTS

OFFERS = 100_000
LATENCY_MS = 50
GOAL = 1.3


def measure() -> Iterator[Result]:
    """Walk, then import; every offer must be linked, and no product made."""
    with shop(offers=OFFERS) as running:
        running.connect(import_orders=False)
        running.sandbox.settings(latencyMs=LATENCY_MS)
        walked = running.alone(WALK)
        imported = running.alone(PRODUCTS)
        with reading() as session:
            linked = session.scalar(select(func.count()).where(Offer.product_id.is_not(None)))
            products = session.scalar(select(func.count()).select_from(Product))
        running.calls()
        if (linked, products) != (OFFERS, OFFERS):
            raise RuntimeError(f"{linked} offers are linked, and there are {products} products")
    yield Result("product-import", imported.seconds, "s", walked.seconds, GOAL, higher_is_better=False)

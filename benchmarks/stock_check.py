"""The stock check of 10,000 and of 100,000 offers, at 50 ms latency and bol's limits.

The floor is a walk over the same list with the same client that does nothing with it. Work and walk each have a
process of their own, which tells its peak memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from benchmarks.alone import WALK, Measured
from benchmarks.result import Result
from benchmarks.shop import PIECES, Shop, shop
from host_app.db import reading
from plugin.models import Discrepancy, Offer
from plugin.sync.due import CHECK

SMALL, LARGE = 10_000, 100_000
LATENCY_MS = 50
GOAL = 1.15
MOST_MORE_MB = 30.0
PAGE = 100
#: Offers whose amount somebody changes at bol, for the check to find.
CHANGED = 25


def measure() -> Iterator[Result]:
    """Check both stores."""
    checks = {}
    for offers in (SMALL, LARGE):
        with shop(offers=offers) as running:
            running.connect(send_stock=True, import_orders=False)
            running.work_all()
            walked, checks[offers] = both(running)
        yield Result(
            f"stock-check-{offers // 1000}k",
            checks[offers].seconds,
            "s",
            walked.seconds,
            GOAL,
            higher_is_better=False,
        )
    more = checks[LARGE].peak - checks[SMALL].peak
    yield Result("stock-check-memory", more, "MB more", limit=MOST_MORE_MB, higher_is_better=False)
    small, large = (checks[offers].statements / (offers / PAGE) for offers in (SMALL, LARGE))
    yield Result("stock-check-queries", large, "a page", small, 1.05, higher_is_better=False)


def both(running: Shop) -> tuple[Measured, Measured]:
    """Walk, then check; the check must find what was changed at bol, and nothing else."""
    running.sandbox.settings(latencyMs=LATENCY_MS)
    walked = running.alone(WALK)
    change_at_bol(running)
    running.runtime.check_stock(running.store_id, dry=False, who="benchmark")
    checked = running.alone(CHECK)
    with reading() as session:
        found = session.scalar(select(func.count()).select_from(Discrepancy))
        marked = session.scalar(select(func.count()).where(Offer.dirty_version > Offer.done_version))
    running.calls()
    if (found, marked) != (CHANGED, CHANGED):
        raise RuntimeError(f"of {CHANGED} changed offers {found} were found and {marked} marked")
    return walked, checked


def change_at_bol(running: Shop) -> None:
    """Another program changes some amounts."""
    some = list(running.offers.values())[:: len(running.offers) // CHANGED][:CHANGED]
    with running.context() as ctx:
        for offer_id in some:
            ctx.client.offers.set_stock(offer_id, PIECES + 1, True)

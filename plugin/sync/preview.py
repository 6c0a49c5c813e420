"""What activating a store will do, found out before: its open orders are counted, its offers compared; nothing is kept
of an order but that it is there and which articles nobody knows here, and nothing is written to bol."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update

from host_app.plugin_api import HostPort
from plugin import connector
from plugin.connector import BolError
from plugin.models import BolOrder, Offer, Run, RunState, Store, StoreState
from plugin.settings import StoreSettings
from plugin.sync import findings, products, runs, stock_check
from plugin.sync.context import CALL_SECONDS, Context
from plugin.sync.ean_doctor import MISSING, ailments
from plugin.sync.failures import come_back
from plugin.sync.mapping import AMSTERDAM, is_ours
from plugin.sync.matching import find_look_alikes, find_products
from plugin.texts import gettext as _

KIND = "preview"
#: The cursor once the orders are counted: the offers must be read before they can be compared.
COMPARING = "compare"
#: An order of which bol does not tell when it was placed belongs to every start date.
NO_DAY = ""
AGAIN = timedelta(seconds=5)
#: So many unknown articles of orders are told apart; more make the foretold number of products too low.
MOST_EANS = 2000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What activating will do, as far as it is known.

    :param run: the newest preview; None where there was none. ``counting``: its orders are being counted.
    :param orders: open orders that will be imported with these settings; ``too_old`` were placed before the start
        date, ``without_product`` of those to import have an EAN that no product here has. ``here``: open ones that
        came in before, in a store that was at work already.
    :param earliest: the day on which the oldest of all open orders was placed.
    :param to_create: products that will be made, from offers or for orders; ``for_orders`` of them when orders ask for
        them. ``look_alikes`` are left for a person to link, as long as no order asks for one.
    """

    run: Run | None
    orders: int
    too_old: int
    without_product: int
    earliest: date | None
    to_create: int
    look_alikes: int
    here: int = 0
    for_orders: int = 0

    @property
    def counting(self) -> bool:
        return self.run is not None and self.run.state == RunState.RUNNING and self.run.cursor != COMPARING

    @property
    def counted(self) -> bool:
        return self.run is not None and (self.run.state == RunState.DONE or self.run.cursor == COMPARING)

    @property
    def comparing(self) -> bool:
        """Tell if the comparison of stock is still to begin."""
        return self.run is not None and self.run.state == RunState.RUNNING


def start(host: HostPort, store_id: int) -> None:
    """Find out anew what activating will do. In a transaction."""
    forget(host, store_id)
    now = host.now()
    host.session.add(
        Run(
            store_id=store_id,
            kind=KIND,
            state=RunState.RUNNING,
            cursor="",
            counts={},
            started_at=now,
            due_at=now,
            error="",
        )
    )


def forget(host: HostPort, store_id: int) -> None:
    """A preview is of no use any more once the store is active. In a transaction."""
    host.session.execute(delete(Run).where(Run.store_id == store_id, Run.kind == KIND))


def is_ahead(host: HostPort, store: Store) -> bool:
    """Tell if a store's summary comes before it is activated: the first time, and where it was made anew. In a transaction."""
    if store.state != StoreState.PAUSED:
        return store.state == StoreState.CONNECTED
    return host.session.scalar(select(Run.id).where(Run.store_id == store.id, Run.kind == KIND)) is not None


def again(host: HostPort, store_id: int) -> None:
    """Read the offers anew and count the orders anew, in a store that is not active. In a transaction."""
    products.start_import(host, store_id)
    start(host, store_id)


def count_orders(ctx: Context) -> bool:
    """Count the open orders, page by page. True when pages are left.

    Orders that arrive meanwhile push others to the next page: so those of the page before are not counted again.
    """
    while not ctx.lease.slice_over():
        run = _due(ctx)
        if run is None or run.cursor == COMPARING:
            return False
        page, seen = json.loads(run.cursor) if run.cursor else (1, [])
        ctx.lease.ensure(CALL_SECONDS)
        try:
            listed = ctx.client.orders.page(page, status="OPEN")
        except BolError as error:
            _postpone(ctx, run, error)
            return False
        _note(ctx, run, page, listed, frozenset(seen))
    return True


def begin_comparing(ctx: Context) -> bool:
    """Have bol's stock compared with the stock here, once the offers are read. Nothing of it is left for this job."""
    with ctx.host.reading():
        run = _due(ctx)
    if run is None or run.cursor != COMPARING:
        return False
    with ctx.host.transaction() as session:
        mine = update(Run).where(Run.id == run.id, Run.cursor == COMPARING, Run.state == RunState.RUNNING)
        if runs.running(ctx.host, ctx.store_id, products.KIND) is not None:
            session.execute(mine.values(due_at=ctx.now() + AGAIN))
            return False
        ended = session.execute(
            mine.values(state=RunState.DONE, finished_at=ctx.now(), due_at=None, error="")
        )
        if ended.rowcount and not ctx.active:
            checking = runs.running(ctx.host, ctx.store_id, findings.KIND)
            if checking is None:
                stock_check.start(ctx.host, ctx.store_id, dry=True, who="")
    return False


def forecast(host: HostPort, store_id: int, settings: StoreSettings) -> Forecast:
    """Return what activating with these settings will do. Opens a read transaction of its own."""
    with host.reading() as session:
        run = session.scalar(
            select(Run).where(Run.store_id == store_id, Run.kind == KIND).order_by(Run.id.desc()).limit(1)
        )
        walked = session.scalar(
            select(Run.counts)
            .where(Run.store_id == store_id, Run.kind == products.KIND)
            .order_by(Run.id.desc())
            .limit(1)
        )
        missing = session.scalar(
            select(func.count(Offer.ean.distinct())).where(ailments(store_id)[MISSING], Offer.ean != "")
        )
        look_alikes = min(int((walked or {}).get("similar", 0)), missing)
        for_orders, without_offer, of_them_alike = _made_for_orders(
            host, store_id, settings, run, any_alike=look_alikes > 0
        )
    days: dict[str, list[int]] = {} if run is None else run.counts.get("days", {})
    first = settings.orders_from.isoformat() if settings.orders_from else NO_DAY
    coming = [number for day, number in days.items() if day == NO_DAY or day >= first]
    orders = sum(number for number, _without in coming)
    look_alikes -= min(of_them_alike, look_alikes)
    return Forecast(
        run=run,
        orders=orders,
        too_old=sum(number for number, _without in days.values()) - orders,
        without_product=sum(unknown for _count, unknown in coming),
        earliest=min((date.fromisoformat(day) for day in days if day != NO_DAY), default=None),
        to_create=missing - look_alikes + without_offer,
        look_alikes=look_alikes,
        here=0 if run is None else run.counts.get("here", 0),
        for_orders=for_orders,
    )


def _made_for_orders(
    host: HostPort, store_id: int, settings: StoreSettings, run: Run | None, *, any_alike: bool
) -> tuple[int, int, int]:
    """Return how many products orders will make, how many of them no offer makes, and how many an import leaves to people.

    An order does not wait for a person who decides about a look-alike. In a transaction.
    """
    if run is None or not (settings.import_orders and settings.import_products):
        return 0, 0, 0
    first = settings.orders_from.isoformat() if settings.orders_from else NO_DAY
    newest: dict[str, str] = run.counts.get("eans", {})
    asked = [ean for ean, day in newest.items() if day == NO_DAY or day >= first]
    known = find_products(host, settings, asked)
    unknown = [ean for ean in asked if ean not in known]
    if not unknown:
        return 0, 0, 0
    offered = set(
        host.session.scalars(select(Offer.ean).where(ailments(store_id)[MISSING], Offer.ean.in_(unknown)))
    )
    alike = find_look_alikes(host, sorted(offered)) if any_alike else {}
    return len(unknown), len(unknown) - len(offered), len(alike)


def _due(ctx: Context) -> Run | None:
    with ctx.host.reading() as session:
        found: Run | None = session.scalar(
            select(Run).where(
                Run.store_id == ctx.store_id,
                Run.kind == KIND,
                Run.state == RunState.RUNNING,
                Run.due_at <= ctx.now(),
            )
        )
    return found


def _note(ctx: Context, run: Run, page: int, listed: connector.OrderPage, seen: frozenset[str]) -> None:
    """Count the orders of a page and move on, in one transaction."""
    with ctx.host.transaction() as session:
        counts = dict(run.counts)
        days = {day: list(numbers) for day, numbers in counts.get("days", {}).items()}
        newest: dict[str, str] = dict(counts.get("eans", {}))
        imported = _imported(ctx, [order.order_id for order in listed.orders])
        came = int(counts.get("here", 0))
        open_eans = {
            order.order_id: {
                item.ean for item in order.items if is_ours(item.fulfilment_method) and item.open_quantity
            }
            for order in listed.orders
        }
        known = find_products(ctx.host, ctx.settings, [ean for eans in open_eans.values() for ean in eans])
        for order in listed.orders:
            eans = open_eans[order.order_id]
            # An order that could not be read has no items: its details may tell more when it is imported.
            if order.order_id in seen or (order.items and not eans):
                continue
            if order.order_id in imported:
                came += 1
                continue
            placed = order.placed_at
            day = placed.astimezone(AMSTERDAM).date().isoformat() if placed else NO_DAY
            numbers = days.setdefault(day, [0, 0])
            numbers[0] += 1
            unknown = [ean for ean in eans if ean not in known]
            numbers[1] += bool(unknown)
            for ean in unknown:
                if ean and (ean in newest or len(newest) < MOST_EANS):
                    before = newest.get(ean, day)
                    newest[ean] = NO_DAY if NO_DAY in (before, day) else max(before, day)
        here = [order.order_id for order in listed.orders]
        session.execute(
            update(Run)
            .where(Run.id == run.id, Run.cursor == run.cursor, Run.state == RunState.RUNNING)
            .values(
                cursor=COMPARING if listed.last else json.dumps([page + 1, here]),
                counts={"days": days, "eans": newest, "here": came},
                error="",
                due_at=ctx.now(),
            )
        )


def _imported(ctx: Context, order_ids: Sequence[str]) -> set[str]:
    """Return those of these orders that the host has. In a transaction."""
    found = select(BolOrder.order_id).where(
        BolOrder.store_id == ctx.store_id,
        BolOrder.order_id.in_(order_ids),
        BolOrder.host_order_id.is_not(None),
    )
    return set(ctx.host.session.scalars(found))


def _postpone(ctx: Context, run: Run, error: BolError) -> None:
    failures = int(run.counts.get("failures", 0))
    values: dict[str, Any] = {
        "due_at": max(come_back(error, ctx.now(), failures), ctx.now() + AGAIN),
        "counts": {**run.counts, "failures": failures + 1},
        "error": error.operator_text(_),
    }
    with ctx.host.transaction() as session:
        session.execute(
            update(Run)
            .where(Run.id == run.id, Run.cursor == run.cursor, Run.state == RunState.RUNNING)
            .values(values)
        )

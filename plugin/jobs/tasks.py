"""The jobs: each opens the store's line to bol, does one slice of its flow, and tells if work is left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing

from host_app.plugin_api import HostPort, Lease, LeaseLost
from plugin.runtime import Runtime
from plugin.sync.abandoned import find_abandoned
from plugin.sync.cancelling import cancel_due, check_cancellations
from plugin.sync.context import Context
from plugin.sync.correcting import correct_due
from plugin.sync.deadlines import warn_due
from plugin.sync.due import CHECK, NAMES, ORDERS, PRODUCTS, SHIPMENTS, STOCK, UPKEEP
from plugin.sync.labels import buy_due
from plugin.sync.orders import import_orders
from plugin.sync.preview import begin_comparing, count_orders
from plugin.sync.products import import_products
from plugin.sync.pump import push_stock
from plugin.sync.retention import erase_if_due
from plugin.sync.set_right import set_right
from plugin.sync.settling import check_due
from plugin.sync.shipments import send_due
from plugin.sync.statuses import poll_due
from plugin.sync.stock_check import check_stock
from plugin.sync.sweep import sweep_if_due
from plugin.sync.titles import read_titles
from plugin.sync.upkeep import keep_up

log = logging.getLogger(__name__)


def orders(host: HostPort, lease: Lease, store_id: int) -> bool:
    """Find changed orders and take them over, warn of deadlines, sweep once a day."""
    return _run(host, lease, store_id, ORDERS, import_orders, warn_due, sweep_if_due)


def stock(host: HostPort, lease: Lease, store_id: int) -> bool:
    """Send stock that is due."""
    return _run(host, lease, store_id, STOCK, push_stock)


def shipments(host: HostPort, lease: Lease, store_id: int) -> bool:
    """Follow process statuses, check what is not known, then tell bol of cancellations and shipments that are due.

    One job for both, so that an order item has at most one unsettled effect.
    """
    return _run(
        host,
        lease,
        store_id,
        SHIPMENTS,
        find_abandoned,
        poll_due,
        check_due,
        check_cancellations,
        buy_due,
        cancel_due,
        send_due,
        correct_due,
    )


def products(host: HostPort, lease: Lease, store_id: int) -> bool:
    """Walk over the offers and link or create products; before a store is active, find out what activating it will do."""
    return _run(host, lease, store_id, PRODUCTS, count_orders, import_products, begin_comparing, urgent=False)


def check(host: HostPort, lease: Lease, store_id: int) -> bool:
    """Compare what bol shows with what it should."""
    return _run(host, lease, store_id, CHECK, check_stock, urgent=False)


def names(host: HostPort, lease: Lease, store_id: int) -> bool:
    """Read names of new products from bol's catalogue."""
    return _run(host, lease, store_id, NAMES, read_titles, urgent=False)


def upkeep(host: HostPort, lease: Lease, store_id: int) -> bool:
    """Read bol's limits, keep the subscription, warn of an ending consent; let a store go that is leaving."""
    _run(host, lease, store_id, UPKEEP, keep_up, urgent=False)
    with closing(Runtime(host)) as runtime:
        runtime.let_go(store_id)
    return False


def tidy(host: HostPort, lease: Lease, store_id: int) -> bool:
    """Erase old addresses and delete what is old, and set right what a wrong clock noted; also in a store that is paused, disconnected or can't sign in."""
    with closing(Runtime(host)) as runtime:
        ctx = runtime.surroundings(store_id, lease)
    if ctx is None:
        return False
    set_right(ctx)
    return erase_if_due(ctx)


def _run(
    host: HostPort,
    lease: Lease,
    store_id: int,
    job: str,
    *flows: Callable[[Context], bool],
    urgent: bool = True,
) -> bool:
    with closing(Runtime(host)) as runtime, runtime.context(store_id, lease, job, urgent=urgent) as ctx:
        if ctx is None:
            return False
        left, failed = [], None
        for flow in flows:
            try:
                left.append(flow(ctx))
            except LeaseLost:
                raise
            except Exception as error:
                # What nobody foresaw in one flow must not stop the others; the job fails all the same, and is told.
                if failed is not None:
                    log.exception("%s failed, too", flow.__name__)
                failed = failed or error
                if lease.slice_over():
                    break
        if failed is not None:
            raise failed
        return any(left)

"""The job that makes picklists for backorders when stock has arrived."""

from __future__ import annotations

from host_app.db import reading, transaction
from host_app.plugin_api import HostPort, Lease, OrderState
from host_app.services.orders import lock_order, make_picklist, waiting_orders

BATCH = 50


def fill_backorders(host: HostPort, lease: Lease) -> bool:
    """Job: make picklists for orders whose stock is there now, oldest order first. True when some are left."""
    while not lease.slice_over():
        lease.ensure(0)
        with reading():
            order_ids = waiting_orders(BATCH)
        if not order_ids:
            return False
        made = 0
        for order_id in order_ids:
            with transaction():
                order = lock_order(order_id)
                if (
                    order is not None
                    and order.state == OrderState.PROCESSING
                    and make_picklist(order) is not None
                ):
                    made += 1
        if not made:
            return False
    return True


def due() -> bool:
    """Tell if an order waits for stock that is there."""
    with reading():
        return bool(waiting_orders(1))

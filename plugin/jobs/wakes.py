"""The queues and names of the connector's background work."""

from __future__ import annotations

from host_app.plugin_api import Wake
from plugin.sync.due import CHECK, NAMES, ORDERS, PRODUCTS, SHIPMENTS, STOCK, TIDY, UPKEEP

#: Kind of work -> queue.
QUEUE_OF = {
    SHIPMENTS: "bol-shipments",
    ORDERS: "bol-orders",
    UPKEEP: "bol-orders",
    STOCK: "bol-stock",
    PRODUCTS: "bol-bulk",
    CHECK: "bol-bulk",
    NAMES: "bol-bulk",
    TIDY: "bol-bulk",
}
#: Most urgent first.
QUEUES = ("bol-shipments", "bol-orders", "bol-stock", "bol-bulk")


def wake_for(kind: str, store_id: int) -> Wake:
    """Return the wake for one kind of work of one store; its name is the lease the work is done under."""
    return Wake(f"bol:{kind}:{store_id}", QUEUE_OF[kind], f"plugin.jobs.tasks:{kind}", (store_id,))

"""Short ways to make what a warehouse holds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from host_app.db import transaction
from host_app.models import Warehouse
from host_app.plugin_api import AcceptedOrder, Address, NewOrder, NewOrderLine, NewProduct
from host_app.services import catalog, orders

PLACED = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def add_warehouse(name: str = "Main") -> int:
    """Add a warehouse and return its id."""
    with transaction() as session:
        warehouse = Warehouse(name=name, active=True)
        session.add(warehouse)
        session.flush()
        return warehouse.id


def add_product(code: str, stock: int | None = 10, *barcodes: str, warehouse_id: int | None = None) -> int:
    """Add a product and return its id."""
    with transaction():
        return catalog.create_product(
            NewProduct(code, f"Product {code}", Decimal("9.95"), barcodes, stock, warehouse_id)
        )


def new_order(
    reference: str, *lines: tuple[int, int], process: bool = True, source: str = "shop:1"
) -> NewOrder:
    """Return an order of (product id, quantity) lines."""
    return NewOrder(
        source=source,
        reference=reference,
        placed_at=PLACED,
        delivery=Address(
            name="J. Jansen", street="Dorpsstraat", house_number="1", city="Utrecht", country="NL"
        ),
        billing=None,
        lines=tuple(
            NewOrderLine(product_id, quantity, f"Line {number}", Decimal("9.95"), f"{reference}-{number}")
            for number, (product_id, quantity) in enumerate(lines, start=1)
        ),
        process=process,
    )


def accept(reference: str, *lines: tuple[int, int], process: bool = True) -> AcceptedOrder:
    """Accept an order and return the host's answer."""
    with transaction():
        return orders.accept_order(new_order(reference, *lines, process=process))

"""What the tests of the whole round do again and again, over HTTP: order, pick, close, look."""

from __future__ import annotations

import os
import signal
from typing import Any

from tests.e2e.house import House, eventually
from tests.e2e.visitor import Page, Visitor

SELLER = "demo-seller"
#: An import every ten seconds, and a machine that may be busy.
COMES_IN = 30
#: Room for a lease whose holder was killed all the same.
ENDS = 120


def order(house: House, ean: str, quantity: int, **more: str) -> str:
    """Order at bol as a customer; return bol's order id."""
    placed = house.sandbox.place_order(SELLER, [{"ean": ean, "quantity": quantity, **more}])
    return str(placed["orderId"])


def order_page(visitor: Visitor, order_id: str) -> Page:
    """Find the order by bol's id."""
    return visitor.open(visitor.open("/admin/orders/", q=order_id).link(r"/admin/orders/\d+$"))


def picked(visitor: Visitor, order_id: str) -> Page:
    """Wait for the order to come in by itself, and pick all of it."""
    page = eventually(lambda: order_page(visitor, order_id), COMES_IN)
    picklist = visitor.open(page.link(r"/admin/picklists/\d+$"))
    return visitor.submit(picklist, "/pick-all$")


def close(visitor: Visitor, picklist: Page, tracking: str) -> None:
    values = {"carrier-0": "postnl", "tracking-0": tracking}
    closed = visitor.submit(picklist, "/close(#|$)", **values)
    assert "Closed by admin" in closed.text, closed.text


def confirmed(visitor: Visitor, order_id: str) -> None:
    """Wait until the order's page says that bol has confirmed its shipment."""

    def seen() -> bool:
        text = order_page(visitor, order_id).text
        assert " confirmed" in text.lower(), text
        return True

    eventually(seen, ENDS)


def adjust(visitor: Visitor, code: str, counted: int) -> None:
    found = visitor.open("/admin/products/", q=code)
    product = visitor.open(found.link(r"/admin/products/\d+$"))
    adjusted = visitor.submit(product, "/adjust$", how="counted", amount=str(counted), reason="Counted")
    assert "The stock is adjusted." in adjusted.text


def amount_at_bol(house: House, ean: str) -> int:
    return int(house.sandbox.offer(SELLER, ean)["stock"]["amount"])


def shipments(house: House) -> dict[str, list[Any]]:
    """Return (carrier, tracking code, quantities) of every shipment at bol, by order id."""
    found: dict[str, list[Any]] = {}
    for parcel in house.sandbox.state(SELLER)["shipments"]:
        transport = parcel["transport"]
        quantities = [item["quantityShipped"] for item in parcel["shipmentItems"]]
        found.setdefault(parcel["order"]["orderId"], []).append(
            (transport["transporterCode"], transport["trackAndTrace"], quantities)
        )
    return found


def kill(pids: list[int]) -> None:
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

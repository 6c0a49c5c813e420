"""The whole round with real processes: from an order at bol to its shipment there, with kills on the way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import House, eventually
from tests.e2e.visitor import Page, Visitor

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of the installation in /proc"),
    pytest.mark.timeout(300),
]
SELLER = "demo-seller"
PAN, LAMP = "8712345000011", "8712345000059"
#: An import every ten seconds, and a machine that may be busy.
COMES_IN = 30
#: Room for a lease whose holder was killed all the same.
ENDS = 120


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    """Nobody yet: logged in by the test once the house stands."""
    visitor = Visitor("")
    yield visitor
    visitor.close()


def test_an_order_goes_round_through_kills_and_a_restart(tmp_path: Path, visitor: Visitor) -> None:
    with House(tmp_path) as house:
        visitor.url = house.url
        visitor.log_in("admin", house.password())
        house.sandbox.settings(processStatusDelayMs=2000)

        first = order(house, PAN, 2)
        close(visitor, picked(visitor, first), "3SFIRST001")
        confirmed(visitor, first)
        assert shipments(house) == {first: [("TNT", "3SFIRST001", [2])]}

        adjust(visitor, "LED-E27-6", counted=31)
        eventually(lambda: amount_at_bol(house, LAMP) == 31)

        second = order(house, PAN, 3)
        ready = picked(visitor, second)
        # Closed while Redis is away, which the supervisor brings back in half a second.
        kill(house.program("-server"))
        close(visitor, ready, "3SSECOND02")
        eventually(lambda: asked_for(house) == 2)
        kill(house.program("-server"))
        # The one at work would hold its lease for another 45 s: what comes then is tested with the leases.
        kill(eventually(house.idle_workers)[:1])
        confirmed(visitor, second)
        eventually(lambda: len(house.program("-server")) == 1 and len(house.program(" worker")) == 2)
        assert shipments(house) == {
            first: [("TNT", "3SFIRST001", [2])],
            second: [("TNT", "3SSECOND02", [3])],
        }
        eventually(lambda: amount_at_bol(house, PAN) == 14 - 2 - 3)

        assert house.stop() == 0
        assert house.processes() == []

        house.start()
        assert "Log out" in visitor.open("/admin/").text, "the session outlives the restart"
        assert "Completed" in order_page(visitor, second).text
        assert amount_at_bol(house, LAMP) == 31
        third = order(house, LAMP, 1)
        assert third not in (first, second)
        close(visitor, picked(visitor, third), "3STHIRD003")
        confirmed(visitor, third)
        assert shipments(house)[third] == [("TNT", "3STHIRD003", [1])]
        assert len(shipments(house)) == 3

        assert house.stop() == 0
        assert house.processes() == []


def order(house: House, ean: str, quantity: int) -> str:
    """Order at bol as a customer; return bol's order id."""
    placed = house.sandbox.place_order(SELLER, [{"ean": ean, "quantity": quantity}])
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


def asked_for(house: House) -> int:
    """Count the shipments that bol was asked for, done or not."""
    asked = house.sandbox.state(SELLER)["processStatuses"]
    return sum(status["eventType"] == "CREATE_SHIPMENT" for status in asked)


def kill(pids: list[int]) -> None:
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

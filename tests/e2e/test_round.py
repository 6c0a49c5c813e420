"""The whole round with real processes: from an order at bol to its shipment there, with kills on the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.house import House, eventually
from tests.e2e.steps import (
    SELLER,
    adjust,
    amount_at_bol,
    close,
    confirmed,
    kill,
    order,
    order_page,
    picked,
    shipments,
)
from tests.e2e.visitor import Visitor

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of the installation in /proc"),
    pytest.mark.timeout(300),
]
PAN, LAMP = "8712345000011", "8712345000059"


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


def asked_for(house: House) -> int:
    """Count the shipments that bol was asked for, done or not."""
    asked = house.sandbox.state(SELLER)["processStatuses"]
    return sum(status["eventType"] == "CREATE_SHIPMENT" for status in asked)

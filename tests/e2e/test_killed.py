"""Workers that are really killed while bol is at work: what they were at is done once, or a person is asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import House, eventually
from tests.e2e.steps import (
    COMES_IN,
    ENDS,
    SELLER,
    close,
    confirmed,
    kill,
    order,
    order_page,
    picked,
    shipments,
)
from tests.e2e.visitor import Page, Visitor

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of the installation in /proc"),
    pytest.mark.timeout(400),
]
LAMP = "8712345000066"
#: Longer than the test needs to see what bol did, and to kill who waits for the answer.
LATE = 15_000


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """Nobody yet: logged in by the test once the house stands."""
    visitor = Visitor("")
    yield visitor
    visitor.close()


def test_who_is_killed_at_a_purchase_or_a_shipment_does_neither_twice(
    tmp_path: Path, visitor: Visitor
) -> None:
    with House(tmp_path) as house:
        visitor.url = house.url
        visitor.log_in("admin", house.password())
        order_id = order(house, LAMP, 1, distributionParty="BOL")
        picklist = picked(visitor, order_id)

        answer_late(house, "/retailer/shipping-labels")
        options = visitor.open(picklist.url, labels="1")
        visitor.submit(options, "/label$")
        (label,) = eventually(lambda: labels(house), COMES_IN)
        kill(house.workers_and_jobs())
        house.sandbox.faults([])
        decision = eventually(lambda: says(order_page(visitor, order_id), "please decide"), ENDS)
        assert len(labels(house)) == 1
        bought = visitor.open(decision.link(r"/admin/bol/\d+/labels$"))
        visitor.submit(bought, "/enter-number$", number=label["shippingLabelId"])
        ready = eventually(lambda: says(visitor.open(picklist.url), "Print label"), ENDS)

        answer_late(house, "/retailer/shipments")
        close(visitor, ready, "")
        eventually(lambda: shipments(house), COMES_IN)
        kill(house.workers_and_jobs())
        house.sandbox.faults([])
        confirmed(visitor, order_id)
        (shipment,) = house.sandbox.state(SELLER)["shipments"]
        assert shipment["transport"]["shippingLabelId"] == label["shippingLabelId"]
        assert len(labels(house)) == 1


def answer_late(house: House, path: str) -> None:
    """Let bol do what it is asked, and say so so late that the one who asked is dead by then."""
    late = {"method": "POST", "path": path, "when": "after", "delayMs": LATE, "times": 1}
    house.sandbox.faults([late])


def labels(house: House) -> list[Any]:
    return list(house.sandbox.state(SELLER)["labels"])


def says(page: Page, text: str) -> Page:
    assert text in page.text, page.text
    return page

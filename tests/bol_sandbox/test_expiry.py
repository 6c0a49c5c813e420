"""The day-3 rule: what is not confirmed in time is cancelled by bol, and its offer sold out."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from bol_sandbox.testing import SandboxControls
from tests.bol_sandbox.conftest import BAG, LAMP, MUG, Api, item_ids

HOUR = 3600


@pytest.fixture
def order(sandbox: SandboxControls, offers: dict[str, str]) -> dict[str, Any]:
    wishes = [{"ean": MUG, "quantity": 3}, {"ean": LAMP, "quantity": 1}, {"ean": BAG, "quantity": 1}]
    return sandbox.place_order("seller", wishes)


def move_to_the_end_of_the_last_day(sandbox: SandboxControls, order: dict[str, Any], hours: float) -> None:
    """Move the clock to so many hours after the expiry date is over."""
    day = date.fromisoformat(order["orderItems"][0]["fulfilment"]["expiryDate"])
    now = datetime.fromisoformat(sandbox.state()["now"])
    over = datetime(day.year, day.month, day.day, tzinfo=now.tzinfo) + timedelta(days=1, hours=hours)
    sandbox.advance((over - now).total_seconds())


def quantities(sandbox: SandboxControls) -> list[tuple[int, int]]:
    (order,) = sandbox.state()["orders"]
    return [(item["quantityShipped"], item["quantityCancelled"]) for item in order["orderItems"]]


def test_what_is_open_after_the_expiry_date_is_cancelled_and_sold_out(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    mug, lamp, _ = item_ids(order)
    api.ship((mug, 2))
    api.ship((lamp, None))
    move_to_the_end_of_the_last_day(sandbox, order, hours=-2)
    assert quantities(sandbox) == [(2, 0), (1, 0), (0, 0)]
    move_to_the_end_of_the_last_day(sandbox, order, hours=2)
    # What bol ships itself is none of the seller's business.
    assert quantities(sandbox) == [(2, 1), (1, 0), (0, 0)]
    assert [sandbox.offer("seller", ean)["amount"] for ean in (MUG, LAMP)] == [0, 5]
    assert sandbox.offer("seller", MUG)["correctedStock"] == 0
    assert sandbox.offer("seller", BAG)["bolStock"] == 4


def test_a_shipment_comes_too_late_for_an_expired_item(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    move_to_the_end_of_the_last_day(sandbox, order, hours=2)
    api.login()
    assert api.status(api.ship((item_ids(order)[0], 1)))["status"] == "FAILURE"
    assert api.order_ids() == []
    assert api.order_ids(status="ALL", fulfilment_method="FBR") == [order["orderId"]]


def test_a_seller_may_put_an_expired_offer_on_sale_again(
    sandbox: SandboxControls, api: Api, offers: dict[str, str], order: dict[str, Any]
) -> None:
    move_to_the_end_of_the_last_day(sandbox, order, hours=2)
    api.login()
    api.send("PATCH", f"/retailer/offers/{offers[MUG]}", {"stock": {"amount": 7, "managedByRetailer": True}})
    assert sandbox.offer("seller", MUG)["correctedStock"] == 7


def test_an_offer_that_was_deleted_meanwhile_stays_so(
    sandbox: SandboxControls, api: Api, offers: dict[str, str], order: dict[str, Any]
) -> None:
    api.send("DELETE", f"/retailer/offers/{offers[MUG]}")
    move_to_the_end_of_the_last_day(sandbox, order, hours=2)
    assert quantities(sandbox)[0] == (0, 3)
    assert {offer["ean"] for offer in sandbox.state()["offers"]} == {LAMP, BAG}


def test_without_the_rule_orders_stay_open(sandbox: SandboxControls, order: dict[str, Any]) -> None:
    sandbox.settings(dayThreeRule=False)
    move_to_the_end_of_the_last_day(sandbox, order, hours=48)
    assert quantities(sandbox) == [(0, 0)] * 3

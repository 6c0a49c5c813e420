"""The orders list, one order, and cancellation."""

from __future__ import annotations

import pytest

from bol_sandbox.testing import SandboxControls, SandboxRefused
from tests.bol_sandbox.conftest import BAG, LAMP, MUG, Api, item_ids

HOUR = 3600


def test_an_empty_list_lacks_the_key(api: Api) -> None:
    assert api.get("/retailer/orders").json() == {}


def test_orders_are_listed_newest_first_fifty_a_page(sandbox: SandboxControls, api: Api) -> None:
    placed = sandbox.generate_orders("seller", 120, seed=3)
    expected = [
        order["orderId"]
        for order in reversed(sandbox.state()["orders"])
        if any(item["fulfilment"]["method"] == "FBR" for item in order["orderItems"])
    ]
    read = [order_id for page in (1, 2, 3) for order_id in api.order_ids(page=page)]
    assert read == expected
    assert len(api.order_ids(page=1)) == 50
    assert set(read) <= set(placed)
    assert api.order_ids(page=4) == []


def test_a_list_that_was_read_shows_what_came_since(sandbox: SandboxControls, api: Api) -> None:
    first = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])["orderId"]
    assert api.order_ids() == [first]
    second = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])["orderId"]
    assert api.order_ids() == [second, first]


def test_only_own_fulfilment_is_listed_unless_asked_otherwise(sandbox: SandboxControls, api: Api) -> None:
    own = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])["orderId"]
    by_bol = sandbox.place_order("seller", [{"ean": BAG, "quantity": 1}])["orderId"]
    assert api.order_ids() == [own]
    assert api.order_ids(fulfilment_method="FBB") == [by_bol]
    assert api.order_ids(fulfilment_method="ALL") == [by_bol, own]


def test_a_mixed_order_lists_the_items_that_fit_the_filter(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}, {"ean": BAG, "quantity": 1}])
    listed = api.get("/retailer/orders").json()["orders"][0]
    assert item_ids(listed) == item_ids(order)[:1]
    assert len(api.get(f"/retailer/orders/{order['orderId']}").json()["orderItems"]) == 2


def test_handled_orders_stay_listed_for_48_hours(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    api.ship((item_ids(order)[0], None))
    assert api.order_ids() == []
    assert api.order_ids(status="SHIPPED") == api.order_ids(status="ALL") == [order["orderId"]]
    sandbox.advance(47 * HOUR)
    api.login()
    assert api.order_ids(status="ALL") == [order["orderId"]]
    sandbox.advance(2 * HOUR)
    api.login()
    assert api.order_ids(status="ALL") == []
    assert api.get(f"/retailer/orders/{order['orderId']}").status_code == 200


def test_a_cancelled_order_is_under_all_and_not_under_shipped(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    sandbox.cancel(order["orderId"])
    assert api.order_ids(status="SHIPPED") == []
    assert api.order_ids(status="ALL") == [order["orderId"]]


def test_the_change_interval_shows_what_changed_within_it(sandbox: SandboxControls, api: Api) -> None:
    old = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    sandbox.advance(20 * 60)
    new = sandbox.place_order("seller", [{"ean": LAMP, "quantity": 1}])
    api.login()
    assert api.order_ids(change_interval_minute=10) == [new["orderId"]]
    sandbox.request_cancellation(old["orderId"])
    assert api.order_ids(change_interval_minute=10) == [new["orderId"], old["orderId"]]


def test_the_change_interval_pages_through_very_many_changes(sandbox: SandboxControls, api: Api) -> None:
    placed = sandbox.generate_orders("seller", 700, seed=1)
    pages = [
        api.order_ids(change_interval_minute=60, fulfilment_method="ALL", page=page) for page in range(1, 16)
    ]
    assert [order_id for page in pages for order_id in page] == placed[::-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page", "0"),
        ("page", "--1"),
        ("change_interval_minute", "61"),
        ("status", "CLOSED"),
        ("fulfilment_method", "LVB"),
        ("vvb_only", "yes"),
        ("latest_change_date", "yesterday"),
    ],
)
def test_a_wrong_parameter_is_named_in_a_violation(api: Api, name: str, value: str) -> None:
    answer = api.get("/retailer/orders", **{name: value})
    assert answer.status_code == 400
    assert answer.json()["violations"][0]["name"] == name.replace("_", "-")


def test_orders_can_be_read_by_the_day_of_their_last_change(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    day = order["orderPlacedDateTime"][:10]
    sandbox.advance(24 * HOUR)
    sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    api.login()
    assert api.order_ids(latest_change_date=day) == [order["orderId"]]


def test_vvb_only_keeps_orders_shipped_via_bol(sandbox: SandboxControls, api: Api) -> None:
    sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    via_bol = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1, "distributionParty": "BOL"}])
    assert api.order_ids(vvb_only="true") == [via_bol["orderId"]]


def test_an_unknown_order_is_a_404_without_violations(api: Api) -> None:
    answer = api.get("/retailer/orders/9999999999")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "Order for order id 9999999999 not found."
    assert "violations" not in answer.json()


def test_a_pickup_point_order_says_so(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}], pickupPoint=True, country="BE")
    read = api.get(f"/retailer/orders/{order['orderId']}").json()
    assert read["pickupPoint"] is True
    assert read["shipmentDetails"]["pickupPointName"]
    assert read["shipmentDetails"]["countryCode"] == "BE"


def test_the_same_calls_invent_the_same_customers(sandbox: SandboxControls) -> None:
    def run() -> list[object]:
        sandbox.reset()
        sandbox.add_seller(offers=[{"ean": MUG, "title": "Mok", "price": 5, "stock": 9}])
        return [
            sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])["shipmentDetails"] for _ in "abc"
        ]

    assert run() == run()


def test_more_than_can_be_sold_is_refused_unless_forced(sandbox: SandboxControls, api: Api) -> None:
    with pytest.raises(SandboxRefused, match="Only 5"):
        sandbox.place_order("seller", [{"ean": LAMP, "quantity": 6}])
    order = sandbox.place_order("seller", [{"ean": LAMP, "quantity": 6}], force=True)
    assert order["orderItems"][0]["quantity"] == 6


def test_a_cancellation_takes_effect_when_its_process_ends(sandbox: SandboxControls, api: Api) -> None:
    sandbox.settings(processStatusDelayMs=60_000)
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 2}])
    accepted = api.cancel(item_ids(order)[0])
    assert accepted.status_code == 202
    assert accepted.json()["status"] == "PENDING"
    assert api.order_ids() == [order["orderId"]]
    sandbox.advance(61)
    assert api.status(accepted)["status"] == "SUCCESS"
    item = api.get(f"/retailer/orders/{order['orderId']}").json()["orderItems"][0]
    assert (item["quantityCancelled"], item["quantityShipped"]) == (2, 0)


def test_a_cancellation_comes_one_item_at_a_time_with_a_known_reason(api: Api) -> None:
    line = {"orderItemId": "1", "reasonCode": "OTHER"}
    two = api.send("PUT", "/retailer/orders/cancellation", {"orderItems": [line, line]})
    assert two.status_code == 400
    wrong = api.cancel("1", "BORED")
    assert wrong.status_code == 400
    violation = wrong.json()["violations"][0]
    assert violation["name"] == "orderItems[0].reasonCode"
    assert violation["reason"].startswith(
        "Request contains invalid value(s): 'BORED', allowed values: OUT_OF"
    )


@pytest.mark.parametrize("handle", ["ship", "cancel", "unknown"])
def test_what_is_handled_or_unknown_cannot_be_cancelled(
    sandbox: SandboxControls, api: Api, handle: str
) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    item_id = item_ids(order)[0]
    if handle == "ship":
        api.ship((item_id, None))
    elif handle == "cancel":
        sandbox.cancel(order["orderId"])
    status = api.status(api.cancel(item_id if handle != "unknown" else "404404"))
    assert status["status"] == "FAILURE"
    assert status["errorMessage"]


def test_a_request_for_cancellation_leaves_the_item_open(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}, {"ean": LAMP, "quantity": 1}])
    sandbox.request_cancellation(order["orderId"], item_ids(order)[1:])
    items = api.get("/retailer/orders").json()["orders"][0]["orderItems"]
    assert [item["cancellationRequest"] for item in items] == [False, True]
    assert {item["fulfilmentStatus"] for item in items} == {"OPEN"}


def test_a_request_for_cancellation_can_be_withdrawn_and_made_again(
    sandbox: SandboxControls, api: Api
) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])

    def asked() -> bool:
        return bool(api.get("/retailer/orders").json()["orders"][0]["orderItems"][0]["cancellationRequest"])

    sandbox.request_cancellation(order["orderId"])
    sandbox.withdraw_cancellation_request(order["orderId"])
    assert not asked()
    with pytest.raises(SandboxRefused, match="Nobody asks"):
        sandbox.withdraw_cancellation_request(order["orderId"])
    sandbox.request_cancellation(order["orderId"])
    assert asked()


def test_bol_can_cancel_one_item_of_an_order(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 3}, {"ean": LAMP, "quantity": 1}])
    sandbox.cancel(order["orderId"], item_ids(order)[:1])
    listed = api.get("/retailer/orders", status="ALL").json()["orders"][0]["orderItems"]
    assert [item["quantityCancelled"] for item in listed] == [3, 0]
    with pytest.raises(SandboxRefused, match="Nothing of this is open"):
        sandbox.cancel(order["orderId"], item_ids(order)[:1])

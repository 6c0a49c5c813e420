"""Shipments and the process statuses that follow them."""

from __future__ import annotations

from typing import Any

import pytest

from bol_sandbox.testing import SandboxControls
from tests.bol_sandbox.conftest import BAG, LAMP, MUG, Api, item_ids

DAY = 24 * 3600


@pytest.fixture
def order(sandbox: SandboxControls, offers: dict[str, str]) -> dict[str, Any]:
    return sandbox.place_order("seller", [{"ean": MUG, "quantity": 3}, {"ean": LAMP, "quantity": 1}])


def test_a_shipment_ends_well_and_can_be_read(api: Api, order: dict[str, Any]) -> None:
    accepted = api.ship((item_ids(order)[0], 2), (item_ids(order)[1], None), shipmentReference="PL-1")
    assert accepted.status_code == 202
    assert "entityId" not in accepted.json()
    assert api.status(accepted)["status"] == "SUCCESS"
    listed = api.get("/retailer/shipments", order_id=order["orderId"]).json()["shipments"]
    shipment = api.get(f"/retailer/shipments/{listed[0]['shipmentId']}").json()
    assert [(item["orderItemId"], item["quantityShipped"]) for item in shipment["shipmentItems"]] == [
        (item_ids(order)[0], 2),
        (item_ids(order)[1], 1),
    ]
    assert shipment["shipmentReference"] == "PL-1"
    assert shipment["transport"]["trackAndTrace"] == "3S1"


def test_an_item_may_go_in_several_shipments(api: Api, order: dict[str, Any]) -> None:
    mug = item_ids(order)[0]
    for _ in range(2):
        assert api.status(api.ship((mug, 1)))["status"] == "SUCCESS"
    assert api.status(api.ship((mug, None)))["status"] == "SUCCESS"
    item = api.get(f"/retailer/orders/{order['orderId']}").json()["orderItems"][0]
    assert item["quantityShipped"] == 3
    assert len(api.get("/retailer/shipments").json()["shipments"]) == 3


@pytest.mark.parametrize("wrong", ["too much", "cancelled", "shipped", "unknown", "by bol", "two orders"])
def test_what_cannot_be_shipped_is_accepted_and_then_fails(
    sandbox: SandboxControls, api: Api, order: dict[str, Any], wrong: str
) -> None:
    mug, lamp = item_ids(order)
    other = sandbox.place_order("seller", [{"ean": BAG if wrong == "by bol" else MUG, "quantity": 1}])
    lines: list[tuple[str, int | None]] = [(lamp, None), (mug, 4 if wrong == "too much" else None)]
    if wrong == "cancelled":
        sandbox.cancel(order["orderId"], [mug])
    elif wrong == "shipped":
        api.ship((mug, None))
    elif wrong == "unknown":
        lines = [(lamp, None), ("404404", 1)]
    elif wrong in ("by bol", "two orders"):
        lines.append((item_ids(other)[0], None))
    accepted = api.ship(*lines)
    assert accepted.status_code == 202
    status = api.status(accepted)
    assert status["status"] == "FAILURE"
    assert status["errorMessage"]
    # All of a request or nothing of it: the lamp did not leave.
    items = api.get(f"/retailer/orders/{order['orderId']}").json()["orderItems"]
    assert items[1]["quantityShipped"] == 0


def test_a_cancellation_that_comes_between_makes_the_shipment_fail(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    sandbox.settings(processStatusDelayMs=30_000)
    accepted = api.ship((item_ids(order)[0], None))
    sandbox.cancel(order["orderId"])
    sandbox.advance(31)
    assert api.status(accepted)["status"] == "FAILURE"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"shippingLabelId": "abc"}, None),
        ({"transport": None}, None),
        ({"transport": {}}, "transport.transporterCode"),
        ({"shipmentReference": ""}, "shipmentReference"),
        ({"shipmentReference": "x" * 91}, "shipmentReference"),
        ({"orderItems": []}, "orderItems"),
        ({"orderItems": [{"orderItemId": "1"}] * 101}, "orderItems"),
        ({"orderItems": [{"orderItemId": "1", "quantity": 0}]}, "orderItems[0].quantity"),
        ({"orderItems": [{"quantity": 1}]}, "orderItems[0].orderItemId"),
    ],
)
def test_a_malformed_shipment_is_refused_at_once(api: Api, change: dict[str, Any], name: str | None) -> None:
    answer = api.ship(("1", 1), **change)
    assert answer.status_code == 400
    assert answer.json()["violations"][0].get("name") == name


@pytest.mark.parametrize("code", ["BLA", "DPD", "tnt", "TNT "])
def test_a_transporter_that_bol_has_not_published_is_refused_at_once_and_the_list_is_told(
    sandbox: SandboxControls, api: Api, order: dict[str, Any], code: str
) -> None:
    answer = api.ship((item_ids(order)[0], None), transport={"transporterCode": code, "trackAndTrace": "3S1"})
    assert answer.status_code == 400
    (violation,) = answer.json()["violations"]
    assert violation["name"] == "transport.transporterCode"
    assert f"'{code}', allowed values: AMPERE, " in violation["reason"] and "DPD-NL" in violation["reason"]
    assert sandbox.state()["shipments"] == []


def test_the_order_id_excludes_a_fulfilment_method(api: Api) -> None:
    answer = api.get("/retailer/shipments", order_id="1", fulfilment_method="FBR")
    assert answer.status_code == 400


def test_shipments_are_listed_newest_first_fifty_a_page(sandbox: SandboxControls, api: Api) -> None:
    shipped = []
    for order_id in sandbox.generate_orders("seller", 60, seed=5):
        items = api.get(f"/retailer/orders/{order_id}").json()["orderItems"]
        lines = [(item["orderItemId"], None) for item in items if item["fulfilment"]["method"] == "FBR"]
        if lines:
            api.ship(*lines)
            shipped.append(order_id)
    pages = [api.get("/retailer/shipments", page=page).json().get("shipments", []) for page in (1, 2)]
    read = [shipment["order"]["orderId"] for page in pages for shipment in page]
    assert read == shipped[::-1]
    assert len(pages[0]) == 50


def test_a_status_is_pending_until_its_delay_is_over(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    sandbox.settings(processStatusDelayMs=5000)
    accepted = api.ship((item_ids(order)[0], None))
    assert api.status(accepted)["status"] == "PENDING"
    sandbox.advance(6)
    assert api.status(accepted)["status"] == "SUCCESS"


def test_statuses_are_forgotten_after_a_day(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    gone = api.ship((item_ids(order)[0], 1)).json()["processStatusId"]
    api.get("/retailer/orders")
    sandbox.advance(DAY + 60)
    api.login()
    kept = api.ship((item_ids(order)[0], 1)).json()["processStatusId"]
    assert api.get(f"/shared/process-status/{gone}").status_code == 404
    queries = [{"processStatusId": one} for one in (gone, kept, "unknown")]
    bulk = api.send("POST", "/shared/process-status", {"processStatusQueries": queries}).json()
    assert [status["processStatusId"] for status in bulk["processStatuses"]] == [kept]
    by_entity = api.get(
        "/shared/process-status", entity_id=item_ids(order)[0], event_type="CREATE_SHIPMENT"
    ).json()
    assert [status["processStatusId"] for status in by_entity["processStatuses"]] == [kept]


def test_statuses_are_found_by_order_item_newest_first(api: Api, order: dict[str, Any]) -> None:
    mug = item_ids(order)[0]
    made = [api.ship((mug, 1)).json()["processStatusId"] for _ in range(3)]
    found = api.get("/shared/process-status", entity_id=mug, event_type="CREATE_SHIPMENT").json()
    assert [status["processStatusId"] for status in found["processStatuses"]] == made[::-1]
    assert api.get("/shared/process-status", entity_id="0", event_type="CREATE_SHIPMENT").json() == {}


def test_the_entity_of_a_shipment_status_can_be_switched(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    mug = item_ids(order)[0]
    assert api.status(api.ship((mug, 1)))["entityId"] == mug
    sandbox.settings(shipmentEntityId="shipmentId")
    entity = api.status(api.ship((mug, 1)))["entityId"]
    assert api.get(f"/retailer/shipments/{entity}").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"entity_id": "1"},
        {"event_type": "CREATE_SHIPMENT"},
        {"entity_id": "1", "event_type": "CONFIRM_SHIPMENT"},
    ],
)
def test_statuses_by_entity_need_both_parameters(api: Api, query: dict[str, str]) -> None:
    assert api.get("/shared/process-status", **query).status_code == 400


def test_more_than_a_thousand_statuses_at_once_are_refused(api: Api) -> None:
    queries = [{"processStatusId": str(number)} for number in range(1001)]
    assert api.send("POST", "/shared/process-status", {"processStatusQueries": queries}).status_code == 400
    assert api.send("POST", "/shared/process-status", {"processStatusQueries": queries[:1000]}).json() == {}

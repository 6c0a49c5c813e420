"""Transports: a parcel's carrier and tracking code, corrected afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from bol_sandbox.testing import SandboxControls
from tests.bol_sandbox.conftest import MUG, Api, item_ids


@pytest.fixture
def transport_id(sandbox: SandboxControls, api: Api) -> str:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    api.ship((item_ids(order)[0], 1))
    return str(api.get("/retailer/shipments").json()["shipments"][0]["transport"]["transportId"])


def change(api: Api, transport_id: str, **body: Any) -> requests.Response:
    return api.send("PUT", f"/retailer/transports/{transport_id}", body)


def shown(sandbox: SandboxControls) -> tuple[str, str]:
    (transport,) = sandbox.state()["transports"]
    return transport["transporterCode"], transport["trackAndTrace"]


def test_carrier_and_code_change_when_the_status_ends(
    sandbox: SandboxControls, api: Api, transport_id: str
) -> None:
    sandbox.settings(processStatusDelayMs=5000)
    accepted = change(api, transport_id, transporterCode="GLS", trackAndTrace="GLS9")
    assert (accepted.status_code, accepted.json()["eventType"]) == (202, "CHANGE_TRANSPORT")
    assert shown(sandbox) == ("TNT", "3S1")
    sandbox.advance(6)
    assert api.status(accepted)["status"] == "SUCCESS"
    assert shown(sandbox) == ("GLS", "GLS9")
    (shipment,) = sandbox.state()["shipments"]
    assert (
        api.get(f"/retailer/shipments/{shipment['shipmentId']}").json()["transport"]["trackAndTrace"]
        == "GLS9"
    )


def test_without_a_carrier_the_old_one_stays(sandbox: SandboxControls, api: Api, transport_id: str) -> None:
    assert api.status(change(api, transport_id, trackAndTrace="3S2"))["status"] == "SUCCESS"
    assert shown(sandbox) == ("TNT", "3S2")


def test_the_status_is_found_by_the_transport(api: Api, transport_id: str) -> None:
    made = change(api, transport_id, trackAndTrace="3S2").json()["processStatusId"]
    found = api.get("/shared/process-status", entity_id=transport_id, event_type="CHANGE_TRANSPORT").json()
    assert [status["processStatusId"] for status in found["processStatuses"]] == [made]


def test_an_unknown_transport_and_another_sellers_fail_later(
    sandbox: SandboxControls, api: Api, transport_id: str
) -> None:
    assert api.status(change(api, "404", trackAndTrace="3S2"))["status"] == "FAILURE"
    sandbox.add_seller("other", "other")
    other = Api(sandbox.url, "other", "other")
    assert other.status(change(other, transport_id, trackAndTrace="3S2"))["status"] == "FAILURE"
    assert shown(sandbox) == ("TNT", "3S1")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"transporterCode": "TNT"}, "trackAndTrace"),
        ({"trackAndTrace": ""}, "trackAndTrace"),
        ({"trackAndTrace": "3S", "transporterCode": 7}, "transporterCode"),
        ({"trackAndTrace": "3S", "transporterCode": "BLA"}, "transporterCode"),
    ],
)
def test_a_malformed_change_is_refused_at_once(
    api: Api, transport_id: str, body: dict[str, Any], name: str
) -> None:
    answer = change(api, transport_id, **body)
    assert answer.status_code == 400
    assert answer.json()["violations"][0]["name"] == name

"""Process statuses that end as a test wants it, with the work done or not."""

from __future__ import annotations

from typing import Any

import pytest

from bol_sandbox.testing import SandboxControls, SandboxRefused
from tests.bol_sandbox.conftest import MUG, Api, item_ids


@pytest.fixture
def mug(sandbox: SandboxControls, api: Api) -> str:
    return item_ids(sandbox.place_order("seller", [{"ean": MUG, "quantity": 3}]))[0]


@pytest.mark.parametrize("end", ["FAILURE", "TIMEOUT"])
@pytest.mark.parametrize("done", [True, False])
def test_a_status_ends_as_it_must_whether_or_not_the_work_is_done(
    sandbox: SandboxControls, api: Api, mug: str, end: str, done: bool
) -> None:
    sandbox.settings(processStatusEnd={"CREATE_SHIPMENT": {"status": end, "workDone": done}})
    status = api.status(api.ship((mug, 1)))
    assert (status["status"], "errorMessage" in status) == (end, end == "FAILURE")
    assert len(sandbox.state()["shipments"]) == done


def test_by_its_name_alone_an_end_without_success_leaves_the_work_undone(
    sandbox: SandboxControls, api: Api, mug: str
) -> None:
    sandbox.settings(processStatusEnd={"CREATE_SHIPMENT": "TIMEOUT", "CANCEL_ORDER": "SUCCESS"})
    assert api.status(api.ship((mug, 1)))["status"] == "TIMEOUT"
    assert sandbox.state()["shipments"] == []
    assert api.status(api.cancel(mug))["status"] == "SUCCESS"
    assert sandbox.state()["orders"][0]["orderItems"][0]["quantityCancelled"] == 3


def test_only_the_named_event_and_only_so_many_times(sandbox: SandboxControls, api: Api, mug: str) -> None:
    sandbox.settings(processStatusEnd={"CREATE_SHIPMENT": {"status": "TIMEOUT", "times": 1}})
    assert [api.status(api.ship((mug, 1)))["status"] for _ in range(2)] == ["TIMEOUT", "SUCCESS"]
    sandbox.settings(processStatusEnd={})
    assert api.status(api.cancel(mug))["status"] == "SUCCESS"


def test_the_end_is_decided_when_it_comes(sandbox: SandboxControls, api: Api, mug: str) -> None:
    sandbox.settings(processStatusDelayMs=5000, processStatusEnd={"CREATE_SHIPMENT": "FAILURE"})
    accepted = api.ship((mug, 1))
    sandbox.settings(processStatusEnd={})
    sandbox.advance(6)
    assert api.status(accepted)["status"] == "SUCCESS"


def test_a_label_may_be_bought_although_its_status_timed_out(
    sandbox: SandboxControls, api: Api, mug: str
) -> None:
    sandbox.settings(processStatusEnd={"CREATE_SHIPPING_LABEL": {"status": "TIMEOUT", "workDone": True}})
    lines = {"orderItems": [{"orderItemId": mug, "quantity": 1}]}
    options = api.send("POST", "/retailer/shipping-labels/delivery-options", lines).json()["deliveryOptions"]
    offer = {"shippingLabelOfferId": options[0]["shippingLabelOfferId"]}
    status = api.status(api.send("POST", "/retailer/shipping-labels", lines | offer))
    assert (status["status"], "entityId" in status) == ("TIMEOUT", False)
    assert len(sandbox.state()["labels"]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"SHIPMENT": "FAILURE"},
        {"CREATE_SHIPMENT": "PENDING"},
        {"CREATE_SHIPMENT": {}},
        {"CREATE_SHIPMENT": {"status": "TIMEOUT", "workdone": True}},
        {"CREATE_SHIPMENT": 3},
    ],
)
def test_a_misspelt_end_is_refused(sandbox: SandboxControls, wrong: dict[str, Any]) -> None:
    with pytest.raises(SandboxRefused):
        sandbox.settings(processStatusEnd=wrong)

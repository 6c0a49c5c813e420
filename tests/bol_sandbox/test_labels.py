"""Labels of Shipping via bol: options, purchase, PDF, and the parcel that carries one."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import requests

from bol_sandbox.testing import SandboxControls, SandboxRefused
from tests.bol_sandbox.conftest import BAG, LAMP, MUG, Api, item_ids

LABELS = "/retailer/shipping-labels"
PDF = {"Accept": "application/vnd.retailer.v10+pdf"}
HOUR = 3600
DAY = 24 * HOUR
Line = tuple[str, int | None]


@pytest.fixture
def order(sandbox: SandboxControls, offers: dict[str, str]) -> dict[str, Any]:
    """Three mugs and a lamp, shipped by the seller on a label of bol's."""
    wishes = [{"ean": MUG, "quantity": 3}, {"ean": LAMP, "quantity": 1}]
    return sandbox.place_order("seller", [wish | {"distributionParty": "BOL"} for wish in wishes])


def _lines(*lines: Line) -> list[dict[str, Any]]:
    return [{"orderItemId": i, **({} if n is None else {"quantity": n})} for i, n in lines]


def ask(api: Api, *lines: Line) -> requests.Response:
    return api.send("POST", f"{LABELS}/delivery-options", {"orderItems": _lines(*lines)})


def options(api: Api, *lines: Line) -> list[dict[str, Any]]:
    answer = ask(api, *lines)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["deliveryOptions"])


def buy(api: Api, offer_id: str, *lines: Line) -> requests.Response:
    return api.send("POST", LABELS, {"orderItems": _lines(*lines), "shippingLabelOfferId": offer_id})


def bought(api: Api, *lines: Line) -> str:
    """Buy the first option; returns the id of the label."""
    status = api.status(buy(api, options(api, *lines)[0]["shippingLabelOfferId"], *lines))
    assert status["status"] == "SUCCESS", status
    return str(status["entityId"])


def ship_by_label(api: Api, label: str, *lines: Line) -> dict[str, Any]:
    return api.status(api.ship(*lines, transport=None, shippingLabelId=label))


def test_options_differ_in_carrier_type_and_price_and_one_is_recommended(
    api: Api, order: dict[str, Any]
) -> None:
    found = options(api, (item_ids(order)[1], None))
    assert {option["labelType"] for option in found} == {"PARCEL", "MAILBOX", "MAILBOX_LIGHT"}
    assert len({option["labelPrice"]["totalPrice"] for option in found}) == len(found) == 4
    assert [option["labelType"] for option in found if option["recommended"]] == ["MAILBOX"]
    scanned = [option for option in found if "handoverDetails" in option]
    assert {option["labelType"] for option in scanned} == {"PARCEL", "MAILBOX"}


@pytest.mark.parametrize(("pieces", "kinds"), [(1, 4), (2, 3), (3, 2)])
def test_what_does_not_fit_is_not_on_offer(api: Api, order: dict[str, Any], pieces: int, kinds: int) -> None:
    assert len(options(api, (item_ids(order)[0], pieces))) == kinds


def test_no_quantity_means_all_that_is_open(api: Api, order: dict[str, Any]) -> None:
    mug = item_ids(order)[0]
    assert len(options(api, (mug, None))) == 2
    api.ship((mug, 2))
    assert len(options(api, (mug, None))) == 4


def test_the_destination_decides_what_is_on_offer(sandbox: SandboxControls, api: Api) -> None:
    def kinds(**more: Any) -> set[str]:
        placed = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}], **more)
        found = options(api, (item_ids(placed)[0], 1))
        return {f"{option['transporterCode']} {option['labelType']}" for option in found}

    assert kinds(country="BE") == {"BPOST_BE PARCEL"}
    assert kinds(pickupPoint=True) == {"TNT PARCEL", "DHLFORYOU PARCEL"}


def test_the_hand_over_is_before_the_latest_delivery_while_that_can_be_met(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    lamp = item_ids(order)[1]

    def handover() -> dict[str, Any]:
        return dict(options(api, (lamp, None))[0]["handoverDetails"])

    latest = date.fromisoformat(order["orderItems"][1]["fulfilment"]["latestDeliveryDate"])
    first = handover()
    assert first["meetsCustomerExpectation"] is True
    moment = datetime.fromisoformat(first["latestHandoverDateTime"])
    assert (moment.date(), moment.hour) == (latest - timedelta(days=1), 19)
    sandbox.advance(3 * DAY)
    api.login()
    late = handover()
    assert late["meetsCustomerExpectation"] is False
    assert late["latestHandoverDateTime"] > sandbox.state()["now"] > late["earliestHandoverDateTime"]


@pytest.mark.parametrize(
    "wrong", ["by bol", "two orders", "too many", "more than open", "cancelled", "shipped"]
)
@pytest.mark.parametrize(("setting", "status"), [("404", 404), ("empty", 200)])
def test_there_may_be_no_options(
    sandbox: SandboxControls, api: Api, order: dict[str, Any], wrong: str, setting: str, status: int
) -> None:
    sandbox.settings(noLabelOptions=setting)
    mug = item_ids(order)[0]
    other = sandbox.place_order(
        "seller", [{"ean": BAG if wrong == "by bol" else MUG, "quantity": 21}], force=True
    )
    lines: list[Line] = [(mug, 4 if wrong == "more than open" else None)]
    if wrong in ("by bol", "too many"):
        lines = [(item_ids(other)[0], None)]
    elif wrong == "two orders":
        lines.append((item_ids(other)[0], 1))
    elif wrong == "cancelled":
        sandbox.cancel(order["orderId"])
    elif wrong == "shipped":
        api.ship((mug, None))
    answer = ask(api, *lines)
    assert answer.status_code == status
    assert status == 404 or answer.json() == {}


def test_an_unknown_item_and_another_sellers_are_not_found(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    sandbox.settings(noLabelOptions="empty")
    assert ask(api, ("404404", 1)).status_code == 404
    sandbox.add_seller("other", "other")
    assert ask(Api(sandbox.url, "other", "other"), (item_ids(order)[0], 1)).status_code == 404


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "orderItems"),
        ({"orderItems": []}, "orderItems"),
        ({"orderItems": ["1"]}, "orderItems[0]"),
        ({"orderItems": [{"orderItemId": ""}]}, "orderItems[0].orderItemId"),
        ({"orderItems": [{"orderItemId": "1", "quantity": 0}]}, "orderItems[0].quantity"),
    ],
)
def test_a_malformed_question_or_purchase_is_refused_at_once(
    api: Api, body: dict[str, Any], name: str
) -> None:
    for path, more in ((f"{LABELS}/delivery-options", {}), (LABELS, {"shippingLabelOfferId": "1"})):
        answer = api.send("POST", path, body | more)
        assert answer.status_code == 400
        assert answer.json()["violations"][0]["name"] == name


def test_a_purchase_names_its_offer(api: Api) -> None:
    answer = api.send("POST", LABELS, {"orderItems": [{"orderItemId": "1"}]})
    assert answer.status_code == 400
    assert answer.json()["violations"][0]["name"] == "shippingLabelOfferId"


def test_a_label_is_bought_and_can_be_printed(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    lamp = item_ids(order)[1]
    option = options(api, (lamp, 1))[0]
    accepted = buy(api, option["shippingLabelOfferId"], (lamp, 1))
    assert (accepted.status_code, accepted.json()["eventType"]) == (202, "CREATE_SHIPPING_LABEL")
    assert "entityId" not in accepted.json()
    label = api.status(accepted)["entityId"]
    answer = api.send("GET", f"{LABELS}/{label}", headers=PDF)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == PDF["Accept"]
    assert answer.headers["X-Transporter-Code"] == option["transporterCode"]
    assert label.encode() in answer.content
    (row,) = sandbox.state()["labels"]
    assert row["trackAndTrace"] == answer.headers["X-Track-And-Trace-Code"]
    assert (row["shippingLabelId"], row["totalPrice"], row["shipmentId"]) == (label, 4.41, None)


def test_the_pdf_is_whole(api: Api, order: dict[str, Any]) -> None:
    pdf = api.send("GET", f"{LABELS}/{bought(api, (item_ids(order)[0], 1))}", headers=PDF).content
    assert pdf.startswith(b"%PDF-1.4") and pdf.endswith(b"%%EOF\n")
    table = int(re.findall(rb"startxref\n(\d+)\n", pdf)[0])
    assert pdf[table:].startswith(b"xref\n0 6\n")
    begins = [int(one) for one in re.findall(rb"(\d{10}) 00000 n ", pdf)]
    assert [pdf[begin:].split(b" ", 1)[0] for begin in begins] == [b"1", b"2", b"3", b"4", b"5"]
    length, text = re.findall(rb"/Length (\d+) >>\nstream\n(.*)\nendstream", pdf, re.DOTALL)[0]
    assert int(length) == len(text)


def test_a_head_request_gets_the_headers_alone(api: Api, order: dict[str, Any]) -> None:
    path = f"{LABELS}/{bought(api, (item_ids(order)[0], 1))}"
    whole, head = api.send("GET", path, headers=PDF), api.send("HEAD", path, headers=PDF)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("X-Track-And-Trace-Code", "X-Transporter-Code", "Content-Type", "Content-Length"):
        assert head.headers[name] == whole.headers[name]


def test_a_label_is_its_buyers_alone_and_comes_as_a_pdf_only(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    path = f"{LABELS}/{bought(api, (item_ids(order)[0], 1))}"
    sandbox.add_seller("other", "other")
    other = Api(sandbox.url, "other", "other")
    assert other.send("GET", path, headers=PDF).status_code == 404
    assert api.send("GET", f"{LABELS}/unknown", headers=PDF).status_code == 404
    assert api.send("HEAD", f"{LABELS}/unknown", headers=PDF).status_code == 404
    assert api.get(path).status_code == 406


def test_each_purchase_is_another_label_and_more_money(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    mug = item_ids(order)[0]
    offer = options(api, (mug, 1))[0]["shippingLabelOfferId"]
    labels = {api.status(buy(api, offer, (mug, 1)))["entityId"] for _ in range(3)}
    assert len(labels) == 3
    (seller,) = sandbox.state()["sellers"]
    assert (seller["labelCount"], seller["labelCost"]) == (3, 13.23)


def test_an_offer_expires_when_its_day_is_over(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    mug = item_ids(order)[0]
    option = options(api, (mug, 1))[0]
    now = datetime.fromisoformat(sandbox.state()["now"])
    day = date.fromisoformat(option["validUntilDate"])
    midnight = datetime(day.year, day.month, day.day, tzinfo=now.tzinfo) + timedelta(days=1)
    sandbox.advance((midnight - now).total_seconds() - 2 * HOUR)
    api.login()
    assert api.status(buy(api, option["shippingLabelOfferId"], (mug, 1)))["status"] == "SUCCESS"
    sandbox.advance(4 * HOUR)
    api.login()
    late = api.status(buy(api, option["shippingLabelOfferId"], (mug, 1)))
    assert (late["status"], "entityId" in late) == ("FAILURE", False)
    assert "expired" in late["errorMessage"]


def test_an_unknown_offer_may_be_refused_at_once(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    mug = item_ids(order)[0]
    assert api.status(buy(api, "unknown", (mug, 1)))["status"] == "FAILURE"
    sandbox.settings(refuseUnknownLabelOffers=True)
    assert buy(api, "unknown", (mug, 1)).status_code == 400
    assert bought(api, (mug, 1))


@pytest.mark.parametrize("wrong", ["other items", "other quantity", "cancelled", "another seller"])
def test_a_purchase_that_cannot_be_done_fails_later(
    sandbox: SandboxControls, api: Api, order: dict[str, Any], wrong: str
) -> None:
    mug, lamp = item_ids(order)
    offer = options(api, (mug, 1))[0]["shippingLabelOfferId"]
    line: Line = (lamp, 1) if wrong == "other items" else (mug, 2 if wrong == "other quantity" else 1)
    buyer = api
    if wrong == "cancelled":
        sandbox.cancel(order["orderId"])
    elif wrong == "another seller":
        sandbox.add_seller("other", "other")
        buyer = Api(sandbox.url, "other", "other")
    status = buyer.status(buy(buyer, offer, line))
    assert status["status"] == "FAILURE"
    assert status["errorMessage"]
    assert sandbox.state()["labels"] == []


def test_a_parcel_shows_what_its_label_says(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    mug, lamp = item_ids(order)
    label = bought(api, (mug, 2), (lamp, 1))
    assert ship_by_label(api, label, (mug, 2), (lamp, 1))["status"] == "SUCCESS"
    (shipment,) = sandbox.state()["shipments"]
    (row,) = sandbox.state()["labels"]
    assert shipment["transport"] == {
        "transportId": shipment["transport"]["transportId"],
        "transporterCode": row["transporterCode"],
        "trackAndTrace": row["trackAndTrace"],
        "shippingLabelId": label,
    }
    assert row["shipmentId"] == shipment["shipmentId"]
    assert (
        api.get(f"/retailer/shipments/{shipment['shipmentId']}").json()["transport"] == shipment["transport"]
    )


@pytest.mark.parametrize("wrong", ["unknown", "used", "other item", "more pieces", "another seller's"])
def test_a_parcel_cannot_carry_any_label(
    sandbox: SandboxControls, api: Api, order: dict[str, Any], wrong: str
) -> None:
    mug, lamp = item_ids(order)
    label = bought(api, (mug, 1))
    lines: list[Line] = [(mug, 1)]
    if wrong == "unknown":
        label = "unknown"
    elif wrong == "used":
        ship_by_label(api, label, (mug, 1))
    elif wrong == "other item":
        lines.append((lamp, 1))
    elif wrong == "more pieces":
        lines = [(mug, 2)]
    else:
        sandbox.add_seller("other", "other", offers=[{"ean": MUG, "title": "Mok", "price": 3, "stock": 1}])
        foreign = sandbox.place_order("other", [{"ean": MUG, "quantity": 1}])
        label = bought(Api(sandbox.url, "other", "other"), (item_ids(foreign)[0], 1))
    before = len(sandbox.state()["shipments"])
    status = ship_by_label(api, label, *lines)
    assert (status["status"], "label" in status["errorMessage"]) == ("FAILURE", True)
    assert len(sandbox.state()["shipments"]) == before


def test_shipping_via_bol_without_a_label_can_be_forbidden(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    mug = item_ids(order)[0]
    assert api.status(api.ship((mug, 1)))["status"] == "SUCCESS"
    sandbox.settings(vvbNeedsLabel=True)
    assert api.status(api.ship((mug, 1)))["status"] == "FAILURE"
    own = sandbox.place_order("seller", [{"ean": LAMP, "quantity": 1}])
    assert api.status(api.ship((item_ids(own)[0], 1)))["status"] == "SUCCESS"
    assert ship_by_label(api, bought(api, (mug, 1)), (mug, 1))["status"] == "SUCCESS"


def test_a_label_can_be_bought_without_its_buyer_knowing(
    sandbox: SandboxControls, api: Api, order: dict[str, Any]
) -> None:
    mug = item_ids(order)[0]
    offer = options(api, (mug, 1))[0]["shippingLabelOfferId"]
    sandbox.faults([{"method": "POST", "path": LABELS, "when": "after", "drop": True}])
    with pytest.raises(requests.ConnectionError):
        buy(api, offer, (mug, 1))
    sandbox.faults([])
    assert len(sandbox.state()["labels"]) == 1


def test_there_is_only_404_or_empty_for_no_options(sandbox: SandboxControls) -> None:
    with pytest.raises(SandboxRefused, match="one of 404, empty"):
        sandbox.settings(noLabelOptions="400")

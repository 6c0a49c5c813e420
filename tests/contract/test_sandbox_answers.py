"""Holds every kind of answer that the sandbox gives against bol's published descriptions.

Where bol's live API is known to differ from them, the sandbox does as the live API does. Those places are in one
table, `DEVIATIONS`, and each is shown to be needed: without it the answer does not fit, with it the answer does.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from bol_sandbox.testing import SandboxControls, running_sandbox
from tests.contract import spec

V10 = "application/vnd.retailer.v10+json"
V10_PDF = "application/vnd.retailer.v10+pdf"
V11 = "application/vnd.retailer.v11+json"
MUG, LAMP, BAG = "8712345000011", "8712345000028", "8712345000035"
NOBODY = "6ff736b5-cdd0-4150-8c67-78269ee986f5"
NEW_OFFER = {
    "ean": "8712345000042",
    "condition": {"category": "SECONDHAND", "state": "GOOD"},
    "pricing": {"bundlePrices": [{"quantity": 1, "unitPrice": 9.95}]},
    "fulfilment": {"method": "FBR"},
}

# Disabled, so that nothing is sent to it.
WISH = {
    "resources": ["PROCESS_STATUS", "SHIPMENT", "ORDER"],
    "url": "https://wms.example/hook",
    "subscriptionType": "WEBHOOK",
    "enabled": False,
}
QUEUE = {"subscriptionType": "AWS_SQS", "identity": "arn:aws:iam::123456789012:role/push"}


@dataclass(frozen=True)
class Answer:
    """What came back, and what it is to be held against."""

    method: str
    path: str
    status: int
    media_type: str | None
    body: Any
    extras: frozenset[str] = frozenset()


Mend = Callable[[Answer], Answer]


def _with_body(**fields: Any) -> Mend:
    return lambda answer: replace(answer, body={**fields, **answer.body})


def _as_declared_problem(answer: Answer) -> Answer:
    """Hold an undeclared refusal against the Problem that another operation declares."""
    missing = {"type": "https://api.bol.com/problems", "violations": []}
    return replace(
        answer,
        method="GET",
        path="/retailer/orders/1",
        status=404,
        media_type=V10,
        body={**missing, **answer.body},
    )


def _name_violations(answer: Answer) -> Answer:
    named = [{"name": "", **violation} for violation in answer.body["violations"]]
    return replace(answer, body={**answer.body, "violations": named})


def _give_references(answer: Answer) -> Answer:
    if "shipments" in answer.body:
        rows = [{"shipmentReference": "", **row} for row in answer.body["shipments"]]
        return replace(answer, body={"shipments": rows})
    return replace(answer, body={"shipmentReference": "", **answer.body})


def _as_base64(answer: Answer) -> Answer:
    return replace(answer, body=json.dumps(base64.b64encode(answer.body).decode()))


def _small_page(answer: Answer) -> Answer:
    return replace(answer, body={**answer.body, "page": {**answer.body["page"], "pageSize": 25}})


@dataclass(frozen=True)
class Deviation:
    """A place where the live API differs from its description, and who saw it."""

    source: str
    mend: Mend


DEVIATIONS = {
    "empty orders": Deviation("picqer client, README: empty arrays are omitted", _with_body(orders=[])),
    "empty shipments": Deviation("picqer client, README: empty arrays are omitted", _with_body(shipments=[])),
    "empty statuses": Deviation(
        "picqer client, README: empty arrays are omitted", _with_body(processStatuses=[])
    ),
    "problem without violations": Deviation("123lens client, captured mocks", _with_body(violations=[])),
    "violation without name": Deviation(
        "123lens client, captured mocks (cross-field rules)", _name_violations
    ),
    "link with method": Deviation(
        "bol's demo scenarios, v10 shipments, 2025-08-06",
        lambda answer: replace(answer, extras=answer.extras | {"method"}),
    ),
    "empty subscriptions": Deviation(
        "picqer client, README: empty arrays are omitted", _with_body(subscriptions=[])
    ),
    "empty label options": Deviation(
        "picqer client, README: empty arrays are omitted", _with_body(deliveryOptions=[])
    ),
    "label in bytes": Deviation(
        'described as "byte", which is base64 in OpenAPI; clients in the field take the body as the file',
        _as_base64,
    ),
    "HEAD in words": Deviation(
        "the text of get-shipping-label: 'you can do a HEAD request'",
        lambda answer: replace(answer, method="GET", body='""'),
    ),
    "no shipment reference": Deviation("123lens client, captured mocks; demo samples", _give_references),
    "status not declared": Deviation(
        "picqer client, fixtures (401, 429), captured mocks (400 of the orders list); 406 and 405 are our reading",
        _as_declared_problem,
    ),
    "page size below 25": Deviation(
        "the description contradicts itself: page-size may be 1, PageSize has a minimum of 25", _small_page
    ),
    "204 for no reasons": Deviation(
        "Offers API 11.5 (the description at hand is 11.3)",
        lambda answer: replace(answer, status=200, media_type=V11, body={"offerId": NOBODY}),
    ),
}


class World:
    """A sandbox with something in it, and one seller's access."""

    def __init__(self, sandbox: SandboxControls) -> None:
        self.sandbox = sandbox
        sandbox.reset()
        sandbox.limits([])
        made = sandbox.add_seller(
            offers=[
                {"ean": MUG, "title": "Mok", "price": 12.99, "stock": 30, "reference": "MUG"},
                {"ean": LAMP, "title": "Lamp", "price": 44.5, "stock": 30},
                {"ean": BAG, "title": "Tas", "price": 30, "stock": 30, "method": "FBB"},
            ]
        )
        self.offer_ids = [offer["offerId"] for offer in made["offers"]]
        login = requests.post(
            sandbox.url + "/token",
            auth=("seller", "secret"),
            data={"grant_type": "client_credentials"},
            timeout=10,
        )
        self.token = login.json()["access_token"]

    def order(self, *eans: str, **more: Any) -> dict[str, Any]:
        return self.sandbox.place_order(
            "seller", [{"ean": ean, "quantity": 2} for ean in eans or (MUG,)], **more
        )

    def item(self) -> str:
        return str(self.order()["orderItems"][0]["orderItemId"])

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        media_type = V11 if path.startswith("/retailer/offers") else V10
        sent = {"Authorization": f"Bearer {self.token}", "Accept": media_type}
        if body is not None:
            sent["Content-Type"] = media_type
        came = requests.request(
            method, self.sandbox.url + path, json=body, headers=sent | (headers or {}), timeout=10
        )
        content = came.content or None
        if content is not None and not content.startswith(b"%PDF-"):
            content = came.json()
        return Answer(
            method, urlsplit(path).path, came.status_code, came.headers.get("Content-Type"), content
        )

    def ship(self, *items: str, **more: Any) -> Answer:
        transport = {"transporterCode": "TNT", "trackAndTrace": "3S1"}
        lines = [{"orderItemId": item, "quantity": 1} for item in items]
        return self.send("POST", "/retailer/shipments", {"orderItems": lines, "transport": transport} | more)

    def shipment(self, **more: Any) -> str:
        self.ship(self.item(), **more)
        return str(self.send("GET", "/retailer/shipments").body["shipments"][0]["shipmentId"])


def _orders(world: World) -> Answer:
    world.order(MUG, LAMP)
    return world.send("GET", "/retailer/orders")


def _order(world: World, **more: Any) -> Answer:
    return world.send("GET", f"/retailer/orders/{world.order(MUG, BAG, **more)['orderId']}")


def _cancellation(world: World, reason: str = "OUT_OF_STOCK") -> Answer:
    line = {"orderItemId": world.item(), "reasonCode": reason}
    return world.send("PUT", "/retailer/orders/cancellation", {"orderItems": [line]})


def _options(world: World, *items: str) -> Answer:
    lines = [{"orderItemId": item, "quantity": 1} for item in items or (world.item(),)]
    return world.send("POST", "/retailer/shipping-labels/delivery-options", {"orderItems": lines})


def _purchase(world: World, item: str, **more: Any) -> Answer:
    offer = _options(world, item).body["deliveryOptions"][0]["shippingLabelOfferId"]
    body = {"orderItems": [{"orderItemId": item, "quantity": 1}], "shippingLabelOfferId": offer}
    return world.send("POST", "/retailer/shipping-labels", body | more)


def _label_status(world: World, item: str, **more: Any) -> Answer:
    bought = _purchase(world, item, **more)
    return world.send("GET", f"/shared/process-status/{bought.body['processStatusId']}")


def _label(world: World, method: str, media_type: str = V10_PDF) -> Answer:
    label = _label_status(world, world.item()).body["entityId"]
    return world.send(method, f"/retailer/shipping-labels/{label}", headers={"Accept": media_type})


def _shipment_by_label(world: World) -> Answer:
    item = world.item()
    label = _label_status(world, item).body["entityId"]
    world.ship(item, shipmentReference="P", transport=None, shippingLabelId=label)
    number = world.send("GET", "/retailer/shipments").body["shipments"][0]["shipmentId"]
    return world.send("GET", f"/retailer/shipments/{number}")


def _transport(world: World, **body: Any) -> Answer:
    world.ship(world.item())
    number = world.send("GET", "/retailer/shipments").body["shipments"][0]["transport"]["transportId"]
    return world.send("PUT", f"/retailer/transports/{number}", body)


def _no_options(world: World) -> Answer:
    world.sandbox.settings(noLabelOptions="empty")
    return _options(world, world.item(), world.item())


def _shipment(world: World, **more: Any) -> Answer:
    return world.send("GET", f"/retailer/shipments/{world.shipment(**more)}")


def _shipments(world: World, **more: Any) -> Answer:
    world.shipment(**more)
    return world.send("GET", "/retailer/shipments")


def _status(world: World, item: str | None = None) -> Answer:
    accepted = world.ship(item or world.item())
    return world.send("GET", f"/shared/process-status/{accepted.body['processStatusId']}")


def _statuses(world: World) -> Answer:
    ids = [world.ship(world.item()).body["processStatusId"] for _ in "abc"]
    return world.send(
        "POST", "/shared/process-status", {"processStatusQueries": [{"processStatusId": i} for i in ids]}
    )


def _statuses_of_item(world: World, item: str | None = None) -> Answer:
    item = item or world.item()
    world.ship(item)
    return world.send("GET", f"/shared/process-status?entity-id={item}&event-type=CREATE_SHIPMENT")


def _offer(world: World, method: str, body: Any = None, number: int = 0, tail: str = "") -> Answer:
    return world.send(method, f"/retailer/offers/{world.offer_ids[number]}{tail}", body)


def _duplicate(world: World) -> Answer:
    world.send("POST", "/retailer/offers", NEW_OFFER)
    return world.send("POST", "/retailer/offers", NEW_OFFER)


def _limited(world: World) -> Answer:
    world.sandbox.limits([{"method": "GET", "path": "/retailer/orders", "capacity": 0, "seconds": 60}])
    return world.send("GET", "/retailer/orders")


def _faulted(world: World) -> Answer:
    world.sandbox.faults([{"path": "/retailer/offers", "status": 503}])
    return world.send("GET", "/retailer/offers")


def _subscription(world: World, method: str, tail: str = "", body: Any = None) -> Answer:
    """Subscribe, and do something with what was made."""
    status = world.send("POST", "/retailer/subscriptions", WISH).body["processStatusId"]
    number = world.send("GET", f"/shared/process-status/{status}").body["entityId"]
    return world.send(method, f"/retailer/subscriptions/{tail}{number}", body)


def _subscriptions(world: World, **more: Any) -> Answer:
    world.send("POST", "/retailer/subscriptions", WISH | more)
    return world.send("GET", "/retailer/subscriptions")


def _not_for_sale(world: World) -> Answer:
    _offer(world, "PATCH", {"stock": {"amount": 0}})
    return _offer(world, "GET", tail="/not-for-sale-reasons")


Run = Callable[[World], Answer]
CASES: list[tuple[str, Run, int, tuple[str, ...]]] = [
    ("orders", _orders, 200, ()),
    ("no orders", lambda w: w.send("GET", "/retailer/orders"), 200, ("empty orders",)),
    ("orders refused", lambda w: w.send("GET", "/retailer/orders?page=0"), 400, ("status not declared",)),
    ("order", _order, 200, ()),
    ("pick-up point order", lambda w: _order(w, pickupPoint=True, country="BE"), 200, ()),
    ("unknown order", lambda w: w.send("GET", "/retailer/orders/1"), 404, ("problem without violations",)),
    ("cancellation", _cancellation, 202, ("link with method",)),
    ("cancellation refused", lambda w: _cancellation(w, "BORED"), 400, ()),
    ("new shipment", lambda w: w.ship(w.item()), 202, ("link with method",)),
    ("new shipment refused", lambda w: w.ship(w.item(), orderItems=[]), 400, ()),
    (
        "new shipment with two transports",
        lambda w: w.ship(w.item(), shippingLabelId="x"),
        400,
        ("violation without name",),
    ),
    ("shipments", lambda w: _shipments(w, shipmentReference="PL-1"), 200, ()),
    ("shipments without reference", _shipments, 200, ("no shipment reference",)),
    ("no shipments", lambda w: w.send("GET", "/retailer/shipments"), 200, ("empty shipments",)),
    ("shipments refused", lambda w: w.send("GET", "/retailer/shipments?page=x"), 400, ()),
    ("shipment", lambda w: _shipment(w, shipmentReference="PL-1"), 200, ()),
    ("shipment by label", _shipment_by_label, 200, ()),
    ("shipment without reference", _shipment, 200, ("no shipment reference",)),
    ("unknown shipment", lambda w: w.send("GET", "/retailer/shipments/1"), 404, ("problem without violations",)),
    ("changed transport", lambda w: _transport(w, transporterCode="GLS", trackAndTrace="3S2"), 202, ("link with method",)),
    ("changed transport refused", lambda w: _transport(w, transporterCode="GLS"), 400, ()),
    ("label options", _options, 200, ()),
    ("label options refused", lambda w: _options(w, ""), 400, ()),
    ("label options of nothing", lambda w: _options(w, "1"), 404, ("problem without violations",)),
    ("no label options", _no_options, 200, ("empty label options",)),
    ("new label", lambda w: _purchase(w, w.item()), 202, ("link with method",)),
    ("new label refused", lambda w: _purchase(w, w.item(), shippingLabelOfferId=""), 400, ()),
    ("status of a label", lambda w: _label_status(w, w.item()), 200, ("link with method",)),
    ("status of no label", lambda w: _label_status(w, w.item(), shippingLabelOfferId="1"), 200, ("link with method",)),
    ("label", lambda w: _label(w, "GET"), 200, ("label in bytes",)),
    ("headers of a label", lambda w: _label(w, "HEAD"), 200, ("HEAD in words",)),
    (
        "unknown label",
        lambda w: w.send("GET", "/retailer/shipping-labels/1", headers={"Accept": V10_PDF}),
        404,
        ("problem without violations",),
    ),
    ("status of a success", _status, 200, ("link with method",)),
    ("status of a failure", lambda w: _status(w, "404"), 200, ("link with method",)),
    ("unknown status", lambda w: w.send("GET", "/shared/process-status/1"), 404, ("problem without violations",)),
    ("statuses", _statuses, 200, ("link with method",)),
    (
        "no statuses",
        lambda w: w.send("POST", "/shared/process-status", {"processStatusQueries": [{"processStatusId": "1"}]}),
        200,
        ("empty statuses",),
    ),
    ("statuses refused", lambda w: w.send("POST", "/shared/process-status", {}), 400, ()),
    ("statuses of an item", _statuses_of_item, 200, ("link with method",)),
    ("statuses of nothing", lambda w: w.send("GET", "/shared/process-status"), 400, ()),
    ("offers", lambda w: w.send("GET", "/retailer/offers"), 200, ()),
    ("a page of one offer", lambda w: w.send("GET", "/retailer/offers?page-size=1"), 200, ("page size below 25",)),
    ("no offers", lambda w: w.send("GET", "/retailer/offers?eans=1"), 200, ()),
    ("offers refused", lambda w: w.send("GET", "/retailer/offers?page-size=0"), 400, ()),
    ("offer", lambda w: _offer(w, "GET"), 200, ()),
    ("offer in bol's warehouse", lambda w: _offer(w, "GET", number=2), 200, ()),
    ("unknown offer", lambda w: w.send("GET", f"/retailer/offers/{NOBODY}"), 404, ()),
    ("new offer", lambda w: w.send("POST", "/retailer/offers", NEW_OFFER), 201, ()),
    ("new offer refused", lambda w: w.send("POST", "/retailer/offers", {"ean": "1"}), 400, ()),
    ("duplicate offer", _duplicate, 409, ()),
    ("stock", lambda w: _offer(w, "PATCH", {"stock": {"amount": 5, "managedByRetailer": True}}), 204, ()),
    ("stock refused", lambda w: _offer(w, "PATCH", {"stock": {"amount": -5}}), 400, ()),
    ("deleted offer", lambda w: _offer(w, "DELETE"), 204, ()),
    ("reasons", _not_for_sale, 200, ()),
    ("no reasons", lambda w: _offer(w, "GET", tail="/not-for-sale-reasons"), 204, ("204 for no reasons",)),
    ("product", lambda w: w.send("GET", f"/retailer/content/catalog-products/{MUG}"), 200, ()),
    ("product refused", lambda w: w.send("GET", "/retailer/content/catalog-products/0"), 400, ()),
    (
        "unknown product",
        lambda w: w.send("GET", "/retailer/content/catalog-products/0000007740404"),
        404,
        ("problem without violations",),
    ),
    (
        "product in a foreign language",
        lambda w: w.send("GET", f"/retailer/content/catalog-products/{MUG}", headers={"Accept-Language": "de"}),
        406,
        ("problem without violations",),
    ),
    ("subscriptions", _subscriptions, 200, ()),
    ("subscription of a queue", lambda w: _subscriptions(w, **QUEUE), 200, ()),
    ("no subscriptions", lambda w: w.send("GET", "/retailer/subscriptions"), 200, ("empty subscriptions",)),
    ("new subscription", lambda w: w.send("POST", "/retailer/subscriptions", WISH), 202, ("link with method",)),
    ("new subscription refused", lambda w: w.send("POST", "/retailer/subscriptions", {}), 400, ()),
    ("subscription", lambda w: _subscription(w, "GET"), 200, ()),
    (
        "unknown subscription",
        lambda w: w.send("GET", "/retailer/subscriptions/1"),
        404,
        ("problem without violations",),
    ),
    ("changed subscription", lambda w: _subscription(w, "PUT", body=WISH), 202, ("link with method",)),
    ("changed subscription refused", lambda w: _subscription(w, "PUT", body={"url": ""}), 400, ()),
    ("deleted subscription", lambda w: _subscription(w, "DELETE"), 202, ("link with method",)),
    ("test of a subscription", lambda w: _subscription(w, "POST", "test/"), 202, ("link with method",)),
    ("signature keys", lambda w: w.send("GET", "/retailer/subscriptions/signature-keys"), 200, ()),
    ("retailer", lambda w: w.send("GET", "/retailer/retailers/current"), 200, ()),
    (
        "unknown retailer",
        lambda w: w.send("GET", "/retailer/retailers/1"),
        404,
        ("problem without violations",),
    ),
    (
        "no token",
        lambda w: w.send("GET", "/retailer/orders", headers={"Authorization": "Bearer x"}),
        401,
        ("status not declared",),
    ),
    ("too many requests", _limited, 429, ("status not declared",)),
    ("foreign version", lambda w: w.send("GET", "/retailer/orders", headers={"Accept": V11}), 406, ("status not declared",)),
    ("service unavailable", _faulted, 503, ()),
]  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxControls]:
    spec.require_descriptions()
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def world(running: SandboxControls) -> World:
    return World(running)


def _fits(answer: Answer) -> None:
    spec.validate_response(
        answer.method, answer.path, answer.status, answer.media_type, answer.body, known_extras=answer.extras
    )


@pytest.mark.parametrize(
    ("run", "status", "deviations"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_answer_fits_bols_description(
    world: World, run: Run, status: int, deviations: tuple[str, ...]
) -> None:
    answer = run(world)
    assert answer.status == status, answer.body
    if deviations:
        with pytest.raises(AssertionError):
            _fits(answer)
    for name in deviations:
        answer = DEVIATIONS[name].mend(answer)
    _fits(answer)


def test_every_deviation_is_needed() -> None:
    assert {name for case in CASES for name in case[3]} == set(DEVIATIONS)


def test_unknown_fields_and_parameters_are_noticed() -> None:
    spec.require_descriptions()
    stock = {"stock": {"amount": 1, "amont": 2}}
    with pytest.raises(AssertionError, match=r"stock\.amont: not in the description"):
        spec.validate_request("PATCH", f"/retailer/offers/{NOBODY}", None, V11, stock)
    with pytest.raises(AssertionError, match="unknown query parameter 'pagina'"):
        spec.validate_request("GET", "/retailer/orders", {"pagina": "1"})


def test_a_condition_is_held_against_the_kind_that_it_names() -> None:
    spec.require_descriptions()
    spec.validate_request("POST", "/retailer/offers", None, V11, NEW_OFFER)
    wrong = {**NEW_OFFER, "condition": {"category": "SECONDHAND"}}
    with pytest.raises(AssertionError, match="'state' is a required property"):
        spec.validate_request("POST", "/retailer/offers", None, V11, wrong)


def test_null_is_allowed_where_the_description_says_nullable() -> None:
    spec.require_descriptions()
    body = {
        "orderItems": [{"orderItemId": "1"}],
        "shipmentReference": None,
        "shippingLabelId": "x",
        "transport": None,
    }
    spec.validate_request("POST", "/retailer/shipments", None, V10, body)

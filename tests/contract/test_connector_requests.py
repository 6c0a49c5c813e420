"""Every request that the connector sends is one that bol's published descriptions allow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from plugin.connector import (
    CANCEL_REASONS,
    WEBHOOK_RESOURCES,
    BolClient,
    Deadline,
    ShipmentItem,
    ShipmentRequest,
    UnlimitedBudget,
    routes,
    sandbox_environment,
)
from tests.contract.spec import require_descriptions, validate_request
from tests.plugin.connector.rogue import Received, Rogue, answers, running_rogue

OFFER_ID = "6ff736b5-cdd0-4150-8c67-78269ee986f5"
STATUS = {
    "processStatusId": "1",
    "eventType": "CREATE_SHIPMENT",
    "description": "Create shipment.",
    "status": "PENDING",
    "createTimestamp": "2018-11-14T09:34:41+01:00",
}
HOOK = "https://wms.example/bol/webhook/7"
ITEM = ShipmentItem("2012345678", 2)


class FixedToken:
    account = "test"

    def token(self, deadline: Deadline) -> str:
        return "token"

    def refused(self, token: str) -> None:
        return None


def shipping(request: ShipmentRequest) -> Callable[[BolClient], object]:
    return lambda client: client.shipments.create(request)


CALLS: dict[str, tuple[Callable[[BolClient], object], object]] = {
    "orders": (lambda c: c.orders.page(), {}),
    "orders, all arguments": (
        lambda c: c.orders.page(3, status="OPEN", fulfilment_method="ALL", change_interval_minutes=60),
        {},
    ),
    "order": (lambda c: c.orders.get("A2K8290LP8"), {"orderId": "A2K8290LP8"}),
    **{
        f"cancel, {reason}": (lambda c, reason=reason: c.orders.cancel("2012345678", reason), STATUS)  # type: ignore[misc]
        for reason in CANCEL_REASONS
    },
    "shipment, carrier": (shipping(ShipmentRequest((ITEM,), transporter_code="TNT")), STATUS),
    "shipment, tracking": (
        shipping(ShipmentRequest((ITEM,), "parcel é 1", transporter_code="TNT", track_and_trace="3S1")),
        STATUS,
    ),
    "shipment, label": (shipping(ShipmentRequest((ITEM,), "p", shipping_label_id="d4c5-0077")), STATUS),
    "shipment, many items": (
        shipping(ShipmentRequest(tuple(ShipmentItem(str(n), 1) for n in range(100)), transporter_code="GLS")),
        STATUS,
    ),
    "shipments": (lambda c: c.shipments.page(), {}),
    "shipments of an order": (lambda c: c.shipments.page(2, order_id="A2K8290LP8"), {}),
    "shipments by method": (lambda c: c.shipments.page(fulfilment_method="FBB"), {}),
    "shipment read": (lambda c: c.shipments.get("541757635"), {"shipmentId": "541757635"}),
    "transport": (lambda c: c.transports.change("312778947", "TNT", "3S1"), STATUS),
    "transport, same carrier": (lambda c: c.transports.change("312778947", None, "3S1"), STATUS),
    "label options": (lambda c: c.labels.options((ITEM, ShipmentItem("2012345679", 1))), {}),
    "label bought": (lambda c: c.labels.create([ITEM], OFFER_ID), STATUS),
    "label read": (lambda c: c.labels.get(OFFER_ID), b"%PDF-1.4"),
    "status": (lambda c: c.statuses.get("1"), STATUS),
    "statuses": (lambda c: c.statuses.bulk(str(n) for n in range(1000)), {}),
    "statuses by entity": (lambda c: c.statuses.by_entity("2012345678", "CREATE_SHIPMENT", 2), {}),
    "offers": (lambda c: c.offers.page(), {}),
    "offers, all arguments": (
        lambda c: c.offers.page(cursor="eyJ=,", page_size=1, eans=["0000007740404", "8712626055143"]),
        {},
    ),
    "offer": (lambda c: c.offers.get(OFFER_ID), {"offerId": OFFER_ID}),
    "stock": (lambda c: c.offers.set_stock(OFFER_ID, 999, True), None),
    "subscriptions": (lambda c: c.subscriptions.list(), {}),
    "subscription": (lambda c: c.subscriptions.get("1234"), {"id": "1234"}),
    "new subscription": (lambda c: c.subscriptions.create(WEBHOOK_RESOURCES, HOOK), STATUS),
    "changed subscription": (
        lambda c: c.subscriptions.update("1234", ["ORDER"], HOOK, enabled=False),
        STATUS,
    ),
    "deleted subscription": (lambda c: c.subscriptions.delete("1234"), STATUS),
    "test of a subscription": (lambda c: c.subscriptions.test("1234"), STATUS),
    "signature keys": (lambda c: c.subscriptions.signature_keys(), {}),
    "retailer": (lambda c: c.retailers.current(), {"retailerId": "1234567"}),
    "title": (lambda c: c.catalog.title("0000007740404", "fr-BE"), {}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Rogue]:
    with running_rogue() as rogue:
        yield rogue


def send(server: Rogue, name: str) -> Received:
    make, body = CALLS[name]
    server.received.clear()
    server.plays(answers(200, body))
    client = BolClient(sandbox_environment(server.url), FixedToken(), UnlimitedBudget())
    make(client)
    client.close()
    (received,) = server.received
    return received


@pytest.mark.parametrize("name", CALLS)
def test_a_request_is_as_described(server: Rogue, name: str) -> None:
    require_descriptions()
    received = send(server, name)
    target = urlsplit(received.target)
    query = parse_qs(target.query, keep_blank_values=True)
    validate_request(
        received.method,
        target.path,
        {name: values[0] if len(values) == 1 else values for name, values in query.items()},
        received.headers.get("content-type"),
        json.loads(received.body) if received.body else None,
    )


@pytest.mark.parametrize("name", CALLS)
def test_a_request_says_which_version_it_wants_and_who_asks(server: Rogue, name: str) -> None:
    received = send(server, name)
    version = 11 if received.target.startswith("/retailer/offers") else 10
    form = "pdf" if name == "label read" else "json"
    media = f"application/vnd.retailer.v{version}+{form}"
    assert received.headers["accept"] == media
    assert received.headers.get("content-type") == (media if received.body else None)
    assert received.headers["authorization"] == "Bearer token"
    assert received.headers["user-agent"].startswith("bol-retailer-connector/")
    assert "token" not in received.target


def test_every_route_is_checked_here(server: Rogue) -> None:
    known = {
        (route.method, route.template)
        for route in vars(routes).values()
        if isinstance(route, routes.Route) and route not in (routes.TOKEN, routes.RATE_LIMITS)
    }
    seen = set()
    for name in CALLS:
        received = send(server, name)
        path = urlsplit(received.target).path
        seen |= {route for route in known if route[0] == received.method and _fits(route[1], path)}
    assert seen == known


def _fits(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        w in (g, w if w[:1] == "{" else g) for w, g in zip(wanted, given)
    )

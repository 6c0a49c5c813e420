"""One sandbox for all tests here, emptied before each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from bol_sandbox.testing import SandboxControls, running_sandbox

V10 = "application/vnd.retailer.v10+json"
V11 = "application/vnd.retailer.v11+json"
MUG = "8712345000011"
LAMP = "8712345000028"
BAG = "8712345000035"


class Api:
    """A seller's plain HTTP client: just enough to speak to the sandbox as a connector would."""

    def __init__(self, url: str, client_id: str = "seller", client_secret: str = "secret") -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.credentials = (client_id, client_secret)
        self.token = ""

    def login(self) -> requests.Response:
        answer = self.session.post(
            self.url + "/token", auth=self.credentials, data={"grant_type": "client_credentials"}, timeout=10
        )
        self.token = answer.json().get("access_token", "")
        return answer

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        if not self.token:
            self.login()
        media_type = V11 if path.startswith("/retailer/offers") else V10
        headers = {"Authorization": f"Bearer {self.token}", "Accept": media_type}
        if body is not None:
            headers["Content-Type"] = media_type
            more["json"] = body
        headers |= more.pop("headers", {})
        return self.session.request(method, self.url + path, headers=headers, timeout=10, **more)

    def get(self, path: str, **query: Any) -> requests.Response:
        names = {name.replace("_", "-"): value for name, value in query.items()}
        return self.send("GET", path, params=names)

    def ship(self, *lines: tuple[str, int | None], **more: Any) -> requests.Response:
        items = [{"orderItemId": i, **({} if n is None else {"quantity": n})} for i, n in lines]
        body = {"orderItems": items, "transport": {"transporterCode": "TNT", "trackAndTrace": "3S1"}, **more}
        return self.send("POST", "/retailer/shipments", body)

    def cancel(self, order_item_id: str, reason: str = "OUT_OF_STOCK") -> requests.Response:
        body = {"orderItems": [{"orderItemId": order_item_id, "reasonCode": reason}]}
        return self.send("PUT", "/retailer/orders/cancellation", body)

    def status(self, accepted: requests.Response) -> dict[str, Any]:
        answer = self.get(f"/shared/process-status/{accepted.json()['processStatusId']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def order_ids(self, **query: Any) -> list[str]:
        answer = self.get("/retailer/orders", **query)
        assert answer.status_code == 200, answer.text
        return [order["orderId"] for order in answer.json().get("orders", [])]


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxControls]:
    with running_sandbox() as controls:
        yield controls


@pytest.fixture
def sandbox(running: SandboxControls) -> SandboxControls:
    """An empty sandbox without rate limits; the tests of the limits set their own."""
    running.reset()
    running.limits([])
    return running


@pytest.fixture
def offers(sandbox: SandboxControls) -> dict[str, str]:
    """A seller with two offers of its own and one that bol ships; maps EAN to offer id."""
    made = sandbox.add_seller(
        offers=[
            {
                "ean": MUG,
                "title": "Noordzij Koffiemok zwart",
                "price": 12.99,
                "stock": 10,
                "reference": "MUG",
            },
            {"ean": LAMP, "title": "Lumo Bureaulamp wit", "price": 44.5, "stock": 5},
            {"ean": BAG, "title": "Brink Rugzak", "price": 30, "stock": 4, "method": "FBB"},
        ]
    )
    return {offer["ean"]: offer["offerId"] for offer in made["offers"]}


@pytest.fixture
def api(sandbox: SandboxControls, offers: dict[str, str]) -> Iterator[Api]:
    client = Api(sandbox.url)
    yield client
    client.session.close()


def item_ids(order: dict[str, Any]) -> list[str]:
    return [item["orderItemId"] for item in order["orderItems"]]

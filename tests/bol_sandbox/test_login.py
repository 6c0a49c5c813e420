"""Login and tokens."""

from __future__ import annotations

import base64
import json

import requests

from bol_sandbox.testing import SandboxControls
from tests.bol_sandbox.conftest import MUG, Api

FORM = {"grant_type": "client_credentials"}


def test_client_credentials_give_a_bearer_token(api: Api) -> None:
    answer = api.login()
    assert answer.status_code == 200
    body = answer.json()
    assert {key: body[key] for key in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 299,
        "scope": "RETAILER",
    }


def test_a_token_has_the_shape_of_a_jwt_and_names_the_seller(sandbox: SandboxControls, api: Api) -> None:
    api.login()
    header, claims, signature = api.token.split(".")
    padded = claims + "=" * (-len(claims) % 4)
    assert json.loads(base64.urlsafe_b64decode(padded))["sub"] == sandbox.state()["sellers"][0]["sellerId"]
    assert header and signature


def test_wrong_credentials_are_refused_as_bol_does(sandbox: SandboxControls, api: Api) -> None:
    answer = Api(sandbox.url, "seller", "wrong").login()
    assert answer.status_code == 401
    assert answer.json() == {"error": "invalid_client", "error_description": "Bad client credentials"}


def test_secrets_in_the_query_are_refused(sandbox: SandboxControls, api: Api) -> None:
    query = {"client_id": "seller", "client_secret": "secret"}
    answer = requests.post(sandbox.url + "/token", params=query, auth=api.credentials, data=FORM, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_token_in_the_query_is_refused(sandbox: SandboxControls, api: Api) -> None:
    api.login()
    answer = requests.get(sandbox.url + "/retailer/orders", params={"access_token": api.token}, timeout=10)
    assert answer.status_code == 400
    sent = api.send("GET", "/retailer/orders", params={"access_token": api.token})
    assert sent.status_code == 400


def test_another_grant_is_refused(sandbox: SandboxControls, api: Api) -> None:
    answer = requests.post(sandbox.url + "/token", auth=api.credentials, data={"grant_type": "x"}, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_an_expired_token_is_told_that_it_expired(sandbox: SandboxControls, api: Api) -> None:
    api.login()
    assert api.get("/retailer/orders").status_code == 200
    sandbox.advance(301)
    answer = api.get("/retailer/orders")
    assert answer.status_code == 401
    assert answer.json()["title"] == "Expired JWT"
    assert answer.json()["detail"].startswith("JWT expired at ")


def test_an_unknown_token_is_refused(api: Api) -> None:
    api.token = "a.b.c"
    assert api.get("/retailer/orders").status_code == 401


def test_the_life_of_tokens_can_be_set(sandbox: SandboxControls, api: Api) -> None:
    sandbox.settings(tokenSeconds=599)
    assert api.login().json()["expires_in"] == 599
    sandbox.advance(590)
    assert api.get("/retailer/orders").status_code == 200


def test_one_seller_does_not_see_the_orders_of_another(sandbox: SandboxControls, api: Api) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    sandbox.add_seller("other", "other")
    other = Api(sandbox.url, "other", "other")
    assert other.order_ids() == []
    assert other.get(f"/retailer/orders/{order['orderId']}").status_code == 404

"""Subscriptions to push messages: making, changing and ending them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from bol_sandbox import document
from bol_sandbox.demo import seed_demo
from bol_sandbox.model import Subscription
from bol_sandbox.subscriptions import Subscribing, remember
from bol_sandbox.testing import SandboxControls
from bol_sandbox.world import World
from tests.bol_sandbox.conftest import Api

PATH = "/retailer/subscriptions"
WISH = {
    "resources": ["PROCESS_STATUS", "ORDER"],
    "url": "https://wms.example/hook",
    "subscriptionType": "WEBHOOK",
}
ARN = "arn:aws:iam::123456789012:role/push"


def subscribe(api: Api, **changes: Any) -> str:
    status = api.status(api.send("POST", PATH, WISH | changes))
    assert (status["eventType"], status["status"]) == ("CREATE_SUBSCRIPTION", "SUCCESS")
    return str(status["entityId"])


def test_a_subscription_is_made_asynchronously(sandbox: SandboxControls, api: Api) -> None:
    sandbox.settings(processStatusDelayMs=60_000)
    accepted = api.send("POST", PATH, WISH)
    assert (accepted.status_code, accepted.json()["status"]) == (202, "PENDING")
    assert api.get(PATH).json() == {}
    sandbox.advance(61)
    (made,) = api.get(PATH).json()["subscriptions"]
    assert made == {"id": api.status(accepted)["entityId"], "enabled": True, **WISH}
    assert api.get(f"{PATH}/{made['id']}").json() == made


def test_a_subscription_is_changed_and_ended(api: Api) -> None:
    number = subscribe(api)
    changed = {**WISH, "resources": ["SHIPMENT"], "enabled": False}
    status = api.status(api.send("PUT", f"{PATH}/{number}", changed))
    assert (status["eventType"], status["entityId"], status["status"]) == (
        "UPDATE_SUBSCRIPTION", number, "SUCCESS",
    )  # fmt: skip
    assert api.get(f"{PATH}/{number}").json() == {"id": number, **changed}
    assert api.status(api.send("DELETE", f"{PATH}/{number}"))["status"] == "SUCCESS"
    assert api.get(f"{PATH}/{number}").status_code == 404


def test_a_seller_has_no_hand_in_the_subscriptions_of_another(sandbox: SandboxControls, api: Api) -> None:
    number = subscribe(api)
    sandbox.add_seller("other", "other")
    other = Api(sandbox.url, "other", "other")
    assert other.get(PATH).json() == {}
    assert other.get(f"{PATH}/{number}").status_code == 404
    for method, path, body in (
        ("PUT", f"{PATH}/{number}", WISH),
        ("DELETE", f"{PATH}/{number}", None),
        ("POST", f"{PATH}/test/{number}", {}),
    ):
        assert other.status(other.send(method, path, body))["status"] == "FAILURE"
    assert api.get(f"{PATH}/{number}").status_code == 200


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"resources": None}, "resources"),
        ({"resources": []}, "resources"),
        ({"resources": ["ORDER", "WEATHER"]}, "resources[1]"),
        ({"resources": ["COMPETING_OFFER"]}, "resources[0]"),
        ({"url": ""}, "url"),
        ({"url": "http://wms.example/hook"}, "url"),
        ({"url": "https:///hook"}, "url"),
        ({"url": "https://wms.example:x/"}, "url"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"subscriptionType": "PIGEON"}, "subscriptionType"),
        ({"subscriptionType": "AWS_SQS"}, "identity"),
        ({"subscriptionType": "AWS_SQS", "identity": "me"}, "identity"),
        ({"enabled": "yes"}, "enabled"),
    ],
)
def test_what_bol_would_not_take_is_refused(api: Api, changes: dict[str, Any], name: str) -> None:
    answer = api.send("POST", PATH, WISH | changes)
    assert answer.status_code == 400
    assert [violation["name"] for violation in answer.json()["violations"]] == [name]


def test_plain_http_is_fine_on_the_same_machine_and_queues_take_every_resource(api: Api) -> None:
    for host in ("127.0.0.1:5000", "localhost", "[::1]:1"):
        subscribe(api, url=f"http://{host}/hook")
    subscribe(api, resources=["COMPETING_OFFER"], subscriptionType="GCP_PUBSUB", url="projects/p/topics/t")
    subscribe(api, subscriptionType="AWS_SQS", identity=ARN)
    assert api.get(PATH).json()["subscriptions"][-1]["identity"] == ARN


def test_the_keys_are_read_ten_times_an_hour_at_most(sandbox: SandboxControls, api: Api) -> None:
    sandbox.limits()
    answers = [api.get(f"{PATH}/signature-keys").status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]
    rules = {(rule["path"], rule["timeUnit"]): rule for rule in api.get("/retailer/public/ratelimits").json()}
    rule = rules["/retailer/subscriptions/signature-keys", "HOURS"]
    assert (rule["maxCapacity"], rule["timeToLive"]) == (10, 1)


def test_subscriptions_and_keys_are_kept() -> None:
    world = World()
    seed_demo(world)
    remember(world, Subscription("54001", "demo-seller", ("ORDER",), "https://wms.example/", "WEBHOOK"))
    signed = world.keys.current.header(b"x")
    kept = json.loads(json.dumps(document.write(world)))
    work = Subscribing("54001", ("ORDER",), "https://wms.example/2", "WEBHOOK", enabled=True, identity=None)
    kept["statuses"].append(
        {
            "process_status_id": "p",
            "client_id": "demo-seller",
            "event_type": "UPDATE_SUBSCRIPTION",
            "description": "",
            "created_at": world.now(),
            "ends_at": world.now() + 60,
            "known_as": "54001",
            "status": "PENDING",
            "entity_id": None,
            "error_message": None,
            "work": {"subscribing": json.loads(json.dumps(asdict(work)))},
        }
    )
    again = World()
    document.read(again, json.loads(json.dumps(kept)))
    assert json.loads(json.dumps(document.write(again))) == kept
    assert again.keys.current.header(b"x") == signed
    assert again.keys.rotate().key_id == "1"
    again.clock.advance(61)
    again.settle()
    assert again.subscriptions["54001"].url == "https://wms.example/2"

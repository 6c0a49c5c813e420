"""Push messages: what is told, how it is signed, and what happens when nobody listens."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from bol_sandbox.push import wait_before
from bol_sandbox.testing import SandboxControls, SandboxRefused
from bol_sandbox.world import World
from tests.bol_sandbox.conftest import LAMP, MUG, Api, item_ids
from tests.bol_sandbox.receiver import Message, Receiver, receiving, wait_for

PATH = "/retailer/subscriptions"
ALL = ("PROCESS_STATUS", "SHIPMENT", "ORDER")
HEADER = re.compile(r'keyId=(\w+), algorithm="rsa-sha256", signature=([A-Za-z0-9+/]+=*)')


@pytest.fixture
def receiver(sandbox: SandboxControls) -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
        sandbox.reset()


def subscribe(api: Api, receiver: Receiver, *resources: str) -> str:
    """Subscribe; what is told of that itself is waited for and thrown away."""
    body = {"resources": resources or ALL, "url": receiver.url, "subscriptionType": "WEBHOOK"}
    number = str(api.status(api.send("POST", PATH, body))["entityId"])
    if "PROCESS_STATUS" in (resources or ALL):
        wait_for(lambda: receiver.messages)
        receiver.messages.clear()
    return number


def public_keys(api: Api) -> dict[str, RSAPublicKey]:
    keys = {}
    for row in api.get(f"{PATH}/signature-keys").json()["signatureKeys"]:
        key = load_der_public_key(base64.b64decode(row["publicKey"]))
        assert isinstance(key, RSAPublicKey)
        keys[row["id"]] = key
    return keys


def check(message: Message, keys: dict[str, RSAPublicKey]) -> str:
    """Verify a message as its receiver must; returns the id of the key."""
    found = HEADER.fullmatch(message.headers["Signature"])
    assert found
    keys[found[1]].verify(base64.b64decode(found[2], validate=True), message.body, PKCS1v15(), SHA256())
    return found[1]


def order(sandbox: SandboxControls, *eans: str) -> dict[str, Any]:
    return sandbox.place_order("seller", [{"ean": ean, "quantity": 1} for ean in eans or (MUG,)])


def states(sandbox: SandboxControls) -> list[str]:
    return [delivery["state"] for delivery in sandbox.deliveries()]


def test_a_message_says_whose_it_is_what_happened_and_when(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver, "ORDER")
    placed = order(sandbox)
    wait_for(lambda: receiver.messages)
    message = receiver.messages[0]
    assert message.headers["Content-Type"] == "application/json"
    assert message.json == {
        "retailerId": sandbox.state()["sellers"][0]["sellerId"],
        "timestamp": placed["orderPlacedDateTime"],
        "event": {"resource": "ORDER", "type": "ORDER_CREATED", "resourceId": placed["orderId"]},
    }
    assert check(message, public_keys(api)) == "0"


def test_the_first_subscription_is_made_without_anybody_asking(api: Api, receiver: Receiver) -> None:
    body = {"resources": ALL, "url": receiver.url, "subscriptionType": "WEBHOOK"}
    accepted = api.send("POST", PATH, body).json()["processStatusId"]
    wait_for(lambda: receiver.events() == [("PROCESS_STATUS", "SUCCESS", accepted)])


def test_a_process_status_is_told_when_it_ends_without_anybody_asking(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver)
    good, bad = item_ids(order(sandbox, MUG, LAMP))
    sandbox.settings(processStatusDelayMs=50)
    first = api.ship((good, 1)).json()["processStatusId"]
    second = api.ship((bad, 99)).json()["processStatusId"]
    expected = {("PROCESS_STATUS", "SUCCESS", first), ("PROCESS_STATUS", "FAILURE", second)}
    wait_for(lambda: expected <= set(receiver.events()))


def test_a_time_out_is_told_too(sandbox: SandboxControls, api: Api, receiver: Receiver) -> None:
    subscribe(api, receiver, "PROCESS_STATUS")
    sandbox.settings(processStatusEnd={"CREATE_SHIPMENT": "TIMEOUT"})
    status = api.ship((item_ids(order(sandbox))[0], 1)).json()["processStatusId"]
    api.get("/retailer/orders")
    wait_for(lambda: ("PROCESS_STATUS", "TIMEOUT", status) in receiver.events())


def test_a_request_to_cancel_names_the_item_and_a_new_order_itself(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver, "ORDER")
    placed = order(sandbox, MUG, LAMP)
    sandbox.request_cancellation(placed["orderId"])
    kind = "ORDER_ITEM_CANCELLATION_REQUEST"
    expected = {("ORDER", kind, item) for item in item_ids(placed)}
    expected.add(("ORDER", "ORDER_CREATED", placed["orderId"]))
    wait_for(lambda: len(receiver.messages) == 3)
    assert set(receiver.events()) == expected


@pytest.mark.parametrize("carried", ["orderId", "orderItemId"])
def test_which_id_events_of_orders_carry_can_be_set(
    sandbox: SandboxControls, api: Api, receiver: Receiver, carried: str
) -> None:
    sandbox.settings(orderEventId=carried)
    subscribe(api, receiver, "ORDER")
    placed = order(sandbox, MUG, LAMP)
    sandbox.request_cancellation(placed["orderId"], item_ids(placed)[:1])
    ids = [placed["orderId"]] * 2 if carried == "orderId" else [*item_ids(placed), item_ids(placed)[0]]
    wait_for(lambda: len(receiver.messages) == len(ids))
    assert sorted(event[2] for event in receiver.events()) == sorted(ids)


def test_a_parcel_on_its_way_is_told_and_shown(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver, "SHIPMENT")
    api.ship((item_ids(order(sandbox))[0], 1))
    number = api.get("/retailer/shipments").json()["shipments"][0]["shipmentId"]
    sandbox.transport_event(number, "DELIVERED_AT_CUSTOMER")
    wait_for(lambda: receiver.messages)
    assert receiver.events() == [("SHIPMENT", "UPDATE_TRANSPORT_EVENT", number)]
    (event,) = api.get(f"/retailer/shipments/{number}").json()["transport"]["transportEvents"]
    assert event["eventCode"] == "DELIVERED_AT_CUSTOMER"


def test_only_what_was_subscribed_to_is_told_and_only_while_enabled(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    number = subscribe(api, receiver, "SHIPMENT")
    order(sandbox)
    body = {"resources": ["ORDER"], "url": receiver.url, "subscriptionType": "WEBHOOK", "enabled": False}
    api.status(api.send("PUT", f"{PATH}/{number}", body))
    order(sandbox)
    api.status(api.send("PUT", f"{PATH}/{number}", body | {"enabled": True}))
    told = order(sandbox)
    wait_for(lambda: receiver.messages)
    assert [event[2] for event in receiver.events()] == [told["orderId"]]
    assert states(sandbox) == ["delivered"]


def test_one_seller_is_not_told_of_another(sandbox: SandboxControls, api: Api, receiver: Receiver) -> None:
    subscribe(api, receiver)
    sandbox.add_seller("other", "other", [{"ean": MUG, "stock": 9}])
    sandbox.place_order("other", [{"ean": MUG, "quantity": 1}])
    assert states(sandbox) == ["delivered"]


def test_a_test_message_is_sent_to_that_subscription(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    number, _ = subscribe(api, receiver, "ORDER"), subscribe(api, receiver, "ORDER")
    api.status(api.send("POST", f"{PATH}/test/{number}"))
    wait_for(lambda: receiver.messages)
    assert receiver.events() == [("TEST", "TEST", number)]


def test_a_new_key_signs_and_the_old_one_is_still_known(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver, "ORDER")
    order(sandbox)
    wait_for(lambda: len(receiver.messages) == 1)
    number = sandbox.rotate_key()
    order(sandbox)
    wait_for(lambda: len(receiver.messages) == 2)
    keys = public_keys(api)
    assert [check(message, keys) for message in receiver.messages] == ["0", number]
    assert sandbox.rotate_key(keep_old=False) not in keys
    assert len(public_keys(api)) == 1


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_is_not_taken_is_tried_ten_times_and_then_the_subscription_is_disabled(
    sandbox: SandboxControls, api: Api, receiver: Receiver, status: int
) -> None:
    number = subscribe(api, receiver, "ORDER")
    receiver.status = status
    order(sandbox)
    waits = 0.0
    for tries in range(1, 10):
        wait_for(lambda tries=tries: len(sandbox.deliveries()[0]["tries"]) == tries)  # type: ignore[misc]
        assert len(receiver.messages) == tries
        wait = 600 * 2 ** (tries - 1) / 511
        sandbox.advance(wait + 0.1)
        waits += wait
    wait_for(lambda: states(sandbox) == ["failed"])
    assert waits == pytest.approx(600)
    assert [one["outcome"] for one in sandbox.deliveries()[0]["tries"]] == [str(status)] * 10
    assert len(receiver.messages) == 10
    api.login()
    assert api.get(f"{PATH}/{number}").json()["enabled"] is False
    order(sandbox)
    assert len(sandbox.deliveries()) == 1


def test_each_wait_for_the_next_try_is_twice_the_one_before() -> None:
    world = World()
    waits = [wait_before(world, tries) for tries in range(1, 10)]
    assert sum(waits) == pytest.approx(600)
    assert [later / earlier for earlier, later in pairwise(waits)] == pytest.approx([2] * 8)
    world.settings.webhooks = {"retrySeconds": 6}
    assert wait_before(world, 9) == pytest.approx(waits[-1] / 100)


def test_a_later_try_that_is_taken_is_enough(sandbox: SandboxControls, api: Api, receiver: Receiver) -> None:
    number = subscribe(api, receiver, "ORDER")
    sandbox.settings(webhooks={"retrySeconds": 30})
    receiver.status = 503
    order(sandbox)
    wait_for(lambda: len(receiver.messages) >= 3)
    receiver.status = 204
    wait_for(lambda: states(sandbox) == ["delivered"])
    assert sandbox.undelivered() == 0
    assert api.get(f"{PATH}/{number}").json()["enabled"] is True


def test_who_answers_too_late_has_not_answered(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver, "ORDER")
    sandbox.settings(webhooks={"timeoutMs": 100})
    receiver.hold = threading.Event()
    order(sandbox)
    wait_for(lambda: sandbox.deliveries()[0]["tries"])
    assert sandbox.deliveries()[0]["tries"][0]["outcome"] == "no answer in time"
    assert sandbox.undelivered() == 1


def test_an_address_where_nobody_is_does_no_harm(sandbox: SandboxControls, api: Api) -> None:
    with receiving() as gone:
        pass
    subscribe(api, gone, "ORDER")
    order(sandbox)
    wait_for(lambda: sandbox.deliveries()[0]["tries"])
    assert "Connect" in sandbox.deliveries()[0]["tries"][0]["outcome"]


def test_what_waits_for_a_subscription_that_ended_is_lost(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    number = subscribe(api, receiver, "ORDER")
    sandbox.settings(webhooks={"delayMs": 60_000})
    order(sandbox)
    assert states(sandbox) == ["waiting"]
    api.status(api.send("DELETE", f"{PATH}/{number}"))
    sandbox.advance(61)
    wait_for(lambda: states(sandbox) == ["lost"])
    assert receiver.messages == []


def test_messages_come_twice_late_or_not_at_all_where_that_is_set(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver, "ORDER")
    sandbox.settings(webhooks={"duplicate": 1, "delayMs": 10_000, "spreadMs": 60_000})
    twice = [order(sandbox)["orderId"] for _ in "abc"]
    assert states(sandbox) == ["waiting"] * 6
    sandbox.settings(webhooks={"drop": 1})
    order(sandbox)
    assert states(sandbox)[-1] == "dropped"
    sandbox.advance(71)
    wait_for(lambda: sandbox.undelivered() == 0)
    assert sorted(event[2] for event in receiver.events()) == sorted(twice * 2)


def test_forged_messages_have_a_signature_that_does_not_hold(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver, "ORDER")
    sandbox.settings(webhooks={"forge": 1})
    placed = order(sandbox)
    assert sandbox.send_event("seller", "ORDER", "ORDER_CREATED", "1", forged=True) == 1
    wait_for(lambda: len(receiver.messages) == 3)
    keys = public_keys(api)
    for message in receiver.messages:
        if message.event[2] == placed["orderId"]:
            check(message, keys)
        else:
            with pytest.raises(InvalidSignature):
                check(message, keys)
    assert {event[2] for event in receiver.events()} == {placed["orderId"], f"{placed['orderId']}0", "1"}


def test_a_forged_message_that_is_refused_is_not_tried_again_and_disables_nothing(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    number = subscribe(api, receiver, "ORDER")
    receiver.status = 401
    sandbox.send_event("seller", "ORDER", "ORDER_CREATED", "1", forged=True)
    wait_for(lambda: states(sandbox) == ["refused"])
    assert api.get(f"{PATH}/{number}").json()["enabled"] is True


def test_any_message_can_be_sent_by_hand(sandbox: SandboxControls, api: Api, receiver: Receiver) -> None:
    subscribe(api, receiver, "ORDER")
    sandbox.settings(webhooks={"numericRetailerId": True})
    assert sandbox.send_event("seller", "COMPETING_OFFER", "CHANGE", "x") == 1
    wait_for(lambda: receiver.messages)
    assert receiver.events() == [("COMPETING_OFFER", "CHANGE", "x")]
    assert receiver.messages[0].json["retailerId"] == int(sandbox.state()["sellers"][0]["sellerId"])


@pytest.mark.parametrize("form", ["pem", "private"])
def test_the_form_of_the_keys_can_be_set(sandbox: SandboxControls, api: Api, form: str) -> None:
    sandbox.settings(webhooks={"keyForm": form})
    (row,) = api.get(f"{PATH}/signature-keys").json()["signatureKeys"]
    if form == "pem":
        assert row["publicKey"].startswith("-----BEGIN PUBLIC KEY-----")
    else:
        # As long as the example in bol's description, which is a private key.
        assert len(base64.b64decode(row["publicKey"])) > 1000


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 1},
        {"drop": 2},
        {"delayMs": -1},
        {"delayMs": True},
        {"keyForm": "round"},
        {"numericRetailerId": 1},
        {"forge": "often"},
    ],
)
def test_odd_settings_are_refused(sandbox: SandboxControls, wrong: dict[str, Any]) -> None:
    with pytest.raises(SandboxRefused):
        sandbox.settings(webhooks=wrong)


def test_a_reset_in_the_middle_of_deliveries_begins_anew(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    subscribe(api, receiver, "ORDER")
    receiver.hold = threading.Event()
    order(sandbox)
    wait_for(lambda: receiver.messages)
    sandbox.reset()
    receiver.hold.set()
    assert sandbox.deliveries() == []
    assert sandbox.undelivered() == 0
    assert sandbox.state()["subscriptions"] == []


def test_the_state_shows_subscriptions_and_deliveries(
    sandbox: SandboxControls, api: Api, receiver: Receiver
) -> None:
    number = subscribe(api, receiver, "ORDER")
    for _ in range(3):
        order(sandbox)
    wait_for(lambda: sandbox.undelivered() == 0)
    shown = sandbox.state(latest=2)
    assert [one["id"] for one in shown["subscriptions"]] == [number]
    assert [one["index"] for one in shown["deliveries"]] == [2, 3]
    assert [one["index"] for one in sandbox.deliveries(since=1)] == [2, 3]

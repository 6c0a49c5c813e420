"""Subscriptions to push messages, and the keys to check their signatures (Retailer API v10, subscriptions)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bol_sandbox import push, statuses
from bol_sandbox.answers import V10, Answer, reply
from bol_sandbox.call import BodyChecks, Call
from bol_sandbox.model import Outcome, Subscription, Work
from bol_sandbox.problems import EMPTY, invalid, not_found
from bol_sandbox.world import World

KINDS = ("WEBHOOK", "GCP_PUBSUB", "AWS_SQS")
BY_WEBHOOK = ("PROCESS_STATUS", "SHIPMENT", "ORDER")
RESOURCES = (
    "PROCESS_STATUS", "SHIPMENT", "PRICE_STAR_BOUNDARY", "COMPETING_OFFER", "OFFER_FOR_SALE",
    "OFFER_NOT_FOR_SALE", "ORDER",
)  # fmt: skip
# bol takes https only; the sandbox lives beside whom it tells, so plain http is fine on the same machine.
OWN_MACHINE = ("127.0.0.1", "localhost", "::1")
ARN = re.compile(r"arn:aws:iam::\d+:role/.+")
MISSING = "Subscription with id {} not found."


@dataclass(frozen=True, slots=True)
class Subscribing:
    """The seller subscribes, or changes subscription `subscription_id` into this."""

    subscription_id: str | None
    resources: tuple[str, ...]
    url: str
    kind: str
    enabled: bool
    identity: str | None

    def do(self, world: World, client_id: str, at: float) -> Outcome:
        if self.subscription_id is None:
            found = Subscription(
                str(54_000 + world.number("subscription")), client_id, self.resources, self.url, self.kind,
                self.enabled, self.identity,
            )  # fmt: skip
            remember(world, found)
            return Outcome(entity_id=found.subscription_id)
        changed = find(world, client_id, self.subscription_id)
        if changed is None:
            return Outcome(error_message=MISSING.format(self.subscription_id))
        changed.resources, changed.url, changed.kind = self.resources, self.url, self.kind
        changed.enabled, changed.identity = self.enabled, self.identity
        return Outcome()


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """The seller wants no more messages of this subscription."""

    subscription_id: str

    def do(self, world: World, client_id: str, at: float) -> Outcome:
        if find(world, client_id, self.subscription_id) is None:
            return Outcome(error_message=MISSING.format(self.subscription_id))
        del world.subscriptions[self.subscription_id]
        return Outcome()


@dataclass(frozen=True, slots=True)
class Testing:
    """The seller asks for a message, to see whether it arrives."""

    subscription_id: str

    def do(self, world: World, client_id: str, at: float) -> Outcome:
        found = find(world, client_id, self.subscription_id)
        if found is None:
            return Outcome(error_message=MISSING.format(self.subscription_id))
        push.send(world, found, "TEST", "TEST", self.subscription_id)
        return Outcome()


def find(world: World, client_id: str, subscription_id: str) -> Subscription | None:
    found = world.subscriptions.get(subscription_id)
    return found if found is not None and found.client_id == client_id else None


def remember(world: World, subscription: Subscription) -> None:
    world.subscriptions[subscription.subscription_id] = subscription
    world.outbox.stirred.set()


def list_subscriptions(call: Call) -> Answer:
    """bol Retailer API v10, get-push-notification-subscriptions."""
    mine = [as_json(one) for one in call.world.subscriptions.values() if one.client_id == call.client_id]
    # Empty arrays are omitted: `{}`.
    return reply({"subscriptions": mine} if mine else {}, V10)


def get_subscription(call: Call) -> Answer:
    """bol Retailer API v10, get-push-notification-subscription."""
    found = find(call.world, call.client_id, call.values["subscription-id"])
    if found is None:
        raise not_found(MISSING.format(call.values["subscription-id"]))
    return reply(as_json(found), V10)


def create_subscription(call: Call) -> Answer:
    """bol Retailer API v10, post-push-notification-subscription."""
    work = _wish(call.json_object(), None)
    call.world.outbox.stirred.set()
    return _accept(call, "CREATE_SUBSCRIPTION", "Create subscription.", work, None)


def update_subscription(call: Call) -> Answer:
    """bol Retailer API v10, put-push-notification-subscription."""
    subscription_id = call.values["subscription-id"]
    work = _wish(call.json_object(), subscription_id)
    return _accept(call, "UPDATE_SUBSCRIPTION", "Update subscription", work, subscription_id)


def delete_subscription(call: Call) -> Answer:
    """bol Retailer API v10, delete-push-notification-subscription."""
    subscription_id = call.values["subscription-id"]
    work = Unsubscribing(subscription_id)
    return _accept(call, "DELETE_SUBSCRIPTION", "Delete subscription", work, subscription_id)


def send_test(call: Call) -> Answer:
    """bol Retailer API v10, post-test-push-notification."""
    subscription_id = call.values["subscription-id"]
    what = "Send test message for subscription"
    return _accept(call, "SEND_SUBSCRIPTION_TST_MSG", what, Testing(subscription_id), subscription_id)


def signature_keys(call: Call) -> Answer:
    """bol Retailer API v10, get-subscription-keys."""
    form = push.option(call.world, "keyForm")
    keys = [
        {"id": key.key_id, "type": "RSA", "publicKey": key.published(form)}
        for key in call.world.keys.published
    ]
    return reply({"signatureKeys": keys}, V10)


def _accept(call: Call, event_type: str, what: str, work: Work, subscription_id: str | None) -> Answer:
    description = what if subscription_id is None else f"{what} with id {subscription_id}."
    return statuses.accept(call.world, call.seller, event_type, description, work, entity_id=subscription_id)


def _wish(body: dict[str, Any], subscription_id: str | None) -> Subscribing:
    checks = BodyChecks()
    url = checks.text(body, "url", "url")
    kind = checks.text(body, "subscriptionType", "subscriptionType")
    resources = body.get("resources")
    if not isinstance(resources, list) or not resources:
        checks.refuse("resources", EMPTY)
        resources = []
    if kind and kind not in KINDS:
        checks.refuse("subscriptionType", invalid(kind, KINDS))
    allowed = BY_WEBHOOK if kind == "WEBHOOK" else RESOURCES
    for index, resource in enumerate(resources):
        if resource not in allowed:
            checks.refuse(f"resources[{index}]", invalid(resource, allowed))
    if kind == "WEBHOOK" and url and not _is_reachable(url):
        checks.refuse("url", invalid(url))
    identity = checks.optional_text(body, "identity", "identity")
    if kind == "AWS_SQS" and not ARN.fullmatch(identity or ""):
        checks.refuse("identity", invalid(identity) if identity else EMPTY)
    enabled = body.get("enabled")
    if enabled not in (None, True, False):
        checks.refuse("enabled", invalid(enabled))
    checks.finish()
    return Subscribing(
        subscription_id, tuple(dict.fromkeys(resources)), url, kind, enabled is not False, identity
    )


def _is_reachable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    own = parts.scheme == "http" and parts.hostname in OWN_MACHINE
    return port_is_fine and bool(parts.hostname) and (parts.scheme == "https" or own)


def as_json(subscription: Subscription) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": subscription.subscription_id,
        "resources": list(subscription.resources),
        "url": subscription.url,
        "subscriptionType": subscription.kind,
        "enabled": subscription.enabled,
    }
    if subscription.identity is not None:
        body["identity"] = subscription.identity
    return body

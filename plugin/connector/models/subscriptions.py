"""Subscriptions to push messages, and the keys that those are signed with (v10, `/retailer/subscriptions`)."""

from __future__ import annotations

from dataclasses import dataclass

WEBHOOK = "WEBHOOK"
WEBHOOK_RESOURCES = frozenset({"PROCESS_STATUS", "SHIPMENT", "ORDER"})
"""What bol tells by webhook; its other resources go to message queues only."""


@dataclass(frozen=True)
class Subscription:
    """A wish to be told. `resources` and `kind` (WEBHOOK, GCP_PUBSUB, AWS_SQS) are open text.

    bol sets `enabled` to False when ten tries to deliver a message have failed; what happens until it is enabled again
    is never told. Source: SubscriptionResponse in bol's v10 description.
    """

    id: str
    resources: tuple[str, ...]
    url: str
    kind: str
    enabled: bool


@dataclass(frozen=True)
class SignatureKey:
    """`id` is what a signature calls keyId; `public_key` is text for `webhooks.receive`, as bol gave it."""

    id: str
    public_key: str

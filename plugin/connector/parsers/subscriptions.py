"""Subscriptions and signature keys. Essential: a subscription's id, a key's id and the key itself."""

from __future__ import annotations

from plugin.connector.models.subscriptions import SignatureKey, Subscription
from plugin.connector.parsing import Fields


def read_subscription(fields: Fields) -> Subscription:
    return Subscription(
        id=fields.essential_id("id"),
        resources=fields.texts("resources"),
        url=fields.text("url") or "",
        kind=fields.text("subscriptionType") or "",
        # "Defaults to true."
        enabled=fields.flag_if_given("enabled") is not False,
    )


def read_subscriptions(fields: Fields) -> tuple[Subscription, ...]:
    return tuple(read_subscription(one) for one in fields.parts("subscriptions"))


def read_keys(fields: Fields) -> tuple[SignatureKey, ...]:
    return tuple(
        SignatureKey(key.essential_id("id"), key.essential_text("publicKey"))
        for key in fields.parts("signatureKeys")
    )

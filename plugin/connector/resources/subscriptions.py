"""Subscriptions: be told by webhook instead of asking all the time (v10).

Reference: https://api.bol.com/retailer/public/Retailer-API/v10/functional/retailer-api/subscriptions.html
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.models.statuses import ProcessStatus
from plugin.connector.models.subscriptions import WEBHOOK, WEBHOOK_RESOURCES, SignatureKey, Subscription
from plugin.connector.parsers.statuses import read_status
from plugin.connector.parsers.subscriptions import read_keys, read_subscription, read_subscriptions
from plugin.connector.resources.caller import Caller

OWN_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


class Subscriptions:
    """bol answers writes with a promise: the status of `create` ends with the subscription's id as `entity_id`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(self, *, deadline: Deadline | None = None) -> tuple[Subscription, ...]:
        """GET /retailer/subscriptions: all of the account, those of other programs too."""
        return self._caller.call(routes.SUBSCRIPTIONS, deadline=deadline).read(read_subscriptions)

    def get(self, subscription_id: str, *, deadline: Deadline | None = None) -> Subscription:
        """GET /retailer/subscriptions/{subscription-id}. Raises NotFound."""
        values = {"subscription-id": subscription_id}
        return self._caller.call(routes.SUBSCRIPTION, values=values, deadline=deadline).read(
            read_subscription
        )

    def create(
        self, resources: Collection[str], url: str, *, deadline: Deadline | None = None
    ) -> ProcessStatus:
        """POST /retailer/subscriptions: a webhook for PROCESS_STATUS, SHIPMENT or ORDER.

        bol does not say that it refuses a second one that is the same: look at `list` before a repeat.
        """
        body = _body(resources, url, enabled=True)
        return self._caller.call(routes.CREATE_SUBSCRIPTION, body=body, deadline=deadline).read(read_status)

    def update(
        self,
        subscription_id: str,
        resources: Collection[str],
        url: str,
        *,
        enabled: bool = True,
        deadline: Deadline | None = None,
    ) -> ProcessStatus:
        """PUT /retailer/subscriptions/{subscription-id}: all of it anew; also how a disabled one is enabled again.

        The values are absolute: sending them again after an OutcomeUnknown does no harm.
        """
        values = {"subscription-id": subscription_id}
        body = _body(resources, url, enabled=enabled)
        answer = self._caller.call(routes.UPDATE_SUBSCRIPTION, values=values, body=body, deadline=deadline)
        return answer.read(read_status)

    def delete(self, subscription_id: str, *, deadline: Deadline | None = None) -> ProcessStatus:
        """DELETE /retailer/subscriptions/{subscription-id}."""
        values = {"subscription-id": subscription_id}
        answer = self._caller.call(routes.DELETE_SUBSCRIPTION, values=values, deadline=deadline)
        return answer.read(read_status)

    def test(self, subscription_id: str, *, deadline: Deadline | None = None) -> ProcessStatus:
        """POST /retailer/subscriptions/test/{subscription-id}: bol sends a message to it, signed like any other."""
        values = {"subscription-id": subscription_id}
        answer = self._caller.call(routes.TEST_SUBSCRIPTION, values=values, deadline=deadline)
        return answer.read(read_status)

    def signature_keys(self, *, deadline: Deadline | None = None) -> tuple[SignatureKey, ...]:
        """GET /retailer/subscriptions/signature-keys: ten times an hour at most, so keep what it gives."""
        return self._caller.call(routes.SIGNATURE_KEYS, deadline=deadline).read(read_keys)


def _body(resources: Collection[str], url: str, *, enabled: bool) -> dict[str, object]:
    wanted = sorted(set(resources))
    if not wanted or not WEBHOOK_RESOURCES.issuperset(wanted):
        raise ValueError(f"a webhook is for some of {', '.join(sorted(WEBHOOK_RESOURCES))}")
    parts = urlsplit(url)
    if not parts.hostname or not (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in OWN_MACHINE)
    ):
        raise ValueError("bol sends webhooks to https addresses only")
    return {"resources": wanted, "url": url, "subscriptionType": WEBHOOK, "enabled": enabled}

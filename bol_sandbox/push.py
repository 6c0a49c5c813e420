"""Push messages: who is told of what, what is still to be delivered, and how that went."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from bol_sandbox.answers import dump
from bol_sandbox.clock import stamp
from bol_sandbox.model import Subscription
from bol_sandbox.signing import FORMS

if TYPE_CHECKING:
    from bol_sandbox.world import Seller, World

TRIES = 10
KEPT = 20_000
# What can be set of `webhooks`, and what holds when it is not.
OPTIONS: dict[str, float | bool | str] = {
    "delayMs": 0,
    "spreadMs": 0,
    "duplicate": 0,
    "drop": 0,
    "forge": 0,
    "retrySeconds": 600,
    "timeoutMs": 5000,
    "numericRetailerId": False,
    "keyForm": "x509",
}
CHANCES = ("duplicate", "drop", "forge")


@dataclass(slots=True, eq=False)
class Delivery:
    """One message to one subscription; `outcomes` are the tries, each with its moment."""

    index: int
    subscription: Subscription
    resource: str
    type: str
    resource_id: str
    body: bytes
    at: float
    due: float
    forged: bool = False
    state: str = "waiting"
    outcomes: list[tuple[float, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "at": stamp(self.at),
            "clientId": self.subscription.client_id,
            "subscriptionId": self.subscription.subscription_id,
            "url": self.subscription.url,
            "resource": self.resource,
            "type": self.type,
            "resourceId": self.resource_id,
            "forged": self.forged,
            "state": self.state,
            "tries": [{"at": stamp(at), "outcome": outcome} for at, outcome in self.outcomes],
        }


class Outbox:
    """What is to be delivered, ordered by the sandbox's time, and the last 20,000 with their outcomes."""

    def __init__(self) -> None:
        # Set when there may be something to do sooner than was thought.
        self.stirred = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        self.random = random.Random(1)
        self.log: deque[Delivery] = deque(maxlen=KEPT)
        self.last_index = 0
        self._open: set[Delivery] = set()
        self._due: list[tuple[float, int, Delivery]] = []
        self._tie = count()
        self.stirred.set()

    def put(self, delivery: Delivery) -> None:
        self.log.append(delivery)
        if delivery.state == "waiting":
            self._open.add(delivery)
            self._push(delivery)

    @property
    def waiting(self) -> int:
        return len(self._open)

    def _push(self, delivery: Delivery) -> None:
        heapq.heappush(self._due, (delivery.due, next(self._tie), delivery))
        self.stirred.set()

    def take(self, now: float) -> Iterator[Delivery]:
        """Hand out what is due."""
        while self._due and self._due[0][0] <= now:
            yield heapq.heappop(self._due)[2]

    def next_index(self) -> int:
        self.last_index += 1
        return self.last_index

    def end(self, delivery: Delivery, state: str) -> None:
        delivery.state = state
        self._open.discard(delivery)

    def again(self, delivery: Delivery, due: float) -> None:
        delivery.due = due
        self._push(delivery)


def option(world: World, name: str) -> Any:
    """Look up one of the webhook settings."""
    return world.settings.webhooks.get(name, OPTIONS[name])


def options_from_json(value: dict[str, Any]) -> dict[str, Any]:
    """Read the setting `webhooks`; what it does not name is as at first."""
    for name, given in value.items():
        if name not in OPTIONS:
            raise ValueError(f"webhooks: unknown {name}; there are {', '.join(OPTIONS)}")
        if not _fits(name, given):
            raise ValueError(f"webhooks: {name} cannot be {given!r}")
    return value


def _fits(name: str, given: object) -> bool:
    if name == "keyForm":
        return given in FORMS
    if name == "numericRetailerId" or isinstance(given, bool):
        return name == "numericRetailerId" and isinstance(given, bool)
    most = 1 if name in CHANCES else float("inf")
    return isinstance(given, (int, float)) and 0 <= given <= most


def tell(world: World, client_id: str, resource: str, kind: str, resource_id: str) -> None:
    """Tell a seller's subscriptions what happened; without any this costs nothing."""
    if not world.subscriptions:
        return
    for subscription in list(world.subscriptions.values()):
        if subscription.client_id == client_id and resource in subscription.resources:
            send(world, subscription, resource, kind, resource_id)


def tell_of_order(world: World, client_id: str, kind: str, order_id: str, item_ids: list[str]) -> None:
    """Tell of an order or its items; bol does not say which of the ids it sends."""
    if not world.subscriptions:
        return
    by_order = {"ORDER_CREATED": True, "ORDER_ITEM_CANCELLATION_REQUEST": False}[kind]
    if world.settings.order_event_id != "byEvent":
        by_order = world.settings.order_event_id == "orderId"
    for resource_id in [order_id] if by_order else item_ids:
        tell(world, client_id, "ORDER", kind, resource_id)


def send(
    world: World,
    subscription: Subscription,
    resource: str,
    kind: str,
    resource_id: str,
    *,
    forged: bool = False,
) -> None:
    """Put a message into the outbox, and the mishaps that the settings ask for."""
    if not (subscription.enabled and subscription.kind == "WEBHOOK"):
        return
    dice = world.outbox.random
    seller = world.sellers[subscription.client_id]
    if not forged and dice.random() < option(world, "forge"):
        _put(world, seller, subscription, resource, kind, f"{resource_id}0", forged=True)
    _put(world, seller, subscription, resource, kind, resource_id, forged=forged)
    if not forged and dice.random() < option(world, "duplicate"):
        _put(world, seller, subscription, resource, kind, resource_id)


def _put(
    world: World,
    seller: Seller,
    subscription: Subscription,
    resource: str,
    kind: str,
    resource_id: str,
    *,
    forged: bool = False,
) -> None:
    now, dice = world.now(), world.outbox.random
    retailer = int(seller.seller_id) if option(world, "numericRetailerId") else seller.seller_id
    event = {"resource": resource, "type": kind, "resourceId": resource_id}
    body = dump({"retailerId": retailer, "timestamp": stamp(now), "event": event})
    late = (option(world, "delayMs") + dice.random() * option(world, "spreadMs")) / 1000
    lost = dice.random() < option(world, "drop")
    world.outbox.put(
        Delivery(
            world.outbox.next_index(), subscription, resource, kind, resource_id, body, now, now + late,
            forged, "dropped" if lost else "waiting",
        )
    )  # fmt: skip


def wait_before(world: World, tries: int) -> float:
    """Return the seconds until the next try: each wait is twice the one before, ten tries in about ten minutes."""
    share: float = 2 ** (tries - 1) / (2 ** (TRIES - 1) - 1)
    return share * float(option(world, "retrySeconds"))

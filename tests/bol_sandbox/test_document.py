"""What of the world stands in the document that is kept."""

from __future__ import annotations

from bol_sandbox import document
from bol_sandbox.world import World

WRITTEN = {
    "clock": "ahead",
    "settings": "settings",
    "numbers": "numbers",
    "random": "random",
    "products": "products",
    "sellers": "sellers",
    "orders": "orders",
    "shipments": "shipments",
    "label_offers": "labelOffers",
    "labels": "labels",
    "statuses": "statuses",
    "intermediaries": "intermediaries",
    "codes": "codes",
    "consents": "consents",
    "tokens": "tokens",
    "subscriptions": "subscriptions",
    "keys": "keys",
}
#: Found again from the rest, or not worth keeping.
LEFT_OUT = {"limits", "faults", "calls", "changes", "outbox", "timers", "items", "transports"}


def test_whatever_the_world_has_is_written_or_left_out_on_purpose() -> None:
    world = World()
    assert set(vars(world)) == set(WRITTEN) | LEFT_OUT
    assert set(document.write(world)) == {"format", "offers", *WRITTEN.values()}

"""The whole state of the sandbox, in memory, used by one event loop only."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from bol_sandbox.calls import CallLog
from bol_sandbox.clock import Clock
from bol_sandbox.faults import Faults
from bol_sandbox.limits import Limits
from bol_sandbox.model import (
    Consent,
    Intermediary,
    Label,
    LabelOffer,
    LoginCode,
    Order,
    OrderItem,
    ProcessStatus,
    Product,
    Settings,
    Shipment,
    Subscription,
)
from bol_sandbox.offer_book import OfferBook
from bol_sandbox.order_book import OrderBook
from bol_sandbox.push import Outbox
from bol_sandbox.signing import KeyRing
from bol_sandbox.timers import Timers


@dataclass(slots=True, eq=False)
class Seller:
    """An account at bol, with its credentials and all that is its own."""

    client_id: str
    client_secret: str
    seller_id: str
    name: str
    offers: OfferBook = field(default_factory=OfferBook)
    orders: OrderBook = field(default_factory=OrderBook)
    # Oldest first; the API lists are read from the end.
    all_orders: list[Order] = field(default_factory=list)
    shipments: dict[str, list[Shipment]] = field(default_factory=lambda: {"FBR": [], "FBB": []})
    statuses: dict[tuple[str, str], list[ProcessStatus]] = field(default_factory=dict)


class World:
    """Everything the sandbox knows; `reset` makes it new."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.limits = Limits()
        self.faults = Faults()
        self.calls = CallLog()
        self.outbox = Outbox()
        self.keys = KeyRing()
        # Grows with everything that may have changed something, so that it is known what was kept already.
        self.changes = 0
        self.reset()

    def reset(self) -> None:
        self.clock.reset()
        self.limits.restore()
        self.faults.replace([])
        self.calls.clear()
        self.keys.restore()
        self.settings = Settings()
        self.timers = Timers()
        # Seeded, so that the same calls invent the same customers.
        self.random = random.Random(1)
        self.sellers: dict[str, Seller] = {}
        self.intermediaries: dict[str, Intermediary] = {}
        self.codes: dict[str, LoginCode] = {}
        # By refresh token.
        self.consents: dict[str, Consent] = {}
        self.tokens: dict[str, tuple[Seller, float]] = {}
        self.products: dict[str, Product] = {}
        self.orders: dict[str, Order] = {}
        self.items: dict[str, OrderItem] = {}
        self.shipments: dict[str, Shipment] = {}
        self.transports: dict[str, Shipment] = {}
        self.label_offers: dict[str, LabelOffer] = {}
        self.labels: dict[str, Label] = {}
        self.statuses: dict[str, ProcessStatus] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.numbers: dict[str, int] = {}
        self.outbox.clear()

    def number(self, kind: str, start: int = 1) -> int:
        """Hand out the next number of a kind: order items, transports, modifications."""
        number = self.numbers.get(kind, start)
        self.numbers[kind] = number + 1
        return number

    def now(self) -> float:
        return self.clock.now()

    def settle(self) -> None:
        if self.timers.settle(self.clock.now()):
            self.changes += 1

    def add_seller(self, client_id: str, client_secret: str, name: str = "") -> Seller:
        number = self.number("seller", 1_300_501)
        seller = Seller(client_id, client_secret, str(number), name or client_id)
        self.sellers[client_id] = seller
        return seller

    def remember_product(self, ean: str, title: str, *, listed: bool = True) -> Product:
        """Find or invent the catalogue's entry for an EAN."""
        product = self.products.get(ean)
        if product is None:
            brand = title.split(" ", 1)[0] or "Merkloos"
            text = f"{title}. Verzonden in een stevige doos, met Nederlandse handleiding."
            number = str(9_200_000_000_000_000 + self.number("product"))
            product = self.products[ean] = Product(ean, title, text, brand, number, listed)
        return product

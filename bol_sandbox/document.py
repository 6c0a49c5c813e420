"""The world as one JSON document and back, for a sandbox that outlives its process.

Call log, faults, rate limits and everything that can be found again from the rest are left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import asdict, fields
from itertools import chain
from typing import Any

from bol_sandbox import consents, labels, statuses, subscriptions, tokens, trade
from bol_sandbox.labels import Purchase
from bol_sandbox.model import (
    Consent,
    Intermediary,
    Label,
    LabelOffer,
    LoginCode,
    Offer,
    Order,
    OrderItem,
    ProcessStatus,
    Product,
    Settings,
    Shipment,
    Subscription,
    Work,
)
from bol_sandbox.orders import Cancellation
from bol_sandbox.shipments import Wanted
from bol_sandbox.subscriptions import Subscribing, Testing, Unsubscribing
from bol_sandbox.transports import TransportChange
from bol_sandbox.world import Seller, World

FORMAT = 1
Row = dict[str, Any]
WORKS: dict[str, type[Any]] = {
    "shipment": Wanted,
    "cancellation": Cancellation,
    "label": Purchase,
    "transport": TransportChange,
    "subscribing": Subscribing,
    "unsubscribing": Unsubscribing,
    "test message": Testing,
}


def _names(kind: type, *without: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name not in without)


SETTINGS = _names(Settings)
PRODUCT = _names(Product)
SELLER = ("client_id", "client_secret", "seller_id", "name")
INTERMEDIARY = _names(Intermediary)
CODE = _names(LoginCode)
CONSENT = _names(Consent)
OFFER = _names(Offer)
ORDER = _names(Order, "items", "shipments")
ITEM = _names(OrderItem, "order", "offer")
SHIPMENT = _names(Shipment, "order", "items")
LABEL_OFFER = _names(LabelOffer)
LABEL = _names(Label)
STATUS = _names(ProcessStatus, "work")
SUBSCRIPTION = _names(Subscription)


def write(world: World) -> Row:
    """Describe the world; nothing of the description changes with it afterwards."""
    return {
        "format": FORMAT,
        "ahead": world.clock.ahead,
        "settings": _row(world.settings, SETTINGS),
        "numbers": dict(world.numbers),
        "random": _write_random(world.random),
        "products": [_row(product, PRODUCT) for product in world.products.values()],
        "sellers": [_row(seller, SELLER) for seller in world.sellers.values()],
        "offers": [
            {"seller": s.client_id, **_row(o, OFFER)} for s in world.sellers.values() for o in _offers(s)
        ],
        "orders": [_write_order(order) for order in world.orders.values()],
        "shipments": [_write_shipment(shipment) for shipment in world.shipments.values()],
        "labelOffers": [_row(offer, LABEL_OFFER) for offer in world.label_offers.values()],
        "labels": [_row(label, LABEL) for label in world.labels.values()],
        "statuses": [_write_status(status) for status in world.statuses.values()],
        "subscriptions": [_row(one, SUBSCRIPTION) for one in world.subscriptions.values()],
        "keys": world.keys.write(),
        "intermediaries": [_row(one, INTERMEDIARY) for one in world.intermediaries.values()],
        "codes": [_row(code, CODE) for code in world.codes.values()],
        "consents": [_row(consent, CONSENT) for consent in world.consents.values()],
        "tokens": [(token, seller.client_id, expires) for token, (seller, expires) in world.tokens.items()],
    }


def read(world: World, document: Row) -> None:
    """Make an empty world the one that is described.

    :raises KeyError, TypeError, ValueError, LookupError: it is no description of a world.
    """
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']!r}, and {FORMAT} is needed")
    world.clock.ahead = float(document["ahead"])
    world.settings = Settings(**document["settings"])
    world.numbers = dict(document["numbers"])
    _read_random(world.random, document["random"])
    world.products = {row["ean"]: Product(**row) for row in document["products"]}
    world.sellers = {row["client_id"]: Seller(**row) for row in document["sellers"]}
    offers = _read_offers(world, document["offers"])
    for row in document["orders"]:
        _read_order(world, row, offers)
    for row in document["shipments"]:
        _read_shipment(world, row)
    # Files from before there were labels, intermediaries and subscriptions lack these.
    for row in document.get("labelOffers", ()):
        labels.remember(world, LabelOffer(**row))
    world.labels = {row["label_id"]: Label(**row) for row in document.get("labels", ())}
    for row in document["statuses"]:
        statuses.remember(world, _read_status(row))
    for row in document.get("subscriptions", ()):
        subscriptions.remember(world, Subscription(**row | {"resources": tuple(row["resources"])}))
    world.keys.read(document.get("keys", []))
    for row in document.get("intermediaries", ()):
        made = Intermediary(**row | {"redirect_uris": tuple(row["redirect_uris"])})
        world.intermediaries[made.client_id] = made
    for row in document.get("codes", ()):
        consents.remember_code(world, LoginCode(**row))
    for row in document.get("consents", ()):
        consents.remember(world, Consent(**row))
    for token, client_id, expires in document["tokens"]:
        tokens.remember(world, token, world.sellers[client_id], expires)
    for seller in world.sellers.values():
        seller.orders.fill(seller.all_orders)
    for order in world.orders.values():
        trade.hide_later(world, order)
        trade.expire_later(world, order)


def _row(thing: object, names: Iterable[str]) -> Row:
    return {name: getattr(thing, name) for name in names}


def _write_random(dice: random.Random) -> list[Any]:
    version, inside, gauss = dice.getstate()
    return [version, list(inside), gauss]


def _read_random(dice: random.Random, state: list[Any]) -> None:
    version, inside, gauss = state
    dice.setstate((version, tuple(inside), gauss))


def _offers(seller: Seller) -> Iterable[Offer]:
    """Find all that are on offer, and those that are not any more but were ordered."""
    ordered = (item.offer for order in seller.all_orders for item in order.items)
    gone = {offer.offer_id: offer for offer in ordered if offer is not None and _is_gone(offer)}
    return chain(seller.offers.by_id.values(), gone.values())


def _is_gone(offer: Offer) -> bool:
    return offer.sequence < 0


def _read_offers(world: World, rows: Iterable[Row]) -> dict[str, Offer]:
    offers: dict[str, Offer] = {}
    on_offer: dict[str, list[Offer]] = {client_id: [] for client_id in world.sellers}
    for row in rows:
        values = {name: row[name] for name in OFFER}
        offer = Offer(**values | {"countries": tuple(row["countries"])})
        offers[offer.offer_id] = offer
        if not _is_gone(offer):
            on_offer[row["seller"]].append(offer)
    for client_id, mine in on_offer.items():
        world.sellers[client_id].offers.fill(mine)
    return offers


def _write_order(order: Order) -> Row:
    return _row(order, ORDER) | {
        "items": [
            _row(item, ITEM) | {"offer": item.offer.offer_id if item.offer else None} for item in order.items
        ]
    }


def _read_order(world: World, row: Row, offers: dict[str, Offer]) -> None:
    order = Order(**{name: row[name] for name in ORDER})
    for line in row["items"]:
        offer = None if line["offer"] is None else offers[line["offer"]]
        item = OrderItem(**line | {"order": order, "offer": offer})
        order.items.append(item)
        world.items[item.order_item_id] = item
    world.orders[order.order_id] = order
    world.sellers[order.client_id].all_orders.append(order)


def _write_shipment(shipment: Shipment) -> Row:
    items = [(item.order_item_id, quantity) for item, quantity in shipment.items]
    return _row(shipment, SHIPMENT) | {"order": shipment.order.order_id, "items": items}


def _read_shipment(world: World, row: Row) -> None:
    order = world.orders[row["order"]]
    items = [(world.items[order_item_id], quantity) for order_item_id, quantity in row["items"]]
    trade.book(world, Shipment(**row | {"order": order, "items": items}))


def _write_status(status: ProcessStatus) -> Row:
    return _row(status, STATUS) | {"work": None if status.work is None else _write_work(status.work)}


def _read_status(row: Row) -> ProcessStatus:
    return ProcessStatus(**row | {"work": None if row["work"] is None else _read_work(row["work"])})


def _write_work(work: Work) -> Row:
    names = [name for name, kind in WORKS.items() if type(work) is kind]
    if not names:
        raise TypeError(f"{type(work).__name__} cannot be kept")
    return {names[0]: asdict(work)}  # type: ignore[call-overload]


def _read_work(row: Row) -> Work:
    ((name, values),) = row.items()
    if "lines" in values:
        values = values | {"lines": tuple((item, quantity) for item, quantity in values["lines"])}
    if "resources" in values:
        values = values | {"resources": tuple(values["resources"])}
    work: Work = WORKS[name](**values)
    return work

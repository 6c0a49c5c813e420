"""Makes offers and orders in bulk, the same ones for the same seed."""

from __future__ import annotations

import random
from typing import Any

from bol_sandbox import trade
from bol_sandbox.ean import make_ean13
from bol_sandbox.model import Offer, Order
from bol_sandbox.offers import add_offer as add_listing
from bol_sandbox.world import Seller, World

KINDS = (
    "Koffiemok",
    "Dekbedovertrek",
    "Fietslamp",
    "Snijplank",
    "Rugzak",
    "Puzzel",
    "Bureaulamp",
    "Waterkan",
)
MAKES = ("Noordzij", "Veldhof", "Lumo", "Brink", "Zuiderwind", "Havermout")
COLOURS = ("zwart", "wit", "donkerblauw", "mosgroen", "okergeel", "grijs")


def add_offer(world: World, seller: Seller, entry: dict[str, Any]) -> Offer:
    """Put on offer what a test or the demo describes: ean, title, price, stock, method, reference."""
    ean = str(entry["ean"])
    if entry.get("title"):
        world.remember_product(ean, str(entry["title"]))
    method = entry.get("method") or "FBR"
    if method not in ("FBR", "FBB"):
        raise ValueError(f"the method of an offer is FBR or FBB, not {method!r}")
    fulfilment: dict[str, Any] = {"method": method}
    if method == "FBR":
        fulfilment["schedule"] = entry.get("schedule") or "BOL_DELIVERY_PROMISE"
        fulfilment["deliveryPromise"] = {
            "minimumDaysToCustomer": 0,
            "maximumDaysToCustomer": 1,
            "ultimateOrderTime": "22:00",
        }
    price = float(entry.get("price", 19.99))
    return add_listing(
        world,
        seller,
        ean,
        pricing={"bundlePrices": [{"quantity": 1, "unitPrice": price}]},
        fulfilment=fulfilment,
        amount=int(entry.get("stock", 0)),
        managed_by_retailer=bool(entry.get("managedByRetailer", True)),
        reference=entry.get("reference"),
    )


def offers(
    world: World, seller: Seller, count: int, dice: random.Random, stock: int | None = None
) -> list[Offer]:
    """Put so many products on offer, with 1 to 250 pieces each, or ``stock``."""
    made: list[Offer] = []
    while len(made) < count:
        ean = make_ean13(871_000_000_000 + dice.randrange(9_000_000_000))
        if seller.offers.with_ean(ean):
            continue
        title = f"{dice.choice(MAKES)} {dice.choice(KINDS)} {dice.choice(COLOURS)} {dice.randint(100, 999)}"
        price = dice.randint(399, 14_999) / 100
        entry = {"ean": ean, "title": title, "price": price, "stock": dice.randint(1, 250)}
        if stock is not None:
            entry["stock"] = stock
        entry["reference"] = f"ART-{len(made) + 1:06d}"
        made.append(add_offer(world, seller, entry))
    return made


def orders(world: World, seller: Seller, count: int, dice: random.Random) -> list[Order]:
    """Place orders on any offers of the seller, whatever their stock."""
    listed = list(seller.offers.by_id.values())
    if not listed:
        raise trade.Refused("the seller has no offers to order from")
    made = []
    for _ in range(count):
        chosen = dice.sample(listed, min(len(listed), dice.choice((1, 1, 1, 2, 3))))
        wishes = [trade.Wish(offer.ean, dice.choice((1, 1, 1, 2, 4))) for offer in chosen]
        country = "BE" if dice.random() < 0.2 else "NL"
        pickup = dice.random() < 0.1
        made.append(
            trade.place_order(world, seller, wishes, pickup_point=pickup, country=country, force=True)
        )
    return made

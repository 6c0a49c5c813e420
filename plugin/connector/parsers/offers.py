"""Offers. Essential: the offer id; an offer without stock has 0 pieces."""

from __future__ import annotations

from decimal import Decimal

from plugin.connector.models.offers import Offer, OfferPage
from plugin.connector.parsing import Fields


def read_offer_page(fields: Fields) -> OfferPage:
    """Read a page. One offer without an id hides no other; where none has one, the answer is no list of offers."""
    offers = fields.readable("offers", read_offer)
    nameless = fields.length("offers") - len(offers)
    return OfferPage(offers, fields.part_or_empty("page").text("nextCursor"), nameless)


def read_offer(fields: Fields) -> Offer:
    stock, fulfilment = fields.part_or_empty("stock"), fields.part_or_empty("fulfilment")
    return Offer(
        offer_id=fields.essential_id("offerId"),
        ean=fields.ean(),
        reference=fields.text("reference"),
        title=fields.text("unknownProductTitle"),
        amount=stock.count("amount") or 0,
        corrected_stock=stock.count("correctedStock"),
        managed_by_retailer=stock.flag("managedByRetailer"),
        price=_price_of_one(fields.part_or_empty("pricing")),
        method=fulfilment.text("method", longest=10) or "",
        schedule=fulfilment.text("schedule"),
        on_hold=fields.flag("onHoldByRetailer"),
        modified_at=fields.moment("lastModifiedDateTime"),
    )


def _price_of_one(pricing: Fields) -> Decimal | None:
    """The price at quantity 1, which bol's rules say is always there."""
    prices = [
        (bundle.count("quantity") or 1, bundle.money("unitPrice")) for bundle in pricing.parts("bundlePrices")
    ]
    return next((price for quantity, price in prices if quantity == 1 and price is not None), None)

"""Offers of the Offers API v11: list, get, create, patch, delete."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any

from bol_sandbox.answers import V11, Answer, no_content, reply
from bol_sandbox.call import BodyChecks, Call
from bol_sandbox.model import Offer
from bol_sandbox.offer_rules import COUNTRIES, check_common, check_new
from bol_sandbox.problems import EMPTY, Problem, bad_request, invalid, not_found
from bol_sandbox.world import Seller, World

PAGE_SIZE = 100


def list_offers(call: Call) -> Answer:
    """Offers API v11, get-offers: ordered by last modification, paged by a cursor.

    The cursor remembers the last modification seen, so an offer that changes meanwhile comes by again.
    """
    size = call.integer("page-size", PAGE_SIZE, most=PAGE_SIZE)
    after = _read_cursor(call.query.get("cursor"))
    found = _candidates(call, after)
    for_sale = call.flag("for-sale")
    if for_sale is not None:
        found = (offer for offer in found if offer.for_sale is for_sale)
    rows = list(islice(found, size + 1))
    page: dict[str, Any] = {"pageSize": size}
    if len(rows) > size:
        page["nextCursor"] = _write_cursor(rows[size - 1].sequence)
    return reply({"offers": [offer.as_json() for offer in rows[:size]], "page": page}, V11)


def _candidates(call: Call, after: int) -> Iterable[Offer]:
    """Choose the narrowest index; what is left to filter is then short."""
    book = call.seller.offers
    since = _modified_since(call)
    ids = _many(call, "offer-ids")
    eans = _many(call, "eans")
    reference = call.query.get("reference")
    if not ids and not eans and reference is None:
        return book.modified_since(after, since)
    for offer_id in ids:
        _require_uuid(offer_id, "offer-ids")
    sets = []
    if ids:
        sets.append({book.by_id[i] for i in ids if i in book.by_id})
    if eans:
        sets.append({offer for ean in eans for offer in book.with_ean(ean)})
    if reference is not None:
        sets.append(set(book.with_reference(reference)))
    common = set.intersection(*sets)
    fitting = (o for o in common if o.sequence > after and o.modified_at >= since)
    return iter(sorted(fitting, key=lambda offer: offer.sequence))


def _many(call: Call, name: str) -> list[str]:
    # How bol encodes several values is not described: both the repeated and the comma form are understood.
    return [part for value in call.query.getall(name, []) for part in value.split(",") if part]


def _modified_since(call: Call) -> float:
    text = call.query.get("last-modified-date-time")
    if text is None:
        return 0.0
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise bad_request([("last-modified-date-time", invalid(text))]) from None
    if moment.tzinfo is None:
        raise bad_request([("last-modified-date-time", invalid(text))])
    return moment.timestamp()


def _write_cursor(sequence: int) -> str:
    return base64.urlsafe_b64encode(f'{{"after":{sequence}}}'.encode()).decode()


def _read_cursor(text: str | None) -> int:
    if text is None:
        return 0
    try:
        inside = base64.urlsafe_b64decode(text.encode()).decode()
        return int(inside.removeprefix('{"after":').removesuffix("}"))
    except (binascii.Error, ValueError):
        raise bad_request([("cursor", invalid(text))]) from None


def get_offer(call: Call) -> Answer:
    """Offers API v11, get-offer."""
    return reply(_find(call).as_json(), V11)


def _find(call: Call) -> Offer:
    offer_id = call.values["offer-id"]
    _require_uuid(offer_id, "offer-id")
    offer = call.seller.offers.by_id.get(offer_id)
    if offer is None:
        raise not_found(f"Offer with id {offer_id} not found.")
    return offer


def _require_uuid(text: str, name: str) -> None:
    try:
        uuid.UUID(text)
    except ValueError:
        raise bad_request([(name, invalid(text))]) from None


def create_offer(call: Call) -> Answer:
    """Offers API v11, create-offer: 201 at once, 409 where the seller already offers this EAN as such."""
    body = call.json_object()
    checks = BodyChecks()
    check_new(checks, body)
    checks.finish()
    for offer in call.seller.offers.with_ean(body["ean"]):
        if offer.condition == body["condition"]:
            raise Problem(
                409,
                "Conflict",
                f"Duplicate found: retailer offer '{offer.offer_id}' already has EAN {offer.ean}.",
            )
    stock = body.get("stock") or {}
    title = body.get("unknownProductTitle")
    product = call.world.remember_product(body["ean"], title or f"Artikel {body['ean']}", listed=False)
    made = add_offer(
        call.world,
        call.seller,
        body["ean"],
        condition=body["condition"],
        pricing=body["pricing"],
        fulfilment=body["fulfilment"],
        amount=stock.get("amount", 0),
        managed_by_retailer=stock.get("managedByRetailer", False),
        reference=body.get("reference"),
    )
    made.on_hold = body.get("onHoldByRetailer", False)
    # "In case the product is known to bol, the unknown product title will not be stored."
    made.unknown_title = None if product.listed else title
    made.economic_operator_id = body.get("economicOperatorId")
    if body.get("countryAvailabilities"):
        made.countries = _country_codes(body)
    return reply({"offerId": made.offer_id}, V11, 201)


def add_offer(
    world: World,
    seller: Seller,
    ean: str,
    *,
    pricing: dict[str, Any],
    fulfilment: dict[str, Any],
    amount: int,
    condition: dict[str, Any] | None = None,
    managed_by_retailer: bool = True,
    reference: str | None = None,
) -> Offer:
    """Put an offer in the seller's book; of an FBB offer the amount lies in bol's warehouse."""
    by_bol = fulfilment["method"] == "FBB"
    product = world.remember_product(ean, f"Artikel {ean}")
    offer = Offer(
        offer_id=str(uuid.UUID(int=world.random.getrandbits(128), version=4)),
        ean=ean,
        condition=condition or {"category": "NEW"},
        pricing=pricing,
        fulfilment=fulfilment,
        bol_product_id=product.bol_product_id,
        countries=COUNTRIES,
        reference=reference,
        amount=0 if by_bol else amount,
        managed_by_retailer=managed_by_retailer,
        bol_stock=amount if by_bol else 0,
        modified_at=world.now(),
        sequence=world.number("modification"),
    )
    seller.offers.add(offer)
    return offer


def patch_offer(call: Call) -> Answer:
    """Offers API v11, update-offer: only what is sent changes; `pricing` and `fulfilment` as a whole."""
    body = call.json_object()
    checks = BodyChecks()
    check_common(checks, body)
    for name in ("ean", "condition"):
        if name in body:
            checks.refuse(name, "This field cannot be changed.")
    if not body:
        checks.refuse(None, EMPTY)
    checks.finish()
    offer = _find(call)
    stock = body.get("stock") or {}
    if stock.get("amount") is not None:
        offer.amount = stock["amount"]
    if stock.get("managedByRetailer") is not None:
        offer.managed_by_retailer = stock["managedByRetailer"]
    offer.pricing = body.get("pricing") or offer.pricing
    offer.fulfilment = body.get("fulfilment") or offer.fulfilment
    offer.on_hold = body.get("onHoldByRetailer", offer.on_hold)
    offer.economic_operator_id = body.get("economicOperatorId", offer.economic_operator_id)
    if body.get("countryAvailabilities"):
        offer.countries = _country_codes(body)
    call.seller.offers.touch(
        offer,
        at=call.world.now(),
        sequence=call.world.number("modification"),
        reference=body.get("reference", offer.reference),
    )
    return no_content()


def _country_codes(body: dict[str, Any]) -> tuple[str, ...]:
    return tuple(country["countryCode"] for country in body["countryAvailabilities"])


def delete_offer(call: Call) -> Answer:
    """Offers API v11, delete-offer: 204, also for an offer that is gone (no 404 is declared)."""
    offer_id = call.values["offer-id"]
    _require_uuid(offer_id, "offer-id")
    offer = call.seller.offers.by_id.get(offer_id)
    if offer is not None:
        call.seller.offers.remove(offer)
    return no_content()


def not_for_sale_reasons(call: Call) -> Answer:
    """Offers API v11, get-not-for-sale-reasons: 204 when there are none (since 11.5)."""
    offer = _find(call)
    if offer.for_sale:
        return no_content()
    reason = {
        "category": "STOCK",
        "code": "4003-3",
        "description": "Out of stock or remaining stock is reserved for pending orders.",
    }
    if offer.on_hold:
        reason = {
            "category": "ON_HOLD",
            "code": "4003-1",
            "description": "The seller has not marked the offer for-sale",
        }
    countries = [{"countryCode": code, "reasons": [reason]} for code in offer.countries]
    return reply({"offerId": offer.offer_id, "countries": countries}, V11)

"""bol's catalogue (Retailer API v10, get-catalog-product)."""

from __future__ import annotations

from typing import Any

from bol_sandbox.answers import V10, Answer, reply
from bol_sandbox.call import Call
from bol_sandbox.ean import is_ean13
from bol_sandbox.problems import bad_request, invalid, not_acceptable, not_found

LANGUAGES = ("nl", "nl-BE", "fr", "fr-BE")


def get_product(call: Call) -> Answer:
    """Give title and description as the attributes `Name` and `Description`."""
    ean = call.values["ean"]
    product = call.world.products.get(ean)
    # What a test put on offer under any number is known; another number must at least be one.
    if product is None and not is_ean13(ean):
        raise bad_request([("ean", invalid(ean))])
    language = call.header("Accept-Language")
    if language not in ("", "*", *LANGUAGES):
        raise not_acceptable(invalid(language, LANGUAGES))
    if product is None or not product.listed:
        raise not_found(f"Catalog product for ean {ean} not found.")
    attributes = {
        "EAN": ean,
        "Name": product.title,
        "Description": product.description,
        "Brand": product.brand,
    }
    return reply(
        {
            "published": True,
            "gpc": {"chunkId": "28002031"},
            "enrichment": {"status": 2},
            "attributes": [_attribute(name, value) for name, value in attributes.items()],
            "parties": [{"name": product.brand, "type": "BRAND", "role": "BRAND"}],
        },
        V10,
    )


def _attribute(name: str, value: str) -> dict[str, Any]:
    return {"id": name, "values": [{"value": value}]}

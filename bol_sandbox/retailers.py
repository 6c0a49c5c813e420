"""Information about a seller's account (Retailer API v10, get-retailer-information)."""

from __future__ import annotations

from bol_sandbox.answers import V10, Answer, reply
from bol_sandbox.call import Call
from bol_sandbox.problems import not_found
from bol_sandbox.world import Seller


def get_retailer(call: Call) -> Answer:
    """Tell about a retailer; `current` is whoever asks."""
    wanted = call.values["retailer-id"]
    if wanted in ("current", call.seller.seller_id):
        return reply(_as_json(call.seller), V10)
    for seller in call.world.sellers.values():
        if seller.seller_id == wanted:
            return reply(_as_json(seller), V10)
    raise not_found(f"Retailer with id {wanted} not found.")


def _as_json(seller: Seller) -> dict[str, object]:
    return {
        "retailerId": seller.seller_id,
        "displayName": seller.name,
        "companyName": f"{seller.name} B.V.",
        "vatNumber": f"NL{seller.seller_id.zfill(9)}B01",
        "kvkNumber": seller.seller_id.zfill(8),
        "registrationDate": "2015-06-17",
        "topRetailer": False,
        "ratingMethod": "THREE_MONTHS",
    }

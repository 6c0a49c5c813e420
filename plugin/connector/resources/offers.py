"""Offers: list, detail, stock (v11, synchronous).

Reference: https://api.bol.com/retailer/public/Retailer-API/v11/functional/offer-api/releasenotes.html
"""

from __future__ import annotations

from collections.abc import Iterable

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.models.offers import MAX_STOCK, Offer, OfferPage
from plugin.connector.parsers.offers import read_offer, read_offer_page
from plugin.connector.resources.caller import Caller

MAX_PAGE_SIZE = 100


class Offers:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def page(
        self,
        *,
        cursor: str | None = None,
        page_size: int = MAX_PAGE_SIZE,
        eans: Iterable[str] = (),
        deadline: Deadline | None = None,
    ) -> OfferPage:
        """GET /retailer/offers: up to `page_size` (1 to 100) offers, from `cursor` of the page before.

        `eans` keeps offers of these EANs; the parameter is repeated, which is OpenAPI's default for lists.
        Raises MalformedAnswer for a cursor that leads nowhere.
        """
        if not 1 <= page_size <= MAX_PAGE_SIZE:
            raise ValueError(f"a page has 1 to {MAX_PAGE_SIZE} offers")
        query = [("page-size", str(page_size)), *(("eans", ean) for ean in eans)]
        if cursor is not None:
            query.append(("cursor", cursor))
        answer = self._caller.call(routes.OFFERS, query=query, deadline=deadline)
        page = answer.read(read_offer_page)
        if page.offers and page.next_cursor is not None and page.next_cursor == cursor:
            # Followed, it would lead here for ever; taken for the last page, it would hide the offers behind it.
            raise answer.malformed("the cursor leads to its own page")
        return page

    def get(self, offer_id: str, *, deadline: Deadline | None = None) -> Offer:
        """GET /retailer/offers/{offer-id}. Raises NotFound."""
        answer = self._caller.call(routes.OFFER, values={"offer-id": offer_id}, deadline=deadline)
        return answer.read(read_offer)

    def set_stock(
        self, offer_id: str, amount: int, managed_by_retailer: bool, *, deadline: Deadline | None = None
    ) -> None:
        """PATCH /retailer/offers/{offer-id} with stock only.

        `amount`: 0 to 999 pieces (v10's maximum; v11 names none). With `managed_by_retailer` bol subtracts only
        orders placed after this call, without it all open orders. The amount is absolute: sending it again after
        an OutcomeUnknown does no harm. Raises MalformedAnswer for something that is not of bol, such as a page of an
        intermediary.
        """
        if isinstance(amount, bool) or not 0 <= amount <= MAX_STOCK:
            raise ValueError(f"stock is 0 to {MAX_STOCK} pieces")
        body = {"stock": {"amount": amount, "managedByRetailer": managed_by_retailer}}
        answer = self._caller.call(
            routes.PATCH_OFFER, values={"offer-id": offer_id}, body=body, deadline=deadline
        )
        if answer.body.strip():
            # bol answers 204, without a body; a process status, as v10 did, would do as well.
            answer.json()

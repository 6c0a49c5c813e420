"""The seller's account at bol (v10, `/retailer/retailers`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Retailer:
    """`retailer_id` is the account, whichever way one signed in; it is also the `retailer_id` of a webhook event.

    `display_name` is what customers see. Source: RetailerInformationResponse in bol's v10 description.
    """

    retailer_id: str
    display_name: str
    company_name: str

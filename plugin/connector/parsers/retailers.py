"""A seller's account. Essential: its id."""

from __future__ import annotations

from plugin.connector.models.retailers import Retailer
from plugin.connector.parsing import Fields


def read_retailer(fields: Fields) -> Retailer:
    return Retailer(
        retailer_id=fields.essential_id("retailerId", longest=100),
        display_name=fields.text("displayName") or "",
        company_name=fields.text("companyName") or "",
    )

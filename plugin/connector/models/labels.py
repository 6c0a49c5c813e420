"""Labels of Shipping via bol: what is on offer, and what was bought (v10, `/retailer/shipping-labels`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class LabelOption:
    """One way to send the items that were asked about.

    `offer_id` is what `labels.create` takes. bol names the last day of an offer: `valid_until` is the end of that
    day in the Netherlands, None where bol names none. `label_type` PARCEL, MAILBOX or MAILBOX_LIGHT and
    `collection_method` DROP_OFF or PICK_UP are open text. `price` is in euro without VAT, None if unreadable.
    `max_weight` and `max_dimensions` are for reading, such as "10 kg". `meets_expectation` False: the parcel would
    come too early or too late for the customer, which counts against the seller.
    Source: DeliveryOption in bol's v10 description.
    """

    offer_id: str
    recommended: bool
    valid_until: datetime | None
    transporter_code: str
    label_type: str
    name: str
    price: Decimal | None
    max_weight: str | None
    max_dimensions: str | None
    meets_expectation: bool | None
    earliest_handover: datetime | None
    latest_handover: datetime | None
    collection_method: str | None


@dataclass(frozen=True)
class Label:
    """A label that was bought. `pdf` stays out of the repr: it shows an address."""

    label_id: str
    pdf: bytes = field(repr=False)
    track_and_trace: str | None
    transporter_code: str | None

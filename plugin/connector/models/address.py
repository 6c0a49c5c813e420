"""An address as bol gives it for a delivery or an invoice."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Address:
    """Fields as in bol's shipmentDetails and billingDetails; "" or None where bol does not say.

    It is personal data: its repr shows the country only. `email` is bol's scrambled address.
    `pickup_point_name`, `phone`, `language` come with deliveries; `vat_number`, `kvk_number`,
    `order_reference` with invoices. `salutation` is MALE, FEMALE or UNKNOWN, open text.
    """

    first_name: str = field(repr=False, default="")
    surname: str = field(repr=False, default="")
    street: str = field(repr=False, default="")
    house_number: str = field(repr=False, default="")
    house_number_extension: str | None = field(repr=False, default=None)
    extra: str | None = field(repr=False, default=None)
    zip_code: str = field(repr=False, default="")
    city: str = field(repr=False, default="")
    country_code: str = ""
    salutation: str = field(repr=False, default="")
    company: str | None = field(repr=False, default=None)
    email: str | None = field(repr=False, default=None)
    phone: str | None = field(repr=False, default=None)
    language: str | None = field(repr=False, default=None)
    pickup_point_name: str | None = field(repr=False, default=None)
    vat_number: str | None = field(repr=False, default=None)
    kvk_number: str | None = field(repr=False, default=None)
    order_reference: str | None = field(repr=False, default=None)

    @property
    def is_empty(self) -> bool:
        return self == Address()

"""Addresses of deliveries and invoices."""

from __future__ import annotations

from plugin.connector.models.address import Address
from plugin.connector.parsing import Fields


def read_address(fields: Fields) -> Address:
    return Address(
        first_name=fields.text("firstName") or "",
        surname=fields.text("surname") or "",
        street=fields.text("streetName") or "",
        house_number=fields.text("houseNumber") or "",
        house_number_extension=fields.text("houseNumberExtension"),
        extra=fields.text("extraAddressInformation"),
        zip_code=fields.text("zipCode") or "",
        city=fields.text("city") or "",
        country_code=fields.text("countryCode") or "",
        salutation=fields.text("salutation") or "",
        company=fields.text("company"),
        email=fields.text("email"),
        phone=fields.text("deliveryPhoneNumber"),
        language=fields.text("language"),
        pickup_point_name=fields.text("pickupPointName"),
        vat_number=fields.text("vatNumber"),
        kvk_number=fields.text("kvkNumber"),
        order_reference=fields.text("orderReference"),
    )

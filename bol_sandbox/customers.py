"""Invents customers: plausible Dutch and Belgian names and addresses, none of them real."""

from __future__ import annotations

import random
from typing import Any

FIRST_NAMES = (
    ("FEMALE", "Sanne"), ("FEMALE", "Fatima"), ("FEMALE", "Lotte"), ("FEMALE", "Marieke"), ("FEMALE", "Noor"),
    ("MALE", "Daan"), ("MALE", "Jeroen"), ("MALE", "Mohamed"), ("MALE", "Pieter"), ("MALE", "Thijs"),
    ("UNKNOWN", "Robin"), ("UNKNOWN", "Kim"),
)  # fmt: skip
SURNAMES = (
    "de Vries", "Jansen", "van den Berg", "Bakker", "Yılmaz", "Smit", "Peeters", "Mulder", "El Amrani", "Visser",
    "Maes", "Hoekstra", "Claes", "Dijkstra",
)  # fmt: skip
DUTCH_PLACES = (
    ("3511AB", "Utrecht", "Lange Nieuwstraat"), ("1017DC", "Amsterdam", "Kerkstraat"),
    ("3012KL", "Rotterdam", "Witte de Withstraat"), ("9712HN", "Groningen", "Oude Kijk in 't Jatstraat"),
    ("6211CX", "Maastricht", "Stokstraat"), ("8011PK", "Zwolle", "Sassenstraat"),
    ("4811XC", "Breda", "Veemarktstraat"), ("7511JE", "Enschede", "Haverstraatpassage"),
)  # fmt: skip
BELGIAN_PLACES = (
    ("2000", "Antwerpen", "Kloosterstraat"), ("9000", "Gent", "Sint-Pietersnieuwstraat"),
    ("3000", "Leuven", "Naamsestraat"), ("8000", "Brugge", "Langestraat"),
)  # fmt: skip
PICKUP_POINTS = ("Albert Heijn", "Primera", "Bruna", "AH to go Centraal Station")


def invent(
    dice: random.Random, number: int, country: str, pickup_point: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the shipment and the billing details of one order (Retailer API v10, get-order)."""
    salutation, first_name = dice.choice(FIRST_NAMES)
    surname = dice.choice(SURNAMES)
    home = {
        "salutation": salutation,
        "firstName": first_name,
        "surname": surname,
        **_address(dice, country),
        "email": f"{number:08x}klant@verkopen.bol.com",
    }
    language = "nl-BE" if country == "BE" else "nl"
    if not pickup_point:
        return {**home, "language": language}, dict(home)
    shop = {
        "pickupPointName": dice.choice(PICKUP_POINTS),
        "salutation": salutation,
        "firstName": first_name,
        "surname": surname,
        **_address(dice, country),
        "email": home["email"],
        "language": language,
    }
    return shop, home


def _address(dice: random.Random, country: str) -> dict[str, Any]:
    zip_code, city, street = dice.choice(BELGIAN_PLACES if country == "BE" else DUTCH_PLACES)
    address: dict[str, Any] = {"streetName": street, "houseNumber": str(dice.randint(1, 240))}
    if dice.random() < 0.25:
        address["houseNumberExtension"] = dice.choice(("A", "B", "bis", "2 hoog"))
    return {**address, "zipCode": zip_code, "city": city, "countryCode": country}

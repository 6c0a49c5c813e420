"""What an offer's fields may be (Offers API v11, CreateOfferRequest and PatchOfferRequest)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from bol_sandbox.call import BodyChecks
from bol_sandbox.ean import is_ean13
from bol_sandbox.problems import EMPTY, invalid

COUNTRIES = ("NL", "BE")
METHODS = ("FBR", "FBB")
SCHEDULES = ("BOL_DELIVERY_PROMISE", "MY_DELIVERY_PROMISE", "SHIPPING_VIA_BOL")
STATES = ("AS_NEW", "GOOD", "REASONABLE", "MODERATE")
GRADES = ("A", "B", "C")
CATEGORIES = ("NEW", "SECONDHAND", "REFURBISHED")
# v11 gives no maximum; v10 has 999, and everyone keeps to it. Beyond int32 nothing can be right.
INT32_MOST = 2**31 - 1


def check_new(checks: BodyChecks, body: dict[str, Any]) -> None:
    ean = checks.text(body, "ean", "ean")
    if ean and not is_ean13(ean):
        checks.refuse("ean", invalid(ean))
    for name in ("condition", "pricing", "fulfilment"):
        if body.get(name) is None:
            checks.refuse(name, EMPTY)
    if body.get("condition") is not None:
        _condition(checks, body["condition"])
    check_common(checks, body)
    if isinstance(body.get("stock"), dict):
        for name in ("amount", "managedByRetailer"):
            if body["stock"].get(name) is None:
                checks.refuse(f"stock.{name}", EMPTY)


def check_common(checks: BodyChecks, body: dict[str, Any]) -> None:
    """Check the fields that may come with both creating and patching."""
    checks.optional_text(body, "reference", "reference", most=100)
    checks.optional_text(body, "unknownProductTitle", "unknownProductTitle", most=500)
    checks.optional_text(body, "economicOperatorId", "economicOperatorId")
    if not isinstance(body.get("onHoldByRetailer", False), bool):
        checks.refuse("onHoldByRetailer", invalid(body["onHoldByRetailer"]))
    if body.get("stock") is not None:
        _stock(checks, body["stock"])
    if body.get("pricing") is not None:
        _pricing(checks, body["pricing"])
    if body.get("fulfilment") is not None:
        _fulfilment(checks, body["fulfilment"])
    if body.get("countryAvailabilities") is not None:
        _countries(checks, body["countryAvailabilities"])


def _stock(checks: BodyChecks, stock: Any) -> None:
    if not isinstance(stock, dict):
        checks.refuse("stock", invalid(stock))
        return
    amount, managed = stock.get("amount"), stock.get("managedByRetailer")
    if amount is not None and not (_is_integer(amount) and 0 <= amount <= INT32_MOST):
        checks.refuse("stock.amount", invalid(amount))
    if managed is not None and not isinstance(managed, bool):
        checks.refuse("stock.managedByRetailer", invalid(managed))


def _pricing(checks: BodyChecks, pricing: Any) -> None:
    """Quantities rise from 1, prices fall, each between 1 and 9999 (Pricing.bundlePrices)."""
    bundles = pricing.get("bundlePrices") if isinstance(pricing, dict) else None
    if (
        not isinstance(bundles, list)
        or not bundles
        or not all(isinstance(bundle, dict) for bundle in bundles)
    ):
        checks.refuse("pricing.bundlePrices", EMPTY)
        return
    for index, bundle in enumerate(bundles):
        at = f"pricing.bundlePrices[{index}]"
        price, quantity = bundle.get("unitPrice"), bundle.get("quantity")
        if isinstance(price, bool) or not isinstance(price, (int, float)) or not 1 <= price <= 9999:
            checks.refuse(f"{at}.unitPrice", invalid(price))
        if not _is_integer(quantity):
            checks.refuse(f"{at}.quantity", invalid(quantity))
    if checks.violations:
        return
    if bundles[0]["quantity"] != 1:
        checks.refuse("pricing.bundlePrices[0].quantity", invalid(bundles[0]["quantity"]))
    for before, after in pairwise(bundles):
        if after["quantity"] <= before["quantity"] or after["unitPrice"] >= before["unitPrice"]:
            checks.refuse("pricing.bundlePrices", "Quantities must increase and unit prices must decrease.")


def _fulfilment(checks: BodyChecks, fulfilment: Any) -> None:
    if not isinstance(fulfilment, dict):
        checks.refuse("fulfilment", invalid(fulfilment))
        return
    method, schedule = fulfilment.get("method"), fulfilment.get("schedule")
    if method not in METHODS:
        checks.refuse("fulfilment.method", invalid(method, METHODS))
    if schedule is not None and schedule not in SCHEDULES:
        checks.refuse("fulfilment.schedule", invalid(schedule, SCHEDULES))


def _countries(checks: BodyChecks, countries: Any) -> None:
    for index, country in enumerate(countries if isinstance(countries, list) else [None]):
        code = country.get("countryCode") if isinstance(country, dict) else None
        if code not in COUNTRIES:
            checks.refuse(f"countryAvailabilities[{index}].countryCode", invalid(code, COUNTRIES))


def _condition(checks: BodyChecks, condition: Any) -> None:
    category = condition.get("category") if isinstance(condition, dict) else None
    if category not in CATEGORIES:
        checks.refuse("condition.category", invalid(category, CATEGORIES))
    elif category == "SECONDHAND" and condition.get("state") not in STATES:
        checks.refuse("condition.state", invalid(condition.get("state"), STATES))
    elif category == "REFURBISHED":
        if condition.get("grade") not in GRADES:
            checks.refuse("condition.grade", invalid(condition.get("grade"), GRADES))
        if not isinstance(condition.get("margin"), bool):
            checks.refuse("condition.margin", EMPTY)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

"""bol's seller portal: somebody changes offers there, past the connector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from plugin.connector import (
    BolClient,
    ClientCredentialsTokens,
    Credentials,
    MemoryTokenStore,
    UnlimitedBudget,
    sandbox_environment,
)
from plugin.connector.routes import V11, Route
from tests.plugin.conftest import Shop

CREATE = Route("POST", "/retailer/offers", V11)
DELETE = Route("DELETE", "/retailer/offers/{offer-id}", V11)


def set_at_bol(shop: Shop, ean: str, amount: int, *, managed: bool = True) -> None:
    """Set the stock of an offer."""
    with _signed_in(shop) as client:
        client.offers.set_stock(_offer_id(shop, ean), amount, managed)


def remove_at_bol(shop: Shop, ean: str) -> None:
    """Take an offer away."""
    with _signed_in(shop) as client:
        client.call(DELETE, values={"offer-id": _offer_id(shop, ean)})


def add_at_bol(shop: Shop, ean: str, amount: int, method: str = "FBR", *, second_hand: bool = False) -> None:
    """Put something on offer."""
    fulfilment: dict[str, object] = {"method": method}
    if method == "FBR":
        fulfilment["schedule"] = "BOL_DELIVERY_PROMISE"
        fulfilment["deliveryPromise"] = {
            "minimumDaysToCustomer": 0,
            "maximumDaysToCustomer": 1,
            "ultimateOrderTime": "22:00",
        }
    body: dict[str, object] = {
        "ean": ean,
        "condition": {"category": "SECONDHAND", "state": "GOOD"} if second_hand else {"category": "NEW"},
        "pricing": {"bundlePrices": [{"quantity": 1, "unitPrice": 9.95}]},
        "fulfilment": fulfilment,
        "stock": {"amount": amount, "managedByRetailer": True},
    }
    with _signed_in(shop) as client:
        client.call(CREATE, body=body)


def _offer_id(shop: Shop, ean: str) -> str:
    return str(shop.sandbox.offer("seller", ean)["offerId"])


@contextmanager
def _signed_in(shop: Shop) -> Iterator[BolClient]:
    bol = sandbox_environment(shop.sandbox.url)
    tokens = ClientCredentialsTokens(bol, Credentials("seller", "secret"), MemoryTokenStore(), "portal")
    client = BolClient(bol, tokens, UnlimitedBudget())
    try:
        yield client
    finally:
        client.close()

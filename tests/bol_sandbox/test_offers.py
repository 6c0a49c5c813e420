"""Offers of version 11 and what orders do to their stock."""

from __future__ import annotations

from typing import Any

import pytest

from bol_sandbox.ean import make_ean13
from bol_sandbox.testing import SandboxControls
from tests.bol_sandbox.conftest import BAG, LAMP, MUG, V10, Api, item_ids

NEW: dict[str, Any] = {
    "ean": "8712345000042",
    "condition": {"category": "NEW"},
    "pricing": {"bundlePrices": [{"quantity": 1, "unitPrice": 9.95}]},
    "fulfilment": {"method": "FBR", "schedule": "BOL_DELIVERY_PROMISE"},
    "stock": {"amount": 7, "managedByRetailer": True},
}


def read_all(api: Api, **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        page = api.get("/retailer/offers", **query).json()
        rows += page["offers"]
        if not page["page"].get("nextCursor"):
            return rows
        query["cursor"] = page["page"]["nextCursor"]


def stock(api: Api, offer_id: str) -> dict[str, Any]:
    return dict(api.get(f"/retailer/offers/{offer_id}").json()["stock"])


def test_the_list_is_read_by_cursor_to_its_end(sandbox: SandboxControls, api: Api) -> None:
    made = sandbox.generate_offers("seller", 130, seed=2)
    rows = read_all(api, page_size=50)
    assert len(rows) == 133
    assert [row["offerId"] for row in rows[3:]] == [one["offerId"] for one in made]
    last = api.get("/retailer/offers", page_size=100, eans=[MUG, LAMP]).json()
    assert last["page"] == {"pageSize": 100}


def test_offers_can_be_made_with_one_stock_each(sandbox: SandboxControls, api: Api) -> None:
    made = sandbox.generate_offers("seller", 3, seed=2, stock=17)
    assert [stock(api, one["offerId"])["amount"] for one in made] == [17, 17, 17]


def test_an_offer_that_changes_during_paging_comes_by_again(api: Api, offers: dict[str, str]) -> None:
    first = api.get("/retailer/offers", page_size=1).json()
    assert first["offers"][0]["ean"] == MUG
    api.send("PATCH", f"/retailer/offers/{offers[MUG]}", {"stock": {"amount": 3}})
    rest = read_all(api, page_size=1, cursor=first["page"]["nextCursor"])
    assert [row["ean"] for row in rest] == [LAMP, BAG, MUG]


def test_the_list_can_be_filtered(sandbox: SandboxControls, api: Api, offers: dict[str, str]) -> None:
    def eans(**query: Any) -> list[str]:
        return [row["ean"] for row in api.get("/retailer/offers", **query).json()["offers"]]

    assert eans(eans=[BAG, MUG]) == [MUG, BAG]
    assert eans(eans=f"{BAG},{MUG}") == [MUG, BAG]
    assert eans(offer_ids=offers[LAMP]) == [LAMP]
    assert eans(reference="MUG") == [MUG]
    assert eans(reference="MUG", eans=LAMP) == []
    api.send("PATCH", f"/retailer/offers/{offers[LAMP]}", {"stock": {"amount": 0}})
    assert eans(for_sale="false") == [LAMP]
    moment = api.get(f"/retailer/offers/{offers[LAMP]}").json()["lastModifiedDateTime"]
    assert eans(last_modified_date_time=moment) == [LAMP]


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": "0"},
        {"page_size": "101"},
        {"cursor": "!"},
        {"for_sale": "1"},
        {"offer_ids": "1"},
        {"last_modified_date_time": "today"},
    ],
)
def test_a_wrong_filter_is_refused(api: Api, query: dict[str, str]) -> None:
    assert api.get("/retailer/offers", **query).status_code == 400


def test_an_offer_is_created_once_per_ean_and_condition(api: Api) -> None:
    created = api.send("POST", "/retailer/offers", NEW)
    assert created.status_code == 201
    offer_id = created.json()["offerId"]
    assert stock(api, offer_id) == {"amount": 7, "correctedStock": 7, "managedByRetailer": True}
    again = api.send("POST", "/retailer/offers", NEW)
    assert again.status_code == 409
    assert offer_id in again.json()["detail"]
    used = {"category": "SECONDHAND", "state": "GOOD"}
    assert api.send("POST", "/retailer/offers", {**NEW, "condition": used}).status_code == 201


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"ean": "05715694000315"}, "ean"),
        ({"ean": "8712345000043"}, "ean"),
        ({"condition": {"category": "WORN"}}, "condition.category"),
        ({"condition": {"category": "SECONDHAND"}}, "condition.state"),
        ({"condition": {"category": "REFURBISHED", "grade": "A"}}, "condition.margin"),
        (
            {"pricing": {"bundlePrices": [{"quantity": 1, "unitPrice": 0.5}]}},
            "pricing.bundlePrices[0].unitPrice",
        ),
        ({"fulfilment": {"method": "LVB"}}, "fulfilment.method"),
        ({"stock": {"amount": 5}}, "stock.managedByRetailer"),
        ({"stock": {"amount": -1, "managedByRetailer": True}}, "stock.amount"),
        ({"reference": "x" * 101}, "reference"),
        ({"countryAvailabilities": [{"countryCode": "DE"}]}, "countryAvailabilities[0].countryCode"),
    ],
)
def test_a_wrong_offer_is_refused_and_says_where(api: Api, change: dict[str, Any], name: str) -> None:
    answer = api.send("POST", "/retailer/offers", {**NEW, **change})
    assert answer.status_code == 400
    assert name in [violation.get("name") for violation in answer.json()["violations"]]


def test_prices_must_fall_as_quantities_rise(api: Api, offers: dict[str, str]) -> None:
    prices = [{"quantity": 1, "unitPrice": 10}, {"quantity": 5, "unitPrice": 11}]
    answer = api.send("PATCH", f"/retailer/offers/{offers[MUG]}", {"pricing": {"bundlePrices": prices}})
    assert answer.status_code == 400


def test_a_patch_changes_only_what_it_names(api: Api, offers: dict[str, str]) -> None:
    address = f"/retailer/offers/{offers[MUG]}"
    before = api.get(address).json()
    answer = api.send("PATCH", address, {"stock": {"amount": 42}})
    assert (answer.status_code, answer.content) == (204, b"")
    after = api.get(address).json()
    assert after["stock"] == {"amount": 42, "managedByRetailer": True, "correctedStock": 42}
    assert after["lastModifiedDateTime"] > before["lastModifiedDateTime"]
    unchanged = ("reference", "pricing", "fulfilment", "condition", "onHoldByRetailer")
    assert [after[name] for name in unchanged] == [before[name] for name in unchanged]


def test_a_reference_can_be_patched_and_found(api: Api, offers: dict[str, str]) -> None:
    api.send("PATCH", f"/retailer/offers/{offers[MUG]}", {"reference": "M-2"})
    assert api.get("/retailer/offers", reference="MUG").json()["offers"] == []
    assert len(api.get("/retailer/offers", reference="M-2").json()["offers"]) == 1


def test_ean_and_condition_cannot_be_patched(api: Api, offers: dict[str, str]) -> None:
    for body in ({"ean": LAMP}, {"condition": {"category": "NEW"}}):
        assert api.send("PATCH", f"/retailer/offers/{offers[MUG]}", body).status_code == 400


def test_a_deleted_offer_is_gone(api: Api, offers: dict[str, str]) -> None:
    address = f"/retailer/offers/{offers[MUG]}"
    assert api.send("DELETE", address).status_code == 204
    assert api.get(address).status_code == 404
    assert api.send("DELETE", address).status_code == 204
    assert MUG not in [row["ean"] for row in read_all(api)]


def test_an_offer_id_that_is_no_uuid_is_a_400(api: Api) -> None:
    assert api.get("/retailer/offers/12").status_code == 400


def test_not_for_sale_says_why_or_nothing(api: Api, offers: dict[str, str]) -> None:
    address = f"/retailer/offers/{offers[MUG]}"
    assert api.get(address + "/not-for-sale-reasons").status_code == 204
    api.send("PATCH", address, {"onHoldByRetailer": True})
    reasons = api.get(address + "/not-for-sale-reasons").json()["countries"][0]["reasons"]
    assert reasons[0]["category"] == "ON_HOLD"


def test_stock_managed_by_the_retailer_loses_only_later_orders(
    sandbox: SandboxControls, api: Api, offers: dict[str, str]
) -> None:
    address = f"/retailer/offers/{offers[MUG]}"
    sandbox.place_order("seller", [{"ean": MUG, "quantity": 3}])
    assert stock(api, offers[MUG])["correctedStock"] == 7
    api.send("PATCH", address, {"stock": {"amount": 7, "managedByRetailer": True}})
    assert stock(api, offers[MUG])["correctedStock"] == 7
    later = sandbox.place_order("seller", [{"ean": MUG, "quantity": 2}])
    assert stock(api, offers[MUG])["correctedStock"] == 5
    api.ship((item_ids(later)[0], None))
    assert stock(api, offers[MUG])["correctedStock"] == 5


def test_stock_not_managed_by_the_retailer_loses_all_open_orders(
    sandbox: SandboxControls, api: Api, offers: dict[str, str]
) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 3}])
    change = {"stock": {"amount": 10, "managedByRetailer": False}}
    api.send("PATCH", f"/retailer/offers/{offers[MUG]}", change)
    assert stock(api, offers[MUG])["correctedStock"] == 7
    api.ship((item_ids(order)[0], 1))
    assert stock(api, offers[MUG])["correctedStock"] == 8


@pytest.mark.parametrize("managed", [True, False])
def test_a_cancelled_order_can_be_sold_again(
    sandbox: SandboxControls, api: Api, offers: dict[str, str], managed: bool
) -> None:
    change = {"stock": {"amount": 10, "managedByRetailer": managed}}
    api.send("PATCH", f"/retailer/offers/{offers[MUG]}", change)
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 4}])
    assert stock(api, offers[MUG])["correctedStock"] == 6
    sandbox.cancel(order["orderId"])
    assert stock(api, offers[MUG])["correctedStock"] == 10


def test_a_cancellation_of_an_order_before_the_update_gives_nothing_back(
    sandbox: SandboxControls, api: Api, offers: dict[str, str]
) -> None:
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 4}])
    api.send("PATCH", f"/retailer/offers/{offers[MUG]}", {"stock": {"amount": 6}})
    sandbox.cancel(order["orderId"])
    assert stock(api, offers[MUG])["correctedStock"] == 6


def test_stock_in_bols_warehouse_is_not_in_the_offer(
    sandbox: SandboxControls, offers: dict[str, str]
) -> None:
    sandbox.place_order("seller", [{"ean": BAG, "quantity": 1}])
    bag = sandbox.offer("seller", BAG)
    assert (bag["stock"]["amount"], bag["bolStock"], bag["correctedStock"]) == (0, 4, 3)


def test_version_10_of_the_offers_is_not_served(api: Api, offers: dict[str, str]) -> None:
    answer = api.send("GET", "/retailer/offers", headers={"Accept": V10})
    assert answer.status_code == 406
    wrong = {"Content-Type": V10}
    address = f"/retailer/offers/{offers[MUG]}"
    assert api.send("PATCH", address, {"stock": {"amount": 1}}, headers=wrong).status_code == 400


def test_a_body_without_the_vendor_type_is_refused(api: Api, offers: dict[str, str]) -> None:
    plain = {"Content-Type": "application/json"}
    address = f"/retailer/offers/{offers[MUG]}"
    assert api.send("PATCH", address, {"stock": {"amount": 1}}, headers=plain).status_code == 400
    assert api.send("POST", "/retailer/shipments", {}, headers=plain).status_code == 400


def test_the_catalogue_knows_the_title(api: Api) -> None:
    product = api.get(f"/retailer/content/catalog-products/{MUG}").json()
    values = {attribute["id"]: attribute["values"][0]["value"] for attribute in product["attributes"]}
    assert values["Name"] == "Noordzij Koffiemok zwart"
    assert api.get(f"/retailer/content/catalog-products/{make_ean13(871_999_999_999)}").status_code == 404
    assert api.get("/retailer/content/catalog-products/0").status_code == 400
    foreign = {"Accept-Language": "de"}
    answer = api.send("GET", f"/retailer/content/catalog-products/{MUG}", headers=foreign)
    assert answer.status_code == 406


def test_a_product_unknown_to_bol_keeps_the_title_of_its_offer(api: Api) -> None:
    made = api.send("POST", "/retailer/offers", {**NEW, "unknownProductTitle": "Zelfgemaakt"}).json()
    assert api.get(f"/retailer/offers/{made['offerId']}").json()["unknownProductTitle"] == "Zelfgemaakt"
    assert api.get(f"/retailer/content/catalog-products/{NEW['ean']}").status_code == 404


def test_made_eans_have_their_check_digit() -> None:
    assert make_ean13(590_123_412_345) == "5901234123457"
    # The example of bol's own descriptions, with its leading zeros.
    assert make_ean13(774_040) == "0000007740404"

"""The amount of an offer: its product's stock, less what is sold at bol by any of its numbers, less what is kept."""

from __future__ import annotations

from typing import Any

from host_app.db import transaction
from plugin.models import Offer, ProductRule
from plugin.settings import StoreSettings
from plugin.sync.amounts import amounts
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, TOASTER, Shop
from tests.plugin.portal import add_at_bol
from tests.plugin.queries import counted_queries
from tests.plugin.sync.test_bad_answers import true_answer


def amounts_of(shop: Shop, **settings: Any) -> dict[str, int | None]:
    """Return the amount of each offer, by EAN."""
    offers = shop.all(Offer)
    with shop.host.reading():
        found = amounts(shop.host, shop.store_id, StoreSettings(**settings), offers)
    return {offer.ean: found[offer.id] for offer in offers}


def find_but_not_import(shop: Shop, *items: tuple[str, int]) -> None:
    """An order is found on bol's list, but its details can't be read: the host does not get it."""
    shop.sandbox.faults([{"method": "GET", "path": "/retailer/orders/*", "when": "before", "status": 500}])
    shop.order(*items)
    shop.import_orders()


def test_an_order_for_one_number_of_a_product_lowers_the_offers_of_all_its_numbers(shop: Shop) -> None:
    add_product("BOTH", 10, KETTLE, TOASTER)
    shop.connect()
    shop.work()
    find_but_not_import(shop, (KETTLE, 4))
    assert shop.free(KETTLE) == 10
    assert amounts_of(shop) == {KETTLE: 6, TOASTER: 6, LAMP: None}


def test_where_bol_subtracts_it_the_offers_own_orders_are_put_back_and_others_are_not(shop: Shop) -> None:
    add_product("BOTH", 10, KETTLE, TOASTER)
    shop.connect(import_orders=False)
    shop.work()
    shop.settings(lookup="code", import_products=False)
    shop.order((KETTLE, 4))
    shop.import_orders()
    # bol sells what it is sent less 4 kettles: 6 of either are there.
    assert amounts_of(shop, managed_by_retailer=False) == {KETTLE: 10, TOASTER: 6, LAMP: None}


def test_where_bol_subtracts_it_orders_of_another_offer_of_the_same_ean_are_not_put_back(shop: Shop) -> None:
    """Second-hand beside new: bol subtracts an order from the offer that was sold alone."""
    add_at_bol(shop, KETTLE, 2, second_hand=True)
    add_product("K", 20, KETTLE)
    shop.connect(send_stock=True, managed_by_retailer=False)
    shop.work()
    order_id = shop.order((KETTLE, 2))
    sold = true_answer(shop, order_id)["orderItems"][0]["offer"]["offerId"]

    def sold_at_bol() -> dict[bool, int]:
        offers = shop.sandbox.state("seller")["offers"]
        return {o["offerId"] == sold: o["stock"]["correctedStock"] for o in offers if o["ean"] == KETTLE}

    # Its number alone is known, and not which offer it is for.
    fault = {"method": "GET", "path": f"/retailer/orders/{order_id}", "when": "before", "status": 500}
    shop.sandbox.faults([fault])
    shop.import_orders()
    shop.pass_time(30)
    assert sold_at_bol() == {True: 16, False: 18}, "too little, until it is known"
    shop.sandbox.faults([])
    shop.pass_time(600, steps=6)
    assert sold_at_bol() == {True: 18, False: 18}


def test_a_product_may_have_its_own_safety_stock(shop: Shop) -> None:
    shop.connect()
    shop.work()
    product_id = shop.offer(KETTLE).product_id
    with transaction() as session:
        session.add(ProductRule(store_id=shop.store_id, product_id=product_id, safety_stock=0))
    assert amounts_of(shop, safety_stock=3) == {KETTLE: 20, TOASTER: 7, LAMP: None}


def test_an_offer_that_a_person_keeps_out_has_no_amount(shop: Shop) -> None:
    shop.connect()
    shop.work()
    kettle = shop.offer(KETTLE).id
    with transaction() as session:
        session.get_one(Offer, kettle).excluded = True
    assert amounts_of(shop) == {KETTLE: None, TOASTER: 10, LAMP: None}


def test_the_number_of_queries_does_not_grow_with_the_offers(shop: Shop) -> None:
    shop.connect()
    shop.work()
    offers = [offer for offer in shop.all(Offer) if offer.product_id is not None]
    with shop.host.reading(), counted_queries() as one:
        amounts(shop.host, shop.store_id, StoreSettings(), offers[:1])
    with shop.host.reading(), counted_queries() as two:
        amounts(shop.host, shop.store_id, StoreSettings(), offers)
    assert len(offers) == 2
    assert len(one) == len(two) > 0

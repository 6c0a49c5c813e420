"""Offers follow products by EAN; what a person chose is left as it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from host_app.db import transaction
from host_app.models import OrderLine, Product
from host_app.services import catalog
from host_app.services.stock import adjust_stock
from plugin.models import Offer, OfferLink, Run
from plugin.sync.products import KIND
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, TOASTER, Shop
from tests.plugin.portal import add_at_bol, set_at_bol
from tests.plugin.sync.test_bad_answers import true_answer

MUG = "8710103934509"
ZEROS, UPC = "0012345678905", "012345678905"


def adjust(shop: Shop, product_id: int, change: int) -> None:
    with transaction():
        adjust_stock(product_id, shop.warehouse, change=change, reason="test", who="ann")


def give(product_id: int, code: str, *barcodes: str) -> None:
    """Change a product's code and barcodes."""
    with transaction():
        catalog.change_product(product_id, code=code, name=code, price=None, barcodes=barcodes)


def decide(ean: str, link: OfferLink, product_id: int | None) -> None:
    """Leave an offer as a person's decision leaves it."""
    with transaction() as session:
        session.execute(update(Offer).where(Offer.ean == ean).values(link=link, product_id=product_id))


def connected(shop: Shop, **changes: Any) -> Shop:
    shop.connect(**({"send_stock": True, "import_products": False} | changes))
    shop.work()
    return shop


def test_a_new_product_takes_the_offers_of_its_ean(shop: Shop) -> None:
    connected(shop)
    product_id = add_product("K", 6, KETTLE)
    shop.work()
    assert (shop.offer(KETTLE).product_id, shop.offer(KETTLE).candidates) == (product_id, 1)
    assert shop.amount_at_bol(KETTLE) == 6


def test_a_new_product_without_stock_takes_its_offers_too(shop: Shop) -> None:
    connected(shop)
    add_product("K", 0, KETTLE)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 0


def test_a_barcode_that_is_added_links_the_offer(shop: Shop) -> None:
    product_id = add_product("K", 6)
    connected(shop)
    assert shop.offer(KETTLE).product_id is None
    give(product_id, "K", KETTLE)
    shop.work()
    assert shop.offer(KETTLE).product_id == product_id
    assert shop.amount_at_bol(KETTLE) == 6


def test_a_code_that_changes_links_another_offer(shop: Shop) -> None:
    product_id = add_product(KETTLE, 6)
    connected(shop)
    give(product_id, TOASTER)
    shop.work()
    assert (shop.offer(KETTLE).product_id, shop.offer(TOASTER).product_id) == (None, product_id)
    assert (shop.amount_at_bol(KETTLE), shop.amount_at_bol(TOASTER)) == (6, 6)
    assert any("has no product any more" in title for title in shop.notices())


def test_where_one_of_two_products_loses_the_ean_the_other_one_counts(shop: Shop) -> None:
    first, second = add_product("A", 7, KETTLE), add_product("B", 3, KETTLE)
    connected(shop)
    assert (shop.offer(KETTLE).product_id, shop.offer(KETTLE).candidates) == (first, 2)
    give(first, "A")
    shop.work()
    assert (shop.offer(KETTLE).product_id, shop.offer(KETTLE).candidates) == (second, 1)
    assert shop.amount_at_bol(KETTLE) == 3
    assert shop.notices() == []


def test_a_product_that_loses_an_ean_that_another_one_has_is_no_candidate_any_more(shop: Shop) -> None:
    first, second = add_product("A", 7, KETTLE), add_product("B", 3, KETTLE)
    connected(shop)
    give(second, "B")
    shop.work()
    assert (shop.offer(KETTLE).product_id, shop.offer(KETTLE).candidates) == (first, 1)


def test_renaming_a_product_marks_nothing(shop: Shop) -> None:
    product_id = add_product("K", 6, KETTLE)
    connected(shop)
    before = shop.offer(KETTLE).dirty_version
    with transaction():
        catalog.change_product(product_id, code="K", name="Better", price=None, barcodes=[KETTLE])
    shop.work()
    assert shop.offer(KETTLE).dirty_version == before


def test_the_same_number_with_other_zeros_is_the_same_article(shop: Shop) -> None:
    shop.sandbox.add_seller("zeros", "secret", offers=[{"ean": ZEROS, "title": "Z", "stock": 4}])
    product_id = add_product("Z", 9, UPC)
    shop.store_id = shop.runtime.connect_store(
        name="Z", environment="sandbox", client_id="zeros", client_secret="secret"
    )
    shop.settings(send_stock=True)
    shop.runtime.activate(shop.store_id)
    shop.work()
    adjust(shop, product_id, -2)
    shop.work()
    assert shop.sandbox.offer("zeros", ZEROS)["stock"]["amount"] == 7


def test_a_product_with_the_very_number_goes_before_one_with_other_zeros(shop: Shop) -> None:
    shop.sandbox.add_seller("zeros", "secret", offers=[{"ean": ZEROS, "title": "Z", "stock": 4}])
    other = add_product("Z", 9, UPC)
    shop.runtime.connect_store(name="Z", environment="sandbox", client_id="zeros", client_secret="secret")
    shop.work()
    very = add_product("Y", 2, ZEROS)
    shop.work()
    adjust(shop, other, 1)
    shop.work()
    assert shop.offer(ZEROS).product_id == very


# by hand


def test_a_link_made_by_hand_stays_through_everything(shop: Shop) -> None:
    by_ean, chosen = add_product("A", 7, KETTLE), add_product("B", 3)
    connected(shop, import_products=True)
    decide(KETTLE, OfferLink.HAND, chosen)
    adjust(shop, by_ean, 1)
    give(by_ean, "A", KETTLE, "1")
    give(chosen, "B", "2")
    shop.runtime.import_products(shop.store_id)
    shop.work()
    assert (shop.offer(KETTLE).product_id, shop.offer(KETTLE).link) == (chosen, "hand")


def test_a_change_reaches_the_offer_that_was_linked_by_hand(shop: Shop) -> None:
    by_ean, chosen = add_product("A", 7, KETTLE), add_product("B", 3)
    connected(shop)
    decide(KETTLE, OfferLink.HAND, chosen)
    adjust(shop, chosen, 2)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 5
    adjust(shop, by_ean, 1)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 5


def test_an_order_takes_the_product_that_its_offer_was_linked_to_by_hand(shop: Shop) -> None:
    add_product("A", 7, KETTLE)
    chosen = add_product("B", 3)
    connected(shop)
    decide(KETTLE, OfferLink.HAND, chosen)
    shop.order((KETTLE, 2))
    shop.import_orders()
    with shop.host.reading():
        assert shop.host.free_stock([chosen])[chosen].free == 1


def test_no_product_is_made_for_an_offer_that_was_linked_by_hand(shop: Shop) -> None:
    chosen = add_product("B", 3)
    connected(shop)
    decide(KETTLE, OfferLink.HAND, chosen)
    shop.settings(import_products=True)
    shop.runtime.import_products(shop.store_id)
    shop.work()
    with shop.host.reading():
        assert shop.host.products_by_barcode([KETTLE]) == {}


def test_an_offer_that_was_unlinked_by_hand_is_never_linked_by_itself(shop: Shop) -> None:
    product_id = add_product("A", 7, KETTLE)
    connected(shop, import_products=True)
    decide(KETTLE, OfferLink.UNLINKED, None)
    before = shop.amount_at_bol(KETTLE)
    adjust(shop, product_id, 2)
    give(product_id, "A", KETTLE, "1")
    add_product("B", 3, KETTLE)
    shop.runtime.import_products(shop.store_id)
    shop.work()
    assert (shop.offer(KETTLE).product_id, shop.offer(KETTLE).link) == (None, "unlinked")
    assert shop.amount_at_bol(KETTLE) == before
    assert shop.all(Run, Run.kind == KIND)[-1].counts["created"] == 0


def test_an_offer_that_bol_ships_is_never_linked(shop: Shop) -> None:
    product_id = add_product("L", 50, LAMP)
    connected(shop)
    give(product_id, "L", LAMP, "1")
    shop.work()
    assert shop.offer(LAMP).product_id is None


# at random

NUMBERS = (KETTLE, TOASTER, UPC, ZEROS)
STEPS = st.one_of(
    st.tuples(st.just("adjust"), st.integers(0, 2), st.integers(1, 3)),
    st.tuples(st.just("codes"), st.integers(0, 2), st.frozensets(st.sampled_from(NUMBERS), max_size=3)),
    st.tuples(st.just("import"), st.just(0), st.just(0)),
    st.tuples(st.just("hand"), st.sampled_from((KETTLE, TOASTER)), st.integers(0, 2)),
    st.tuples(st.just("unlink"), st.sampled_from((KETTLE, TOASTER)), st.just(0)),
)


class House:
    """Three products that begin without a barcode, and what is expected of the offers."""

    def __init__(self, shop: Shop, codes: tuple[str, str, str]) -> None:
        self.shop = shop
        self.codes = codes
        self.products = [add_product(code, 5) for code in codes]
        self.numbers: dict[int, frozenset[str]] = dict.fromkeys(self.products, frozenset())
        self.chosen: dict[str, int | None] = {}

    def step(self, kind: str, which: Any, value: Any) -> None:
        if kind == "adjust":
            adjust(self.shop, self.products[which], value)
        elif kind == "codes":
            self.numbers[self.products[which]] = value
            give(self.products[which], self.codes[which], *sorted(value))
        elif kind == "import":
            self.shop.runtime.import_products(self.shop.store_id)
        elif kind == "hand":
            self.chosen[which] = self.products[value]
            decide(which, OfferLink.HAND, self.products[value])
        else:
            self.chosen[which] = None
            decide(which, OfferLink.UNLINKED, None)
        self.shop.work()
        self.check(self.products[which] if kind == "adjust" else None)

    def check(self, modified: int | None) -> None:
        for ean in (KETTLE, TOASTER, ZEROS):
            offer, having = self.shop.offer(ean), self.having(ean)
            assert offer.candidates == len(having)
            if ean in self.chosen:
                assert offer.product_id == self.chosen[ean]
            elif modified in having and ean != ZEROS:
                assert offer.product_id == modified
            else:
                assert offer.product_id in (having or {None})

    def having(self, ean: str) -> set[int]:
        found = {product for product, numbers in self.numbers.items() if ean in numbers}
        if not found and ean == ZEROS:
            found = {product for product, numbers in self.numbers.items() if UPC in numbers}
        return found

    def leave(self) -> None:
        """Take all numbers away again, and forget what people chose."""
        for product, code in zip(self.products, self.codes, strict=True):
            give(product, code)
        self.shop.work()
        for ean in (KETTLE, TOASTER):
            decide(ean, OfferLink.AUTO, None)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=12))
def test_whatever_changes_an_offer_has_a_product_of_its_ean_or_the_one_that_was_chosen(
    shop: Shop, steps: list[tuple[str, Any, Any]]
) -> None:
    if not shop.store_id:
        offers = [{"ean": ean, "title": "Thing", "stock": 4} for ean in (KETTLE, TOASTER, ZEROS)]
        shop.sandbox.add_seller("many", "secret", offers=offers)
        shop.store_id = shop.runtime.connect_store(
            name="Many", environment="sandbox", client_id="many", client_secret="secret"
        )
        shop.work()
    number = len(shop.all(Product))
    house = House(shop, (f"A{number}", f"B{number}", f"C{number}"))
    shop.settings(import_products=True)
    for step in steps:
        house.step(*step)
    house.leave()


def test_an_offer_that_is_new_at_bol_is_known_by_its_first_order(shop: Shop) -> None:
    product_id = add_product("M", 9, MUG)
    connected(shop)
    add_at_bol(shop, MUG, 20)
    order_id = shop.order((MUG, 2))
    shop.import_orders()

    assert shop.host_order(order_id)
    assert (shop.offer(MUG).product_id, shop.offer(MUG).link) == (product_id, OfferLink.AUTO)
    assert shop.amount_at_bol(MUG) == 7
    adjust(shop, product_id, -3)
    shop.work()
    assert shop.amount_at_bol(MUG) == 4


def test_an_order_comes_in_though_its_new_offer_can_not_be_read(shop: Shop) -> None:
    add_product("M", 9, MUG)
    connected(shop)
    add_at_bol(shop, MUG, 20)
    order_id = shop.order((MUG, 2))
    shop.sandbox.faults([{"method": "GET", "path": "/retailer/offers/*", "when": "before", "drop": True}])
    shop.import_orders()

    assert shop.host_order(order_id)
    assert shop.all(Offer, Offer.ean == MUG) == []


def test_what_a_person_linked_for_an_order_lasts_for_later_orders_and_offers(shop: Shop) -> None:
    connected(shop)
    add_at_bol(shop, MUG, 20)
    unreadable = {"method": "GET", "path": "/retailer/offers/*", "when": "before", "status": 500}
    shop.sandbox.faults([unreadable])
    shop.order((MUG, 2))
    shop.import_orders()
    product_id = add_product("M", 9)
    shop.runtime.link_waiting(shop.store_id, MUG, "M")
    shop.work()
    later = shop.order((MUG, 1))
    shop.import_orders()
    assert shop.host_order(later)
    assert shop.all(Offer, Offer.ean == MUG) == []

    shop.sandbox.faults([])
    shop.runtime.check_stock(shop.store_id, False, "ann")
    shop.work()
    assert (shop.offer(MUG).product_id, shop.offer(MUG).link) == (product_id, OfferLink.HAND)
    assert shop.amount_at_bol(MUG) == 6

    shop.runtime.unlink_offer(shop.store_id, shop.offer(MUG).id)
    again = shop.order((MUG, 1))
    shop.import_orders()
    assert shop.bol_order(again).state == "waiting for product"


def test_each_item_of_an_order_takes_the_product_that_its_own_offer_was_linked_to(shop: Shop) -> None:
    """New and second-hand have the same EAN at bol, and are two products for the warehouse."""
    add_at_bol(shop, KETTLE, 2, second_hand=True)
    connected(shop, import_products=True)
    new = shop.sandbox.offer("seller", KETTLE)["offerId"]
    rows = {row.offer_id == new: row for row in shop.all(Offer, Offer.ean == KETTLE)}
    products = {True: rows[True].product_id, False: add_product("KETTLE-USED", 2)}
    for is_new, code in ((False, "KETTLE-USED"), (True, KETTLE)):
        shop.runtime.link_offer(shop.store_id, rows[is_new].id, code)
    order_id = shop.order((KETTLE, 1), (KETTLE, 1))
    answer = true_answer(shop, order_id)
    for item, is_new in zip(answer["orderItems"], (True, False), strict=True):
        item["offer"]["offerId"] = rows[is_new].offer_id
    shop.sandbox.faults(
        [
            {
                "method": "GET",
                "path": f"/retailer/orders/{order_id}",
                "when": "before",
                "status": 200,
                "body": answer,
            }
        ]
    )
    shop.import_orders()
    assert [line.product_id for line in shop.all(OrderLine)] == [products[True], products[False]]


# offers that people have looked after at bol meanwhile


def left_to_people(shop: Shop, how: str) -> int:
    """Let an offer be left to people, who give it another amount at bol; return its row."""
    row_id = shop.offer(KETTLE).id
    if how == "excluded":
        shop.runtime.exclude_offer(shop.store_id, row_id, True)
    elif how == "unlinked":
        shop.runtime.unlink_offer(shop.store_id, row_id)
    shop.work()
    shop.pass_time(3600)
    set_at_bol(shop, KETTLE, 60)
    return row_id


def test_an_offer_that_is_let_in_again_is_sent_though_its_amount_was_confirmed_before(shop: Shop) -> None:
    connected(shop, import_products=True)
    row_id = left_to_people(shop, "excluded")
    shop.runtime.exclude_offer(shop.store_id, row_id, False)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == shop.free(KETTLE)


@pytest.mark.parametrize("by_hand", [False, True])
def test_an_offer_that_is_linked_again_is_sent_though_its_amount_was_confirmed_before(
    shop: Shop, by_hand: bool
) -> None:
    connected(shop, import_products=True)
    row_id = left_to_people(shop, "unlinked")
    if by_hand:
        shop.runtime.link_offer(shop.store_id, row_id, KETTLE)
    else:
        shop.runtime.match_offer_again(shop.store_id, row_id)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == shop.free(KETTLE)


def test_an_offer_that_gets_its_product_later_is_sent_though_its_amount_was_the_same_when_it_was_read(
    shop: Shop,
) -> None:
    connected(shop)
    left_to_people(shop, "read only")
    add_product("K", 20, KETTLE)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 20

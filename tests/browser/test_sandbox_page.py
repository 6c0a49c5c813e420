"""The sandbox's own page in the browser: a basket loses nothing, and a message stays with the seller it is about."""

from __future__ import annotations

import pytest

from tests.browser.needs import playwright
from tests.browser.steps import choose
from tests.browser.window import Window
from tests.e2e.house import House

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
SELLER = ("basket-seller", "basket-secret")
OFFERS = [
    {"ean": "8710000000116", "title": "Tent peg", "price": 1.95, "stock": 50},
    {"ean": "8710000000123", "title": "Mallet", "price": 9.95, "stock": 50},
]


def test_what_is_chosen_after_the_basket_is_ordered_too(house: House, chief: Window) -> None:
    house.sandbox.add_seller(*SELLER, OFFERS)
    page = chief.sandbox(house.sandbox.url)
    choose(page, "seller", SELLER[0])
    choose(page, "offer", "Tent peg")
    page.get_by_role("button", name="Add to basket").click()
    expect(page.locator("#basket li")).to_have_text(["1 × Tent peg"])
    choose(page, "offer", "Mallet")
    expect(page.locator("#basket li")).to_have_text(["1 × Tent peg", "1 × Mallet (chosen above)"])
    page.get_by_role("button", name="Place order").click()
    expect(page.locator("#message")).to_contain_text("is placed")
    expect(page.locator("#basket")).to_be_hidden()
    expect(page.locator("#orders .line")).to_have_count(2)

    choose(page, "seller", "demo-seller")
    expect(page.locator("#message")).to_be_empty()
    page.close()

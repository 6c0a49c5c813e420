"""The menus stay where they are: a number that appears moves nothing, and a phone shows which page of a store is open."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.browser.steps import comes_in
from tests.browser.window import Window, resize
from tests.e2e.house import House, eventually

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
SELLER = "demo-seller"
LAMP = "8712345000066"
WIDTHS = (390, 1024, 1200, 1280)
# Where each entry of the menu bar begins, and how high the bar is.
PLACES = """() => [
  ...[...document.querySelectorAll(".host-nav a, .host-nav button")].filter((one) => one.offsetParent)
    .map((one) => [one.textContent.replace(/[0-9+]/g, "").trim(), Math.round(one.getBoundingClientRect().left)]),
  ["height", document.querySelector(".host-nav").offsetHeight],
]"""
#: A bar of one line; on a phone the names may take two small ones.
ONE_LINE = 64


def places(window: Window) -> dict[int, list[list[object]]]:
    found = {}
    for width in WIDTHS:
        resize(window.page, width, 844)
        found[width] = window.page.evaluate(PLACES)
        assert found[width][-1][1] <= ONE_LINE, (width, found[width])
    return found


def waiting(window: Window) -> int:
    window.open("/admin/")
    return int(window.page.locator('.host-nav li a[href="/admin/bol/attention"] .badge').inner_text())


def test_a_number_that_appears_in_the_menu_moves_nothing(house: House, open_window: OpenWindow) -> None:
    windows = [open_window(locale=locale) for locale in ("en-GB", "nl-NL")]
    for window in windows:
        window.log_in("admin", house.password())
    numbers = [waiting(window) for window in windows]
    before = [places(window) for window in windows]
    order_id = str(house.sandbox.place_order(SELLER, [{"ean": LAMP, "quantity": 1}])["orderId"])
    resize(windows[0].page, 1280, 900)
    comes_in(windows[0], order_id)
    house.sandbox.request_cancellation(order_id)
    eventually(lambda: waiting(windows[0]) > numbers[0], seconds=60)
    assert waiting(windows[1]) > numbers[1]
    assert [places(window) for window in windows] == before


def test_a_phone_shows_which_page_of_a_store_is_open_and_leads_to_the_others(
    house: House, open_window: OpenWindow
) -> None:
    phone = open_window(size=(390, 844))
    phone.log_in("admin", house.password())
    phone.open("/admin/bol/1/offers")
    pages = phone.page.locator(".bol-pages")
    expect(pages.locator("summary")).to_have_text("Pages of this store: Offers")
    pages.locator("summary").click()
    expect(pages.get_by_role("link")).to_have_count(9)
    phone.look("pages-of-a-store")
    pages.get_by_role("link", name="Stock checks").click()
    expect(phone.page.locator(".bol-pages summary")).to_have_text("Pages of this store: Stock checks")

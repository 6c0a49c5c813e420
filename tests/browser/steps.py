"""What people do again and again: order at bol, wait for it, pick, close."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.browser.needs import playwright
from tests.browser.window import Window, follow
from tests.e2e.house import House, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

expect = playwright().expect

#: An import every ten seconds, and a machine that may be busy.
COMES_IN = 40
MOST_PAGES = 120


def buy(window: Window, house: House, seller: str, product: str, quantity: int) -> str:
    """Play the customer on the sandbox's page; return bol's order id."""
    page = window.sandbox(house.sandbox.url)
    choose(page, "seller", seller)
    choose(page, "offer", product)
    page.get_by_label("Quantity").fill(str(quantity))
    page.get_by_role("button", name="Place order").click()
    message = page.locator("#message")
    expect(message).to_contain_text("is placed")
    window.look("sandbox", page)
    order_id = re.search(r"C0\w+", message.inner_text())
    assert order_id
    page.close()
    return order_id.group()


def choose(page: Page, field: str, text: str) -> None:
    option = page.locator(f"#{field} option").filter(has_text=text).first
    option.wait_for(state="attached")
    page.locator(f"#{field}").select_option(option.get_attribute("value"))


def choose_sandbox(page: Page) -> None:
    page.locator("label[for=environment-sandbox]").click()


def unfold(page: Page, *groups: str) -> None:
    """Open groups of a store's settings, or all of them."""
    for group in page.locator(".bol-group").all():
        closed = group.get_attribute("open") is None
        if closed and (not groups or group.get_attribute("id") in groups):
            group.locator("summary").first.click()


def connect_with_secret(window: Window, store: str, seller: tuple[str, str]) -> None:
    """Connect a store with a seller's own client id and secret."""
    page = window.page
    window.open("/admin/bol/connect")
    page.get_by_label("Name of the store").fill(store)
    choose_sandbox(page)
    page.get_by_text("Use a client id and client secret instead").click()
    page.get_by_label("Client id").fill(seller[0])
    page.get_by_label("Client secret").fill(seller[1])
    page.get_by_role("button", name="Connect store").click()


def row_of(page: Page, order_id: str) -> Locator:
    return page.locator("tr").filter(has_text=order_id)


def comes_in(window: Window, order_id: str, orders: str = "Orders") -> None:
    """Wait at the list of orders until this one has come in by itself."""
    window.menu(orders)

    def there() -> bool:
        window.page.reload()
        return row_of(window.page, order_id).count() > 0

    eventually(there, COMES_IN, every=0.5)


def pack(window: Window, carrier: str, tracking: str) -> None:
    """Pick with the scanner, which types a code and Enter, and close by keyboard alone."""
    page = window.page
    window.look("picklist")
    barcode = page.locator("[data-label=Barcodes]").first.inner_text().strip()
    count = page.locator(".host-count").first
    total = int(count.inner_text().split("/")[1])
    for number in range(1, total + 1):
        expect(page.locator(".host-scan")).to_be_focused()
        # A person takes the next piece meanwhile; what is read twice at once counts once.
        page.wait_for_timeout(300)
        page.keyboard.type(barcode)
        page.keyboard.press("Enter")
        expect(count).to_have_text(f"{number} / {total}")
        expect(page.get_by_role("status")).to_contain_text(f"{number} of {total}")
    window.look("picked")
    page.get_by_label("Carrier").focus()
    page.keyboard.type(carrier)
    page.keyboard.press("Tab")
    page.keyboard.type(tracking)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Closed by")).to_be_visible()


def confirmed(window: Window, order_id: str) -> None:
    """See on the order's page that bol has confirmed the shipment."""
    window.menu("Orders")
    follow(row_of(window.page, order_id).get_by_role("link").first)

    def there() -> bool:
        window.page.reload()
        return window.page.get_by_text(re.compile(r"\bconfirmed", re.IGNORECASE)).count() > 0

    eventually(there, COMES_IN, every=0.5)


def each_page(window: Window) -> Iterator[str]:
    """Open a page of each kind that links lead to, and say its address as it stands open."""
    seen, ahead = (
        {"/admin/"},
        [
            "/admin/",
            "/admin/bol/connect",
            "/admin/products/new",
            "/admin/bol/1/summary",
            "/admin/bol/1/shipment-plan",
        ],
    )
    while ahead and len(seen) < MOST_PAGES:
        path = ahead.pop(0)
        window.open(path)
        # What a page presses by itself leads to another state of it.
        expect(window.page.locator("[data-bol-press]")).to_have_count(0, timeout=COMES_IN * 1000)
        links = window.page.eval_on_selector_all("a[href]", "found => found.map(one => one.href)")
        yield path
        for link in links:
            target = re.sub(r"[?#].*", "", link.removeprefix(window.url))
            kind = re.sub(r"\d+", "0", target)
            if target.startswith("/admin/") and kind not in seen and not target.endswith((".pdf", ".csv")):
                seen.add(kind)
                ahead.append(target)

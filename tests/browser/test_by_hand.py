"""What people do, in a real browser against the real programs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.browser.window import PHONE, Window
from tests.e2e.house import House, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

expect = playwright().expect

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(240)]
#: An import every ten seconds, and a machine that may be busy.
COMES_IN = 40
MOST_PAGES = 80


def test_a_second_store_is_connected_and_its_first_order_goes_round(
    house: House, open_window: OpenWindow
) -> None:
    window = open_window()
    page = window.page
    window.log_in("admin", house.password())
    window.look("home")

    window.menu("Settings", "Webshops")
    window.look("webshops")
    page.get_by_role("button", name="Connect store").click()
    page.get_by_role("link", name="Bol.com Retailer").click()
    page.get_by_label("Name of the store").fill("Groene Vingers")
    page.locator("label[for=environment-sandbox]").click()
    page.get_by_label("Client id").fill("second-seller")
    page.get_by_label("Client secret").fill("wrong")
    page.get_by_role("button", name="Connect store").click()
    expect(page.get_by_role("alert")).to_contain_text("not connected")
    window.look("refused")
    expect(page.get_by_label("Client secret")).to_have_value("")
    page.get_by_label("Client secret").fill("second-secret")
    page.get_by_role("button", name="Connect store").click()

    expect(page.get_by_text("Groene Vingers is connected")).to_be_visible()
    window.look("settings")
    page.locator("label[for=send_stock]").click()
    page.locator("label[for=send_shipments]").click()
    expect(page.get_by_label("Send stock updates")).to_be_checked()
    expect(page.get_by_label("Send shipments and update status")).to_be_checked()
    page.get_by_role("button", name="Save").click()
    # Before stock is sent the plan is shown; it is worked out meanwhile.
    expect(page.get_by_role("heading", name="What happens if stock updates are sent")).to_be_visible()
    expect(page.get_by_role("button", name="Send stock updates")).to_be_visible(timeout=60_000)
    window.look("plan")
    page.get_by_role("button", name="Send stock updates").click()
    expect(page.get_by_role("heading", name="When you activate this store")).to_be_visible()
    window.look("summary")
    page.get_by_role("button", name="Activate store").click()
    expect(page.get_by_text("The store is active.")).to_be_visible()
    window.look("store")

    order_id = buy(window, house, "Groene Vingers", "Terra Plantenspuit", 2)
    comes_in(window, order_id)
    window.look("orders")
    row_of(page, order_id).get_by_role("link").first.click()
    expect(page.get_by_text("Groene Vingers").first).to_be_visible()
    window.look("order")
    page.get_by_role("link", name=re.compile(r"P-\d+")).click()
    pack(window, "PostNL", "3SHAND0001")
    window.look("closed")
    confirmed(window, order_id)
    window.look("confirmed")
    shipment = house.sandbox.state("second-seller")["shipments"][0]
    assert shipment["order"]["orderId"] == order_id
    assert shipment["transport"]["trackAndTrace"] == "3SHAND0001"


def test_a_packer_works_with_a_scanner_on_a_small_screen(house: House, open_window: OpenWindow) -> None:
    window = open_window(PHONE)
    page = window.page
    window.log_in("packer", house.password("packer"))
    window.look("home")
    order_id = buy(window, house, "Huis & Haard", "Lumo Ledlamp", 3)
    comes_in(window, order_id)
    window.menu("Picklists")
    window.look("picklists")
    row_of(page, order_id).get_by_role("link").first.click()
    pack(window, "DHL", "JVGL0001")
    confirmed(window, order_id)
    window.look("confirmed")
    (shipment,) = (
        shipment
        for shipment in house.sandbox.state("demo-seller")["shipments"]
        if shipment["order"]["orderId"] == order_id
    )
    assert shipment["transport"]["trackAndTrace"] == "JVGL0001"


def test_every_page_fits_both_widths_and_is_free_of_errors(house: House, open_window: OpenWindow) -> None:
    window = open_window()
    window.log_in("admin", house.password())
    seen, ahead = {"/admin/"}, ["/admin/"]
    while ahead and len(seen) < MOST_PAGES:
        path = ahead.pop(0)
        window.open(path)
        window.look(re.sub(r"\W+", "-", path).strip("-"))
        for link in window.page.eval_on_selector_all("a[href]", "found => found.map(one => one.href)"):
            target = re.sub(r"[?#].*", "", link.removeprefix(window.url))
            # One of each kind is enough: numbers stand for one another.
            kind = re.sub(r"\d+", "0", target)
            if target.startswith("/admin/") and kind not in seen and not target.endswith((".pdf", ".csv")):
                seen.add(kind)
                ahead.append(target)
    assert len(seen) > 15


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


def row_of(page: Page, order_id: str) -> Locator:
    return page.locator("tr").filter(has_text=order_id)


def comes_in(window: Window, order_id: str) -> None:
    """Wait at the list of orders until this one has come in by itself."""
    window.menu("Orders")

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
    row_of(window.page, order_id).get_by_role("link").first.click()

    def there() -> bool:
        window.page.reload()
        return window.page.get_by_text(re.compile(r"\bconfirmed", re.IGNORECASE)).count() > 0

    eventually(there, COMES_IN, every=0.5)

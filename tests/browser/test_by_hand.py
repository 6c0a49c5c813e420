"""What people do, in a real browser against the real programs."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.browser.steps import buy, choose_sandbox, comes_in, confirmed, pack, row_of, unfold
from tests.browser.window import PHONE
from tests.e2e.house import House

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
MOST_PAGES = 80


def test_a_second_store_is_connected_and_its_first_order_goes_round(
    house: House, open_window: OpenWindow
) -> None:
    window = open_window()
    page = window.page
    window.log_in("admin", house.password())
    window.look("home")

    window.menu("Settings", "Integrations › Webshops")
    window.look("webshops")
    page.get_by_role("button", name="Connect store").click()
    page.get_by_role("link", name="Bol.com Retailer").click()
    page.get_by_label("Name of the store").fill("Groene Vingers")
    choose_sandbox(page)
    page.get_by_text("Use a client id and client secret instead").click()
    page.get_by_label("Client id").fill("second-seller")
    page.get_by_label("Client secret").fill("wrong")
    page.get_by_role("button", name="Connect store").click()
    expect(page.get_by_role("alert")).to_contain_text("not connected")
    window.look("refused")
    expect(page.get_by_label("Client secret")).to_have_value("")
    page.get_by_label("Client secret").fill("second-secret")
    # "Log in at bol", which is the first button, is not meant here.
    page.get_by_label("Client secret").press("Enter")

    expect(page.get_by_text("Groene Vingers is connected")).to_be_visible()
    window.look("settings")
    unfold(page, "stock", "shipments")
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

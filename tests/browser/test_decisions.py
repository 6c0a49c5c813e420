"""What people decide: a customer's request to cancel, and the product of an order that waits for one."""

from __future__ import annotations

import pytest

from tests.browser.needs import playwright
from tests.browser.steps import comes_in, connect_with_secret, row_of, unfold
from tests.browser.window import DESK, PHONE, Window, resize
from tests.e2e.house import House, eventually

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
PILLOW = "8712345000042"
VASE, CLOCK = "8719999000015", "8719999000022"
#: An import every ten seconds, then a page that looks again by itself; and a machine that may be busy.
SOON = 60_000
FROM_TICK_TO_WORDS = """(label) => {
  const words = document.createRange();
  words.selectNodeContents(label);
  return words.getBoundingClientRect().left - label.control.getBoundingClientRect().left;
}"""


def test_a_customers_request_to_cancel_is_accepted(house: House, chief: Window) -> None:
    page = chief.page
    order_id = house.sandbox.place_order("demo-seller", [{"ean": PILLOW, "quantity": 1}])["orderId"]
    comes_in(chief, order_id)
    # The list of orders looks again by itself, and at once when somebody comes back to it.
    with page.expect_response(lambda answer: answer.url.startswith(page.url)):
        pass
    with page.expect_response(lambda answer: answer.url.startswith(page.url), timeout=3000):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    # Who walks over its links by keyboard stays where they are.
    link = row_of(page, order_id).get_by_role("link").first
    link.focus()
    house.sandbox.request_cancellation(order_id)
    expect(row_of(page, order_id)).to_contain_text("The customer asks bol to cancel", timeout=SOON)
    expect(link).to_be_focused()
    chief.look("asked")

    chief.menu("bol.com")
    page.get_by_role("link", name="Demo store").click()
    expect(page.get_by_text(f"The customer asks to cancel order {order_id}").first).to_be_visible(
        timeout=SOON
    )
    chief.look("asked-store")
    chief.menu("Notifications")
    told = page.locator(".card").filter(has_text=f"the customer asks to cancel order {order_id}")
    expect(told.get_by_role("button", name="Mark as read")).to_be_visible()
    chief.look("told")
    told.get_by_role("link", name="Go there").click()
    chief.look("decision")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Accept at bol").click()

    expect(page.get_by_text("was cancelled, because bol cancelled it")).to_be_visible(timeout=SOON)
    chief.look("accepted")
    (item,) = house.sandbox.state("demo-seller", latest=1)["orders"][0]["orderItems"]
    assert (item["orderItemId"], item["quantityCancelled"]) and item["quantityCancelled"] == 1
    chief.menu("Orders")
    expect(row_of(page, order_id)).to_contain_text("Cancelled")
    chief.look("cancelled")
    chief.menu("Notifications")
    expect(told).to_contain_text("settled on")
    chief.look("settled")


def test_orders_that_wait_for_a_product_go_on_once_they_have_one(house: House, chief: Window) -> None:
    page = chief.page
    offers = [
        {"ean": VASE, "title": "Oever Glazen vaas 30 cm", "price": 24.95, "stock": 8},
        {"ean": CLOCK, "title": "Oever Wandklok 40 cm - eiken", "price": 39.95, "stock": 3},
    ]
    house.sandbox.add_seller("third-seller", "third-secret", offers)
    connect_without_products(chief)
    vase, clock = (
        house.sandbox.place_order("third-seller", [{"ean": ean, "quantity": 1}])["orderId"]
        for ean in (VASE, CLOCK)
    )
    for ean in (VASE, CLOCK):
        expect(page.get_by_text(f"1 order waits for a product with EAN {ean}")).to_be_visible(timeout=SOON)
    chief.look("two-wait")
    page.get_by_role("link", name="Show it").first.click()
    expect(row_of(page, vase)).to_contain_text("make a product with this code or barcode")
    chief.look("waiting")
    orders = page.url

    # One gets its product.
    chief.menu("Products")
    page.get_by_role("link", name="New product").click()
    page.get_by_label("Code", exact=True).fill("OE-GV30")
    page.get_by_label("Name", exact=True).fill("Glazen vaas")
    page.get_by_label("Barcodes").fill(VASE)
    chief.look("product")
    page.get_by_role("button", name="Save").click()
    page.goto(orders)
    expect(row_of(page, vase)).to_have_count(0, timeout=SOON)
    chief.look("one-waits")

    # The other is linked to a product that is here.
    row_of(page, clock).get_by_role("link").first.click()
    page.get_by_label("Code or barcode of the product").fill("SNIJ-38")
    chief.look("linking")
    page.get_by_role("button", name="Link").click()
    expect(page.get_by_text("Taken over as order")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("link", name="SNIJ-38")).to_be_visible()
    chief.look("linked")
    for order_id, code in ((vase, "OE-GV30"), (clock, "SNIJ-38")):
        chief.menu("Orders")
        row_of(page, order_id).get_by_role("link").first.click()
        expect(page.get_by_role("link", name=code)).to_be_visible()
    chief.menu("Notifications")
    expect(page.locator(".card").filter(has_text=f"order {vase} waits for a product")).to_contain_text(
        "settled on"
    )


def test_a_carriers_code_is_filled_in_where_it_is_missed_and_the_parcel_goes(
    house: House, chief: Window
) -> None:
    page = chief.page
    set_code(chief, "")
    order_id = house.sandbox.place_order("demo-seller", [{"ean": PILLOW, "quantity": 1}])["orderId"]
    comes_in(chief, order_id, "Picklists")
    row_of(page, order_id).get_by_role("link", name="Pick", exact=True).click()
    page.get_by_role("button", name="Pick all").click()
    page.get_by_label("Carrier").select_option("trunkrs")
    page.get_by_label("Tracking code").fill("TR0001")
    page.get_by_role("button", name="Close picklist").click()
    expect(page.get_by_text("Closed by")).to_be_visible()

    chief.open("/admin/bol/attention")
    task = page.locator(".bol-task").filter(has_text="waits for bol's code of the carrier Trunkrs")
    expect(task).to_be_visible(timeout=SOON)
    expect(task).to_contain_text("1 × ")
    expect(task).to_contain_text(f"order {order_id}")
    code = task.get_by_label("bol's code")
    expect(code).to_have_value("TRUNKRS")
    chief.look("carrier")
    code.fill("TRUNK")
    task.get_by_role("button", name="Save and send").click()
    # What bol has never published is asked about at the field; its tick stands beside what it is for.
    expect(code).to_be_focused()
    insist = task.get_by_text("Use TRUNK all the same")
    for size in (DESK, PHONE):
        resize(page, *size)
        # The label may be wider than its words: it is those that must stand at the tick.
        assert 0 < insist.evaluate(FROM_TICK_TO_WORDS) < 40, size
    resize(page, *DESK)
    chief.look("carrier-doubted")
    code.fill("TRUNKRS")
    task.get_by_role("button", name="Save and send").click()
    expect(
        page.get_by_text("The code is saved, and the shipments that waited for it are sent")
    ).to_be_visible()
    expect(task).to_have_count(0)
    chief.look("carrier-given")

    def sent() -> bool:
        told = house.sandbox.state("demo-seller")["shipments"]
        return [one["transport"] for one in told if one["order"]["orderId"] == order_id] != []

    eventually(sent, 40)
    (transport,) = (
        one["transport"]
        for one in house.sandbox.state("demo-seller")["shipments"]
        if one["order"]["orderId"] == order_id
    )
    assert (transport["transporterCode"], transport["trackAndTrace"]) == ("TRUNKRS", "TR0001")


def set_code(window: Window, code: str) -> None:
    """Give Trunkrs another code in the settings of the demonstration's store."""
    page = window.page
    window.open("/admin/bol/1/settings")
    unfold(page, "shipments")
    page.get_by_label("Trunkrs", exact=True).fill(code)
    page.get_by_role("button", name="Save").first.click()
    page.locator("label[for=confirmed]").click()
    page.locator("#confirm").get_by_role("button", name="Save").click()
    expect(page.get_by_text("The settings are saved.")).to_be_visible()


def connect_without_products(window: Window) -> None:
    """Connect the third seller's store, with "Import products" off, and activate it."""
    page = window.page
    connect_with_secret(window, "Oever Wonen", ("third-seller", "third-secret"))
    unfold(page, "products")
    page.locator("label[for=import_products]").click()
    expect(page.get_by_label("Import products")).not_to_be_checked()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Activate store").click()
    expect(page.get_by_text("The store is active.")).to_be_visible()

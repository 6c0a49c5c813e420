"""Every page can be used by everybody: axe-core finds nothing grave in any, at both widths, in light and in dark."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.browser.accessibility import findings
from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.browser.steps import comes_in, connect_with_secret, each_page, row_of, unfold
from tests.browser.window import Window
from tests.e2e.house import House

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
SOON = 60_000
SELLER = ("seventh-seller", "seventh-secret")
#: Of a store that is only being connected.
NEW_SELLER = ("eighth-seller", "eighth-secret")
#: The first is a product of the demonstration, the second of nobody.
LAMP, UNKNOWN = "8712345000066", "8719999000084"


def shop(house: House, window: Window) -> str:
    """Connect a store of its own, and fill it with what people have to look at; return its address."""
    page = window.page
    offers = [
        {"ean": LAMP, "title": "Lumo Bureaulamp", "price": 44.95, "stock": 9},
        {"ean": UNKNOWN, "title": "Oever Kruk", "price": 24.95, "stock": 3},
    ]
    house.sandbox.add_seller(*SELLER, offers)
    connect_with_secret(window, "Zevende Winkel", SELLER)
    unfold(page, "products", "shipments")
    page.locator("label[for=import_products]").click()
    page.locator("label[for=send_shipments]").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Activate store").click()
    expect(page.get_by_text("The store is active.")).to_be_visible()
    return re.sub(r"[?#].*", "", page.url).removeprefix(window.url)


def place(house: House, ean: str, quantity: int = 1, **item: str) -> str:
    placed = house.sandbox.place_order(SELLER[0], [{"ean": ean, "quantity": quantity, **item}])
    return str(placed["orderId"])


def open_picklist(window: Window, order_id: str) -> None:
    window.menu("Picklists")
    row_of(window.page, order_id).get_by_role("link").first.click()


def pages_in_use(house: House, window: Window) -> Iterator[str]:
    """Bring pages into the states that people meet; say the name of each as it stands open."""
    page = window.page
    store = shop(house, window)
    page.on("dialog", lambda dialog: dialog.accept())
    waiting = place(house, UNKNOWN)
    sent, asked, cancelled = place(house, LAMP, 2), place(house, LAMP), place(house, LAMP)
    labelled = place(house, LAMP, distributionParty="BOL")
    for order_id in (sent, asked, cancelled, labelled):
        comes_in(window, order_id)

    open_picklist(window, sent)
    page.get_by_role("button", name="Pick all").click()
    expect(page.get_by_text("Everything is picked.")).to_be_visible()
    page.get_by_role("button", name="Add parcel").click()
    yield "closing in two parcels"
    page.get_by_role("button", name="Remove last parcel").click()
    page.get_by_label("Carrier").select_option("postnl")
    page.get_by_label("Tracking code").fill("3SAXE0001")
    page.get_by_role("button", name="Close picklist").click()
    expect(page.get_by_text("Closed by")).to_be_visible()
    yield "closed"

    open_picklist(window, labelled)
    page.get_by_role("button", name="Pick all").click()
    page.get_by_role("button", name="Show label options").click()
    expect(page.get_by_text("Recommended")).to_be_visible()
    yield "label options"
    page.get_by_role("button", name=re.compile("^Buy ")).first.click()
    expect(page.get_by_role("link", name="Print label")).to_be_visible(timeout=SOON)
    yield "label bought"

    open_picklist(window, cancelled)
    page.get_by_role("button", name="Pick all").click()
    page.get_by_label("Carrier").select_option("postnl")
    page.get_by_label("Tracking code").fill("3SAXE0001")
    page.get_by_role("button", name="Close picklist").click()
    expect(page.get_by_text("Not closed yet: look at the tracking code.")).to_be_visible()
    yield "asked about a code"
    house.sandbox.cancel(cancelled)
    page.get_by_label("Carrier").select_option("postnl")
    page.get_by_label("Tracking code").fill("3SAXE0002")
    page.get_by_role("button", name="Close picklist").click()
    expect(page.locator(".host-objections, .host-mark").first).to_contain_text("Do not send this parcel yet")
    yield "stopped by a cancellation"

    house.sandbox.request_cancellation(asked)
    window.open(store)
    expect(page.get_by_text(f"The customer asks to cancel order {asked}").first).to_be_visible(timeout=SOON)
    expect(page.get_by_text(f"1 order waits for a product with EAN {UNKNOWN}")).to_be_visible(timeout=SOON)
    yield "store with tasks"
    window.open("/admin/bol/attention")
    yield "needs attention"
    for order_id in (asked, waiting):
        window.open(f"{store}orders")
        row_of(page, order_id).get_by_role("link").first.click()
        yield "order at bol with something to decide"

    window.open(f"{store}checks")
    page.get_by_role("button", name="Only compare: send nothing").click()
    yield "stock checks"
    window.open(f"{store}settings")
    yield "settings, folded up"
    unfold(page, "orders")
    page.get_by_label("Look for new orders every").fill("1")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_text("Nothing was saved")).to_be_visible()
    yield "settings with a message"
    window.open(f"{store}settings")
    unfold(page)
    yield "settings, all unfolded"
    page.get_by_label("Keep names and addresses for").fill("30")
    page.get_by_role("button", name="Save").first.click()
    page.locator("#confirm").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Put a tick here first")).to_be_visible()
    yield "settings that ask for a tick"
    window.open(f"{store}settings")
    unfold(page, "stock")
    page.locator("label[for=send_stock]").click()
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_role("heading", name="What happens if stock updates are sent")).to_be_visible()
    yield "plan of stock"

    house.sandbox.add_seller(
        *NEW_SELLER, [{"ean": "8710000002011", "title": "Artikel", "price": 9.95, "stock": 5}]
    )
    house.sandbox.place_order(NEW_SELLER[0], [{"ean": "8710000002011", "quantity": 1}])
    connect_with_secret(window, "Nieuwe winkel", NEW_SELLER)
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator(".bol-number")).to_contain_text("1 order will be imported", timeout=SOON)
    yield "summary before a store is activated"
    page.get_by_role("button", name="Activate store").click()
    page.get_by_role("link", name="See what would be sent").click()
    expect(page.get_by_role("heading", name="What happens if shipments are sent")).to_be_visible()
    yield "plan of shipments"


BAD_PAGE = """<!doctype html><html lang="en"><title>Bad</title><style>
  body { background: #fff; color: #222; }
  @media (prefers-color-scheme: dark) { body { background: #111; } }
  @media (max-width: 575px) { .narrow { color: #ddd; background: #fff; } }
</style><main><h1>Bad</h1><p>Dark on dark by night</p><p class="narrow">Pale on a phone</p>
<details><summary>More</summary><input></details></main></html>"""


def test_what_keeps_people_out_is_found(open_window: OpenWindow) -> None:
    """Once for each of: a field without a name that is folded away, a scheme, a width."""
    window = open_window()
    window.page.set_content(BAD_PAGE)
    found = findings(window.page)
    for what, where in (
        ("label", "light at 1280"),
        ("color-contrast", "light at 390"),
        ("color-contrast", "dark at 1280"),
    ):
        assert [one for one in found if f" {what}, {where}" in one], (what, where, found)
    assert not [one for one in found if " color-contrast, light at 1280" in one]


def test_pages_in_use_have_no_grave_findings(house: House, open_window: OpenWindow) -> None:
    window = open_window()
    window.log_in("admin", house.password())
    found = [f"{name}: {what}" for name in pages_in_use(house, window) for what in findings(window.page)]
    assert found == []


def test_no_page_has_grave_findings(house: House, open_window: OpenWindow) -> None:
    window = open_window()
    window.open("/login")
    found = [f"/login: {what}" for what in findings(window.page)]
    window.log_in("admin", house.password())
    paths = []
    for path in each_page(window):
        paths.append(path)
        found += [f"{path}: {what}" for what in findings(window.page)]
    assert len(paths) > 15
    assert found == []

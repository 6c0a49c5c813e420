"""Stock in the browser: an import with its progress, a difference found and corrected, the guard stopping and released."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugin.connector import (
    BolClient,
    ClientCredentialsTokens,
    Credentials,
    MemoryTokenStore,
    UnlimitedBudget,
    sandbox_environment,
)
from tests.browser.needs import playwright
from tests.browser.steps import connect_with_secret, unfold
from tests.browser.window import Window
from tests.e2e.house import House, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
SELLER = ("fourth-seller", "fourth-secret")
STORE = "Vierde Winkel"
OFFERS = [
    {"ean": ean, "title": f"Artikel {number}", "price": 9.95, "stock": 50}
    for number, ean in enumerate(
        ("8710000000017", "8710000000024", "8710000000031", "8710000000048"), start=1
    )
]
EANS = [str(offer["ean"]) for offer in OFFERS]
#: An import every ten seconds, then a page that looks again by itself; and a machine that may be busy.
SOON = 60_000


def test_stock_from_the_plan_to_the_guard(house: House, chief: Window) -> None:
    page = chief.page
    page.on("dialog", lambda dialog: dialog.accept())
    house.sandbox.add_seller(*SELLER, OFFERS)
    store = connect(chief)

    # The import has a progress bar, as it is known by now how much there is.
    expect(page.get_by_text("4 offers")).to_be_visible(timeout=SOON)
    house.sandbox.settings(latencyMs=3000)
    try:
        page.get_by_role("button", name="Import products").click()
        expect(page.locator("#bol-progress progress")).to_be_visible(timeout=SOON)
        chief.look("import")
    finally:
        house.sandbox.settings(latencyMs=0)
    expect(page.locator("#bol-progress progress")).to_have_count(0, timeout=SOON)

    # The plan that this import overtook is worked out again, and nobody presses for it.
    chief.open(f"{store}stock-plan")
    expect(page.get_by_role("button", name="Send stock updates")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("Nothing changes:")).to_be_visible()

    # Sending begins with its plan, which tells what changes at bol.
    set_at_bol(house, EANS[3], 12)
    chief.open(f"{store}settings")
    unfold(page, "stock")
    page.locator("label[for=send_stock]").click()
    page.get_by_label("Stop when many products sell out at once").fill("2")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Send stock updates")).to_be_visible(timeout=SOON)
    change = page.locator("tr").filter(has_text=EANS[3])
    expect(change.locator("td[data-label='At bol now']")).to_have_text("12")
    expect(change.locator("td[data-label='Becomes']")).to_contain_text("50 free here")
    chief.look("plan")
    assert at_bol(house, EANS[3]) == 12
    page.get_by_role("button", name="Send stock updates").click()

    eventually(lambda: at_bol(house, EANS[3]) == 50, 30)

    # The page of a product tells that its stock is on its way to bol, and then, by itself, that it is there.
    chief.open(f"{store}offers?q={EANS[2]}")
    page.locator("td[data-label='Product here'] a").first.click()
    count(page, "45")
    stock = page.locator("#panels")
    expect(stock).to_contain_text("up to date", timeout=SOON)
    assert at_bol(house, EANS[2]) == 45
    house.sandbox.settings(latencyMs=4000)
    try:
        count(page, "50")
        expect(stock).to_contain_text("being sent to bol: 50")
        expect(stock).to_contain_text("up to date", timeout=SOON)
    finally:
        house.sandbox.settings(latencyMs=0)
    assert at_bol(house, EANS[2]) == 50

    # Somebody changes an offer at bol; a dry run finds it, a check has it corrected.
    set_at_bol(house, EANS[0], 7)
    chief.open(f"{store}checks")
    page.get_by_role("button", name="Only compare").click()
    difference = page.locator("tr").filter(has_text=EANS[0])
    expect(difference).to_contain_text("reported only", timeout=SOON)
    chief.look("dry-run")
    assert at_bol(house, EANS[0]) == 7
    chief.open(f"{store}checks")
    page.get_by_role("button", name="Check now").click()
    expect(difference).to_contain_text("changed at bol", timeout=SOON)
    chief.look("check")
    eventually(lambda: at_bol(house, EANS[0]) == 50, 30)

    # Two of four offers sell out at once: the guard asks.
    for ean in EANS[:2]:
        chief.open(f"{store}offers?q={ean}")
        page.locator("td[data-label='Product here'] a").first.click()
        count(page, "0")
    chief.open(store)
    expect(page.locator("#bol-tasks").get_by_text("and you are asked first")).to_be_visible(timeout=SOON)
    chief.look("guard")
    for name in ("offers", "offers?state=held", "eans", "checks"):
        chief.open(f"{store}{name}")
        chief.look(name.replace("?state=", "-"))
    chief.open(f"{store}offers?q={EANS[0]}")
    page.locator("td[data-label=EAN] a").first.click()
    expect(page.get_by_role("button", name="Send now")).to_be_visible()
    chief.look("offer")
    chief.open(store)
    held = [ean for ean in EANS if at_bol(house, ean) == 50]
    page.get_by_role("button", name="Send 0 for these").click()
    expect(page.locator("#bol-tasks").get_by_text("and you are asked first")).to_have_count(0)
    eventually(lambda: [at_bol(house, ean) for ean in EANS] == [0, 0, 50, 50], 30)
    assert len(held) >= 3
    chief.look("released")


def connect(window: Window) -> str:
    """Connect and activate the store; return the address of its page."""
    page = window.page
    connect_with_secret(window, STORE, SELLER)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Activate store").click()
    expect(page.get_by_text("The store is active.")).to_be_visible()
    return page.url.removeprefix(window.url)


def count(page: Page, pieces: str) -> None:
    """Tell on a product's page how many pieces are on the shelf."""
    page.locator("label[for=how-counted]").click()
    page.locator("#amount").fill(pieces)
    page.locator("#reason").fill("counted")
    page.get_by_role("button", name="Adjust stock").click()
    expect(page.get_by_text("The stock is adjusted.")).to_be_visible()


def at_bol(house: House, ean: str) -> int:
    return int(house.sandbox.offer(SELLER[0], ean)["stock"]["amount"])


def set_at_bol(house: House, ean: str, amount: int) -> None:
    """Somebody changes an offer in bol's seller portal."""
    environment = sandbox_environment(house.sandbox.url)
    tokens = ClientCredentialsTokens(environment, Credentials(*SELLER), MemoryTokenStore(), "portal")
    client = BolClient(environment, tokens, UnlimitedBudget())
    try:
        client.offers.set_stock(str(house.sandbox.offer(SELLER[0], ean)["offerId"]), amount, True)
    finally:
        client.close()

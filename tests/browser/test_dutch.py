"""A Dutch browser gets Dutch pages, whose longer words break no page at a desk or on a phone."""

from __future__ import annotations

import pytest

from tests.browser.accessibility import UNFOLD, findings
from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.browser.steps import comes_in, each_page, row_of
from tests.browser.window import Window
from tests.e2e.house import House

expect = playwright().expect

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(300)]
SELLER = "demo-seller"
LAMP = "8712345000066"


@pytest.fixture
def chief(house: House, open_window: OpenWindow) -> Window:
    """The window of an administrator who chose no language, but whose browser is Dutch."""
    window = open_window(locale="nl-NL")
    window.open("/login")
    window.look("inloggen")
    assert findings(window.page) == []
    window.log_in("admin", house.password())
    return window


def test_somebody_dutch_picks_and_sends_an_order(house: House, chief: Window) -> None:
    page = chief.page
    expect(page.locator("html")).to_have_attribute("lang", "nl")
    chief.look("start")
    placed = house.sandbox.place_order(SELLER, [{"ean": LAMP, "quantity": 2}])
    order_id = str(placed["orderId"])
    comes_in(chief, order_id, "Bestellingen")
    chief.look("bestellingen")
    row_of(page, order_id).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Bezorgadres")).to_be_visible()
    chief.look("bestelling")
    chief.menu("Picklijsten")
    chief.look("picklijsten")
    row_of(page, order_id).get_by_role("link").first.click()
    page.get_by_role("button", name="Alles picken").click()
    expect(page.get_by_text("Alles is gepickt.")).to_be_visible()
    page.get_by_role("button", name="Pakket toevoegen").click()
    chief.look("twee-pakketten")
    page.get_by_role("button", name="Laatste pakket verwijderen").click()
    page.get_by_label("Vervoerder").select_option("postnl")
    page.get_by_label("Track & trace-code").fill("3SNL0001")
    page.get_by_role("button", name="Picklijst afsluiten").click()
    expect(page.get_by_text("Afgesloten door admin op")).to_be_visible()
    chief.look("afgesloten")
    chief.menu("Verzendingen")
    chief.look("verzendingen")
    row_of(page, order_id).get_by_role("link").first.click()
    page.locator("summary").click()
    chief.look("verzending")


@pytest.mark.long
def test_no_word_is_too_long_for_its_page(chief: Window) -> None:
    paths = []
    for path in each_page(chief):
        chief.page.evaluate(UNFOLD)
        chief.look(path.strip("/").replace("/", "-"))
        paths.append(path)
    assert len(paths) > 15
    chief.open("/admin/")
    chief.page.locator(".dropdown-toggle", has_text="Instellingen").click()
    chief.look("instellingen")

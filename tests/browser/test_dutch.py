"""A Dutch browser gets Dutch pages, whose longer words break no page at a desk or on a phone."""

from __future__ import annotations

import pytest

from tests.browser.accessibility import UNFOLD, findings
from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.browser.steps import choose_sandbox, comes_in, each_page, row_of
from tests.browser.window import Window
from tests.e2e.house import House

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
SELLER = "demo-seller"
LAMP = "8712345000066"
EAN = "8710398500045"
SOON = 60_000


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


def test_somebody_dutch_connects_a_store(house: House, chief: Window) -> None:
    page = chief.page
    house.sandbox.add_seller(
        "dutch-seller",
        "dutch-secret",
        [{"ean": EAN, "title": "Fluitketel", "price": 24.95, "stock": 1200}],
    )
    chief.open("/admin/bol/connect")
    chief.look("koppelen")
    page.get_by_label("Naam van de winkel").fill("Ketelwinkel")
    choose_sandbox(page)
    page.get_by_text("Liever een client id en client secret gebruiken").click()
    page.get_by_label("Client id").fill("dutch-seller")
    page.get_by_label("Client secret").fill("wrong")
    page.get_by_role("button", name="Winkel koppelen").click()
    expect(page.get_by_role("alert")).to_contain_text("De winkel is niet gekoppeld.")
    chief.look("geweigerd")
    page.get_by_label("Client secret").fill("dutch-secret")
    page.get_by_role("button", name="Winkel koppelen").click()
    expect(page.get_by_text("Ketelwinkel is gekoppeld: bol accepteert de inloggegevens.")).to_be_visible()
    page.get_by_label("Naar nieuwe bestellingen kijken, elke").fill("1")
    page.get_by_role("button", name="Opslaan").first.click()
    expect(page.get_by_text("Kies 5 tot en met 60 minuten.", exact=True)).to_be_visible()
    chief.look("instelling-geweigerd")
    page.get_by_label("Naar nieuwe bestellingen kijken, elke").fill("5")
    page.get_by_role("button", name="Opslaan").first.click()
    expect(page.get_by_text("Wat er gebeurt als je deze winkel activeert")).to_be_visible()
    chief.look("samenvatting")
    page.get_by_role("button", name="Winkel activeren").click()
    expect(page.get_by_text("De winkel is actief.")).to_be_visible()
    store = page.url.removeprefix(chief.url).split("?")[0]
    expect(page.get_by_text("Je artikelen bij bol zijn")).to_be_visible(timeout=SOON)
    chief.look("winkel")
    chief.open(f"{store}offers")
    expect(page.get_by_role("link", name=EAN).first).to_be_visible()
    chief.look("aanbod")
    page.get_by_role("link", name=EAN).first.click()
    # An amount of money as the Dutch write it.
    expect(page.get_by_text("€\N{NO-BREAK SPACE}24,95")).to_be_visible()
    chief.look("artikel")
    chief.open(f"{store}stock-plan")
    expect(page.get_by_role("button", name="Voorraadwijzigingen doorgeven")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name="Wat er gebeurt als voorraad wordt doorgegeven")).to_be_visible()
    chief.look("plan")


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

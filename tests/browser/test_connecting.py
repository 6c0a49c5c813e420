"""Connecting in the browser, both ways in: bol's login page with its refusal, another account, and signing in again."""

from __future__ import annotations

import re

import pytest

from tests.browser.needs import playwright
from tests.browser.steps import choose_sandbox, connect_with_secret
from tests.browser.window import Window
from tests.e2e.house import House

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
STORE = "Vijfde Winkel"
SELLER, OTHER = ("fifth-seller", "fifth-secret"), ("sixth-seller", "sixth-secret")
SOON = 60_000


def test_both_ways_in(house: House, chief: Window) -> None:
    page = chief.page
    page.on("dialog", lambda dialog: dialog.accept())
    for client_id, secret in (SELLER, OTHER):
        house.sandbox.add_seller(
            client_id, secret, [{"ean": "8719999000206", "title": "Artikel", "price": 9.95, "stock": 5}]
        )

    # Refused at bol: a clear page, and nothing half-made.
    chief.open("/admin/bol/connect")
    chief.look("connect")
    page.get_by_label("Name of the store").fill(STORE)
    # Where bol's login page can't be used, the other way is there at once.
    page.locator("label[for=environment-production]").click()
    expect(page.get_by_role("button", name="Log in at bol")).to_be_hidden()
    expect(page.get_by_label("Client id")).to_be_visible()
    choose_sandbox(page)
    page.get_by_role("button", name="Log in at bol").click()
    page.wait_for_url(re.compile(re.escape(house.sandbox.url)))
    at_bol(chief, SELLER[0], "Refuse")
    expect(page.get_by_text("You refused at bol")).to_be_visible()
    chief.look("refused")
    forgive(chief)
    chief.open("/admin/bol/")
    expect(page.get_by_text(STORE)).to_have_count(0)

    # Allowed: connected, and its offers are being read.
    chief.open("/admin/bol/connect")
    page.get_by_label("Name of the store").fill(STORE)
    choose_sandbox(page)
    page.get_by_role("button", name="Log in at bol").click()
    at_bol(chief, SELLER[0], "Allow")
    expect(page.get_by_text("bol accepts the login")).to_be_visible()
    store = re.sub(r"settings$", "", page.url).removeprefix(chief.url)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Activate store").click()

    # Its connection; testing it, and signing in again: with another account it is refused with both named.
    chief.open(f"{store}connection")
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("What bol answered just now")).to_be_visible()
    expect(page.get_by_text("trouble", exact=True)).to_have_count(0)
    chief.look("connection")
    page.get_by_role("button", name="Log in at bol").click()
    at_bol(chief, OTHER[0], "Allow")
    expect(page.get_by_role("alert")).to_contain_text("belongs to the account")
    chief.look("another-account")
    forgive(chief)
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Log in at bol").click()
    at_bol(chief, SELLER[0], "Allow")
    expect(page.get_by_text("You are signed in again.")).to_be_visible()

    # bol tells by webhook.
    def told() -> bool:
        page.reload()
        return page.get_by_text("bol tells us at once when").count() > 0

    for _ in range(60):
        if told():
            break
        page.wait_for_timeout(1000)
    expect(page.get_by_text("bol tells us at once when")).to_be_visible()
    page.get_by_text("For technicians: addresses").click()
    expect(page.get_by_text("bol tells events at once")).to_be_visible()
    chief.look("webhooks")

    # Leaving erases the secret.
    page.get_by_role("button", name="Disconnect this store").click()
    expect(page.get_by_text("This store is disconnected.")).to_be_visible(timeout=SOON)
    chief.look("disconnected")

    # The other way in.
    connect_with_secret(chief, "Zesde Winkel", OTHER)
    expect(page.get_by_text("bol accepts the credentials")).to_be_visible()


def at_bol(window: Window, seller: str, answer: str) -> None:
    """Answer on the login page that the sandbox plays."""
    page = window.page
    page.locator(f"[name=seller][value={seller}]").check()
    page.get_by_role("button", name=answer).click()


def forgive(window: Window) -> None:
    """The answer to a refusal has the status of one, which is as it should be."""
    window.troubles[:] = [trouble for trouble in window.troubles if "/connect/return" not in trouble]

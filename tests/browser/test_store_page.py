"""The store's page: its charts are drawn from their tables, under the strict policy and without foreign requests."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.e2e.house import House

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


def test_charts_are_drawn_and_can_be_read_as_tables(house: House, open_window: OpenWindow) -> None:
    window = open_window()
    window.log_in("admin", house.password())
    window.menu("bol.com")
    page = window.page
    page.get_by_role("link", name="Demo store").click()
    expect(page.locator("[data-bol-chart] canvas")).to_have_count(3)

    chart = page.locator("[data-bol-chart]").first
    chart.get_by_text("As a table").click()
    expect(chart.get_by_role("columnheader", name="orders")).to_be_visible()
    expect(chart.get_by_role("row")).to_have_count(25)
    window.look("store-24-hours")

    page.get_by_role("link", name="30 days").click()
    expect(page.locator("[data-bol-chart] canvas")).to_have_count(3)
    window.look("store-30-days")


def test_without_scripts_all_but_the_pictures_is_there(house: House, open_window: OpenWindow) -> None:
    window = open_window()
    window.log_in("admin", house.password())
    plain = window.context.browser.new_context(  # type: ignore[union-attr]
        java_script_enabled=False, storage_state=window.context.storage_state()
    )
    page = plain.new_page()
    page.goto(f"{window.url}/admin/bol/attention")
    expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()
    page.goto(f"{window.url}/admin/bol/1/")
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("columnheader", name="orders")).to_be_visible()
    page.get_by_role("button", name="Import orders now").click()
    expect(page.get_by_text("Orders are being imported.")).to_be_visible()
    plain.close()

"""A store's settings: saving stays in sight on a long page, hides nothing, and needs no scripts."""

from __future__ import annotations

import re

import pytest

from tests.browser.needs import playwright
from tests.browser.steps import unfold
from tests.browser.window import DESK, PHONE, Window, resize

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
SETTINGS = "/admin/bol/1/settings"
#: The fields of which some part lies behind the bar once they have the focus.
COVERED = """async () => {
  const found = [];
  for (const field of document.querySelectorAll("form[data-bol-form] :is(input:not([type=hidden]), select, textarea)")) {
    field.focus();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const bar = document.querySelector(".bol-save").getBoundingClientRect();
    // Of a field of several lines it is the one that is written in.
    const { top, bottom } = field.getBoundingClientRect();
    if (Math.min(bottom, top + 50) > bar.top + 1) found.push(field.id);
  }
  return found;
}"""


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_saving_stays_in_sight_and_covers_no_field(chief: Window, size: tuple[int, int]) -> None:
    page = chief.page
    resize(page, *size)
    chief.open(SETTINGS)
    save = page.locator(".bol-save").get_by_role("button", name="Save")
    unsaved = page.get_by_text("Not saved yet")
    expect(save).to_be_in_viewport(ratio=1)
    expect(unsaved).to_be_hidden()
    # Folded up all of it is seen at a glance, with what is set.
    expect(page.get_by_role("heading", name="Data")).to_be_visible()
    expect(page.get_by_text(re.compile(r"imported every \d minutes"))).to_be_visible()
    chief.look(f"folded-{size[0]}")
    unfold(page)
    expect(save).to_be_in_viewport(ratio=1)
    assert page.evaluate(COVERED) == []

    every = page.get_by_label("Look for new orders every")
    every.fill("6" if every.input_value() == "5" else "5")
    expect(unsaved).to_be_in_viewport(ratio=1)
    save.click()
    expect(page.get_by_text("The settings are saved. Changed: Look for new orders every")).to_be_visible()
    expect(unsaved).to_be_hidden()


def test_a_message_says_that_nothing_is_saved_yet(chief: Window) -> None:
    page = chief.page
    chief.open(SETTINGS)
    unfold(page, "orders")
    page.get_by_label("Look for new orders every").fill("1")
    page.locator(".bol-save").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nothing was saved")).to_be_in_viewport(ratio=1)
    expect(page.get_by_text("Not saved yet")).to_be_in_viewport(ratio=1)
    chief.look("not-saved")


def test_each_message_leads_into_its_field(chief: Window) -> None:
    page = chief.page
    chief.open(SETTINGS)
    unfold(page, "orders", "stock", "data")
    wrong = {"Look for new orders every": "1", "Keep back": "-1", "Keep names and addresses for": "0"}
    for label, value in wrong.items():
        page.get_by_label(label, exact=True).fill(value)
    page.locator(".bol-save").get_by_role("button", name="Save").click()
    box = page.get_by_role("alert").filter(has_text="Please correct 3 fields")
    expect(box).to_be_focused()
    for label in wrong:
        box.get_by_role("link", name=label).click()
        expect(page.get_by_label(label, exact=True)).to_be_focused()
        expect(page.locator("label").get_by_text(label, exact=True)).to_be_in_viewport(ratio=1)
    # What the link left behind in the address takes the focus from no later message.
    page.locator(".bol-save").get_by_role("button", name="Save").click()
    expect(box).to_be_focused()
    chief.look("three-wrong")


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_what_asks_to_be_confirmed_is_in_sight_and_is_led_to_from_anywhere(
    chief: Window, size: tuple[int, int]
) -> None:
    page = chief.page
    resize(page, *size)
    chief.open(SETTINGS)
    unfold(page, "data")
    days = page.get_by_label("Keep names and addresses for")
    before = days.input_value()
    days.fill("30")
    page.locator(".bol-save").get_by_role("button", name="Save").click()
    asked, tick = page.locator("#confirm"), page.get_by_label("Yes, let this happen")
    expect(asked).to_be_focused()
    expect(asked.get_by_role("button", name="Save")).to_be_in_viewport(ratio=1)
    # At the end of the page, where the change was made, nothing looks as if it would save.
    days.scroll_into_view_if_needed()
    expect(page.locator(".bol-save").get_by_role("button", name="Save")).to_have_count(0)
    page.get_by_role("link", name="See and confirm").click()
    expect(asked).to_be_focused()
    expect(tick).to_be_in_viewport(ratio=1)
    asked.get_by_role("button", name="Save").click()
    expect(tick).to_be_focused()
    expect(page.get_by_text("Put a tick here first")).to_be_in_viewport(ratio=1)
    chief.look(f"unticked-{size[0]}")
    page.get_by_role("link", name="Leave all as it was").first.click()
    expect(days).to_have_value(before)


def test_whoever_is_led_to_a_group_or_into_one_finds_it_open(chief: Window) -> None:
    page = chief.page
    for place, seen in (("carriers", "Trunkrs"), ("stock", "Keep back")):
        chief.open("/admin/")
        chief.open(f"{SETTINGS}#{place}")
        expect(page.get_by_label(seen, exact=True)).to_be_in_viewport()
    # And by the keyboard alone.
    page.locator("#data summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Keep the log of calls for")).to_be_visible()


def test_settings_are_saved_without_scripts(chief: Window) -> None:
    plain = chief.context.browser.new_context(  # type: ignore[union-attr]
        java_script_enabled=False, storage_state=chief.context.storage_state()
    )
    page = plain.new_page()
    page.goto(f"{chief.url}{SETTINGS}")
    unfold(page, "data")
    expect(page.get_by_label("Keep the log of calls for")).to_be_visible()
    save = page.locator(".bol-save").get_by_role("button", name="Save")
    expect(save).to_be_in_viewport(ratio=1)
    save.click()
    expect(page.get_by_text("The settings are saved. Nothing was changed.")).to_be_visible()
    plain.close()

"""A store's settings: saving stays in sight on a long page, hides nothing, and needs no scripts."""

from __future__ import annotations

import pytest

from tests.browser.needs import playwright
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
    page.get_by_role("link", name="Cancellations").click()
    expect(save).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("heading", name="Cancellations")).to_be_in_viewport(ratio=1)
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
    page.get_by_label("Look for new orders every").fill("1")
    page.locator(".bol-save").get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nothing was saved")).to_be_in_viewport(ratio=1)
    expect(page.get_by_text("Not saved yet")).to_be_in_viewport(ratio=1)
    chief.look("not-saved")


def test_settings_are_saved_without_scripts(chief: Window) -> None:
    plain = chief.context.browser.new_context(  # type: ignore[union-attr]
        java_script_enabled=False, storage_state=chief.context.storage_state()
    )
    page = plain.new_page()
    page.goto(f"{chief.url}{SETTINGS}")
    save = page.locator(".bol-save").get_by_role("button", name="Save")
    expect(save).to_be_in_viewport(ratio=1)
    save.click()
    expect(page.get_by_text("The settings are saved. Nothing was changed.")).to_be_visible()
    plain.close()

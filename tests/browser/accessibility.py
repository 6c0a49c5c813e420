"""Asks axe-core what keeps people from using a page: at desk and on a phone, in light and in dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.window import DESK, PHONE, resize

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
SCHEMES = ("light", "dark")
#: What keeps somebody from doing their work; the other two impacts of axe are "minor" and "moderate".
GRAVE = ("serious", "critical")
# What is folded is part of the page too; menus lie over it, so they come last.
UNFOLD = """() => document.querySelectorAll("details").forEach((one) => { one.open = true; })"""
OPEN_MENUS = """(open) => document.querySelectorAll(".dropdown-menu, .navbar-collapse").forEach(
  (one) => one.classList.toggle("show", open))"""
ASK = """() => axe.run(document, { resultTypes: ["violations"] }).then((told) => told.violations.map(
  (one) => ({ rule: one.id, impact: one.impact, help: one.help,
    nodes: one.nodes.map((node) => ({ target: node.target.join(" "), why: node.failureSummary, html: node.html })) })))"""


def findings(page: Page, *, impacts: tuple[str, ...] = GRAVE) -> list[str]:
    """Return what axe finds on a page as it stands, once for each rule and place, in words."""
    # Before its styles are there, a page has other colours.
    page.wait_for_load_state("load")
    # The size comes back, so that the next look is at the page that the test has opened.
    size = page.viewport_size or {"width": DESK[0], "height": DESK[1]}
    found: dict[str, None] = {}
    page.evaluate(UNFOLD)
    for scheme in SCHEMES:
        # Without motion no colour is caught half-way.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        for width, height in (DESK, PHONE):
            resize(page, width, height)
            told = _ask(page)
            if width == PHONE[0]:
                page.evaluate(OPEN_MENUS, True)
                told += _ask(page)
                page.evaluate(OPEN_MENUS, False)
            for one in told:
                if one["impact"] in impacts:
                    found |= dict.fromkeys(_words(one, f"{scheme} at {width}"))
    page.emulate_media(color_scheme="light")
    resize(page, size["width"], size["height"])
    return list(found)


def _ask(page: Page) -> list[dict[str, Any]]:
    # Put in through the debugger: the page's policy allows no script from elsewhere, and stays as it is.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    return list(page.evaluate(ASK))


def _words(one: dict[str, Any], where: str) -> list[str]:
    return [
        f"{one['impact']} {one['rule']}, {where}: {node['target']} {node['html'][:160]} {node['why']}"
        for node in one["nodes"]
    ]

"""A browser window that remembers what went wrong in it: errors, violations of the policy, foreign requests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
#: The menu bar of narrower windows is folded (Bootstrap, "xl").
FOLDED_BELOW = 1200
DESK, TABLET, PHONE = (1280, 900), (1024, 768), (390, 844)
HOME = "127.0.0.1"
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} forbids ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
# What sticks out of the page sideways, unless it scrolls in a box of its own.
# Nothing is measured while a page gives way to the next one: the document is empty for a moment then.
STICKING_OUT = """() => {
  if (!document.documentElement) return null;
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const boxed = (node) => node.parentElement && (
    /auto|scroll|hidden/.test(getComputedStyle(node.parentElement).overflowX) || boxed(node.parentElement));
  return [...document.querySelectorAll("body *")]
    .filter((node) => node.getBoundingClientRect().right > width + 1 && !boxed(node))
    .map((node) => node.outerHTML.slice(0, 120)).concat("the page is wider than the window").slice(0, 5);
}"""


def find_program() -> str | None:
    """Return the browser of this machine."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Window:
    """One person's window; ``look`` takes pictures of a page at desk and on a phone, and checks that it fits there and
    on a tablet."""

    def __init__(
        self, browser: Browser, url: str, pictures: Path, size: tuple[int, int] = DESK, locale: str = "en-GB"
    ) -> None:
        self.url = url
        self.troubles: list[str] = []
        self._pictures = pictures
        self._size = size
        width, height = size
        self.context = browser.new_context(viewport={"width": width, "height": height}, locale=locale)
        self.context.set_default_timeout(20_000)
        self.context.add_init_script(TELL_VIOLATIONS)
        self.page = self._watched(self.context.new_page())
        self._taken = 0

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def log_in(self, username: str, password: str) -> None:
        self.open("/login")
        self.page.locator("#username").fill(username)
        self.page.locator("#password").fill(password)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/admin/")

    def menu(self, *titles: str) -> None:
        """Go somewhere by the main menu, which a narrow window folds."""
        # The page itself can't be asked: before its styles are there, a wide one shows what only a narrow one has.
        size = self.page.viewport_size
        if size is not None and size["width"] < FOLDED_BELOW:
            self.page.locator(".navbar-toggler").click()
        menu = self.page.locator("nav.host-nav").locator("li a, .dropdown-menu a")
        for title in titles:
            entry = menu.filter(has_text=title, visible=True).first
            if entry.get_attribute("data-toggle") is None:
                follow(entry)
            else:
                entry.click()

    def look(self, name: str, page: Page | None = None) -> None:
        """Take pictures; what sticks out of the page is a trouble."""
        page = page or self.page
        self._taken += 1
        resize(page, *TABLET)
        self.troubles += [f"{name} at {TABLET[0]}: {what}" for what in _sticking_out(page)]
        for width, height in (DESK, PHONE):
            resize(page, width, height)
            self.troubles += [f"{name} at {width}: {what}" for what in _sticking_out(page)]
            picture = self._pictures / f"{self._taken:02d}-{name}-{width}.png"
            page.screenshot(path=picture, full_page=True)
        resize(page, *self._size)

    def sandbox(self, url: str) -> Page:
        """Open the sandbox's own page beside this one."""
        page = self._watched(self.context.new_page())
        page.goto(url)
        return page

    def close(self) -> None:
        self.context.close()

    def _watched(self, page: Page) -> Page:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.troubles.append(f"{page.url}: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"console: {message.text} {message.location}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and parts.hostname != HOME:
            self.troubles.append(f"foreign request: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status} {response.url}")


def follow(link: Locator) -> None:
    """Press a link, and be on the page that it leads to: a page can't be loaded again while it gives way to another."""
    with link.page.expect_navigation():
        link.click()


def resize(page: Page, width: int, height: int) -> None:
    """Make the window so large, and wait until its page knows."""
    page.set_viewport_size({"width": width, "height": height})
    for _ in range(100):
        if page.evaluate("innerWidth") == width:
            return
        page.wait_for_timeout(20)


def _sticking_out(page: Page) -> list[str]:
    """Return what sticks out of a page, once there is one."""
    for _ in range(100):
        found = page.evaluate(STICKING_OUT)
        if found is not None:
            return list(found)
        page.wait_for_timeout(20)
    return ["the page stayed empty"]

"""The manual is followed from the login to the first confirmed shipment, with a stopwatch, and makes its own pictures.

Each step may only press what its section of the manual names. Of each page that has a picture its headings, buttons and
labels are kept beside it: where they differ the picture is old, and ``make manual`` takes all of them anew.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.browser.steps import choose_sandbox
from tests.browser.window import Window, follow
from tests.e2e.house import PROJECT, House, eventually

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
MANUAL = PROJECT / "docs" / "manual.md"
PICTURES = PROJECT / "docs" / "pictures"
WORDS = PICTURES / "words.json"
#: Set by ``make manual``: pictures are taken, and the words of their pages written down.
TAKING = os.environ.get("MANUAL_PICTURES") == "1"
SIZE = (1000, 720)
SOON = 40_000
#: "Connects bol in under five minutes without a manual", and its first order is confirmed in that time, too.
LONGEST = 300
STORE, SELLER, SECRET = "Groene Kamer", "manual-seller", "manual-secret"
PLANT, POT = "8710000001014", "8710000001021"
OFFERS = (
    {"ean": PLANT, "title": "Monstera", "price": 24.95, "stock": 12, "reference": "MONSTERA"},
    {"ean": POT, "title": "Terracotta pot", "price": 9.5, "stock": 30, "reference": "POT-17"},
)
READ_WORDS = """() => [...document.querySelectorAll("main, .host-main")].flatMap((main) =>
  [...main.querySelectorAll("h1, h2, h3, thead th, label, button, a.btn")]
    .filter((one) => one.checkVisibility()).map((one) => one.innerText.trim()))"""


class Guide:
    """Follows the manual section by section, and remembers how long each took and which pictures it made."""

    def __init__(self, window: Window) -> None:
        self.page = window.page
        self.seconds: dict[str, float] = {}
        self.words: dict[str, list[str]] = {}
        found = re.findall(
            r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", MANUAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        # Where a line of the page ends is of no meaning.
        self._sections = {title: " ".join(text.split()) for title, text in found}
        self._text = ""

    @contextmanager
    def section(self, title: str) -> Iterator[None]:
        """Do what a section tells, by the clock."""
        self._text, began = self._sections[title], time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - began

    def press(self, name: str, role: str = "button") -> None:
        """Press what the section calls so."""
        self.page.get_by_role(role, name=self.named(name), exact=True).first.click()  # type: ignore[arg-type]

    def fill(self, name: str, value: str) -> None:
        self.page.get_by_label(self.named(name), exact=True).fill(value)

    def menu(self, window: Window, *names: str) -> None:
        self.named(" › ".join(names))
        window.menu(*names)

    def named(self, name: str) -> str:
        assert f"**{name}**" in self._text, f"the manual does not name {name!r} here"
        return name

    def picture(self, name: str) -> None:
        """Take a picture that this section shows, and read what stands on the page."""
        assert f"(pictures/{name}.png)" in self._text, name
        self.page.wait_for_load_state()
        words = [re.sub(r"\d+", "0", text) for text in self.page.evaluate(READ_WORDS) if text]
        assert words, "nothing stands on this page"
        self.words[name] = list(dict.fromkeys(words))
        if TAKING:
            PICTURES.mkdir(exist_ok=True)
            self.page.evaluate("scrollTo(0, 0)")
            self.page.screenshot(path=PICTURES / f"{name}.png", animations="disabled", caret="hide")


def named_pictures() -> set[str]:
    return set(re.findall(r"\(pictures/([\w-]+)\.png\)", MANUAL.read_text(encoding="utf-8")))


def test_the_manual_is_followed_to_the_first_confirmed_shipment(
    house: House, open_window: OpenWindow, capsys: pytest.CaptureFixture[str]
) -> None:
    house.sandbox.add_seller(SELLER, SECRET, OFFERS)
    ordered = house.sandbox.place_order(SELLER, [{"ean": PLANT, "quantity": 2}])["orderId"]
    window = open_window(SIZE)
    page, guide = window.page, Guide(window)

    with guide.section("1. Log in"):
        window.open("/login")
        guide.fill("Name", "admin")
        guide.fill("Password", house.password())
        guide.press("Log in")
        page.wait_for_url("**/admin/")
    with guide.section("2. Connect the store"):
        guide.named("Settings › Integrations › Webshops")
        window.menu("Settings", "Integrations › Webshops")
        guide.press("Connect store")
        page.get_by_role("link", name=guide.named("Bol.com Retailer")).click()
        guide.fill("Name of the store", STORE)
        choose_sandbox(page)
        guide.picture("connect")
        guide.press("Log in at bol")
        page.locator(f"[name=seller][value={SELLER}]").check()
        guide.press("Allow")
        expect(page.get_by_text("bol accepts the login")).to_be_visible()
    with guide.section("3. Choose the settings"):
        expect(page.get_by_label(guide.named("Import orders placed from"))).to_be_visible()
        settle(page)
        guide.picture("settings")
        guide.press("Save")
    with guide.section("4. Read the summary, and activate"):
        expect(page.locator(".bol-number")).to_contain_text("1 order will be imported", timeout=SOON)
        expect(page.locator("#bol-stock")).to_contain_text(
            "None of your offers has a product here yet", timeout=SOON
        )
        expect(page.get_by_role("button", name=guide.named("Read everything again"))).to_be_visible()
        settle(page)
        guide.picture("summary")
        guide.press("Activate store")
    with guide.section("5. See that orders come in"):
        expect(page.locator("#bol-checklist")).to_contain_text("Orders come in: 1 so far", timeout=SOON)
        expect(page.locator("#bol-checklist")).to_contain_text("✓done: Offers are linked", timeout=SOON)
        settle(page)
        page.reload()
        guide.picture("store")
        store = page.url
    with guide.section("6. Send stock"):
        guide.press("See what would change", "link")
        # The plan that was made before the store had products is worked out again by itself.
        ready = page.get_by_role("button", name="Send stock updates", exact=True)
        expect(ready).to_be_visible(timeout=SOON)
        guide.named("Work it out again")
        guide.named("Leave it off")
        settle(page)
        guide.picture("stock-plan")
        guide.press("Send stock updates")
        expect(page.get_by_text("Stock updates are sent from now on.")).to_be_visible()
        page.wait_for_load_state()
    with guide.section("7. Send shipments"):
        guide.press("See what would be sent", "link")
        expect(page.get_by_role("heading", name="What happens if shipments are sent")).to_be_visible()
        guide.picture("shipment-plan")
        guide.press("Send shipments and update status")
        expect(page.get_by_text("Shipments are sent from now on.")).to_be_visible()
    with guide.section("8. Pick, close, and see that bol has confirmed it"):
        guide.menu(window, "Picklists")
        row = page.locator("tr").filter(has_text=ordered)
        row.get_by_role("link", name=guide.named("Pick"), exact=True).click()
        for number in (1, 2):
            # A person takes the next piece meanwhile; what is read twice at once counts once.
            page.wait_for_timeout(300)
            page.locator(".host-scan").fill(PLANT)
            page.keyboard.press("Enter")
            expect(page.get_by_role("status")).to_contain_text(f"{number} of 2")
        page.get_by_label(guide.named("Carrier")).select_option("postnl")
        guide.fill("Tracking code", "3SMANUAL0001")
        guide.picture("picklist")
        guide.press("Close picklist")
        expect(page.get_by_text("Closed by")).to_be_visible()
        follow(page.get_by_role("link", name=re.compile("^Order ")).first)

        def confirmed() -> bool:
            page.reload()
            return page.get_by_text(re.compile(r"\bconfirmed", re.IGNORECASE)).count() > 0

        eventually(confirmed, 40, every=0.5)
        guide.picture("confirmed")

    with capsys.disabled():
        print("\n" + "\n".join(f"{seconds:6.1f} s  {title}" for title, seconds in guide.seconds.items()))
        print(f"{sum(guide.seconds.values()):6.1f} s  from the login to the first confirmed shipment")
    (shipment,) = house.sandbox.state(SELLER)["shipments"]
    assert (shipment["order"]["orderId"], shipment["transport"]["trackAndTrace"]) == (ordered, "3SMANUAL0001")
    assert sum(guide.seconds.values()) < LONGEST

    # What the rest of the manual shows.
    house.sandbox.request_cancellation(
        house.sandbox.place_order(SELLER, [{"ean": POT, "quantity": 1}])["orderId"]
    )
    with guide.section("Each day"):
        window.open(store.removeprefix(window.url))
        expect(page.get_by_text("The customer asks to cancel").first).to_be_visible(timeout=SOON)
        window.open("/admin/bol/attention")
        expect(page.get_by_role("heading", name=guide.named("Needs attention"))).to_be_visible()
        for name in ("Accept at bol", "Keep the order"):
            expect(page.get_by_role("button", name=guide.named(name)).first).to_be_visible()
        if TAKING:
            guide.picture("attention")
    keep(guide.words)


def settle(page: Any) -> None:
    """Wait until nothing on the page is being counted any more."""
    expect(page.locator(".bol-progress, .spinner-border")).to_have_count(0, timeout=SOON)


def keep(words: dict[str, list[str]]) -> None:
    """Write down what stands on the pages, or see that it is what stood there when their pictures were taken."""
    if TAKING:
        WORDS.write_text(json.dumps(words, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    known = json.loads(WORDS.read_text(encoding="utf-8"))
    changed = [name for name, found in words.items() if found != known.get(name)]
    differs = {name: sorted(set(words[name]) ^ set(known.get(name, []))) for name in changed}
    assert not changed, (
        f"these pages have changed since their pictures were taken, run make manual: {differs}"
    )


def test_the_manual_shows_the_pictures_that_are_taken_and_no_others() -> None:
    assert {path.stem for path in PICTURES.glob("*.png")} == named_pictures()
    assert set(json.loads(WORDS.read_text(encoding="utf-8"))) == named_pictures()


def test_pictures_are_small() -> None:
    assert {
        path.name: size for path in Path(PICTURES).glob("*.png") if (size := path.stat().st_size) > 150_000
    } == {}

"""At the packing table: a cancellation stops the parcel; a label of bol is bought, printed and used."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from tests.browser.conftest import OpenWindow
from tests.browser.needs import playwright
from tests.browser.steps import comes_in, confirmed, row_of
from tests.browser.window import PHONE, Window, follow, resize
from tests.e2e.house import House, eventually

expect = playwright().expect

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
SELLER = "demo-seller"
#: A reader that is faster than any answer.
TWICE = """(codes) => codes.forEach((code) => {
  const form = document.querySelector("[data-scan]");
  form.elements.code.value = code;
  form.requestSubmit();
})"""
PAN, BOARD, LAMP = "8712345000011", "8712345000073", "8712345000066"


@pytest.fixture
def packer(house: House, open_window: OpenWindow) -> Window:
    window = open_window()
    window.log_in("packer", house.password("packer"))
    return window


def order(house: House, items: Sequence[dict[str, Any]]) -> tuple[str, list[str]]:
    """Order at bol; return bol's order id, and the ids of its items."""
    placed = house.sandbox.place_order(SELLER, items)
    return placed["orderId"], [item["orderItemId"] for item in placed["orderItems"]]


def open_picklist(window: Window, order_id: str) -> None:
    comes_in(window, order_id)
    window.menu("Picklists")
    follow(row_of(window.page, order_id).get_by_role("link").first)


def whole(pdf: bytes) -> None:
    """Follow a PDF as a reader does: from its end to the table of its objects, and from there to each of them."""
    assert pdf.startswith(b"%PDF-1.") and pdf.rstrip().endswith(b"%%EOF")
    table = pdf[int(pdf.rsplit(b"startxref", 1)[1].split()[0]) :]
    assert table.startswith(b"xref")
    entries = re.findall(rb"(\d{10}) \d{5} n", table)
    assert len(entries) > 3
    for number, offset in enumerate(entries, start=1):
        assert pdf[int(offset) :].startswith(f"{number} 0 obj".encode())
    assert b"/Type /Page" in pdf


def shipments(house: House, order_id: str) -> list[Any]:
    found = house.sandbox.state(SELLER)["shipments"]
    return [shipment for shipment in found if shipment["order"]["orderId"] == order_id]


def test_a_cancelled_order_is_put_back_on_a_phone_and_cancelled_here_by_itself(
    house: House, open_window: OpenWindow
) -> None:
    order_id, _items = order(house, [{"ean": PAN, "quantity": 1}])
    packer = open_window((390, 800))
    packer.log_in("packer", house.password("packer"))
    open_picklist(packer, order_id)
    page = packer.page
    page.get_by_role("button", name="Pick all").click()
    expect(page.get_by_text("Everything is picked.")).to_be_visible()
    house.sandbox.cancel(order_id)
    box = page.locator("#marks .alert")
    expect(box).to_contain_text("Cancelled at bol. Do not ship it.", timeout=60_000)
    expect(box).to_have_count(1)
    back = box.get_by_role("button", name="Everything is back on the shelf")
    # Neither is covered by what is told.
    for button in (page.get_by_role("button", name="−1 PAN-24-R"), back):
        button.scroll_into_view_if_needed()
        button.click(trial=True)
    assert page.locator("#marks").evaluate("part => getComputedStyle(part).position") == "static"
    expect(page.get_by_text("Close it all the same")).to_have_count(0)
    packer.look("stopped-on-a-phone")
    back.click()
    expect(page.get_by_text("This picklist was withdrawn")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("link", name="To the next picklist")).to_be_visible()
    expect(page.get_by_role("link", name="Packing slip")).to_have_count(0)
    expect(page.get_by_text("Do not ship it.")).to_have_count(0)
    packer.look("withdrawn")
    page.get_by_role("link", name="O-").first.click()
    expect(page.get_by_text("Cancelled: ")).to_be_visible()
    expect(page.get_by_text("Do not ship it.")).to_have_count(0)
    packer.look("cancelled-order")


def test_a_picklist_on_a_phone_is_a_card_of_a_few_lines_that_is_tapped_anywhere(
    house: House, open_window: OpenWindow
) -> None:
    order_id, _items = order(house, [{"ean": BOARD, "quantity": 2}])
    packer = open_window(PHONE)
    packer.log_in("packer", house.password("packer"))
    comes_in(packer, order_id)
    packer.menu("Picklists")
    page, card = packer.page, row_of(packer.page, order_id)
    for text in ("P-0", "0 of 2 picked", "SNIJ-38", "due "):
        expect(card).to_contain_text(text)
    expect(card.get_by_text("Open", exact=True)).to_be_hidden()
    packer.look("cards")
    card.scroll_into_view_if_needed()
    box = card.bounding_box()
    assert box is not None and 44 <= box["height"] <= 120
    page.mouse.click(box["x"] + box["width"] - 20, box["y"] + box["height"] - 6)
    expect(page.get_by_role("heading", name="Picklist P-0")).to_be_visible()


def test_a_cancellation_that_comes_while_the_picklist_is_open_stops_the_packer(
    house: House, packer: Window, open_window: OpenWindow
) -> None:
    order_id, (pan, board) = order(house, [{"ean": PAN, "quantity": 1}, {"ean": BOARD, "quantity": 1}])
    open_picklist(packer, order_id)
    page = packer.page
    page.get_by_role("link", name="Check for a cancellation").click()
    expect(page.get_by_role("status")).to_contain_text("nothing is cancelled")
    packer.look("checked")
    page.get_by_role("button", name="Pick all").click()
    expect(page.get_by_text("Everything is picked.")).to_be_visible()
    expect(page.get_by_label("Carrier")).to_be_focused()
    packer.look("picked")

    house.sandbox.cancel(order_id, [pan])
    page.get_by_label("Carrier").select_option("postnl")
    page.get_by_label("Tracking code").fill("3SNEVER01")
    page.get_by_role("button", name="Close picklist").click()
    # Said once: first by the answer, then by the mark of the order.
    stopped = page.locator(".host-objections, .host-mark").first
    expect(stopped).to_contain_text("Do not send this parcel yet")
    expect(stopped).to_contain_text("1 × Veldhof Gietijzeren braadpan")
    expect(stopped).not_to_contain_text("Brink")
    expect(page.get_by_label("Tracking code")).to_have_value("3SNEVER01")
    expect(page.get_by_role("button", name="Close all the same")).to_have_count(0)
    packer.look("stopped")

    page.get_by_role("link", name="Check for a cancellation").click()
    expect(stopped).to_contain_text("1 × Veldhof Gietijzeren braadpan")
    expect(page.get_by_role("button", name="Close picklist")).to_be_visible()
    packer.look("checked-again")
    # Once the order was read again, the page says so by itself, and so does the list.
    expect(page.locator("#marks")).to_contain_text("Do not ship these pieces.", timeout=60_000)
    packer.look("marked")
    packer.menu("Picklists")
    expect(row_of(page, order_id)).to_contain_text("bol cancelled a part")
    expect(row_of(page, order_id).get_by_role("link", name="Look first")).to_be_visible()
    packer.look("picklists")
    assert shipments(house, order_id) == []

    # The packer puts the pan back, the chief takes it off the order, and the rest goes its way.
    row_of(page, order_id).get_by_role("link").first.click()
    page.get_by_role("button", name="−1 PAN-24-R").click()
    chief = open_window()
    chief.log_in("admin", house.password())
    chief.menu("Orders")
    row_of(chief.page, order_id).get_by_role("link").first.click()
    chief.look("order")
    pan_line = row_of(chief.page, "PAN-24-R")
    pan_line.get_by_text("Take off", exact=True).click()
    chief.look("taking-off")
    pan_line.get_by_role("button", name="Take off the order").click()
    expect(chief.page.get_by_text("Taken off. The stock")).to_be_visible()
    expect(chief.page.locator("#marks")).not_to_contain_text("Do not ship these pieces.", timeout=60_000)
    chief.look("taken-off")
    page.reload()
    expect(page.locator(".host-count")).to_have_text("1 / 1")
    page.get_by_label("Carrier").select_option("postnl")
    page.get_by_label("Tracking code").fill("3SREST0001")
    page.get_by_role("button", name="Close picklist").click()
    expect(page.get_by_text("Closed by packer")).to_be_visible()
    confirmed(packer, order_id)
    packer.look("rest-confirmed")
    (shipment,) = shipments(house, order_id)
    assert [item["orderItemId"] for item in shipment["shipmentItems"]] == [board]


def test_a_picklist_is_worked_through_with_nothing_but_a_scanner(house: House, packer: Window) -> None:
    order_id, _ = order(house, [{"ean": PAN, "quantity": 2}, {"ean": BOARD, "quantity": 1}])
    open_picklist(packer, order_id)
    page, field, said = packer.page, packer.page.locator(".host-scan"), packer.page.locator("#said")
    counts = page.locator(".host-count")
    opened = page.evaluate("performance.timeOrigin")

    def scan(code: str) -> None:
        page.keyboard.type(code)
        page.keyboard.press("Enter")

    expect(field).to_be_focused()
    scan("4000000000000")
    expect(said).to_contain_text("is not on this picklist: put it back")
    expect(field).to_have_class(re.compile("is-invalid"))
    expect(field).to_be_focused()
    packer.look("wrong-code")
    # The reader reads it twice within an instant, and the answer is not there yet when the next code comes.
    page.evaluate(TWICE, [PAN, PAN, BOARD])
    expect(counts).to_have_text(["1 / 2", "1 / 1"])
    expect(said).to_contain_text("SNIJ-38")
    page.wait_for_timeout(300)
    scan(BOARD)
    expect(said).to_contain_text("All pieces of SNIJ-38 are picked already: put this one back.")
    scan(PAN)
    expect(counts).to_have_text(["2 / 2", "1 / 1"])
    assert page.evaluate("performance.timeOrigin") == opened
    carrier = page.get_by_label("Carrier")
    expect(carrier).to_be_focused()
    page.wait_for_timeout(300)
    # Later than a second reading of the last piece: one piece too many, by its number and by a code whose letters begin the name of a carrier.
    for code, told in ((PAN, "All pieces of PAN-24-R are picked already"), ("DHL-X", "DHL-X is no product")):
        scan(code)
        expect(said.locator(".alert-danger")).to_contain_text(told)
        expect(carrier).to_be_focused()
        expect(carrier).to_have_value("")
    packer.look("too-many-at-carrier")
    scan(PAN)
    expect(said.locator(".alert-danger")).to_contain_text("All pieces of PAN-24-R are picked already")
    page.keyboard.type("PostNL")
    page.keyboard.press("Tab")
    expect(carrier).to_have_value("postnl")
    scan(PAN)
    expect(said.locator(".alert-danger")).to_contain_text(
        "This is the article's barcode. Scan the code on the parcel's label. Is it one piece too many? Put it back."
    )
    expect(page.get_by_label("Tracking code")).to_be_focused()
    expect(page.get_by_label("Tracking code")).to_have_value("")
    packer.look("too-many-at-tracking-code")
    # A scan into a carrier that was chosen leaves it chosen.
    carrier.focus()
    scan("UPS")
    expect(said.locator(".alert-danger")).to_contain_text("UPS is no product")
    expect(carrier).to_have_value("postnl")
    page.get_by_label("Tracking code").focus()
    scan("3SSCAN0001")
    expect(page.get_by_text("Closed by packer")).to_be_visible()
    # What bol says of it comes by itself.
    expect(page.locator("#head")).to_contain_text("Confirmed by bol", timeout=60_000)


def test_who_types_chooses_a_carrier_by_its_letters(house: House, packer: Window) -> None:
    order_id, _ = order(house, [{"ean": BOARD, "quantity": 1}])
    open_picklist(packer, order_id)
    page = packer.page
    page.get_by_role("button", name="Pick all").click()
    carrier = page.get_by_label("Carrier")
    expect(carrier).to_be_focused()
    # As fast as people are, and once too fast to tell the letters apart.
    page.keyboard.type("tru", delay=200)
    expect(carrier).to_have_value("trunkrs")
    page.wait_for_timeout(1200)
    page.keyboard.type("own d")
    expect(carrier).to_have_value("own")
    page.wait_for_timeout(1200)
    # One letter again and again goes through all that begin with it.
    for expected in ("dhl", "dpd", "dhl"):
        page.keyboard.press("d")
        expect(carrier).to_have_value(expected)
    page.keyboard.press("ArrowDown")
    expect(carrier).to_have_value("dpd")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("g")
    page.keyboard.press("Tab")
    expect(carrier).to_have_value("gls")
    expect(page.get_by_label("Tracking code")).to_be_focused()
    page.keyboard.type("3STYPED001")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Closed by packer")).to_be_visible()


def test_a_carrier_that_bol_does_not_know_is_told_at_the_choice_and_mended(
    house: House, packer: Window, open_window: OpenWindow
) -> None:
    chief = open_window()
    chief.log_in("admin", house.password())
    chief.open("/admin/bol/1/settings")
    chief.page.locator("summary", has_text="Shipments and carriers").click()
    chief.page.get_by_label("FedEx", exact=True).fill("")
    chief.page.get_by_role("button", name="Save").first.click()
    chief.page.get_by_text("Yes, let this happen").click()
    chief.page.get_by_role("button", name="Save").first.click()
    expect(chief.page.get_by_text("The settings are saved.")).to_be_visible()

    order_id, _ = order(house, [{"ean": BOARD, "quantity": 1}])
    open_picklist(packer, order_id)
    page = packer.page
    page.get_by_role("button", name="Pick all").click()
    carrier, hint = page.get_by_label("Carrier"), page.locator(".host-waits")
    expect(carrier).to_be_focused()
    page.keyboard.type("fed", delay=200)
    expect(carrier).to_have_value("fedex")
    expect(hint).to_have_text(re.compile("the parcel waits until an administrator fills in"))
    expect(hint).to_be_visible()
    packer.look("carrier-that-waits")
    carrier.select_option("dhl")
    expect(hint).to_be_hidden()
    carrier.select_option("fedex")
    page.get_by_label("Tracking code").fill("FX0000001")
    page.keyboard.press("Enter")
    expect(page.locator("#head")).to_contain_text("Waits for its carrier's code", timeout=60_000)
    expect(page.locator("#panels")).to_contain_text("An administrator fills in the carrier's code")
    packer.look("parcel-that-waits")
    packer.open("/admin/bol/attention")
    task = page.locator(".bol-task").filter(has_text="code of the carrier")
    expect(task).to_contain_text("Only an administrator can do this")
    packer.look("attention-of-a-packer")
    page.go_back()

    chief.open("/admin/bol/attention")
    chief.page.get_by_label("bol's code").fill("FEDEX_NL")
    chief.page.get_by_role("button", name="Save and send").click()
    expect(page.locator("#head")).to_contain_text("Confirmed by bol", timeout=60_000)


@pytest.mark.parametrize("way", ["Enter", "button"])
def test_who_closes_with_less_is_asked_and_a_scan_goes_on_picking(
    house: House, packer: Window, way: str
) -> None:
    order_id, _ = order(house, [{"ean": PAN, "quantity": 2}, {"ean": BOARD, "quantity": 1}])
    open_picklist(packer, order_id)
    page, asked = packer.page, packer.page.locator("#short")
    tracking = f"JVPART{way}"
    expect(page.locator(".host-scan")).to_be_focused()
    page.keyboard.type(PAN)
    page.keyboard.press("Enter")
    expect(page.locator(".host-count").first).to_have_text("1 / 2")
    page.get_by_label("Carrier").select_option("dhl")
    page.get_by_label("Tracking code").fill(tracking)
    if way == "Enter":
        page.keyboard.press("Enter")
    else:
        page.locator("#close").get_by_role("button", name="Close with 1 of 3 pieces").click()
    expect(asked).to_contain_text("Not closed yet: 2 of 3 pieces are not picked.")
    packer.look("less-than-asked")
    # Enter alone closes nothing, and what is scanned is counted: then it is asked no more.
    expect(page.locator(".host-scan")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type(PAN)
    page.keyboard.press("Enter")
    expect(page.locator(".host-count").first).to_have_text("2 / 2")
    expect(asked).to_have_text("")
    expect(page.get_by_label("Tracking code")).to_have_value(tracking)
    # As often as Enter comes from a field: who scans a label twice is asked twice.
    for _again in range(2):
        page.get_by_label("Tracking code").focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(asked).to_contain_text("1 of 3 pieces is not picked.")
    # By keyboard alone.
    expect(page.locator(".host-scan")).to_be_focused()
    page.keyboard.press("Tab")
    expect(asked.get_by_role("button", name="Close with 2 of 3 pieces")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Closed by packer")).to_be_visible()
    expect(page.get_by_label("Tracking code")).to_have_value(tracking)


def test_a_code_of_another_parcel_is_asked_about_and_the_right_one_replaces_it(
    house: House, packer: Window
) -> None:
    page, field = packer.page, packer.page.get_by_label("Tracking code")

    def pick(order_id: str) -> None:
        open_picklist(packer, order_id)
        page.get_by_role("button", name="Pick all").click()
        page.get_by_label("Carrier").select_option("postnl")
        field.fill("3SSAMECODE1")
        page.keyboard.press("Enter")

    first, second = (order(house, [{"ean": PAN, "quantity": 1}])[0] for _ in range(2))
    pick(first)
    expect(page.get_by_text("Closed by packer")).to_be_visible()
    open_picklist(packer, second)
    expect(page.get_by_text("as your last parcel")).to_have_count(0)
    page.get_by_role("button", name="Pick all").click()
    hint = page.get_by_text("as your last parcel")
    expect(hint).to_be_visible()
    page.get_by_label("Carrier").select_option("dhl")
    expect(hint).to_be_hidden()
    page.get_by_label("Carrier").select_option("postnl")
    field.focus()
    page.keyboard.type("3SSAMECODE1")
    page.keyboard.press("Enter")
    asked = page.get_by_text("Not closed yet: look at the tracking code.")
    expect(asked).to_be_visible()
    packer.look("same-code")
    # A scanner that sends Enter twice only asks again; the next scan replaces the code.
    expect(field).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    expect(asked).to_be_visible()
    expect(field).to_be_focused()
    page.keyboard.type("3SSAMECODE2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Closed by packer")).to_be_visible()
    eventually(
        lambda: [one["transport"]["trackAndTrace"] for one in shipments(house, second)] == ["3SSAMECODE2"]
    )


def test_a_packing_slip_and_a_picklist_fit_the_paper(house: House, packer: Window) -> None:
    order_id, _items = order(house, [{"ean": BOARD, "quantity": 2}])
    open_picklist(packer, order_id)
    page = packer.page
    page.emulate_media(media="print", color_scheme="dark")
    # A4 within its margins, at 96 dots an inch.
    resize(page, 702, 1000)
    picklist = page.url
    for path, heading in ((picklist, "Picklist"), (f"{picklist}/slip", "Packing slip")):
        page.goto(path)
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 702
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        pdf = page.pdf(prefer_css_page_size=True)
        width, height = map(float, re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)[0])
        # Not Bootstrap's A3: what the printer has, which is a letter where nothing is said.
        assert width < 620 and height < 850


def test_keys_lead_to_the_scan_field_and_fold_up_what_is_open(house: House, packer: Window) -> None:
    packer.open("/admin/orders/")
    page = packer.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_who_is_logged_out_is_told_so(house: House, packer: Window) -> None:
    order_id, _ = order(house, [{"ean": BOARD, "quantity": 1}])
    open_picklist(packer, order_id)
    page = packer.page
    # The page is there before its cookies are gone.
    expect(page.locator(".host-scan")).to_be_focused()
    packer.context.clear_cookies()
    page.keyboard.type(BOARD)
    page.keyboard.press("Enter")
    gone = page.locator(".host-logged-out")
    expect(gone).to_contain_text("You are logged out")
    gone.get_by_role("link", name="Log in again").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_who_leaves_a_picklist_as_it_is_stopped_is_not_called_back(house: House, packer: Window) -> None:
    order_id, _ = order(house, [{"ean": BOARD, "quantity": 1}])
    open_picklist(packer, order_id)
    page = packer.page
    state, watched = re.compile(r'data-state="\w+"'), re.compile(r"/watched$")
    page.route(
        watched, lambda route: route.fulfill(body=state.sub('data-state="stopped"', route.fetch().text()))
    )
    slow: list[Any] = []
    page.route("**/admin/products/", lambda route: slow.append(route))
    with page.expect_request("**/admin/products/"):
        page.get_by_role("link", name="Products").first.click(no_wait_after=True)
    with page.expect_response(watched):
        pass
    page.wait_for_timeout(500)
    slow.pop().continue_()
    page.wait_for_url("**/admin/products/")


def test_a_label_of_bol_is_bought_printed_and_sent_with_the_parcel(house: House, packer: Window) -> None:
    order_id, _ = order(house, [{"ean": LAMP, "quantity": 1, "distributionParty": "BOL"}])
    open_picklist(packer, order_id)
    page = packer.page
    packer.look("to-be-labelled")
    page.get_by_role("button", name="Pick all").click()
    # The next step has the focus: a scan is still taken for one, and Enter goes on.
    options = page.get_by_role("button", name="Show label options")
    expect(options).to_be_focused()
    page.wait_for_load_state()
    page.keyboard.type(LAMP)
    page.keyboard.press("Enter")
    expect(page.locator("#said .alert-danger")).to_contain_text("are picked already: put this one back")
    expect(options).to_be_focused()
    packer.look("next-step")
    page.wait_for_timeout(300)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Recommended")).to_be_visible()
    expect(page.locator("#labels-hint")).to_contain_text("bol charges a label as soon as you press")
    # A scan while the label is chosen is told, and leaves the options where they are.
    expect(page.locator(".host-scan")).to_be_focused()
    page.keyboard.type(LAMP)
    page.keyboard.press("Enter")
    expect(page.locator("#said .alert-danger")).to_contain_text("are picked already: put this one back")
    expect(page.get_by_text("Recommended")).to_be_visible()
    packer.look("options")
    page.get_by_role("button", name=re.compile("^Buy this label: €")).first.click()
    # It appears by itself.
    print_label = page.get_by_role("link", name="Print label")
    expect(print_label).to_be_visible(timeout=30_000)
    expect(page.locator("#scan-next")).to_contain_text("that closes the picklist")
    packer.look("bought")

    (label,) = (one for one in house.sandbox.state(SELLER)["labels"] if one["orderId"] == order_id)
    expect(page.locator("#labels")).to_contain_text(f"PostNL {label['trackAndTrace']}")
    pdf = page.request.get(packer.url + str(print_label.get_attribute("href")))
    assert pdf.headers["content-type"] == "application/pdf"
    whole(pdf.body())
    assert label["trackAndTrace"].encode() in pdf.body()

    # One scan closes it: the label is that of the only parcel, and all is picked.
    expect(page.locator(".host-scan")).to_be_focused()
    page.keyboard.type(label["trackAndTrace"])
    page.keyboard.press("Enter")
    expect(page.get_by_text("Closed by packer")).to_be_visible()
    packer.look("closed")
    confirmed(packer, order_id)
    packer.look("confirmed")
    (shipment,) = eventually(lambda: shipments(house, order_id))
    assert shipment["transport"]["shippingLabelId"] == label["shippingLabelId"]
    assert shipment["transport"]["trackAndTrace"] == label["trackAndTrace"]

    # In the list its number is short, until somebody wants it: then it is whole, and chosen.
    packer.open("/admin/bol/1/labels")
    number = row_of(page, order_id).locator(".bol-long")
    assert number.evaluate("one => one.scrollWidth > one.clientWidth")
    packer.look("labels")
    number.focus()
    assert number.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert page.evaluate("getSelection().toString()") == label["shippingLabelId"]
    packer.look("label-number")


def test_a_label_that_is_scanned_again_before_the_first_scan_was_answered_closes_once(
    house: House, packer: Window
) -> None:
    order_id, _ = order(house, [{"ean": LAMP, "quantity": 1, "distributionParty": "BOL"}])
    open_picklist(packer, order_id)
    page = packer.page
    page.get_by_role("button", name="Pick all").click()
    page.get_by_role("button", name="Show label options").click()
    page.get_by_role("button", name=re.compile("^Buy this label: €")).first.click()
    expect(page.get_by_role("link", name="Print label")).to_be_visible(timeout=30_000)
    (label,) = (one for one in house.sandbox.state(SELLER)["labels"] if one["orderId"] == order_id)

    scans: list[Any] = []
    answered: list[Any] = []
    closings: list[Any] = []
    page.route(re.compile(r"/scan$"), lambda route: route.continue_() if scans else scans.append(route))
    page.route(re.compile(r"/close$"), lambda route: closings.append(route))
    page.on("response", lambda answer: answered.append(answer) if answer.url.endswith("/scan") else None)
    expect(page.locator(".host-scan")).to_be_focused()
    for _again in range(2):
        page.keyboard.type(label["trackAndTrace"])
        page.keyboard.press("Enter")
        # Longer than a reader that reads the same code twice.
        page.wait_for_timeout(300)
    scans[0].continue_()
    for _moment in range(100):
        if len(answered) == 2:
            break
        page.wait_for_timeout(100)
    assert len(answered) == 2
    page.wait_for_timeout(500)
    assert len(closings) == 1
    closings.pop().continue_()
    expect(page.get_by_text("Closed by packer")).to_be_visible()
    expect(page.locator("#said .alert-danger")).to_have_count(0)


def test_a_label_that_is_bought_and_can_not_be_fetched_is_fetched_by_a_button(
    house: House, packer: Window
) -> None:
    order_id, _ = order(house, [{"ean": LAMP, "quantity": 1, "distributionParty": "BOL"}])
    open_picklist(packer, order_id)
    page = packer.page
    house.sandbox.faults([{"method": "GET", "path": "/retailer/shipping-labels/*", "status": 500}])
    page.get_by_role("button", name="Pick all").click()
    page.get_by_role("button", name="Show label options").click()
    page.get_by_role("button", name=re.compile("^Buy ")).first.click()
    told = page.get_by_text("bought, can't be fetched from bol yet")
    expect(told.first).to_be_visible(timeout=60_000)
    packer.look("bought-not-here")
    # As five minutes later.
    with sqlite3.connect(house.instance / "warehouse.sqlite", timeout=15) as database:
        database.execute("UPDATE bol_label_effect SET unknown_since = datetime('now', '-10 minutes')")
    database.close()
    page.reload()
    expect(page.get_by_text("do not buy another one").first).to_be_visible()
    packer.look("stuck")
    page.goto(f"{packer.url}/admin/bol/attention")
    expect(page.get_by_text("is bought, but can't be fetched from bol").first).to_be_visible()
    packer.look("attention")
    # Tests that came before may have left tasks of their own.
    page.locator("a[href*='/labels?state=sent']").get_by_text("Show it").click()
    packer.look("labels")
    house.sandbox.faults([])
    page.get_by_role("button", name="Fetch it now").click()
    expect(page.get_by_text("The label is being fetched")).to_be_visible()
    open_picklist(packer, order_id)
    expect(page.get_by_role("link", name="Print label")).to_be_visible(timeout=60_000)
    packer.look("fetched")
    assert sum(one["orderId"] == order_id for one in house.sandbox.state(SELLER)["labels"]) == 1

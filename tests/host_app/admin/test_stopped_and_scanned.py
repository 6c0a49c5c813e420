"""Orders that must not be picked any more, and a picklist that is worked through with a scanner."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from flask import Flask
from sqlalchemy import select

from host_app import replay
from host_app.admin.closing import CARRIER_KEY
from host_app.db import db, transaction
from host_app.models import EventDelivery, Picklist, PicklistLine, Shipment
from host_app.plugin_api import HostError, NewLabel, OrderNote, OrderPutBack, Wake, hookimpl
from host_app.services import labels, orders, picking
from tests.host_app import factories
from tests.host_app.admin.conftest import Person, logged_in
from tests.host_app.admin.probe import Probe

PAGE = "/admin/picklists/1"
BARCODE = "4006381333931"
Do = Callable[..., Any]


class Shop(Probe):
    """A shop that stops orders."""

    note: OrderNote | None = None

    @hookimpl
    def order_put_back(self, host: Any, event: OrderPutBack) -> list[Wake]:
        return []

    @hookimpl
    def order_notes(self, host: Any, order_ids: Sequence[int]) -> Mapping[int, OrderNote]:
        return dict.fromkeys(order_ids, self.note) if self.note else {}


@pytest.fixture
def probe() -> Shop:
    return Shop()


@pytest.fixture(autouse=True)
def picklist(do: Do) -> None:
    """A picklist of two pieces of A1 and one of B2, lines 1 and 2."""

    def fill() -> None:
        factories.add_warehouse()
        a = factories.add_product("A1", 10, "8712345678906")
        b = factories.add_product("B2", 10, BARCODE)
        factories.accept("R-1", (a, 2), (b, 1))

    do(fill)


def mark(do: Do, text: str | None, *, stops: bool = True) -> None:
    def change() -> None:
        with transaction():
            orders.mark_order(1, "probe", text, stops_picking=stops)

    do(change)


def picked(do: Do) -> list[int]:
    def read() -> list[int]:
        return list(db.session.scalars(select(PicklistLine.picked).order_by(PicklistLine.id)))

    return list(do(read))


def attach(do: Do) -> None:
    def keep() -> None:
        with transaction():
            labels.attach(NewLabel(1, "L1", "PostNL", "3SLABEL1", b"%PDF-1.4", {1: 2, 2: 1}))

    do(keep)


def close(person: Person, **fields: str) -> Any:
    seen = re.search(r'name="seen" value="([^"]*)"', person.get(PAGE).text)
    values = {"seen": seen[1] if seen else "", "parcels": "1", "carrier-0": "postnl", "tracking-0": "3S1"}
    return person.post(f"{PAGE}/close", PAGE, **(values | fields))


def test_what_was_stopped_is_not_picked_but_put_back(packer: Person, do: Do) -> None:
    """The page was shown before the order was stopped: the buttons are still there."""
    packer.post(f"{PAGE}/scan", PAGE, code="A1")
    mark(do, "Cancelled by <the shop>.")

    for path, fields in (
        ("scan", {"code": "A1"}),
        ("pick", {"line": "1", "pieces": "1"}),
        ("pick-all", {}),
    ):
        told = packer.post(f"{PAGE}/{path}", PAGE, **fields).text
        assert "Not picked: put it back on the shelf. Cancelled by &lt;the shop&gt;." in told, path
    assert picked(do) == [1, 0]

    page = packer.get(PAGE).text
    box = re.search(r'<div id="marks".*?</form></div>', page, re.DOTALL)
    assert box and box[0].count('role="alert"') == 1 and "Cancelled by &lt;the shop&gt;." in box[0]
    assert "then press the button." in box[0] and "Everything is back on the shelf" in box[0]
    assert page.count("Everything is back on the shelf") == 1
    assert 'name="code"' not in page and "Pick all" not in page and "+1" not in page
    assert "0 / 2" in packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="-1").text
    page = packer.get(PAGE).text
    assert "Nothing of it is in the cart" in page and "press the button" not in page


def test_everything_is_put_back_by_one_button(packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    mark(do, "Cancelled.")
    told = packer.post(f"{PAGE}/put-back", PAGE).text

    assert "Noted: everything is back on the shelf." in told and picked(do) == [0, 0]


NEXT = '<a class="alert-link" href="/admin/picklists/next?after=1">To the next picklist</a>'


def test_the_next_picklist_is_the_most_urgent_that_nobody_has_begun(packer: Person, do: Do) -> None:
    path = "/admin/picklists/next"
    none = packer.get(path, query_string={"after": 1})
    assert none.location == "/admin/picklists/"
    assert "No other picklist waits" in packer.get(none.location).text

    def fill() -> None:
        for number, day in ((2, 4), (3, 2), (4, 1), (5, 3)):
            factories.accept(f"R-{number}", (1, 1))
            with transaction():
                orders.set_deadline(number, datetime(2030, 1, day, tzinfo=UTC))
                if number == 3:
                    orders.mark_order(3, "probe", "Cancelled.", stops_picking=True)
        with transaction():
            picking.pick_all(4)

    do(fill)
    assert packer.get(path, query_string={"after": 1}).location == "/admin/picklists/5"
    assert packer.get(path, query_string={"after": 5}).location == "/admin/picklists/2"
    for number in ("", "x", "-1", "9" * 30):
        assert packer.get(path, query_string={"after": number}).location == "/admin/picklists/5", number


def test_two_packers_are_led_to_different_picklists(
    site: Flask, packer: Person, do: Do, redis_url: str
) -> None:
    path = "/admin/picklists/next"
    do(lambda: factories.accept("R-2", (1, 1)))
    # Their login may be the same: what counts is where they sit.
    other = logged_in(site, "packer")
    assert packer.get(path).location == PAGE
    assert other.get(path).location == "/admin/picklists/2"
    # Again, each is led to their own.
    assert packer.get(path).location == PAGE and other.get(path).location == "/admin/picklists/2"

    third = logged_in(site, "chief")
    assert third.get(path).location == PAGE
    assert "Somebody else has this picklist open" in third.get(PAGE).text


def test_who_has_a_picklist_open_keeps_others_from_being_led_there(
    site: Flask, packer: Person, do: Do, redis_url: str
) -> None:
    do(lambda: factories.accept("R-2", (1, 1)))
    packer.get(f"{PAGE}/watched")
    assert logged_in(site, "chief").get("/admin/picklists/next").location == "/admin/picklists/2"


def test_without_redis_the_next_picklist_is_the_most_urgent(
    packer: Person, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_arguments: Any, **_named: Any) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(redis.Redis, "execute_command", gone)
    assert packer.get(PAGE).status_code == 200
    assert packer.get("/admin/picklists/next").location == PAGE


def test_a_stopped_picklist_does_not_look_open(packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/scan", PAGE, code="A1")
    for path in (PAGE, "/admin/picklists/", "/admin/orders/1"):
        assert 'badge-primary">Open</span>' in packer.get(path).text, path
    mark(do, "Cancelled.")
    for path in (PAGE, "/admin/picklists/", "/admin/orders/1"):
        shown = packer.get(path).text
        assert ">Stopped</span>" in shown and 'badge-primary">Open' not in shown, path


def test_the_next_picklist_is_in_the_same_warehouse(packer: Person, do: Do) -> None:
    def fill() -> None:
        factories.add_warehouse("Other")
        with transaction() as session:
            session.get_one(Picklist, 1).warehouse_id = 2
        factories.accept("R-2", (1, 1))

    do(fill)
    assert packer.get("/admin/picklists/next?after=1").location == "/admin/picklists/"
    assert packer.get("/admin/picklists/next?after=2").location == "/admin/picklists/"
    assert packer.get("/admin/picklists/next").location == "/admin/picklists/1"


def test_a_picklist_of_a_part_tells_what_waits_for_stock(packer: Person, do: Do) -> None:
    assert "of this order" not in packer.get(PAGE).text
    do(lambda: factories.accept("R-2", (1, 11)))
    assert "3 more pieces of this order wait for stock" in packer.get("/admin/picklists/2").text

    def stop() -> None:
        with transaction():
            orders.mark_order(2, "probe", "Cancelled.", stops_picking=True)

    do(stop)
    assert "wait for stock" not in packer.get("/admin/picklists/2").text


def test_a_picklist_that_is_dead_leads_to_the_next_one_and_has_no_packing_slip(
    packer: Person, do: Do
) -> None:
    page = packer.post(f"{PAGE}/pick-all", PAGE).text
    assert NEXT not in page and "Packing slip" in page
    mark(do, "Cancelled.")
    page = packer.get(PAGE).text
    assert NEXT not in page and "Packing slip" not in page and "Check for a cancellation" not in page
    assert NEXT in packer.post(f"{PAGE}/put-back", PAGE).text

    def cancel() -> None:
        with transaction():
            orders.cancel_order(1, "Cancelled by the shop.")

    do(cancel)
    page = packer.get(PAGE).text
    assert NEXT in page and "This picklist was withdrawn" in page and "Packing slip" not in page
    # Nor by the address that a tab still has.
    assert packer.get(f"{PAGE}/slip").location == PAGE


def put_back_told(do: Do) -> list[Any]:
    """Return what the plugin is still to be told of orders that lie on the shelf again."""

    def read() -> list[Any]:
        told = select(EventDelivery.payload).where(EventDelivery.kind == "order_put_back")
        return list(db.session.scalars(told.order_by(EventDelivery.id)))

    return list(do(read))


@pytest.mark.parametrize("way", ["button", "minus", "withdrawn"])
def test_plugins_are_told_once_nothing_of_a_stopped_order_is_picked(
    packer: Person, do: Do, probe: Shop, way: str
) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    if way == "withdrawn":
        close(packer)
    mark(do, "Cancelled.")
    if way == "minus":
        for line in ("1", "2", "1"):
            assert put_back_told(do) == []
            packer.post(f"{PAGE}/pick", PAGE, line=line, pieces="-1")
    elif way == "button":
        packer.post(f"{PAGE}/put-back", PAGE)
    else:

        def withdraw() -> None:
            with transaction():
                picking.withdraw_shipment(1, who="ann")

        do(withdraw)

    assert [event["order_id"] for event in put_back_told(do)] == [1]


def test_plugins_are_not_told_of_what_is_put_back_of_other_orders(
    packer: Person, do: Do, probe: Shop
) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    mark(do, "A part was cancelled.", stops=False)
    packer.post(f"{PAGE}/put-back", PAGE)

    assert picked(do) == [0, 0] and put_back_told(do) == []


def test_a_plugin_that_was_away_is_told_what_lies_on_the_shelf_again(do: Do, probe: Shop) -> None:
    mark(do, "Cancelled.")
    told = do(lambda: replay.tell_again("probe", datetime(2026, 1, 1, tzinfo=UTC)))

    assert told["order_put_back"] == 1 and [event["reference"] for event in put_back_told(do)] == ["R-1"]


@pytest.mark.parametrize("may", [True, False])
def test_closing_a_stopped_picklist_is_offered_to_those_who_may(
    packer: Person, do: Do, probe: Shop, may: bool
) -> None:
    probe.note = OrderNote(may_close_stopped=may)
    packer.post(f"{PAGE}/pick-all", PAGE)
    mark(do, "Cancelled.")
    page = packer.get(PAGE).text

    assert ("Close it all the same" in page, "Tracking code" in page) == (may, may)


def test_picking_goes_on_where_the_mark_is_gone(packer: Person, do: Do) -> None:
    mark(do, "Cancelled.")
    mark(do, None)

    assert "A1 Product A1: 1 of 2" in packer.post(f"{PAGE}/scan", PAGE, code="A1").text


def test_a_marked_order_is_picked_line_by_line(packer: Person, do: Do) -> None:
    mark(do, "A part was cancelled.", stops=False)

    assert "Pick all" not in packer.get(PAGE).text
    assert "1 / 2" in packer.post(f"{PAGE}/scan", PAGE, code="A1").text


def test_an_order_cancelled_between_page_and_pick_is_not_picked(packer: Person, do: Do) -> None:
    def cancel() -> None:
        with transaction():
            orders.cancel_order(1, "sold out")

    token = packer.token(PAGE)
    do(cancel)
    told = packer.client.post(
        f"{PAGE}/scan", data={"csrf_token": token, "code": "A1"}, follow_redirects=True
    ).text

    assert "its order was cancelled. Put the goods back." in told and picked(do) == [0, 0]
    assert 'name="code"' not in told and "Pick all" not in told


def test_a_number_is_not_raised_where_picking_is_stopped(do: Do) -> None:
    def raise_and_lower() -> None:
        with transaction():
            picking.pick(1, 2)
        with transaction():
            orders.mark_order(1, "probe", "No.", stops_picking=True)
        with transaction():
            picking.pick(1, 1)
        with pytest.raises(HostError, match="Not picked"), transaction():
            picking.pick(1, 2)

    do(raise_and_lower)
    assert picked(do) == [1, 0]


def test_no_label_is_bought_for_what_was_stopped(packer: Person, do: Do) -> None:
    mark(do, "Cancelled.")

    assert "No label is bought. Cancelled." in packer.post(f"{PAGE}/label", PAGE, plugin="probe").text


def test_a_wrong_code_is_told_beside_the_scan_field_which_keeps_the_focus(packer: Person) -> None:
    page = packer.post(f"{PAGE}/scan", PAGE, code="nonsense").text

    said = page.split('id="said"')[1].split("<form")[0]
    assert 'aria-live="assertive"' in said and "nonsense is no product" in said
    field = re.search(r"<input [^>]*host-scan[^>]*>", page)
    assert field and "is-invalid" in field[0] and "autofocus" in field[0]


def test_once_all_is_picked_the_work_goes_on_at_the_carrier(packer: Person) -> None:
    for code in ("A1", "A1", "B2"):
        page = packer.post(f"{PAGE}/scan", PAGE, code=code).text

    assert re.search(r'<select [^>]*name="carrier-0"[^>]* autofocus', page)
    assert page.count("autofocus") == 1


def test_the_next_parcel_begins_with_the_carrier_of_the_last(packer: Person, do: Do) -> None:
    do(lambda: factories.accept("R-2", (1, 1)))
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer, carrier__0="dhl")
    page = packer.post("/admin/picklists/2/pick-all", "/admin/picklists/2").text

    assert '<option value="dhl" selected>' in page and "as your last parcel" in page
    assert re.search(r'<input [^>]*name="tracking-0"[^>]* autofocus', page)
    # Somebody else at this table begins anew.
    packer.post("/logout", "/admin/")
    packer.log_in("chief")
    assert " selected>" not in packer.get("/admin/picklists/2").text


def test_the_carrier_of_the_last_parcel_is_that_of_the_user_not_of_the_browser(
    packer: Person, do: Do
) -> None:
    do(lambda: factories.accept("R-2", (1, 1)))
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer, carrier__0="dhl")
    with packer.client.session_transaction() as session:
        kept = session[CARRIER_KEY]
    packer.post("/admin/picklists/2/pick-all", "/admin/picklists/2")

    def begins_with() -> bool:
        return '<option value="dhl" selected>' in packer.get("/admin/picklists/2").text

    def keep(value: Any) -> None:
        with packer.client.session_transaction() as session:
            session[CARRIER_KEY] = value

    packer.post("/logout", "/admin/")
    packer.log_in("chief")
    keep(kept)
    assert not begins_with()
    # What an older release kept says nothing of whose it is.
    keep("dhl")
    assert not begins_with()
    packer.post("/logout", "/admin/")
    packer.log_in("packer")
    keep(kept)
    assert begins_with()


@pytest.mark.parametrize("code", [BARCODE, " B2 ", "8712345678906"])
def test_the_code_of_a_product_is_no_tracking_code(packer: Person, do: Do, code: str) -> None:
    """A scanner that reads the last piece twice must not close with it."""
    packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="1")
    page = close(packer, tracking__0=code).text
    assert "This is the article&#39;s barcode. Scan the code on the parcel&#39;s label." in page
    assert do(lambda: db.session.get(Picklist, 1).state) == "new"
    packer.post(f"{PAGE}/pick-all", PAGE)

    close(packer)
    told = packer.post("/admin/shipments/1/correct", PAGE, carrier="dhl", tracking_code=code).text
    assert "Scan the tracking code of the parcel&#39;s label instead." in told
    assert shipment(do) == ("postnl", "3S1")


@pytest.mark.parametrize("carrier", ["postnl", ""])
@pytest.mark.parametrize("code", [BARCODE, " B2 ", "8712345678906", "A1"])
def test_an_articles_barcode_in_the_field_for_the_tracking_code_counts_nothing(
    packer: Person, do: Do, code: str, carrier: str
) -> None:
    """Chosen or not, the carrier stays; the field is empty for the code of the label."""
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer, tracking__0=code, carrier__0=carrier).text

    said = page.split('id="said"')[1].split("<form")[0]
    assert "alert-danger" in said
    assert "This is the article&#39;s barcode. Scan the code on the parcel&#39;s label." in said
    assert "Is it one piece too many? Put it back." in said
    assert do(lambda: db.session.get(Picklist, 1).state) == "new" and picked(do) == [2, 1]
    field = re.search(r'<input [^>]*name="tracking-0"[^>]*>', page)
    assert field and 'value=""' in field[0] and ("autofocus" in field[0]) == bool(carrier)
    assert ('<option value="postnl" selected>' in page) == bool(carrier)


@pytest.mark.parametrize("code", ["3SWRONG", "8710000000000"])
def test_the_label_of_another_parcel_is_not_put_back(packer: Person, do: Do, code: str) -> None:
    attach(do)
    do(lambda: factories.add_product("C3", 10, "8712345000011"))

    assert f"{code} is not the label of this parcel." in packer.post(f"{PAGE}/scan", PAGE, code=code).text
    for product in ("C3", "8712345000011"):
        told = packer.post(f"{PAGE}/scan", PAGE, code=product).text
        assert f"{product} is not on this picklist: put it back." in told


def test_without_a_bought_label_only_what_looks_like_goods_is_put_back(packer: Person) -> None:
    told = packer.post(f"{PAGE}/scan", PAGE, code="3SWRONG").text
    assert "3SWRONG is no product, and not the label of this parcel: none was bought here." in told
    assert "Choose the carrier first, then scan it at Tracking code." in told and "put it back" not in told
    told = packer.post(f"{PAGE}/scan", PAGE, code="8710000000000").text
    assert "8710000000000 is not on this picklist: put it back." in told


def shipment(do: Do) -> tuple[str, str]:
    def read() -> tuple[str, str]:
        row = db.session.get_one(Shipment, 1)
        return row.carrier, str(row.tracking_code)

    carrier, code = do(read)
    return carrier, code


def test_scanning_a_bought_label_checks_it_and_leads_to_closing(packer: Person, do: Do) -> None:
    attach(do)
    told = "scan it here: that closes the picklist."
    assert told not in packer.get(PAGE).text, "not before all is picked"
    page = packer.post(f"{PAGE}/pick-all", PAGE).text
    assert page.index("host-scan") < page.index(told) < page.index('id="lines"')
    assert told in packer.get(f"{PAGE}/parts").text, "it comes with the label, without a reload"
    assert (
        "3SOTHER is not the label of this parcel." in packer.post(f"{PAGE}/scan", PAGE, code="3SOTHER").text
    )
    page = packer.post(f"{PAGE}/scan", PAGE, code="3SLABEL1").text

    assert "PostNL 3SLABEL1: the label of this picklist." in page and picked(do) == [2, 1]
    assert "Press Enter to close." in page
    # Scripts press it.
    assert re.search(r'<button class="btn btn-primary btn-lg" autofocus data-closes>Close picklist', page)


def test_a_label_does_not_close_before_all_is_picked(packer: Person, do: Do) -> None:
    attach(do)
    for _piece in range(2):
        page = packer.post(f"{PAGE}/scan", PAGE, code="3SLABEL1").text
        assert not re.search(r"<button [^>]*autofocus", page) and "data-closes" not in page
        assert "Not everything is picked yet" in page
        packer.post(f"{PAGE}/scan", PAGE, code="A1")


def test_a_label_does_not_close_what_travels_in_two_parcels_or_must_be_looked_at(
    packer: Person, do: Do
) -> None:
    def keep() -> None:
        with transaction():
            for number, pieces in ((1, {1: 2}), (2, {2: 1})):
                labels.attach(NewLabel(1, f"L{number}", "PostNL", f"3SLABEL{number}", b"%PDF-1.4", pieces))

    do(keep)
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = packer.post(f"{PAGE}/scan", PAGE, code="3SLABEL1").text
    assert "the label of this picklist" in page and "data-closes" not in page


def test_a_label_does_not_close_an_order_with_a_mark(packer: Person, do: Do) -> None:
    attach(do)
    packer.post(f"{PAGE}/pick-all", PAGE)
    mark(do, "The customer asks to cancel.", stops=False)
    assert "data-closes" not in packer.post(f"{PAGE}/scan", PAGE, code="3SLABEL1").text


def test_who_brings_a_parcel_on_a_bought_label_is_named(chief: Person, do: Do) -> None:
    attach(do)
    chief.post(f"{PAGE}/pick-all", PAGE)
    close(chief, label__0="1")

    for path in ("/admin/orders/1", "/admin/shipments/", f"{PAGE}/slip"):
        page = chief.get(path).text
        assert "PostNL" in page and "3SLABEL1" in page and "By its label" not in page, path


def test_the_packing_slip_holds_what_is_in_the_parcels(packer: Person) -> None:
    before = packer.get(f"{PAGE}/slip").text
    assert "R-1" in before and "J. Jansen" in before and "Line 1" in before and "Line 2" in before
    packer.post(f"{PAGE}/scan", PAGE, code="B2")
    close(packer, short="1:0 2:1")
    after = packer.get(f"{PAGE}/slip").text

    assert "Line 2" in after and "Line 1" not in after and "3S1" in after

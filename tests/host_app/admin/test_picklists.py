"""Picking and closing, at the packing table."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from host_app.admin.closing import _not_asked
from host_app.db import db, transaction
from host_app.models import Picklist, Shipment
from host_app.plugin_api import ClosingAnswer, NewLabel
from host_app.port import host_port
from host_app.services import orders, picking
from tests.host_app import factories
from tests.host_app.admin.conftest import Person, logged_in
from tests.host_app.admin.probe import Probe

PAGE = "/admin/picklists/1"
Do = Callable[..., Any]


@pytest.fixture(autouse=True)
def picklist(do: Do) -> None:
    """A picklist of two pieces of A1 and three of B2, lines 1 and 2."""

    def fill() -> None:
        factories.add_warehouse()
        a = factories.add_product("A1", 10, "8712345678906")
        b = factories.add_product("B2", 10, "4006381333931", "8712345678906")
        factories.accept("R-1", (a, 2), (b, 3))

    do(fill)


def state(do: Do) -> str:
    return str(do(lambda: db.session.get(Picklist, 1).state))


def shipments(do: Do) -> list[tuple[str, str | None, list[int]]]:
    def read() -> list[tuple[str, str | None, list[int]]]:
        rows = db.session.scalars(select(Shipment).order_by(Shipment.id))
        return [(row.carrier, row.tracking_code, [line.quantity for line in row.lines]) for row in rows]

    return list(do(read))


def close(person: Person, **fields: str) -> Any:
    """Send the closing form as it stands on the page."""
    seen = re.search(r'name="seen" value="([^"]*)"', person.get(PAGE).text)
    values = {"seen": seen[1] if seen else "", "parcels": "1", "carrier-0": "postnl", "tracking-0": "3S1"}
    return person.post(f"{PAGE}/close", PAGE, **(values | fields))


def test_pieces_are_picked_one_by_one_and_all_at_once(packer: Person) -> None:
    page = packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="1")
    assert "1 / 2" in page.text and "0 / 3" in page.text
    page = packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="-1")
    assert "0 / 2" in page.text
    page = packer.post(f"{PAGE}/pick-all", PAGE)
    assert "2 / 2" in page.text and "3 / 3" in page.text


def test_the_list_says_how_much_there_is_to_pick(packer: Person, do: Do) -> None:
    do(lambda: factories.accept("R-2", (factories.add_product("C3", 10), 4)))
    packer.post(f"{PAGE}/pick", PAGE, line="2", pieces="2")
    page = packer.get("/admin/picklists/").text
    assert "2 of 5 picked" in page and "2 articles" in page
    # Of one article its name says more than a number.
    assert "0 of 4 picked" in page and "C3 Product C3" in page and "1 article" not in page


def test_more_than_is_asked_for_can_not_be_picked(packer: Person) -> None:
    page = packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="3")

    assert "does not fit" in page.text and "0 / 2" in page.text


def test_a_line_of_another_picklist_can_not_be_picked(packer: Person, do: Do) -> None:
    do(lambda: factories.accept("R-2", (1, 1)))
    page = packer.post(f"{PAGE}/pick", PAGE, line="3", pieces="1")

    assert "does not fit" in page.text


@pytest.mark.parametrize("code", ["A1", " A1 ", "B2", "4006381333931"])
def test_scanning_a_code_or_barcode_picks_one_piece(packer: Person, code: str) -> None:
    page = packer.post(f"{PAGE}/scan", PAGE, code=code)

    assert "1 / 2" in page.text or "1 / 3" in page.text
    assert ": 1 of 2" in page.text or ": 1 of 3" in page.text


def test_a_barcode_of_two_products_picks_what_is_still_open(packer: Person) -> None:
    for _ in range(5):
        page = packer.post(f"{PAGE}/scan", PAGE, code="8712345678906")
    assert "2 / 2" in page.text and "3 / 3" in page.text

    page = packer.post(f"{PAGE}/scan", PAGE, code="8712345678906")
    assert "are picked already: put this one back." in page.text


def test_a_product_that_is_not_on_the_list_is_refused(packer: Person) -> None:
    page = packer.post(f"{PAGE}/scan", PAGE, code="<b>nonsense</b>")

    assert "&lt;b&gt;nonsense&lt;/b&gt; is no product" in page.text


def test_closing_makes_the_shipment_and_shows_it(packer: Person, probe: Probe, do: Do) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer, tracking__0="3SABC")

    assert "Closed by packer" in page.text and "3SABC" in page.text
    assert probe.asked == [1]
    assert shipments(do) == [("postnl", "3SABC", [2, 3])]


def test_a_closed_picklist_says_what_stays_on_the_order_and_where_its_parcel_is_withdrawn(
    packer: Person, do: Do
) -> None:
    packer.post(f"{PAGE}/scan", PAGE, code="A1")
    page = close(packer, short="1:1 2:0").text
    assert "4 pieces stay on the order and come on another picklist." in page
    assert 'href="/admin/shipments/1?withdraw=1">Withdraw this parcel</a>' in page
    # It leads to what is folded up otherwise.
    assert 'id="withdraw" open' in packer.get("/admin/shipments/1?withdraw=1").text
    assert 'id="withdraw" open' not in packer.get("/admin/shipments/1").text

    def rest() -> None:
        with transaction():
            order = orders.lock_order(1)
            if not db.session.get(Picklist, 2):
                assert order is not None and orders.make_picklist(order) is not None

    do(rest)
    page = packer.get(PAGE).text
    assert '<a class="alert-link" href="/admin/picklists/2">' in page
    packer.post("/admin/picklists/2/pick-all", "/admin/picklists/2")
    close_it = {"parcels": "1", "seen": "3:1 4:3", "carrier-0": "postnl", "tracking-0": "3S2"}
    packer.post("/admin/picklists/2/close", "/admin/picklists/2", **close_it)
    assert "on the order and come" not in packer.get(PAGE).text
    packer.post("/admin/shipments/1/withdraw", "/admin/shipments/1")
    page = packer.get(PAGE).text
    assert "1 piece stays on the order and comes on another picklist." in page
    assert "Withdraw this parcel" not in page


def test_closing_with_less_says_that_the_rest_comes_later(packer: Person, do: Do) -> None:
    page = packer.post(f"{PAGE}/scan", PAGE, code="A1")
    assert "4 of 5 pieces are not picked. They stay" in page.text and "Close with 1 of 5 pieces" in page.text
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="-1")
    assert "1 of 5 pieces is not picked. It stays" in page.text

    told = close(packer)
    assert "Not closed yet: 1 of 5 pieces is not picked." in told.text and "1 × A1" in told.text
    assert state(do) == "new"
    close(packer, short="1:1 2:3")
    assert shipments(do) == [("postnl", "3S1", [1, 3])]


def test_who_closes_with_less_is_told_and_nothing_typed_is_lost(packer: Person, probe: Probe, do: Do) -> None:
    """By Enter in a field or by the button: both send the same form, and the shop is not asked before."""
    packer.post(f"{PAGE}/scan", PAGE, code="A1")
    page = close(packer, carrier__0="dhl", tracking__0="JV7").text

    assert probe.asked == [] and state(do) == "new"
    assert 'value="JV7"' in page and '<option value="dhl" selected>' in page
    # A scan counts what was found after all; Enter presses nothing.
    assert re.search(r"<input [^>]*host-scan[^>]* autofocus", page) and page.count("autofocus") == 1
    button = re.search(r'<button [^>]*form="closing" name="short" value="([^"]*)"', page)
    assert button
    packer.post(f"{PAGE}/scan", PAGE, code="B2")
    again = close(packer, short=button[1]).text
    assert "Not closed yet: 3 of 5 pieces are not picked." in again and state(do) == "new"
    close(packer, short="1:1 2:1")
    assert shipments(do) == [("postnl", "3S1", [1, 1])]


def test_what_is_wrong_with_the_parcel_is_said_before_less_is_confirmed(packer: Person) -> None:
    packer.post(f"{PAGE}/scan", PAGE, code="A1")
    for fields, told in (
        ({"carrier-0": ""}, "Choose a carrier."),
        (
            {"tracking-0": "4006381333931"},
            "This is the article&#39;s barcode. Scan the code on the parcel&#39;s label.",
        ),
    ):
        page = close(packer, **fields).text
        assert told in page and "Not closed yet" not in page


def test_who_was_told_of_less_is_not_asked_again_after_an_objection(
    packer: Person, probe: Probe, do: Do
) -> None:
    packer.post(f"{PAGE}/scan", PAGE, code="A1")
    probe.answer = ClosingAnswer(("Cancelled.",), may_overrule=True)
    page = close(packer, short="1:1 2:0").text
    assert page.count('name="short" value="1:1 2:0"') == 2

    close(packer, short="1:1 2:0", overruled="Cancelled.")
    assert shipments(do) == [("postnl", "3S1", [1])]


def test_closing_without_a_carrier_keeps_what_was_typed(packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer, carrier__0="")

    assert "Choose a carrier." in page.text and 'value="3S1"' in page.text
    assert state(do) == "new"


def test_who_loads_the_answer_to_a_closing_anew_gets_the_picklist(packer: Person) -> None:
    answer = packer.client.get(f"{PAGE}/close")
    assert answer.status_code == 302 and answer.headers["Location"].endswith(PAGE)


def test_an_empty_cart_can_not_be_closed(packer: Person, do: Do) -> None:
    assert "Pick at least one piece first." in packer.get(PAGE).text
    page = close(packer, seen="1:0 2:0")

    assert "Nothing was picked" in page.text and state(do) == "new"


def test_what_a_colleague_picked_meanwhile_is_seen_before_closing(packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/scan", PAGE, code="A1")
    page = close(packer, seen="1:0 2:0")

    assert "changed after this page was shown" in page.text and state(do) == "new"


def test_the_second_packer_reads_who_was_first(site: Flask, packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer)
    second = close(logged_in(site, "chief"), tracking__0="LATE")

    assert "already closed by packer" in second.text
    assert shipments(do) == [("postnl", "3S1", [2, 3])]


def test_several_parcels_are_made_without_scripts(packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer, add_parcel="1")
    assert "Parcel 2" in page.text and 'value="3S1"' in page.text and state(do) == "new"

    two = {"parcels": "2", "carrier-1": "dhl", "tracking-1": "JV1"}
    wrong = close(packer, **two, **{"pieces-0-1": "2", "pieces-0-2": "3", "pieces-1-2": "1"})
    assert "must hold exactly what was picked" in wrong.text and 'value="JV1"' in wrong.text
    nonsense = close(packer, **two, **{"pieces-0-1": "two"})
    assert "whole numbers" in nonsense.text

    close(packer, **two, **{"pieces-0-1": "2", "pieces-0-2": "1", "pieces-1-2": "2"})
    assert shipments(do) == [("postnl", "3S1", [2, 1]), ("dhl", "JV1", [2])]


def test_a_second_parcel_begins_with_a_piece_so_that_enter_closes(packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer, add_parcel="1").text
    proposed = dict(re.findall(r'name="(pieces-\d-\d)"[^>]* value="(\d+)"', page))
    assert proposed == {"pieces-0-1": "2", "pieces-0-2": "2", "pieces-1-1": "0", "pieces-1-2": "1"}

    page = close(packer, parcels="2", add_parcel="1", **{"carrier-1": "dhl"}, **proposed).text
    assert 'name="pieces-0-2" type="number" min="0" max="3" value="1"' in page
    close(packer, parcels="2", **proposed, **{"carrier-1": "dhl", "tracking-1": "JV1"})
    assert shipments(do) == [("postnl", "3S1", [2, 2]), ("dhl", "JV1", [1])]


def test_a_parcel_can_be_taken_away_again(packer: Person) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer, parcels="2", remove_parcel="1")

    assert "Parcel 2" not in page.text and 'name="parcels" value="1"' in page.text


def test_what_a_parcel_held_that_is_taken_away_goes_into_the_one_before_it(packer: Person) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    three = {"parcels": "3", "pieces-0-1": "2", "pieces-0-2": "1", "pieces-1-2": "1", "pieces-2-2": "1"}
    page = close(packer, remove_parcel="1", **three).text
    proposed = dict(re.findall(r'name="(pieces-\d-\d)"[^>]* value="(\d*)"', page))
    assert {name: int(value or 0) for name, value in proposed.items()} == {
        "pieces-0-1": 2, "pieces-0-2": 1, "pieces-1-1": 0, "pieces-1-2": 2,
    }  # fmt: skip


def test_objections_stop_the_closing_and_keep_what_was_typed(packer: Person, probe: Probe, do: Do) -> None:
    probe.answer = ClosingAnswer(("Cancelled by <the customer>.",), ("And mind the step.",))
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer)

    assert "Do not send this parcel yet" in page.text and "Cancelled by &lt;the customer&gt;." in page.text
    assert "And mind the step." in page.text and 'value="3S1"' in page.text
    assert "Close all the same" not in page.text
    assert (
        "ask an administrator to decide" in page.text
        and 'class="alert-link" href="/admin/orders/1"' in page.text
    )
    assert state(do) == "new" and shipments(do) == []


def test_an_objection_that_may_not_be_overruled_stays(chief: Person, probe: Probe, do: Do) -> None:
    probe.answer = ClosingAnswer(("No.",))
    chief.post(f"{PAGE}/pick-all", PAGE)
    page = close(chief, overruled="No.")
    assert "The page of the order says what can be decided" in page.text

    assert state(do) == "new"


def test_an_objection_that_was_read_can_be_overruled(packer: Person, probe: Probe, do: Do) -> None:
    probe.answer = ClosingAnswer(("Cancelled.",), may_overrule=True)
    packer.post(f"{PAGE}/pick-all", PAGE)
    assert "Close all the same" in close(packer).text

    probe.answer = ClosingAnswer(("Cancelled.", "And paid back."), may_overrule=True)
    assert "And paid back." in close(packer, overruled="Cancelled.").text and state(do) == "new"

    probe.answer = ClosingAnswer(("Cancelled.",), may_overrule=True)
    assert "Closed by packer" in close(packer, overruled="Cancelled.").text


def test_warnings_are_shown_and_the_parcel_leaves(packer: Person, probe: Probe, do: Do) -> None:
    probe.answer = ClosingAnswer(warnings=("The promise ends soon.",))
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer)

    assert "The promise ends soon." in page.text and "Closed by packer" in page.text


def test_a_shop_that_can_not_be_asked_only_warns(packer: Person, probe: Probe, do: Do) -> None:
    probe.answer = RuntimeError("down")
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer)

    assert (
        "Probe shop could not be asked whether this order was cancelled meanwhile. You can go on:"
        in page.text
    )
    assert state(do) == "closed"


def test_who_is_kept_from_closing_is_not_told_to_go_on(app: Flask) -> None:
    with app.test_request_context():
        assert "You can go on" in _not_asked("Boat", goes_on=True)
        assert "You can go on" not in _not_asked("Boat", goes_on=False)


def test_what_can_not_be_closed_anyway_asks_nobody(packer: Person, probe: Probe) -> None:
    close(packer, seen="stale")

    assert probe.asked == []


def test_a_paused_or_withdrawn_picklist_says_what_to_do(packer: Person, do: Do) -> None:
    def pause() -> None:
        with transaction():
            orders.pause_order(1)

    def cancel() -> None:
        with transaction():
            orders.cancel_order(1, "sold out")

    do(pause)
    assert "do not pick it now" in packer.get(PAGE).text
    assert "is paused" in packer.post(f"{PAGE}/scan", PAGE, code="A1").text
    do(cancel)
    assert "Nothing of it is sent." in packer.get(PAGE).text


def test_marks_of_the_order_are_shown_at_picking(packer: Person, do: Do) -> None:
    def mark() -> None:
        with transaction():
            orders.mark_order(1, "probe", "Asked to <cancel>!")

    do(mark)
    assert "Asked to &lt;cancel&gt;!" in packer.get(PAGE).text
    for path in ("/admin/picklists/", "/admin/orders/", f"{PAGE}/watched"):
        assert "Asked to &lt;cancel&gt;!" in packer.get(path).text, path
    assert "Look first" in packer.get("/admin/picklists/").text


def test_a_marked_order_is_not_promised_to_go_on_and_closing_it_is_not_the_first_button(
    packer: Person, do: Do
) -> None:
    def mark() -> None:
        with transaction():
            orders.mark_order(1, "probe", "Cancelled: put it back.")

    page = packer.post(f"{PAGE}/scan", PAGE, code="A1").text
    assert "btn-primary btn-lg" in page and "come on a next picklist" in page
    do(mark)
    form = packer.get(PAGE).text.split('id="close"')[1]
    # Said once, at the top; beside the button only that it is there.
    assert "before you close it." in form and "Cancelled: put it back." not in form
    assert "btn-primary" not in form and "come on a next picklist" not in form
    assert "Close with 1 of 5 pieces" in form


def test_a_closed_shipment_can_be_corrected(packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer)
    page = packer.post("/admin/shipments/1/correct", PAGE, carrier="dhl", tracking_code="JV9", next=PAGE)

    assert "The shipment is corrected" in page.text and page.request.path == PAGE
    assert shipments(do) == [("dhl", "JV9", [2, 3])]
    assert "JV9" in packer.get("/admin/shipments/?q=jv9").text
    assert "No shipment fits." in packer.get("/admin/shipments/?q=other").text
    assert "Choose a carrier" in packer.post("/admin/shipments/1/correct", carrier="pigeon").text


def test_open_and_closed_picklists_are_listed_apart(packer: Person, do: Do) -> None:
    do(lambda: factories.accept("R-2", (1, 1)))
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer)

    assert "P-00002" in packer.get("/admin/picklists/").text
    assert "P-00001" not in packer.get("/admin/picklists/").text
    assert "P-00001" in packer.get("/admin/picklists/?show=closed").text


def test_the_most_urgent_picklist_comes_first(packer: Person, do: Do) -> None:
    def hurry() -> None:
        factories.accept("R-2", (1, 1))
        with transaction():
            orders.set_deadline(2, factories.PLACED)

    do(hurry)
    page = packer.get("/admin/picklists/").text

    assert page.index("P-00002") < page.index("P-00001") and "(late)" in page


def test_two_pickers_at_once_add_up(do: Do) -> None:
    def pick_twice() -> None:
        for _ in range(2):
            with transaction():
                picking.pick_more(1, 2, 1)

    do(pick_twice)
    assert do(lambda: db.session.get(Picklist, 1).lines[1].picked) == 2


def box(page: str, part: str) -> str:
    """Return a part of a page, as host.js would put it in; "" where it leaves what is there."""
    begun = page.split(f'id="{part}" data-part', 1)
    return begun[1].split("data-part")[0] if len(begun) > 1 else ""


def watched(packer: Person, page: str) -> str:
    """Fetch what the page fetches while somebody looks at it."""
    address = html.unescape(page.split('data-watch="')[1].split('"')[0])
    return packer.get(address).text


def mark_order(do: Do, text: str | None, *, stops: bool = False) -> None:
    def mark() -> None:
        with transaction():
            orders.mark_order(1, "probe", text, stops_picking=stops)

    do(mark)


def test_an_objection_is_said_once_and_is_settled_where_the_mark_that_tells_it_goes(
    packer: Person, probe: Probe, do: Do
) -> None:
    asked = "The customer asks to cancel."
    probe.answer = ClosingAnswer((asked,), marked=(asked,))
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer).text
    assert page.count(asked) == 1 and page.count("Do not send this parcel yet") == 1
    # Nobody has decided, and the mark has not come yet: what is said stays.
    seen = watched(packer, page)
    assert not box(seen, "objected")
    mark_order(do, "The customer asks the shop to cancel.")
    seen = watched(packer, seen)
    assert "Not closed. Do not send this parcel yet" in box(seen, "marks")
    assert "alert" not in box(seen, "objected") and 'id="objected"' in seen
    # Told before the first scan of the page, as well.
    again = close(packer).text
    assert again.count("Do not send this parcel yet") == 1 and asked not in again
    mark_order(do, None)
    for last in (watched(packer, seen), watched(packer, watched(packer, seen))):
        assert "Settled: nothing is said against this parcel any more." in box(last, "objected")
        assert 'form="closing">Close picklist' in box(last, "objected")
        assert "Do not send" not in last and "before you close it" not in last
    mark_order(do, "Asked once more.")
    assert "Not closed. Do not send this parcel yet" in watched(packer, last)
    assert state(do) == "new"


def test_what_no_mark_tells_stays_beside_the_marks(packer: Person, probe: Probe, do: Do) -> None:
    probe.answer = ClosingAnswer(("Asked.", "It has no label."), marked=("Asked.",))
    packer.post(f"{PAGE}/pick-all", PAGE)
    mark_order(do, "Asked.")
    page = close(packer).text
    assert page.count("Asked.") == 1 and "It has no label." in page


def test_an_order_that_is_stopped_says_one_thing_and_prints_no_label(
    packer: Person, probe: Probe, do: Do
) -> None:
    probe.answer = ClosingAnswer(("Cancelled.",), marked=("Cancelled.",))
    packer.post(f"{PAGE}/pick-all", PAGE)

    def labelled() -> None:
        with transaction():
            host_port().attach_label(NewLabel(1, "L1", "PostNL", "3SL1", b"%PDF", {1: 2}))

    do(labelled)
    assert "Print label" in packer.get(PAGE).text
    mark_order(do, "Cancelled at the shop.", stops=True)
    for page in (close(packer).text, packer.get(PAGE).text):
        assert "Everything is back on the shelf" in page
        assert "Put the parcel aside" not in page and "Do not send this parcel yet" not in page
        assert "Print label" not in page and "Do not stick it on" in page


def test_a_picklist_of_which_all_was_taken_off_does_not_say_that_its_order_was_cancelled(
    packer: Person, do: Do
) -> None:
    for _ in range(2):
        packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="1")
    assert "Closed by packer" in close(packer, short="1:2 2:0").text

    def take_off() -> int:
        with transaction() as session:
            rest = session.scalars(select(Picklist.id).where(Picklist.id > 1)).all()
            if not rest:
                rest = [orders.make_picklist(orders.lock_order(1)).id]
            orders.take_off(1, 2, 3, who="ann")
            return int(rest[0])

    page = packer.get(f"/admin/picklists/{do(take_off)}").text
    assert "all that stood on it was taken off the order" in page
    assert "its order was cancelled" not in page

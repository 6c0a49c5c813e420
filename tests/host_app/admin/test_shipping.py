"""Labels at the packing table, asking the shop, and shipments that did not leave."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from host_app.db import db, reading, transaction
from host_app.models import Order, Picklist, Shipment, Stock
from host_app.plugin_api import ClosingAnswer, HostError, NewLabel, ShippingOption, ShippingOptions
from host_app.port import host_port
from host_app.services import orders
from tests.conftest import AppFactory
from tests.host_app import factories
from tests.host_app.admin.conftest import Person, logged_in
from tests.host_app.admin.probe import EVIL, Probe

PAGE = "/admin/picklists/1"
PDF = b"%PDF-1.4 a label"
SMALL = ShippingOption("small", "Small parcel", "PostNL", Decimal("4.95"), ("up to 10 kg", EVIL))
BEST = ShippingOption("best", "Mailbox parcel", "DHL", Decimal("3.10"), recommended=True)
BUY = {"plugin": "probe", "option": "small", "of-1": "2", "of-2": "3"}
FOLLOWED = f'data-refresh="{PAGE}/parts"'
Do = Callable[..., Any]


@pytest.fixture(autouse=True)
def picklist(do: Do, probe: Probe) -> None:
    """A picklist of two pieces of A1 and three of B2, lines 1 and 2, and a shop that sells two labels."""
    probe.offer = ShippingOptions((SMALL, BEST))

    def fill() -> None:
        factories.add_warehouse()
        a, b = factories.add_product("A1", 10), factories.add_product("B2", 10)
        factories.accept("R-1", (a, 2), (b, 3))

    do(fill)


@pytest.fixture
def attach(do: Do) -> Callable[..., None]:
    def run(ref: str, pieces: dict[int, int], picklist_id: int = 1) -> None:
        with transaction():
            host_port().attach_label(NewLabel(picklist_id, ref, "PostNL", f"3S{ref}", PDF, pieces))

    return lambda *arguments, **named: do(run, *arguments, **named)


def buy(person: Person, **changes: str) -> Any:
    return person.post(f"{PAGE}/label", PAGE, **(BUY | changes))


def close(person: Person, **fields: str) -> Any:
    """Send the closing form as it stands on the page."""
    form = person.get(PAGE).text.partition('/close#main"')[2].partition("</form>")[0]
    values = dict(re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', form))
    return person.post(f"{PAGE}/close", PAGE, **(values | fields))


def shipments(do: Do) -> list[tuple[str, str | None, str | None, list[int]]]:
    def read() -> Any:
        rows = db.session.scalars(select(Shipment).order_by(Shipment.id))
        return [
            (row.carrier, row.tracking_code, row.label_ref, [line.quantity for line in row.lines])
            for row in rows
        ]

    return list(do(read))


# options


def test_nobody_is_asked_for_labels_until_the_packer_wants_them(packer: Person, probe: Probe) -> None:
    assert "Show label options" in packer.get(PAGE).text
    assert probe.asked_for == []


def test_options_are_shown_with_the_recommended_first_then_the_cheap_ones(
    packer: Person, probe: Probe
) -> None:
    others = (
        ShippingOption("x", "Unpriced parcel", "", None),
        ShippingOption("dear", "Dear parcel", "GLS", Decimal("5.10")),
    )
    best = replace(BEST, price=Decimal("6.10"))
    probe.offer = ShippingOptions((*others, SMALL, best))
    page = packer.get(f"{PAGE}?labels=1").text

    assert probe.asked_for == [{1: 2, 2: 3}]
    order = [
        page.index(title) for title in ("Mailbox parcel", "Small parcel", "Dear parcel", "Unpriced parcel")
    ]
    assert order == sorted(order)
    assert "Recommended" in page and "excl. VAT" in page
    assert "up to 10 kg" in page and EVIL not in page
    assert "2 × A1, 3 × B2" in page


def test_labels_of_one_name_are_told_apart_by_what_differs(packer: Person, probe: Probe) -> None:
    def parcel(key: str, by: str, how: str, **more: Any) -> ShippingOption:
        return ShippingOption(
            key, "PostNL & bol - Pakket", "PostNL", Decimal("4.41"), (by, how, "at most 23 kg"), **more
        )

    today = parcel("today", "hand over today", "you bring it", usual=True)
    later = parcel("later", "hand over tomorrow", "it is fetched", warning=f"too late {EVIL}")
    probe.offer = ShippingOptions((today, later, SMALL))
    page = packer.get(f"{PAGE}?labels=1").text
    shown = [part.partition("</li>")[0] for part in page.split('<li class="list-group-item host-offer">')[1:]]

    assert [re.findall(r'class="host-apart">([^<]*)<', one) for one in shown] == [
        ["hand over today", "you bring it"],
        ["hand over tomorrow", "it is fetched"],
        [],
    ]
    # What they share stands below, without the carrier that the name tells already.
    assert [re.findall(r'<small class="text-muted">(at most[^<]*)<', one) for one in shown[:2]] == [
        ["at most 23 kg"]
    ] * 2
    assert ["Mostly bought here" in one for one in shown] == [True, False, False]
    assert "too late" in shown[1] and EVIL not in page


def test_a_label_can_be_wanted_for_a_part(packer: Person, probe: Probe) -> None:
    page = packer.get(f"{PAGE}?labels=1&of-1=2&of-2=0").text

    assert probe.asked_for == [{1: 2}]
    assert 'name="of-1" value="2"' in page and "One label for" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("of-1=3", "more than what has no label yet"),
        ("of-9=1", "more than what has no label yet"),
        ("of-1=0&of-2=0", "at least one piece"),
        ("of-1=two", "whole numbers"),
        ("of-x=1", "whole numbers"),
        ("of-1=-1", "whole numbers"),
    ],
)
def test_a_label_for_what_is_not_there_asks_nobody(
    packer: Person, probe: Probe, query: str, said: str
) -> None:
    assert said in packer.get(f"{PAGE}?labels=1&{query}").text
    assert probe.asked_for == []


def test_no_options_are_explained(packer: Person, probe: Probe) -> None:
    probe.offer = ShippingOptions(reason="Too heavy for <every> label.")
    assert "Too heavy for &lt;every&gt; label." in packer.get(f"{PAGE}?labels=1").text
    probe.offer = ShippingOptions()
    assert "No label is on offer for these goods." in packer.get(f"{PAGE}?labels=1").text


def test_goods_without_labels_are_told_so(packer: Person, probe: Probe) -> None:
    probe.offer = None

    assert "No labels can be bought for this order." in packer.get(f"{PAGE}?labels=1").text


def test_a_shop_that_fails_can_be_asked_again(packer: Person, probe: Probe) -> None:
    probe.offer = RuntimeError("down")
    page = packer.get(f"{PAGE}?labels=1").text

    assert "Probe shop does not answer now. Nothing was bought. Ask again." in page and "Ask again<" in page


def test_a_price_that_is_not_known_is_not_written_as_nothing(packer: Person, probe: Probe) -> None:
    probe.offer = ShippingOptions((ShippingOption("x", "Any label", "", None),))

    page = packer.get(f"{PAGE}?labels=1").text
    assert "price not known" in page and ">Buy this label</button>" in page


def test_the_button_that_buys_says_so_and_what_it_costs(packer: Person) -> None:
    page = packer.get(f"{PAGE}?labels=1").text

    assert re.findall(r">(Buy[^<]*)</button>", page) == ["Buy this label: €3.10", "Buy this label: €4.95"]


def test_a_further_parcel_is_offered_where_there_is_something_to_put_into_it(
    packer: Person, attach: Do
) -> None:
    packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="1")
    assert "Close with 1 of 5" in packer.get(PAGE).text and "Add parcel" not in packer.get(PAGE).text
    packer.post(f"{PAGE}/pick", PAGE, line="1", pieces="1")
    page = packer.get(PAGE).text
    assert "Add parcel" in page and "Does it not travel on its label" not in page
    assert "Add parcel" not in close(packer, add_parcel="1").text
    # Everything has a label: then it is the exception, folded up.
    attach("L1", {1: 2, 2: 3})
    page = packer.get(PAGE).text
    assert page.count("Add parcel") == 1
    assert page.index("<summary>Does it not travel on its label") < page.index("Add parcel")


def test_orders_that_came_from_no_shop_have_no_labels(packer: Person, do: Do) -> None:
    def no_shop() -> None:
        with transaction() as session:
            session.get_one(Order, 1).source = ""

    do(no_shop)
    page = packer.get(PAGE).text
    assert "Shipping label" not in page and "Check for a cancellation" not in page


def test_without_a_plugin_that_sells_them_there_are_no_labels(make_app: AppFactory) -> None:
    page = logged_in(make_app(blocked_plugins=("bol",)), "packer").get(PAGE).text

    assert "P-00001" in page
    assert "Shipping label" not in page and "Check for a cancellation" not in page


def test_a_label_that_is_bought_already_stands_first_and_is_told_of(packer: Person, probe: Probe) -> None:
    mine = ShippingOption("mine", "3SMINE", "PostNL", None, bought=True)
    probe.offer = ShippingOptions((SMALL, BEST, mine), warning=f"Paid already: 3SMINE {EVIL}")
    page = packer.get(f"{PAGE}?labels=1").text

    assert page.index("Paid already: 3SMINE") < page.index("Use this label") < page.index("Buy this label")
    assert "paid already" in page and EVIL not in page


# buying


def test_a_label_is_bought_by_who_stands_there(packer: Person, probe: Probe) -> None:
    page = buy(packer)

    assert probe.bought == [(1, {1: 2, 2: 3}, "small", "packer")]
    assert "The label is on its way." in page.text


def test_a_double_click_buys_once(packer: Person, probe: Probe) -> None:
    buy(packer)
    page = buy(packer)

    assert "This label is being bought already." in page.text
    assert len(probe.bought) == 1


def test_a_purchase_that_the_shop_refuses_is_told(packer: Person, probe: Probe) -> None:
    probe.purchase_error = HostError("This option has <expired>.")
    page = buy(packer)
    assert "This option has &lt;expired&gt;." in page.text and FOLLOWED not in page.text

    probe.purchase_error = RuntimeError("broken")
    page = buy(packer)
    assert "Probe shop can&#39;t take the purchase at the moment. Nothing was bought." in page.text


def test_a_label_of_a_plugin_that_sells_none_is_refused(packer: Person, probe: Probe) -> None:
    assert "not on offer" in buy(packer, plugin="nobody").text
    assert probe.bought == []


def test_no_label_is_bought_for_more_than_there_is(packer: Person, probe: Probe, attach: Do) -> None:
    attach("L1", {1: 2})

    assert "more than what has no label yet" in buy(packer).text
    assert probe.bought == []


def test_no_label_is_bought_for_a_picklist_that_is_not_open(packer: Person, probe: Probe, do: Do) -> None:
    def pause() -> None:
        with transaction():
            orders.pause_order(1)

    do(pause)
    assert "is paused" in buy(packer).text
    assert "Show label options" not in packer.get(f"{PAGE}?labels=1").text
    assert probe.bought == [] and probe.asked_for == []


def test_buying_needs_login_and_token(anybody: Person, packer: Person, probe: Probe) -> None:
    assert "/login" in anybody.client.post(f"{PAGE}/label", data=BUY).headers["Location"]
    assert packer.client.post(f"{PAGE}/label", data=BUY).status_code == 400
    assert packer.get(f"{PAGE}/label").status_code == 405
    assert probe.bought == []


def test_the_page_follows_a_purchase_until_the_label_is_there(
    packer: Person, attach: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FOLLOWED not in packer.get(PAGE).text
    bought = buy(packer).text
    assert FOLLOWED in bought and "Show label options" not in bought
    assert FOLLOWED in packer.get(f"{PAGE}/parts").text
    attach("L1", {1: 2})
    parts = packer.get(f"{PAGE}/parts").text
    assert FOLLOWED not in parts and "3SL1" in parts
    assert '<div id="close" data-part>' in parts and '<div id="panels" data-part>' in parts

    assert FOLLOWED in buy(packer, **{"of-1": "0"}).text
    now = time.time()
    monkeypatch.setattr("host_app.admin.shipping.time.time", lambda: now + 61)
    assert FOLLOWED not in packer.get(PAGE).text


def test_what_was_said_against_a_parcel_without_its_label_goes_once_the_label_is_here(
    packer: Person, probe: Probe, attach: Do
) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    buy(packer)
    probe.answer = ClosingAnswer(("The label is on its way.",), may_overrule=True)
    refused = close(packer).text.split('<div id="refused" data-part>')[1]
    assert "The label is on its way." in refused.split("</div>")[0]
    gone = '<div id="refused" data-part></div>'
    assert gone not in packer.get(f"{PAGE}/parts").text
    attach("L1", {1: 2, 2: 3})
    assert gone in packer.get(f"{PAGE}/parts").text


# printing


def test_labels_are_listed_with_what_they_cover(packer: Person, attach: Do) -> None:
    attach("L1", {1: 2, 2: 1})
    page = packer.get(PAGE).text

    assert "3SL1" in page and "2 × A1, 1 × B2" in page and f"{PAGE}/labels/1.pdf" in page
    assert "Show options for one more label" in page
    attach("L2", {2: 2})
    assert "Everything on this picklist has a label." in packer.get(PAGE).text


def test_a_label_is_shown_as_it_was_bought_and_kept_by_nobody(packer: Person, attach: Do) -> None:
    attach("L1", {1: 2})
    answer = packer.get(f"{PAGE}/labels/1.pdf")

    assert answer.data == PDF and answer.mimetype == "application/pdf"
    assert answer.headers["Content-Disposition"] == 'inline; filename="label-1-1.pdf"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_labels_are_for_who_is_logged_in(anybody: Person, attach: Do) -> None:
    attach("L1", {1: 2})
    answer = anybody.get(f"{PAGE}/labels/1.pdf")

    assert answer.status_code == 302 and "/login" in answer.headers["Location"]


def test_a_label_is_found_with_its_own_picklist_only(packer: Person, attach: Do, do: Do) -> None:
    do(lambda: factories.accept("R-2", (1, 1)))
    attach("L1", {1: 2})

    assert packer.get("/admin/picklists/2/labels/1.pdf").status_code == 404
    assert packer.get(f"{PAGE}/labels/2.pdf").status_code == 404


# closing


def test_a_label_for_everything_makes_the_one_parcel(packer: Person, attach: Do, do: Do) -> None:
    attach("L1", {1: 2, 2: 3})
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = packer.get(PAGE).text
    assert 'name="label-0" value="1"' in page and 'name="carrier-0"' not in page

    page = close(packer).text
    assert "Closed by packer" in page and "Print again" in page
    assert shipments(do) == [("label", "3SL1", "L1", [2, 3])]


def test_what_no_label_covers_goes_in_a_parcel_of_its_own(packer: Person, attach: Do, do: Do) -> None:
    attach("L1", {1: 1})
    attach("L2", {2: 2})
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer, **{"carrier-2": "dhl", "tracking-2": "JV1"})

    assert shipments(do) == [
        ("label", "3SL1", "L1", [1]),
        ("label", "3SL2", "L2", [2]),
        ("dhl", "JV1", None, [1, 1]),
    ]


def test_parcels_that_do_not_hold_what_was_picked_are_refused(packer: Person, attach: Do, do: Do) -> None:
    attach("L1", {1: 2})
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer, **{"carrier-1": "dhl", "tracking-1": "JV1", "pieces-0-1": "1"}).text

    assert "must hold exactly what was picked" in page
    assert 'name="label-0" value="1"' in page and 'value="JV1"' in page
    assert shipments(do) == []


def test_a_label_is_left_out_by_taking_its_pieces(packer: Person, attach: Do, do: Do) -> None:
    attach("L1", {1: 2})
    packer.post(f"{PAGE}/pick-all", PAGE)
    assert "Without pieces, this label is not used." in packer.get(PAGE).text
    page = close(packer, **{"carrier-1": "dhl", "pieces-0-1": "0", "pieces-1-1": "2"}).text

    assert shipments(do) == [("dhl", None, None, [2, 3])]
    assert "not used" in page and "Print label" not in page
    assert "Do not stick it on: the picklist was closed without it." in page
    assert "tell an administrator, who can ask the shop" in page


def test_a_parcel_added_to_a_label_starts_empty_and_can_be_taken_away(packer: Person, attach: Do) -> None:
    attach("L1", {1: 2, 2: 3})
    packer.post(f"{PAGE}/pick-all", PAGE)
    assert "Remove last parcel" not in packer.get(PAGE).text
    page = close(packer, add_parcel="1").text

    assert "Parcel 2" in page and 'name="label-0" value="1"' in page and 'name="carrier-1"' in page
    assert "Remove last parcel" in page and 'value="3"></div>' in page


def test_a_label_that_came_meanwhile_is_seen_before_closing(packer: Person, attach: Do, do: Do) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    seen = {"parcels": "1", "seen": "1:2 2:3", "carrier-0": "postnl", "tracking-0": "3S1"}
    attach("L1", {1: 2, 2: 3})
    page = packer.post(f"{PAGE}/close", PAGE, **seen).text

    assert "The labels changed after this page was shown." in page
    assert 'name="label-0" value="1"' in page and shipments(do) == []


def test_a_label_of_another_picklist_makes_no_parcel(packer: Person, attach: Do, do: Do) -> None:
    do(lambda: factories.accept("R-2", (1, 1)))
    attach("L9", {3: 1}, 2)
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer, **{"label-0": "1", "carrier-0": "postnl"}).text

    assert "The labels changed" in page and shipments(do) == []


def test_closing_in_spite_of_objections_keeps_the_label(
    packer: Person, probe: Probe, attach: Do, do: Do
) -> None:
    probe.answer = ClosingAnswer(("Cancelled.",), may_overrule=True)
    attach("L1", {1: 2, 2: 3})
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = close(packer).text
    form = page[page.index("Close only if you know") - 900 :]
    assert 'name="label-0" value="1"' in form

    close(packer, overruled="Cancelled.")
    assert shipments(do) == [("label", "3SL1", "L1", [2, 3])]


# asking the shop


def test_the_shop_is_asked_without_closing(packer: Person, probe: Probe, do: Do) -> None:
    assert "Check for a cancellation" in packer.get(PAGE).text and probe.asked == []
    assert "nothing else keeps this parcel from leaving." in packer.get(f"{PAGE}?check=1").text

    probe.answer = ClosingAnswer(("Cancelled by <the customer>.",), ("Mind the step.",), may_overrule=True)
    packer.post(f"{PAGE}/pick-all", PAGE)
    page = packer.get(f"{PAGE}?check=1").text
    assert "Do not send this parcel yet" in page and "Cancelled by &lt;the customer&gt;." in page
    assert "Mind the step." in page and "Close all the same" not in page
    assert probe.asked == [1, 1] and do(lambda: db.session.get(Picklist, 1).state) == "new"


def test_a_shop_that_can_not_be_checked_with_is_not_taken_for_a_yes(packer: Person, probe: Probe) -> None:
    probe.answer = RuntimeError("down")
    page = packer.get(f"{PAGE}?check=1").text

    assert "could not be asked" in page and "nothing else keeps this parcel from leaving." not in page


def test_nobody_is_asked_about_a_closed_picklist(packer: Person, probe: Probe) -> None:
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer, carrier__0="postnl")
    page = packer.get(f"{PAGE}?check=1&labels=1").text

    assert "Check for a cancellation" not in page and probe.asked == [1] and probe.asked_for == []


# shipments that did not leave


@pytest.fixture
def shipment(packer: Person) -> str:
    """A shipment of all of the picklist."""
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer, carrier__0="postnl", tracking__0="3S1")
    return "/admin/shipments/1"


def free(do: Do) -> list[tuple[int, int]]:
    rows = select(Stock).order_by(Stock.product_id)
    return list(do(lambda: [(row.physical, row.reserved) for row in db.session.scalars(rows)]))


def make_picklist() -> None:
    """Do as the job for backorders does."""
    with reading():
        assert orders.waiting_orders(5) == [1]
    with transaction():
        order = orders.lock_order(1)
        assert order is not None and orders.make_picklist(order) is not None


def test_a_packer_withdraws_a_shipment_that_did_not_leave(
    packer: Person, chief: Person, shipment: str, do: Do
) -> None:
    assert free(do) == [(8, 0), (7, 0)]
    page = packer.get(shipment).text
    assert "its goods go back on the shelf" in page
    assert "data-confirm=" in page.split("/withdraw")[1]
    page = packer.post(f"{shipment}/withdraw", shipment).text

    assert "The shipment is withdrawn." in page and "this parcel did not leave" in page
    assert "Withdraw this shipment" not in page and "/correct" not in page
    assert free(do) == [(10, 2), (10, 3)]
    # Nothing lies picked any more, so the order may be cancelled.
    assert "Cancel this order, because" in chief.get("/admin/orders/1").text
    assert "To the new picklist" not in packer.get(shipment).text
    do(make_picklist)
    assert "To the new picklist P-00002" in packer.get(shipment).text
    assert "0 / 2" in packer.get("/admin/picklists/2").text
    assert "Withdrawn" in packer.get("/admin/shipments/").text
    assert "Withdrawn" in packer.get(PAGE).text


def test_a_withdrawn_shipment_is_left_alone(packer: Person, shipment: str, do: Do) -> None:
    packer.post(f"{shipment}/withdraw", shipment)
    again = packer.post(f"{shipment}/withdraw", shipment).text
    corrected = packer.post(f"{shipment}/correct", shipment, carrier="dhl", tracking_code="JV1").text

    assert "was withdrawn before" in again and "nothing to correct" in corrected
    assert free(do) == [(10, 2), (10, 3)]
    assert shipments(do) == [("postnl", "3S1", None, [2, 3])]


def test_withdrawing_needs_login_and_token(anybody: Person, packer: Person, shipment: str, do: Do) -> None:
    assert "/login" in anybody.client.post(f"{shipment}/withdraw").headers["Location"]
    assert packer.client.post(f"{shipment}/withdraw").status_code == 400
    assert packer.get(f"{shipment}/withdraw").status_code == 405
    assert free(do) == [(8, 0), (7, 0)]


def test_a_shipment_with_a_label_is_printed_again_and_not_corrected(packer: Person, attach: Do) -> None:
    attach("L1", {1: 2, 2: 3})
    packer.post(f"{PAGE}/pick-all", PAGE)
    close(packer)
    page = packer.get("/admin/shipments/1").text

    assert "Print again" in page and f"{PAGE}/labels/1.pdf" in page and "/correct" not in page
    assert "a new picklist is made" in page
    refused = packer.post("/admin/shipments/1/correct", "/admin/shipments/1", carrier="dhl").text
    assert "bought label" in refused

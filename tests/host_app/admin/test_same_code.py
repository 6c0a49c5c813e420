"""A tracking code that another parcel bears already is asked about before it is taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from host_app.db import db, transaction, utcnow
from host_app.models import Picklist, Shipment
from host_app.services import picking
from tests.host_app import factories
from tests.host_app.admin.conftest import Person
from tests.host_app.admin.probe import Probe

PAGE = "/admin/picklists/2"
CODE = "3SPHONE000001"
ASKED = "Not closed yet: look at the tracking code."
Do = Callable[..., Any]


@pytest.fixture(autouse=True)
def two_picklists(do: Do) -> None:
    """Two orders of two pieces; the first has left with CODE, the second is picked."""

    def fill() -> None:
        factories.add_warehouse()
        product = factories.add_product("A1", 10)
        for reference in ("R-1", "R-2"):
            factories.accept(reference, (product, 2))
        with transaction():
            for picklist_id in (1, 2):
                picking.pick_all(picklist_id)
            picking.close_picklist(1, [picking.NewParcel("postnl", CODE)], who="ann")

    do(fill)


def close(person: Person, **fields: str) -> str:
    """Send the closing form as it stands on the page."""
    values = {"seen": "2:2", "parcels": "1", "carrier-0": "postnl", "tracking-0": CODE}
    return str(person.post(f"{PAGE}/close", PAGE, **(values | fields)).text)


def key(page: str) -> str:
    """Return what the button sends that takes the code all the same."""
    found = re.search(r'<button [^>]*name="same" value="([^"]*)"', page)
    assert found
    return found[1]


def codes(do: Do) -> list[str | None]:
    return list(do(lambda: db.session.scalars(select(Shipment.tracking_code).order_by(Shipment.id)).all()))


def test_the_code_of_another_customers_parcel_is_asked_about_before_closing(
    packer: Person, probe: Probe, do: Do
) -> None:
    page = close(packer)
    assert ASKED in page and CODE in page and "O-00001" in page and probe.asked == []
    # Nothing that was typed is lost, and Enter, which presses the first button, only asks again.
    assert f'value="{CODE}"' in page and '<option value="postnl" selected>' in page
    first = re.search(r'<button[^>]* form="closing"[^>]*>', page)
    assert first and "name=" not in first[0]
    assert ASKED in close(packer) and codes(do) == [CODE]

    assert "Closed by packer" in close(packer, same=key(page))
    assert codes(do) == [CODE, CODE]


@pytest.mark.parametrize("typed", ["3sphone000001", f" {CODE} "])
def test_a_code_is_the_same_in_small_letters_and_with_spaces(packer: Person, typed: str) -> None:
    assert ASKED in close(packer, tracking__0=typed)


def test_who_corrects_the_code_after_the_question_closes(packer: Person, do: Do) -> None:
    close(packer)
    assert "Closed by packer" in close(packer, tracking__0="3SPHONE000002")
    assert codes(do) == [CODE, "3SPHONE000002"]


def test_taking_one_code_all_the_same_takes_no_other(packer: Person, do: Do) -> None:
    answered = key(close(packer))
    do(lambda: factories.accept("R-3", (1, 1)))

    def close_third() -> None:
        with transaction():
            picking.pick_all(3)
            picking.close_picklist(3, [picking.NewParcel("postnl", "3SOTHER")], who="ann")

    do(close_third)
    assert ASKED in close(packer, tracking__0="3SOTHER", same=answered)


def test_two_parcels_of_one_picklist_with_one_code_are_asked_about(packer: Person, do: Do) -> None:
    two = {
        "parcels": "2", "tracking-0": "3SNEW", "pieces-0-2": "1",
        "carrier-1": "postnl", "tracking-1": "3SNEW", "pieces-1-2": "1",
    }  # fmt: skip
    page = close(packer, **two)
    assert ASKED in page and "parcel 1" in page and "parcel 2" in page

    assert "Closed by packer" in close(packer, **two, same=key(page))
    assert codes(do) == [CODE, "3SNEW", "3SNEW"]


def test_parcels_without_a_code_are_not_asked_about(packer: Person, do: Do) -> None:
    def no_code() -> None:
        with transaction() as session:
            session.execute(update(Shipment).values(tracking_code=None))

    do(no_code)
    two = {
        "parcels": "2",
        "tracking-0": "",
        "pieces-0-2": "1",
        "carrier-1": "postnl",
        "tracking-1": "",
        "pieces-1-2": "1",
    }
    assert "Closed by packer" in close(packer, **two)


@pytest.mark.parametrize("what", ["withdrawn", "old"])
def test_the_code_of_a_parcel_that_was_withdrawn_or_is_long_gone_is_free(
    packer: Person, do: Do, what: str
) -> None:
    def change() -> None:
        with transaction() as session:
            if what == "withdrawn":
                picking.withdraw_shipment(1, who="ann")
            else:
                session.execute(update(Shipment).values(created_at=utcnow() - timedelta(days=91)))

    do(change)
    assert "Closed by packer" in close(packer)


def test_who_closes_with_less_and_the_same_code_is_asked_both(packer: Person, do: Do) -> None:
    packer.post(f"{PAGE}/pick", PAGE, line="2", pieces="-1")
    page = close(packer, seen="2:1")
    assert "1 of 2 pieces is not picked" in page
    page = close(packer, seen="2:1", short="2:1")
    assert ASKED in page and '<input type="hidden" name="short" value="2:1">' in page
    assert "Closed by packer" in close(packer, seen="2:1", short="2:1", same=key(page))


def test_a_code_that_a_colleague_takes_while_the_shop_is_asked_is_asked_about(
    packer: Person, probe: Probe, do: Do
) -> None:
    def take() -> None:
        with transaction() as session:
            session.execute(update(Shipment).values(tracking_code="3SBOTH"))

    probe.meanwhile = lambda: do(take)
    assert ASKED in close(packer, tracking__0="3SBOTH")
    assert do(lambda: db.session.get(Picklist, 2).state) == "new"


def test_a_correction_to_the_code_of_another_parcel_is_asked_about(packer: Person, do: Do) -> None:
    close(packer, tracking__0="3SRIGHT")
    path = "/admin/shipments/2/correct"
    page = packer.post(path, PAGE, carrier="dhl", tracking_code=CODE, next=PAGE).text
    assert "Not corrected yet: look at the tracking code." in page and "O-00001" in page
    assert codes(do) == [CODE, "3SRIGHT"]
    assert f'value="{CODE}"' in page and '<option value="dhl" selected>' in page
    assert f'name="next" value="{PAGE}"' in page

    answer = packer.post(path, PAGE, carrier="dhl", tracking_code=CODE, next=PAGE, same=key(page))
    assert "The shipment is corrected" in answer.text and answer.request.path == PAGE
    assert codes(do) == [CODE, CODE]


def test_a_carrier_is_corrected_without_a_question_about_the_code(packer: Person, do: Do) -> None:
    page = close(packer)
    close(packer, same=key(page))
    page = packer.post("/admin/shipments/2/correct", PAGE, carrier="dhl", tracking_code=CODE).text
    assert "The shipment is corrected" in page


def test_who_loads_the_question_about_a_correction_anew_gets_the_shipment(packer: Person) -> None:
    answer = packer.get("/admin/shipments/1/correct", follow_redirects=True)
    assert answer.request.path == "/admin/shipments/1"

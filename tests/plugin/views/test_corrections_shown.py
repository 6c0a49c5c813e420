"""Corrected carriers and tracking codes, shown with their shipment."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from host_app.db import transaction
from host_app.services import picking
from plugin.models import EffectState, ShipmentEffect, TransportEffect
from plugin.settings import DEFAULT_CARRIERS
from tests.host_app.admin.conftest import Person
from tests.plugin.conftest import KETTLE, TOASTER
from tests.plugin.views.conftest import Site
from tests.plugin.views.test_store_pages import press, text


@pytest.fixture
def corrected(site: Site, store: int) -> int:
    """A confirmed parcel of two items whose corrected tracking code bol is working on; return its order's row."""
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        order_id = shop.order((KETTLE, 1), (TOASTER, 1))
        shop.import_orders()
        shop.close(order_id, tracking="3SWRONG")
        shop.pass_time(20, steps=4)
        shipment_id = shop.effects()[0].host_shipment_id
        with transaction():
            picking.correct_shipment(shipment_id, carrier="dpd", tracking_code="3SRIGHT")
        shop.sandbox.settings(processStatusDelayMs=20_000)
        shop.work()
        return shop.bol_order(order_id).id


def refused(site: Site) -> int:
    """Let bol refuse the correction; return its id."""
    with site.shop() as shop, transaction() as session:
        row = session.query(TransportEffect).one()
        row.state, row.error, row.due_at = EffectState.REFUSED, "Unknown <code>.", None
        row.process_status_id, row.settled_at = None, shop.clock.now()
        return int(row.id)


def effect(site: Site) -> Any:
    with site.shop() as shop:
        (row,) = shop.all(TransportEffect)
        return row


def test_a_correction_is_shown_until_bol_has_it(
    site: Site, corrected: int, store: int, packer: Person
) -> None:
    told = text(packer, f"{store}/shipments")
    # By the names that the carriers have here, with bol's codes.
    assert "correction being sent DPD (DPD-NL) 3SRIGHT" in told and "PostNL (TNT) 3SWRONG" in told
    with site.shop() as shop:
        shop.pass_time(60, steps=6)
    assert "bol has the new code" in text(packer, f"{store}/shipments")
    page = text(packer, f"{store}/orders/{corrected}")
    assert "Correction of shipment 1: DPD (DPD-NL) 3SRIGHT" in page
    assert "bol has the new code" in page


def test_a_parcel_that_bol_was_told_without_a_carrier_travels_on_bols_label(
    site: Site, corrected: int, store: int, packer: Person
) -> None:
    assert "bol's label" not in text(packer, f"{store}/shipments")
    with site.shop(), transaction() as session:
        session.execute(update(ShipmentEffect).values(transporter_code=""))
    assert "bol's label" in text(packer, f"{store}/shipments")


def test_a_refused_correction_tells_why_and_is_sent_again(
    site: Site, corrected: int, store: int, chief: Person, packer: Person
) -> None:
    number = refused(site)
    page = chief.get(f"/admin/bol/{store}/shipments?state=not+corrected").text
    assert "bol did not take the correction" in page
    assert "Unknown &lt;code&gt;." in page
    assert page.count(">Send the correction again</button>") == 1
    assert "Send the correction again" not in text(packer, f"{store}/shipments")
    path = f"{store}/corrections/{number}/try-again"
    assert "The correction is sent to bol again." in press(chief, path, state="not corrected")
    assert "Nothing was changed" in press(chief, path)
    with site.shop() as shop:
        shop.pass_time(60, steps=6)
        (shipment,) = shop.shipments_at_bol()
        assert shipment["transport"]["trackAndTrace"] == "3SRIGHT"
    assert effect(site).state == EffectState.CONFIRMED
    assert "No shipment is in this state." in text(chief, f"{store}/shipments?state=not+corrected")


def test_a_correction_that_another_store_or_a_packer_sends_again_stays_refused(
    site: Site, corrected: int, store: int, chief: Person, packer: Person
) -> None:
    number = refused(site)
    press(chief, f"{store + 1}/corrections/{number}/try-again")
    assert packer.post(f"/admin/bol/{store}/corrections/{number}/try-again").status_code == 403
    assert effect(site).state == EffectState.REFUSED


def test_a_refused_correction_that_was_told_to_bol_otherwise_is_closed(
    site: Site, corrected: int, store: int, chief: Person, packer: Person
) -> None:
    number = refused(site)
    path = f"{store}/corrections/{number}/handled"
    for page in (f"/admin/bol/{store}/shipments?state=not+corrected", "/admin/bol/attention"):
        assert path in chief.get(page).text
        assert path not in packer.get(page).text
    assert packer.post(f"/admin/bol/{path}").status_code == 403
    assert "Nothing was changed" in press(chief, f"{store + 1}/corrections/{number}/handled")
    assert "this correction was handled elsewhere" in press(chief, path, state="not corrected")
    assert effect(site).state == EffectState.CLOSED
    assert "bol did not take" not in text(chief, "attention")
    assert "Nothing was changed" in press(chief, path)


def test_a_correction_whose_carrier_has_no_code_is_no_refusal_and_leads_to_the_code(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id, "postnl", "3SA")
        shop.pass_time(20, steps=4)
        shipment = shop.effects()[0].host_shipment_id
        with transaction():
            picking.correct_shipment(shipment, carrier="gls", tracking_code="G1")
        shop.pass_time(20, steps=4)
        row, picklist = shop.bol_order(order_id).id, shop.picklist_id(order_id)
    for path in (f"{store}/shipments?state=not+corrected", f"{store}/orders/{row}"):
        for person, told in ((chief, "Fill in the carrier's code"), (packer, "An administrator fills in")):
            page = text(person, path)
            assert told in page and "did not take" not in page, path
            assert "Send the correction again" not in page
    assert "1 corrected shipment waits for bol's code of the carrier GLS" in text(chief, "attention")
    tasks = chief.get("/admin/bol/attention").text
    assert 'name="carrier" value="gls"' in tasks
    # The packer's page of the picklist leads the administrator there, too.
    page = chief.get(f"/admin/picklists/{picklist}").text
    assert 'href="/admin/bol/attention">Fill in the carrier&#39;s code</a>' in page
    assert "Fill in the carrier&#39;s code</a>" not in packer.get(f"/admin/picklists/{picklist}").text


def test_goods_packed_anew_are_shown_as_shipped_at_bol_with_their_new_code(
    site: Site, store: int, packer: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id, tracking="3SFIRST")
        shop.pass_time(20, steps=4)
        first = shop.effects()[0].host_shipment_id
        with transaction():
            picking.withdraw_shipment(first, who="ann")
        shop.work()
        shop.close(order_id, tracking="3SANEW")
        shop.pass_time(120, steps=6)
        row, here = shop.bol_order(order_id).id, shop.host_order(order_id).id
    for page in (f"{store}/shipments", f"{store}/orders/{row}"):
        told = text(packer, page)
        assert "Shipped at bol bol has these goods as shipped already" in told, page
        assert "bol has the new code" in told and "Handled elsewhere The" not in told, page
        # The old code is not what bol has any more.
        assert f"withdrawn here; bol has 3SANEW (shipment {first + 1}) for it now" in told, page
        assert ">confirmed</span>" not in packer.get(f"/admin/bol/{page}").text, page
        assert "It was told this carrier" in told, page
    for path in (f"/admin/orders/{here}", "/admin/orders/", "/admin/shipments/"):
        found = packer.get(path).text
        assert "Shipped at bol" in found and "badge-danger" not in found, path

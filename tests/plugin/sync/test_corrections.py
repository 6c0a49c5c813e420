"""Carrier, tracking code and withdrawal after closing; waits before confirming; warnings before bol cancels."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from host_app import events, jobs
from host_app.db import reading, transaction
from host_app.models import Notification, Shipment
from host_app.plugins import plugins
from host_app.services import picking
from plugin.connector import (
    ShipmentItem,
    ShipmentRequest,
)
from plugin.connector.resources.transports import Transports
from plugin.models import EffectState, ShipmentEffect, TransportEffect
from plugin.settings import DEFAULT_CARRIERS
from plugin.sync import attention, correcting, corrections
from plugin.sync.correcting import MOST_TRIES
from plugin.sync.owed import owed
from plugin.sync.panels import order_panels, waits_for_code
from tests.plugin.conftest import KETTLE, TOASTER, Shop

TRANSPORTS = "/retailer/transports"


@pytest.fixture
def packed(shop: Shop) -> Shop:
    """A shop with everything on, and one order of two kettles to ship."""
    shop.connect(send_shipments=True)
    shop.order_id = shop.order((KETTLE, 2))
    shop.work()
    return shop


def correct(shop: Shop, carrier: str, tracking: str) -> None:
    shipment_id = shop.effects()[0].host_shipment_id
    with transaction():
        picking.correct_shipment(shipment_id, carrier=carrier, tracking_code=tracking)
    shop.pass_time(60, steps=6)


def panel(shop: Shop) -> list[str]:
    """Return what the host's page of the order tells of its parcels."""
    order_id = shop.host_order(shop.order_id).id
    with shop.host.reading():
        (shown,) = order_panels(shop.host, order_id)
    return [
        f"{row.label}: {row.value}"
        for row in shown.rows
        if " at bol" in row.label or "correction" in row.label
    ]


def transport(shop: Shop) -> tuple[str, str]:
    (shipment,) = shop.shipments_at_bol()
    return shipment["transport"]["transporterCode"], shipment["transport"]["trackAndTrace"]


def test_the_panel_tells_how_a_correction_stands_beside_the_shipment(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "3SWRONG")
    packed.pass_time(20, steps=4)
    packed.sandbox.faults([{"method": "PUT", "path": f"{TRANSPORTS}/*", "when": "before", "status": 503}])
    shipment_id = packed.effects()[0].host_shipment_id
    with transaction():
        picking.correct_shipment(shipment_id, carrier="postnl", tracking_code="3S RIGHT")
    # Before the connector has heard of it, too.
    assert panel(packed)[0].startswith("Shipment 1 (3SWRONG) at bol: confirmed by bol on")
    assert panel(packed)[1:] == ["Its correction to 3SRIGHT: waiting to be sent to bol"]
    packed.pass_time(60, steps=6)
    assert panel(packed)[0].startswith("Shipment 1 (3SWRONG) at bol: confirmed by bol on")
    assert panel(packed)[1].startswith("Its correction to 3SRIGHT: waiting to be sent to bol")
    packed.sandbox.faults([])
    packed.pass_time(3600, steps=6)
    assert panel(packed)[1].startswith("Its correction to 3SRIGHT: confirmed by bol on")
    assert len(panel(packed)) == 2


def test_a_corrected_tracking_code_reaches_bol(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "3SWRONG")
    packed.pass_time(20, steps=4)
    correct(packed, "dpd", "0123 456")
    assert transport(packed) == ("DPD-NL", "0123456")
    assert [effect.state for effect in packed.all(TransportEffect)] == [EffectState.CONFIRMED]


def test_a_code_corrected_before_the_shipment_is_confirmed_is_not_lost(packed: Shop) -> None:
    packed.sandbox.settings(processStatusDelayMs=20_000)
    packed.close(packed.order_id, "postnl", "3SWRONG")
    packed.work()
    correct(packed, "postnl", "3SRIGHT")
    packed.pass_time(120, steps=8)
    assert transport(packed) == ("TNT", "3SRIGHT")


def test_correcting_twice_sends_the_newest(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    correct(packed, "postnl", "B")
    correct(packed, "postnl", "C")
    assert transport(packed) == ("TNT", "C")


def test_saving_the_same_code_again_calls_nobody(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "3S123")
    packed.pass_time(20, steps=4)
    correct(packed, "postnl", "3S 123")
    assert packed.writes(TRANSPORTS) == []


def test_a_lost_answer_of_a_correction_is_sent_again(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    packed.sandbox.faults(
        [{"method": "PUT", "path": f"{TRANSPORTS}/*", "when": "after", "drop": True, "times": 1}]
    )
    correct(packed, "postnl", "B")
    packed.pass_time(120, steps=6)
    assert transport(packed) == ("TNT", "B")


@pytest.mark.parametrize("catching_up", [False, True], ids=["by itself", "caught up meanwhile"])
def test_a_late_call_that_overtakes_a_newer_correction_does_not_last(packed: Shop, catching_up: bool) -> None:
    """Found by chaos: a call hung until we gave it up, and bol carried it out after the next one."""
    packed.close(packed.order_id)
    packed.pass_time(20, steps=4)
    shipment_id = packed.effects()[0].host_shipment_id
    packed.sandbox.faults([{"method": "PUT", "path": f"{TRANSPORTS}/*", "drop": True, "times": 1}])
    for code in ("LATE", "NEWEST"):
        with transaction():
            picking.correct_shipment(shipment_id, carrier="postnl", tracking_code=code)
        packed.work()
    packed.pass_time(20, steps=4)
    assert transport(packed) == ("TNT", "NEWEST")
    if catching_up:
        packed.runtime.catch_up(packed.store_id)
        packed.work()
    # Now bol carries the first one out.
    with closing(packed.other_line()) as client:
        (shown,) = packed.shipments_at_bol()
        client.transports.change(shown["transport"]["transportId"], "TNT", "LATE")
    packed.pass_time(2, steps=1)
    assert transport(packed) == ("TNT", "LATE")
    packed.pass_time(180, steps=6)
    assert transport(packed) == ("TNT", "NEWEST")
    assert [effect.state for effect in packed.all(TransportEffect)] == [EffectState.CONFIRMED]


def test_a_parcel_withdrawn_in_time_is_not_confirmed_and_its_goods_are_back(packed: Shop) -> None:
    packed.settings(send_shipments=True, confirm_after_minutes=5)
    packed.close(packed.order_id)
    packed.pass_time(120, steps=2)
    shipment_id = packed.effects()[0].host_shipment_id
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    packed.pass_time(900, steps=6)
    assert packed.writes("/retailer/shipments") == []
    assert [effect.state for effect in packed.effects()] == [EffectState.CLOSED]
    assert packed.host_order(packed.order_id).state == "processing"
    assert packed.free(KETTLE) == 18
    packed.close(packed.order_id, "postnl", "3SNEW")
    packed.pass_time(900, steps=6)
    assert transport(packed) == ("TNT", "3SNEW")


def test_a_parcel_withdrawn_too_late_is_told(packed: Shop) -> None:
    packed.close(packed.order_id)
    packed.pass_time(20, steps=4)
    shipment_id = packed.effects()[0].host_shipment_id
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    packed.work()
    assert any("bol knows it as shipped" in title for title in packed.notices())


def test_a_parcel_that_bol_refused_needs_nobody_once_it_is_withdrawn(packed: Shop) -> None:
    packed.sandbox.faults(
        [{"method": "POST", "path": "/retailer/shipments", "when": "before", "status": 400}]
    )
    packed.close(packed.order_id)
    packed.pass_time(10)
    assert [effect.state for effect in packed.effects()] == [EffectState.REFUSED]
    shipment_id = packed.effects()[0].host_shipment_id
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    packed.work()
    assert [effect.state for effect in packed.effects()] == [EffectState.CLOSED]
    assert [told.read_at is not None for told in packed.all(Notification)] == [True]


def test_a_parcel_that_is_withdrawn_before_bol_refuses_it_needs_nobody(shop: Shop) -> None:
    """Found by chaos: bol was said to know it as shipped, and went on to refuse it."""
    shop.connect(send_shipments=True)
    shop.order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.sandbox.settings(processStatusEnd={"CREATE_SHIPMENT": "FAILURE"})
    shop.sandbox.settings(processStatusDelayMs=60_000)
    shop.close(shop.order_id)
    shop.work()
    assert [effect.state for effect in shop.effects()] == [EffectState.SENT]
    shipment_id = shop.effects()[0].host_shipment_id
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    shop.work()
    (told,) = (one for one in shop.all(Notification) if "knows it as shipped" in one.title)
    assert told.read_at is None
    shop.pass_time(180, steps=6)
    assert [effect.state for effect in shop.effects()] == [EffectState.CLOSED]
    assert all(one.read_at for one in shop.all(Notification))


def test_a_shipment_waits_for_its_tracking_code_as_long_as_the_store_says(packed: Shop) -> None:
    packed.settings(send_shipments=True, tracking_wait_minutes=60)
    packed.close(packed.order_id, "postnl", "")
    packed.pass_time(600, steps=3)
    assert packed.writes("/retailer/shipments") == []
    correct(packed, "postnl", "3SLATE")
    assert transport(packed) == ("TNT", "3SLATE")


def test_a_tracking_code_that_never_comes_does_not_hold_the_shipment_for_ever(packed: Shop) -> None:
    packed.settings(send_shipments=True, tracking_wait_minutes=60)
    packed.close(packed.order_id, "postnl", "")
    packed.pass_time(5000, steps=10)
    assert [effect.state for effect in packed.effects()] == [EffectState.CONFIRMED]


def test_a_pattern_of_the_tracking_code_chooses_the_transporter(packed: Shop) -> None:
    packed.settings(send_shipments=True, carriers=DEFAULT_CARRIERS, tracking_patterns={"jvgl*": "DHL"})
    packed.close(packed.order_id, "other", "JVGL0012")
    packed.pass_time(20, steps=4)
    assert transport(packed) == ("DHL", "JVGL0012")


def test_an_order_that_bol_cancels_within_a_day_is_told_once(packed: Shop) -> None:
    confirmed = packed.order((TOASTER, 1))
    packed.import_orders()
    packed.close(confirmed)
    packed.pass_time(60, steps=6)
    packed.clock.ahead += packed.hours(6 * 24)
    packed.work()
    warned = [title for title in packed.notices() if "within a day" in title]
    assert len(warned) == 1
    assert packed.order_id in warned[0]


# corrections that come while something else is not decided yet


def correct_only(shop: Shop, carrier: str, tracking: str) -> None:
    """Correct the parcel, and let the connector hear of it and do nothing else."""
    shipment_id = shop.effects()[0].host_shipment_id
    with transaction():
        picking.correct_shipment(shipment_id, carrier=carrier, tracking_code=tracking)
    for wake in events.due(plugins().names):
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


def undecided(shop: Shop) -> int:
    """Leave the parcel to people; return its row."""
    with transaction() as session:
        session.execute(
            update(ShipmentEffect).values(state=EffectState.DECISION, due_at=None, process_status_id=None)
        )
    return int(shop.effects()[0].id)


def test_a_code_corrected_while_a_person_must_decide_reaches_bol_where_it_was_handled_elsewhere(
    packed: Shop,
) -> None:
    packed.close(packed.order_id, "postnl", "3SWRONG")
    packed.pass_time(20, steps=4)
    effect_id = undecided(packed)
    correct(packed, "dpd", "0123456")
    assert packed.writes(TRANSPORTS) == []
    # It waits for a person, and not for a worker.
    assert "changed tracking codes" not in [work.kind for work in owed(packed.host, packed.store())]
    packed.runtime.shipment_handled(packed.store_id, effect_id)
    packed.pass_time(20, steps=4)
    assert transport(packed) == ("DPD-NL", "0123456")


def test_a_code_corrected_after_a_parcel_was_handled_elsewhere_reaches_bol_where_it_has_ours(
    packed: Shop,
) -> None:
    packed.close(packed.order_id, "postnl", "3SWRONG")
    packed.pass_time(20, steps=4)
    packed.runtime.shipment_handled(packed.store_id, undecided(packed))
    packed.work()
    correct(packed, "dpd", "0123456")
    assert transport(packed) == ("DPD-NL", "0123456")
    assert packed.notices() == []


def test_a_code_corrected_of_a_parcel_that_bol_does_not_have_from_us_is_told(packed: Shop) -> None:
    packed.sandbox.faults([{"method": "POST", "path": "/retailer/shipments", "status": 400}])
    packed.close(packed.order_id, "postnl", "3SWRONG")
    packed.work()
    packed.runtime.shipment_handled(packed.store_id, packed.effects()[0].id)
    packed.work()
    correct(packed, "dpd", "0123456")
    assert packed.writes(TRANSPORTS) == []
    unread = [one.title for one in packed.all(Notification, Notification.read_at.is_(None))]
    assert len(unread) == 1 and "did not take the new tracking code" in unread[0]
    # Nobody can do more about it than tell bol in another way.
    (effect,) = packed.all(TransportEffect)
    assert packed.runtime.correction_handled(packed.store_id, effect.id)
    assert not packed.runtime.correction_handled(packed.store_id, effect.id)
    with reading():
        assert attention.tasks(packed.host) == []
    assert all(one.read_at for one in packed.all(Notification))
    packed.pass_time(600, steps=3)
    assert packed.writes(TRANSPORTS) == []


def test_a_code_corrected_while_a_person_must_decide_reaches_bol_where_it_is_tried_again(
    packed: Shop,
) -> None:
    packed.sandbox.faults(
        [{"method": "POST", "path": "/retailer/shipments", "when": "before", "status": 500, "times": 1}]
    )
    packed.close(packed.order_id, "postnl", "3SWRONG")
    packed.work()
    effect_id = undecided(packed)
    correct(packed, "dpd", "0123456")
    packed.runtime.try_shipment_again(packed.store_id, effect_id)
    packed.pass_time(20, steps=4)
    assert transport(packed) == ("DPD-NL", "0123456")
    assert len(packed.shipments_at_bol()) == 1


def test_a_code_corrected_before_a_parcel_is_sent_once_more_outlives_the_first_request(packed: Shop) -> None:
    """bol carries out the first request after all, with the code of then; the second one can only fail."""
    refused = {"method": "POST", "path": "/retailer/shipments", "when": "before"}
    packed.sandbox.faults([{**refused, "status": 500}])
    packed.close(packed.order_id, "postnl", "3SWRONG")
    packed.work()
    packed.sandbox.faults([{**refused, "status": 429}])
    packed.pass_time(900, steps=15)
    (effect,) = packed.effects()
    assert effect.state == EffectState.WANTED
    correct_only(packed, "dpd", "0123456")
    packed.sandbox.faults([])
    with closing(packed.other_line()) as client:
        items = (ShipmentItem(effect.order_item_id, effect.quantity),)
        client.shipments.create(ShipmentRequest(items, effect.reference, "TNT", "3SWRONG", None))
    packed.pass_time(1200, steps=20)
    assert [effect.state for effect in packed.effects()] == [EffectState.CONFIRMED]
    assert transport(packed) == ("DPD-NL", "0123456")


def test_a_second_correction_waits_until_bol_is_done_with_the_first(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    packed.sandbox.settings(processStatusDelayMs=60_000)
    correct_only(packed, "postnl", "B")
    packed.work()
    correct_only(packed, "dpd", "C")
    packed.pass_time(30, steps=6)
    assert len(packed.writes(TRANSPORTS)) == 1
    packed.pass_time(150, steps=15)
    assert len(packed.writes(TRANSPORTS)) == 2
    assert transport(packed) == ("DPD-NL", "C")
    (effect,) = packed.all(TransportEffect)
    assert (effect.state, effect.tracking_code) == (EffectState.CONFIRMED, "C")


@pytest.mark.parametrize("ends", ["taken in", "refused", "lost"])
def test_a_correction_that_comes_while_the_one_before_is_being_sent_is_the_one_that_lasts(
    packed: Shop, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    if ends == "taken in":
        packed.sandbox.settings(processStatusDelayMs=60_000)
    else:
        fault = {"status": 400, "when": "before"} if ends == "refused" else {"drop": True, "when": "after"}
        packed.sandbox.faults([{"method": "PUT", "path": f"{TRANSPORTS}/*", "times": 1, **fault}])
    real = Transports.change
    sent: list[str] = []

    def change(transports: Transports, transport_id: str, code: str | None, tracking: str) -> Any:
        sent.append(tracking)
        try:
            return real(transports, transport_id, code, tracking)
        finally:
            if tracking == "B":
                correct_only(packed, "dpd", "C")

    monkeypatch.setattr(Transports, "change", change)
    correct_only(packed, "postnl", "B")
    packed.work()
    if ends == "taken in":
        assert sent == ["B"]
    packed.pass_time(300, steps=20)
    assert sent[:2] == ["B", "C"] and set(sent[2:]) <= {"C"}
    assert transport(packed) == ("DPD-NL", "C")
    (effect,) = packed.all(TransportEffect)
    assert (effect.state, effect.tracking_code) == (EffectState.CONFIRMED, "C")
    assert packed.notices() == []


def test_a_correction_to_a_carrier_without_a_code_is_asked_for_and_not_sent_as_another(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    packed.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    correct(packed, "gls", "G1")
    assert transport(packed) == ("TNT", "A")
    (told,) = packed.all(Notification)
    assert "GLS has no code of bol" in told.body
    with reading():
        (task,) = attention.tasks(packed.host)
        assert attention.carriers_of(packed.host, [task])[task].key == "gls"
    assert task.kind == attention.UNCODED
    # bol was not asked, and nothing says that it refused.
    assert packed.writes(TRANSPORTS) == [] and "refused" not in " ".join(panel(packed))
    assert "Its correction to G1: waits: bol does not know its carrier yet" in panel(packed)[1]
    assert "has no code of bol" in told.title
    # Another carrier's code changes nothing; its own one sends it.
    packed.runtime.set_carrier(packed.store_id, "own", "COURIER", "ann")
    packed.pass_time(20, steps=4)
    assert transport(packed) == ("TNT", "A") and len(packed.all(Notification)) == 1
    packed.runtime.set_carrier(packed.store_id, "gls", "GLS", "ann")
    packed.pass_time(20, steps=4)
    assert transport(packed) == ("GLS", "G1")
    assert [one.read_at is not None for one in packed.all(Notification)] == [True]


def test_a_correction_whose_end_bol_never_tells_is_for_people_in_the_end(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    packed.sandbox.settings(processStatusEnd={"CHANGE_TRANSPORT": "TIMEOUT"})
    correct(packed, "postnl", "B")
    packed.pass_time(3600, steps=30)
    (effect,) = packed.all(TransportEffect)
    assert effect.state == EffectState.REFUSED
    assert len(packed.writes(TRANSPORTS)) == MOST_TRIES
    (told,) = packed.all(Notification)
    assert told.body == "bol did not say how it ended."


def test_a_correction_that_is_refused_again_is_told_again(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    packed.sandbox.faults([{"method": "PUT", "path": f"{TRANSPORTS}/*", "when": "before", "status": 400}])
    correct(packed, "postnl", "B")
    (effect,) = packed.all(TransportEffect)
    packed.runtime.try_correction_again(packed.store_id, effect.id)
    assert [one.read_at is not None for one in packed.all(Notification)] == [True]
    packed.pass_time(20, steps=4)
    assert [one.read_at is not None for one in packed.all(Notification)] == [True, False]
    assert not packed.runtime.try_correction_again(packed.store_id + 1, effect.id)
    assert [one.read_at is not None for one in packed.all(Notification)] == [True, False]


def test_a_correction_is_asked_for_ever_more_seldom_while_bol_fails(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    packed.sandbox.faults([{"method": "PUT", "path": f"{TRANSPORTS}/*", "when": "before", "status": 500}])
    correct(packed, "postnl", "B")
    packed.pass_time(3600, steps=40)
    assert len(packed.writes(TRANSPORTS)) <= 10
    packed.sandbox.faults([])
    packed.pass_time(3600, steps=6)
    assert transport(packed) == ("TNT", "B")


def test_a_parcel_that_is_withdrawn_takes_its_correction_along(packed: Shop) -> None:
    packed.sandbox.faults(
        [{"method": "POST", "path": "/retailer/shipments", "when": "before", "status": 429}]
    )
    packed.close(packed.order_id, "postnl", "A")
    packed.work()
    correct_only(packed, "dpd", "B")
    assert [effect.state for effect in packed.all(TransportEffect)] == [EffectState.WANTED]
    shipment_id = packed.effects()[0].host_shipment_id
    with transaction():
        picking.withdraw_shipment(shipment_id, who="ann")
    packed.sandbox.faults([])
    packed.pass_time(600, steps=6)
    assert [effect.state for effect in packed.effects()] == [EffectState.CLOSED]
    assert [effect.state for effect in packed.all(TransportEffect)] == [EffectState.CLOSED]
    assert packed.notices() == []
    assert packed.writes(TRANSPORTS) == []


def test_a_code_that_is_changed_later_corrects_no_parcel_that_bol_has(shop: Shop) -> None:
    """Whether its event is told again, or a person saves it as it is."""
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.close(order_id, carrier="postnl", tracking="3S123")
    shop.pass_time(120)
    shop.settings(send_shipments=True, carriers=dict(DEFAULT_CARRIERS) | {"postnl": "TNT_BRIEF"})
    shop.pass_time(120)
    shop.host.tell_again("bol", shop.host.now() - timedelta(days=1))
    shop.pass_time(120, steps=6)
    (parcel,) = shop.all(Shipment)
    with transaction():
        picking.correct_shipment(parcel.id, carrier="postnl", tracking_code="3S123")
    shop.pass_time(120, steps=6)
    assert (shop.all(TransportEffect), shop.writes("transports")) == ([], [])
    # What a person does correct goes by the codes of now.
    with transaction():
        picking.correct_shipment(parcel.id, carrier="postnl", tracking_code="3S124")
    shop.pass_time(120, steps=6)
    (transport,) = [shipment["transport"] for shipment in shop.shipments_at_bol()]
    assert (transport["transporterCode"], transport["trackAndTrace"]) == ("TNT_BRIEF", "3S124")
    shop.settings(send_shipments=True)
    shop.pass_time(120)
    shop.host.tell_again("bol", shop.host.now() - timedelta(days=1))
    shop.pass_time(120, steps=6)
    assert len(shop.writes("transports")) == 1


@pytest.mark.parametrize("method, path", [("GET", "/retailer/shipments"), ("PUT", "/retailer/transports/*")])
def test_a_correction_at_which_bol_fails_again_and_again_is_left_to_people(
    shop: Shop, method: str, path: str
) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.close(order_id)
    shop.pass_time(60)
    shop.sandbox.faults([{"method": method, "path": path, "when": "before", "status": 500}])
    (parcel,) = shop.all(Shipment)
    with transaction():
        picking.correct_shipment(parcel.id, carrier="dhl", tracking_code="JVGL1")
    shop.pass_time(3600, steps=12)
    assert [effect.state for effect in shop.all(TransportEffect)] == [EffectState.WANTED]
    shop.pass_time(24 * 3600, steps=96)
    assert [effect.state for effect in shop.all(TransportEffect)] == [EffectState.REFUSED]
    assert sum("did not take the new tracking code" in title for title in shop.notices()) == 1


def test_a_code_that_is_filled_in_just_as_a_correction_begins_to_wait_for_it_sends_it(
    packed: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    packed.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    real, saved = correcting.no_code, []

    def no_code(*args: Any) -> str:
        # The job has found no code; whoever saves one now finds nothing that waits yet.
        if not saved:
            saved.append(threading.Thread(target=save))
            saved[0].start()
            time.sleep(0.3)
        return real(*args)

    def save() -> None:
        with packed.app.app_context():
            packed.runtime.set_carrier(packed.store_id, "gls", "GLS", "ann")

    monkeypatch.setattr(correcting, "no_code", no_code)
    correct(packed, "gls", "G1")
    saved[0].join()
    packed.pass_time(60, steps=6)
    assert transport(packed) == ("GLS", "G1")


def test_a_code_that_is_filled_in_while_the_store_is_away_leaves_its_correction_to_people(
    packed: Shop,
) -> None:
    packed.close(packed.order_id, "postnl", "A")
    packed.pass_time(20, steps=4)
    packed.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    packed.runtime.disconnect(packed.store_id, at_once=True)
    packed.pass_time(120)
    correct(packed, "gls", "G1")
    packed.runtime.set_carrier(packed.store_id, "gls", "GLS", "ann")
    (effect,) = packed.all(TransportEffect)
    # People were told to put it right at bol: it goes when one of them says so, who is offered that.
    assert (effect.state, effect.error) == (EffectState.REFUSED, str(corrections.NOT_TOLD))
    assert not waits_for_code(effect)
    packed.runtime.sign_in_again(packed.store_id, client_id="seller", client_secret="secret")
    packed.runtime.activate(packed.store_id)
    packed.pass_time(120, steps=4)
    assert transport(packed) == ("TNT", "A")
    packed.runtime.try_correction_again(packed.store_id, effect.id)
    packed.pass_time(120, steps=4)
    assert transport(packed) == ("GLS", "G1")

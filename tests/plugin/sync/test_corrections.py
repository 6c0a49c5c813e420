"""Carrier, tracking code and withdrawal after closing; waits before confirming; warnings before bol cancels."""

from __future__ import annotations

from contextlib import closing

import pytest

from host_app.db import transaction
from host_app.models import Notification
from host_app.services import picking
from plugin.connector import (
    BolClient,
    ClientCredentialsTokens,
    Credentials,
    MemoryTokenStore,
    UnlimitedBudget,
    sandbox_environment,
)
from plugin.models import EffectState, TransportEffect
from plugin.settings import DEFAULT_CARRIERS
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


def transport(shop: Shop) -> tuple[str, str]:
    (shipment,) = shop.shipments_at_bol()
    return shipment["transport"]["transporterCode"], shipment["transport"]["trackAndTrace"]


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


def test_a_late_call_that_overtakes_a_newer_correction_does_not_last(packed: Shop) -> None:
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
    # Now bol carries the first one out.
    environment = sandbox_environment(packed.sandbox.url)
    tokens = ClientCredentialsTokens(environment, Credentials("seller", "secret"), MemoryTokenStore(), "late")
    with closing(BolClient(environment, tokens, UnlimitedBudget())) as client:
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

"""Goods whose parcel was withdrawn after bol had it: sent in another parcel, whose carrier and code bol is told."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from host_app import events, jobs
from host_app.db import transaction
from host_app.models import Notification
from host_app.plugin_api import Level
from host_app.plugins import plugins
from host_app.services import picking
from host_app.services.picking import NewParcel
from plugin.connector import ShipmentItem, ShipmentRequest
from plugin.connector.resources.shipments import Shipments
from plugin.connector.resources.transports import Transports
from plugin.models import BolOrder, BolOrderEvent, EffectState, StoreState, TransportEffect
from plugin.settings import DEFAULT_CARRIERS
from plugin.sync import attention
from plugin.sync.panels import order_notes, order_panels
from tests.plugin.conftest import KETTLE, TOASTER, Shop


@pytest.fixture
def withdrawn(shop: Shop) -> Shop:
    """A shop with an order of two kettles whose parcel was withdrawn after bol had confirmed it."""
    return ship_and_withdraw(shop, (KETTLE, 2))


def ship_and_withdraw(shop: Shop, *items: Any) -> Shop:
    shop.connect(send_shipments=True)
    shop.order_id = shop.order(*items)
    shop.work()
    send(shop, "postnl", "3SFIRST")
    assert states(shop) == [EffectState.CONFIRMED] * len(items)
    withdraw(shop)
    return shop


def send(shop: Shop, carrier: str = "dhl", tracking: str = "JVNEW") -> int:
    """Pick and close what is open of the order in one parcel; return the parcel."""
    shop.close(shop.order_id, carrier=carrier, tracking=tracking)
    shop.pass_time(90, steps=6)
    return newest(shop)


def close_one(shop: Shop, tracking: str) -> None:
    """Pick and close one piece of the order."""
    picklist = next(one for one in shop.picklists(shop.order_id) if one.state == "new")
    (line,) = shop.picklist_lines(picklist.id)
    with transaction():
        picking.pick(line.id, 1)
        picking.close_picklist(picklist.id, [NewParcel("postnl", tracking)], who="ann")


def newest(shop: Shop) -> int:
    return max(effect.host_shipment_id for effect in shop.effects())


def withdraw(shop: Shop) -> None:
    withdraw_at_once(shop)
    shop.pass_time(60, steps=4)


def withdraw_at_once(shop: Shop) -> None:
    parcel = newest(shop)
    with transaction():
        picking.withdraw_shipment(parcel, who="ann")
    shop.work()


def tell(shop: Shop) -> None:
    """Let the connector hear of what happened here, and do nothing else."""
    for wake in events.due(plugins().names):
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


def change_by_hand(shop: Shop, carrier: str, tracking: str) -> None:
    """bol carries a call out whose answer nobody waits for any more."""
    with closing(shop.other_line()) as client:
        (shown,) = shop.shipments_at_bol()
        client.transports.change(shown["transport"]["transportId"], carrier, tracking)
    shop.sandbox.advance(5)


def correct(shop: Shop, carrier: str, tracking: str) -> None:
    parcel = newest(shop)
    with transaction():
        picking.correct_shipment(parcel, carrier=carrier, tracking_code=tracking)
    shop.pass_time(90, steps=6)


def states(shop: Shop) -> list[str]:
    return [effect.state for effect in shop.effects()]


def transports(shop: Shop) -> list[tuple[str, str]]:
    return [
        (shown["transport"]["transporterCode"], shown["transport"]["trackAndTrace"])
        for shown in shop.shipments_at_bol()
    ]


def tasks(shop: Shop) -> list[str]:
    with shop.host.reading():
        return [task.kind for task in attention.tasks(shop.host)]


def unread(shop: Shop) -> int:
    return len(shop.all(Notification, Notification.read_at.is_(None)))


def badges(shop: Shop) -> list[str]:
    order_id = shop.host_order(shop.order_id).id
    with shop.host.reading():
        return [badge.text for badge in order_notes(shop.host, [order_id])[order_id].order_badges]


def at_bol(shop: Shop) -> dict[str, tuple[str, Level]]:
    """What the order's page says of its parcels."""
    with shop.host.reading():
        panels = order_panels(shop.host, shop.host_order(shop.order_id).id)
        return {row.label: (row.value, row.tone) for panel in panels for row in panel.rows}


def test_bol_is_told_the_code_of_the_parcel_that_is_on_its_way(withdrawn: Shop) -> None:
    assert tasks(withdrawn) == [attention.WITHDRAWN]
    first = "Shipment 1 (3SFIRST) at bol"
    assert at_bol(withdrawn)[first] == ("withdrawn here, and bol has it as shipped", Level.INFO)
    parcel = send(withdrawn)
    assert transports(withdrawn) == [("DHLFORYOU", "JVNEW")]
    assert states(withdrawn) == [EffectState.CONFIRMED, EffectState.CLOSED]
    # Nobody has anything left to do, and every page says where the goods are.
    assert (tasks(withdrawn), withdrawn.marks(), unread(withdrawn)) == ([], [], 0)
    assert badges(withdrawn) == ["Shipped at bol"]
    history = [event.text for event in withdrawn.all(BolOrderEvent)]
    assert [line for line in history if "refused" in line] == []
    assert (
        len([line for line in history if "as shipped already, by a parcel that was withdrawn" in line]) == 1
    )
    order_id = withdrawn.host_order(withdrawn.order_id).id
    with withdrawn.host.reading():
        note = order_notes(withdrawn.host, [order_id])[order_id]
        (panel,) = order_panels(withdrawn.host, order_id)
    assert "press “Correct”" in note.withdrawing[parcel]
    told = {row.label: row.value for row in panel.rows}
    assert told[f"Shipment {parcel} (JVNEW) at bol"] == (
        "Shipped at bol. bol has these goods as shipped already, by a parcel that was withdrawn here. It was told this carrier and "
        "tracking code for that one."
    )
    assert at_bol(withdrawn)[first] == (
        f"withdrawn here; bol has JVNEW (shipment {parcel}) for it now",
        Level.INFO,
    )
    assert told["Told to bol instead: DHL (DHLFORYOU) JVNEW"].startswith("confirmed by bol on")


def test_it_is_told_once_however_often_the_parcel_is_looked_at(withdrawn: Shop) -> None:
    send(withdrawn)
    for _ in range(3):
        withdrawn.import_orders()
        withdrawn.pass_time(600, steps=3)
    assert len(withdrawn.writes("transports")) == 1
    assert len(withdrawn.writes("shipments")) == 2


def test_a_code_that_is_corrected_after_that_reaches_bol_too(withdrawn: Shop) -> None:
    send(withdrawn)
    correct(withdrawn, "postnl", "3SCORRECTED")
    assert transports(withdrawn) == [("TNT", "3SCORRECTED")]
    assert (tasks(withdrawn), unread(withdrawn)) == ([], 0)


def test_a_code_that_is_written_down_after_bol_refused_the_parcel_is_passed_on(withdrawn: Shop) -> None:
    send(withdrawn, "dhl", "")
    # bol takes no correction without a tracking code.
    assert states(withdrawn)[-1] == EffectState.REFUSED
    assert tasks(withdrawn) == [attention.REFUSED]
    correct(withdrawn, "dhl", "JVLATER")
    assert transports(withdrawn) == [("DHLFORYOU", "JVLATER")]
    assert (states(withdrawn)[-1], tasks(withdrawn), unread(withdrawn)) == (EffectState.CLOSED, [], 0)


def test_a_third_parcel_takes_the_place_of_the_second(withdrawn: Shop) -> None:
    send(withdrawn, "dhl", "JVSECOND")
    withdraw(withdrawn)
    # bol has the goods as shipped, and they lie here again.
    assert tasks(withdrawn) == [attention.WITHDRAWN]
    assert [
        mark.startswith("Shipped at bol, but its parcel was withdrawn here") for mark in withdrawn.marks()
    ] == [True]
    send(withdrawn, "dhl", "JVTHIRD")
    assert transports(withdrawn) == [("DHLFORYOU", "JVTHIRD")]
    assert (tasks(withdrawn), withdrawn.marks(), unread(withdrawn)) == ([], [], 0)


def test_a_code_of_a_parcel_that_is_withdrawn_before_bol_is_told_it_is_not_told(withdrawn: Shop) -> None:
    withdrawn.sandbox.faults(
        [{"method": "PUT", "path": "/retailer/transports/*", "when": "before", "status": 503}]
    )
    send(withdrawn)
    assert [row.state for row in withdrawn.all(TransportEffect)] == [EffectState.WANTED]
    withdraw(withdrawn)
    withdrawn.sandbox.faults([])
    withdrawn.pass_time(900, steps=9)
    assert [row.state for row in withdrawn.all(TransportEffect)] == [EffectState.CLOSED]
    assert transports(withdrawn) == [("TNT", "3SFIRST")]


def test_a_late_call_about_the_second_parcel_does_not_outlive_the_code_of_the_third(withdrawn: Shop) -> None:
    withdrawn.sandbox.faults(
        [{"method": "PUT", "path": "/retailer/transports/*", "when": "before", "drop": True, "times": 1}]
    )
    withdrawn.close(withdrawn.order_id, carrier="dhl", tracking="JVSECOND")
    withdrawn.pass_time(8, steps=8)
    # The call was given up, and made once more, which bol confirmed; only the first one may still come.
    (second,) = withdrawn.all(TransportEffect)
    assert (second.state, second.attempts) == (EffectState.WANTED, 2)
    withdraw_at_once(withdrawn)
    withdrawn.close(withdrawn.order_id, carrier="dhl", tracking="JVTHIRD")
    withdrawn.pass_time(20, steps=10)
    # The third waits until bol can't carry out any more what it was asked about the second.
    assert transports(withdrawn) == [("DHLFORYOU", "JVSECOND")]
    change_by_hand(withdrawn, "DHLFORYOU", "JVSECOND")
    withdrawn.pass_time(120, steps=6)
    assert transports(withdrawn) == [("DHLFORYOU", "JVTHIRD")]


def test_goods_that_are_sent_in_two_parcels_where_bol_has_one_are_left_to_people(shop: Shop) -> None:
    ship_and_withdraw(shop, (KETTLE, 1), (TOASTER, 1))
    picklist_id = shop.picklist_id(shop.order_id)
    first, second = shop.picklist_lines(picklist_id)
    with transaction():
        for line in (first, second):
            picking.pick(line.id, 1)
        picking.close_picklist(
            picklist_id,
            [
                NewParcel("dhl", "JV1", {first.id: 1}),
                NewParcel("dhl", "JV2", {second.id: 1}),
            ],
            who="ann",
        )
    shop.pass_time(90, steps=6)
    assert states(shop) == [EffectState.CONFIRMED] * 2 + [EffectState.REFUSED] * 2
    assert transports(shop) == [("TNT", "3SFIRST")] and attention.REFUSED in tasks(shop)


def test_pieces_that_bol_has_open_are_shipped_and_not_taken_for_those_of_the_withdrawn_parcel(
    shop: Shop,
) -> None:
    """Of three pieces one was shipped and withdrawn: bol can take two more, and has the third."""
    shop.connect(send_shipments=True)
    shop.order_id = shop.order((KETTLE, 3))
    shop.work()
    for tracking in ("3S1", "3S2", "3S3", "3S4"):
        close_one(shop, tracking)
        shop.pass_time(60, steps=4)
        if tracking == "3S1":
            withdraw(shop)
    assert states(shop) == [EffectState.CONFIRMED] * 3 + [EffectState.CLOSED]
    assert sorted(transports(shop)) == [("TNT", "3S2"), ("TNT", "3S3"), ("TNT", "3S4")]
    assert (tasks(shop), shop.marks(), unread(shop)) == ([], [], 0)


def test_a_correction_of_the_withdrawn_parcel_that_waits_for_a_code_is_no_task_any_more(shop: Shop) -> None:
    shop.connect(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    shop.order_id = shop.order((KETTLE, 1))
    shop.work()
    send(shop, "postnl", "3SFIRST")
    correct(shop, "gls", "OWN1")
    assert tasks(shop) == [attention.UNCODED]
    withdraw(shop)
    assert tasks(shop) == [attention.WITHDRAWN]
    send(shop)
    assert transports(shop) == [("DHLFORYOU", "JVNEW")] and tasks(shop) == []


def test_a_carrier_without_a_code_is_asked_for_and_then_told(withdrawn: Shop) -> None:
    withdrawn.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    send(withdrawn, "gls", "OWN1")
    assert tasks(withdrawn) == [attention.CARRIER]
    withdrawn.settings(send_shipments=True, carriers=DEFAULT_CARRIERS)
    withdrawn.pass_time(90, steps=6)
    assert transports(withdrawn) == [("GLS", "OWN1")]
    assert (tasks(withdrawn), len(withdrawn.all(TransportEffect))) == ([], 1)


def test_a_lost_answer_about_the_new_parcel_leaves_nobody_with_a_question(withdrawn: Shop) -> None:
    withdrawn.sandbox.faults(
        [{"method": "POST", "path": "/retailer/shipments", "when": "before", "drop": True, "times": 1}]
    )
    send(withdrawn)
    assert transports(withdrawn) == [("DHLFORYOU", "JVNEW")]
    assert (states(withdrawn)[-1], tasks(withdrawn), unread(withdrawn)) == (EffectState.CLOSED, [], 0)


def test_a_code_corrected_while_bol_works_on_the_new_parcel_is_the_one_that_is_passed_on(
    withdrawn: Shop,
) -> None:
    withdrawn.sandbox.settings(processStatusDelayMs=60_000)
    withdrawn.close(withdrawn.order_id, carrier="dhl", tracking="JVWRONG")
    withdrawn.work()
    assert states(withdrawn)[-1] == EffectState.SENT
    correct(withdrawn, "dhl", "JVRIGHT")
    withdrawn.pass_time(180, steps=6)
    assert transports(withdrawn) == [("DHLFORYOU", "JVRIGHT")]
    assert (len(withdrawn.all(TransportEffect)), tasks(withdrawn), unread(withdrawn)) == (1, [], 0)


def test_a_store_that_has_gone_leaves_a_code_that_is_written_down_later_to_people(withdrawn: Shop) -> None:
    send(withdrawn, "dhl", "")
    withdrawn.runtime.disconnect(withdrawn.store_id, at_once=True)
    withdrawn.work()
    assert withdrawn.store().state == StoreState.DISCONNECTED
    correct(withdrawn, "dhl", "JVLATER")
    assert states(withdrawn)[-1] == EffectState.REFUSED and withdrawn.all(TransportEffect) == []


@pytest.mark.parametrize("tracking", ["JVNEW", ""], ids=["not sent yet", "refused"])
def test_goods_whose_second_parcel_is_withdrawn_before_bol_heard_of_it_are_a_task_again(
    withdrawn: Shop, tracking: str
) -> None:
    if tracking:
        withdrawn.settings(send_shipments=True, confirm_after_minutes=5)
    send(withdrawn, "dhl", tracking)
    assert tasks(withdrawn) == ([] if tracking else [attention.REFUSED])
    withdraw(withdrawn)
    assert states(withdrawn)[-1] == EffectState.CLOSED
    assert (tasks(withdrawn), len(withdrawn.marks()), unread(withdrawn)) == ([attention.WITHDRAWN], 1, 1)


def test_a_code_corrected_while_it_waits_for_a_late_call_goes_on_waiting(withdrawn: Shop) -> None:
    withdrawn.sandbox.faults(
        [{"method": "PUT", "path": "/retailer/transports/*", "when": "before", "drop": True, "times": 1}]
    )
    withdrawn.close(withdrawn.order_id, carrier="dhl", tracking="JVSECOND")
    withdrawn.pass_time(8, steps=8)
    withdraw_at_once(withdrawn)
    withdrawn.close(withdrawn.order_id, carrier="dhl", tracking="JVTHIRD")
    withdrawn.pass_time(10, steps=5)
    parcel = newest(withdrawn)
    with transaction():
        picking.correct_shipment(parcel, carrier="dhl", tracking_code="JVFOURTH")
    withdrawn.pass_time(10, steps=5)
    change_by_hand(withdrawn, "DHLFORYOU", "JVSECOND")
    withdrawn.pass_time(240, steps=12)
    assert transports(withdrawn) == [("DHLFORYOU", "JVFOURTH")]


@pytest.mark.parametrize("during", ["while bol works on it", "during its call"])
def test_a_third_parcel_waits_for_what_bol_was_asked_about_the_second_before_it_was_corrected(
    withdrawn: Shop, during: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Transports.change

    def correct_and_withdraw() -> None:
        parcel = newest(withdrawn)
        with transaction():
            picking.correct_shipment(parcel, carrier="dhl", tracking_code="JVCORRECTED")
        tell(withdrawn)
        with transaction():
            picking.withdraw_shipment(parcel, who="ann")
        tell(withdrawn)

    def change(transports: Transports, transport_id: str, code: str | None, tracking: str) -> Any:
        late = tracking == "JVSECOND"
        withdrawn.sandbox.settings(processStatusDelayMs=600_000 if late else 0)
        status = real(transports, transport_id, code, tracking)
        withdrawn.sandbox.settings(processStatusDelayMs=0)
        if late and during == "during its call":
            correct_and_withdraw()
        return status

    monkeypatch.setattr(Transports, "change", change)
    withdrawn.close(withdrawn.order_id, carrier="dhl", tracking="JVSECOND")
    withdrawn.pass_time(20, steps=4)
    if during != "during its call":
        assert [row.state for row in withdrawn.all(TransportEffect)] == [EffectState.SENT]
        correct_and_withdraw()
    withdrawn.work()
    send(withdrawn, "dhl", "JVTHIRD")
    # The second may still be carried out, so that the third is not asked for yet.
    assert len(withdrawn.writes("transports")) == 1
    withdrawn.pass_time(1200, steps=12)
    assert transports(withdrawn) == [("DHLFORYOU", "JVTHIRD")]


def test_a_parcel_that_bol_takes_in_late_is_not_taken_for_goods_of_the_withdrawn_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bol carries it out after its shipments were read and before the order is, which shows both pieces as shipped."""
    shop.connect(send_shipments=True)
    shop.order_id = shop.order((KETTLE, 2))
    shop.work()
    close_one(shop, "3S1")
    shop.pass_time(60, steps=4)
    withdraw(shop)
    shop.sandbox.faults(
        [{"method": "POST", "path": "/retailer/shipments", "when": "before", "drop": True, "times": 1}]
    )
    close_one(shop, "3S2")
    real, late = Shipments.page, []

    def page(shipments: Shipments, *args: Any, **more: Any) -> Any:
        shown, second = real(shipments, *args, **more), shop.effects()[-1]
        if not late and second.state == EffectState.UNKNOWN:
            late.append(second)
            items = (ShipmentItem(second.order_item_id, 1),)
            with closing(shop.other_line()) as client:
                client.shipments.create(ShipmentRequest(items, second.reference, "TNT", "3S2", None))
            with transaction() as session:
                session.execute(update(BolOrder).values(read_due_at=shop.clock.now()))
            for wake in shop.due():
                if "orders" in wake.name:
                    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
            assert [item.open for item in shop.bol_order_items(shop.order_id)] == [0]
        return shown

    monkeypatch.setattr(Shipments, "page", page)
    shop.pass_time(120, steps=8)
    assert late and states(shop) == [EffectState.CONFIRMED] * 2
    assert sorted(transports(shop)) == [("TNT", "3S1"), ("TNT", "3S2")]


def test_a_call_noted_by_a_clock_that_was_ahead_does_not_put_the_new_code_off(withdrawn: Shop) -> None:
    row, now = withdrawn.effects()[0], withdrawn.clock.now()
    before = TransportEffect(
        store_id=row.store_id,
        order_id=row.order_id,
        host_shipment_id=row.host_shipment_id,
        reference=row.reference,
        transporter_code="TNT",
        tracking_code="3SBEFORE",
        state=EffectState.CLOSED,
        created_at=now,
        sent_at=now + timedelta(hours=6),
    )
    with transaction() as session:
        session.add(before)
    send(withdrawn)
    withdrawn.pass_time(120, steps=4)
    assert transports(withdrawn) == [("DHLFORYOU", "JVNEW")]

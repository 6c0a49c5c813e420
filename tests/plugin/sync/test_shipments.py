"""A closed picklist is confirmed to bol once and only once, whatever crashes or gets lost."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from host_app import jobs
from host_app.db import transaction
from host_app.models import EventDelivery, Notification, OrderLine, Shipment
from host_app.services import orders, picking
from host_app.services.picking import NewParcel
from host_app.services.stock import adjust_stock
from plugin.connector import BolClient
from plugin.jobs.wakes import wake_for
from plugin.models import EffectState, ShipmentEffect
from plugin.settings import DEFAULT_CARRIERS
from plugin.sync import shipments, statuses
from plugin.sync.due import SHIPMENTS as SHIPMENTS_JOB
from plugin.sync.effects import MOST_CONFLICTS
from plugin.sync.panels import order_panels
from tests.plugin.conftest import KETTLE, TOASTER, Shop

SHIPMENTS = "/retailer/shipments"


@pytest.fixture
def packed(shop: Shop) -> Shop:
    """A shop with everything on, and one order of two kettles to ship."""
    shop.connect(send_stock=True, send_shipments=True)
    shop.work()
    shop.order_id = shop.order((KETTLE, 2))
    shop.import_orders()
    return shop


def states(shop: Shop) -> list[str]:
    return [effect.state for effect in shop.effects()]


def shown_on_the_order(shop: Shop) -> str:
    """Return what the host's page of the order shows of its newest shipment."""
    order_id = shop.host_order(shop.order_id).id
    with shop.host.reading():
        (panel,) = order_panels(shop.host, order_id)
    return panel.rows[-1].value


def unread(shop: Shop) -> list[str]:
    return [row.title for row in shop.all(Notification) if row.read_at is None]


def shipped(shop: Shop) -> int:
    return sum(
        int(item["quantityShipped"])
        for shipment in shop.shipments_at_bol()
        for item in shipment["shipmentItems"]
    )


def test_a_closed_picklist_is_confirmed_with_carrier_and_tracking_code(packed: Shop) -> None:
    packed.close(packed.order_id, "postnl", "3S abc 123")
    packed.pass_time(5)
    assert states(packed) == [EffectState.CONFIRMED]
    (shipment,) = packed.shipments_at_bol()
    assert shipment["transport"]["transporterCode"] == "TNT"
    assert shipment["transport"]["trackAndTrace"] == "3Sabc123"
    assert shipped(packed) == 2


def test_telling_the_plugin_twice_ships_once(packed: Shop) -> None:
    packed.close(packed.order_id)
    with transaction() as session:
        delivery = session.query(EventDelivery).filter_by(kind="picklist_closed").one()
        session.add(
            EventDelivery(
                plugin="bol", kind=delivery.kind, subject=delivery.subject, payload=delivery.payload
            )
        )
    packed.pass_time(5)
    assert shipped(packed) == 2
    assert len(packed.writes(SHIPMENTS)) == 1


def test_several_parcels_are_confirmed_each_with_its_own_code(packed: Shop) -> None:
    picklist = packed.picklist_id(packed.order_id)
    line = packed.picklist_lines(picklist)[0]
    with transaction():
        picking.pick_all(picklist)
        picking.close_picklist(
            picklist, [NewParcel("dhl", "A1", {line.id: 1}), NewParcel("dpd", "B2", {line.id: 1})], who="ann"
        )
    packed.pass_time(30, steps=6)
    assert states(packed) == [EffectState.CONFIRMED] * 2
    assert sorted(shipment["transport"]["trackAndTrace"] for shipment in packed.shipments_at_bol()) == [
        "A1",
        "B2",
    ]
    assert shipped(packed) == 2


def test_items_of_one_parcel_go_in_one_request(packed: Shop) -> None:
    order_id = packed.order((KETTLE, 1), (TOASTER, 1))
    packed.import_orders()
    packed.close(order_id)
    packed.pass_time(5)
    assert len(packed.writes(SHIPMENTS)) == 1
    assert states(packed) == [EffectState.CONFIRMED] * 2


def test_a_parcel_of_more_items_than_bol_takes_at_once_goes_in_several_requests(
    packed: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipments, "MAX_ITEMS", 1)
    order_id = packed.order((KETTLE, 1), (TOASTER, 1))
    packed.import_orders()
    packed.close(order_id)
    packed.pass_time(20, steps=5)
    assert len(packed.writes(SHIPMENTS)) == 2
    assert states(packed) == [EffectState.CONFIRMED] * 2
    assert shipped(packed) == 2


def test_an_order_that_goes_in_two_picklists_is_confirmed_as_each_is_closed(packed: Shop) -> None:
    product_id = packed.offer(KETTLE).product_id
    with transaction():
        adjust_stock(product_id, packed.warehouse, set_to=4, reason="test", who="ann")
    # Two are on the picklist of the other order.
    order_id = packed.order((KETTLE, 3))
    packed.import_orders()
    packed.close(order_id, "dhl", "FIRST")
    packed.pass_time(20, steps=5)
    assert shipped(packed) == 2
    with transaction():
        adjust_stock(product_id, packed.warehouse, change=5, reason="test", who="ann")
    packed.work()
    packed.close(order_id, "dhl", "SECOND")
    packed.pass_time(20, steps=5)
    assert [(effect.quantity, effect.state) for effect in packed.effects()] == [
        (2, EffectState.CONFIRMED),
        (1, EffectState.CONFIRMED),
    ]
    assert [one["transport"]["trackAndTrace"] for one in packed.shipments_at_bol()] == ["FIRST", "SECOND"]


def test_nothing_is_sent_while_send_shipments_is_off(packed: Shop) -> None:
    packed.settings(send_shipments=False)
    packed.close(packed.order_id)
    packed.pass_time(60)
    assert packed.writes(SHIPMENTS) == []
    assert states(packed) == [EffectState.WANTED]
    packed.settings(send_shipments=True)
    packed.pass_time(5)
    assert shipped(packed) == 2


def test_a_carrier_without_a_code_waits_visibly_and_goes_on_once_it_has_one(packed: Shop) -> None:
    packed.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    packed.close(packed.order_id, carrier="gls")
    packed.pass_time(60)
    assert packed.writes(SHIPMENTS) == []
    assert any("GLS" in title for title in packed.notices())
    assert unread(packed) == [title for title in packed.notices() if "GLS" in title]
    packed.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": "GLS"})
    assert unread(packed) == []
    packed.pass_time(5)
    assert states(packed) == [EffectState.CONFIRMED]


def test_bol_not_reachable_means_later(packed: Shop) -> None:
    packed.sandbox.faults(
        [{"method": "POST", "path": SHIPMENTS, "when": "before", "status": 429, "times": 1}]
    )
    packed.close(packed.order_id)
    packed.pass_time(1)
    assert shipped(packed) == 0
    packed.pass_time(120, steps=4)
    assert shipped(packed) == 2


def test_a_lost_answer_is_settled_by_finding_the_shipment(packed: Shop) -> None:
    packed.sandbox.faults([{"method": "POST", "path": SHIPMENTS, "when": "after", "drop": True, "times": 1}])
    packed.close(packed.order_id)
    packed.work()
    assert states(packed) == [EffectState.UNKNOWN]
    shown = shown_on_the_order(packed)
    assert re.search(
        r"being checked at bol since .* (\d\d:\d\d)\. Next look at \1; if bol does not show it by \d\d:\d\d, a person is asked",
        shown,
    )
    packed.pass_time(30, steps=3)
    assert states(packed) == [EffectState.CONFIRMED]
    assert shipped(packed) == 2
    assert len(packed.writes(SHIPMENTS)) == 1


def test_a_server_error_before_the_work_is_sent_again_only_after_five_minutes(packed: Shop) -> None:
    packed.sandbox.faults(
        [{"method": "POST", "path": SHIPMENTS, "when": "before", "status": 500, "times": 1}]
    )
    packed.close(packed.order_id)
    packed.pass_time(240, steps=8)
    assert len(packed.writes(SHIPMENTS)) == 1
    packed.pass_time(400, steps=12)
    assert states(packed) == [EffectState.CONFIRMED]
    assert shipped(packed) == 2


def test_a_partial_quantity_whose_answer_is_lost_is_never_sent_again_by_itself(packed: Shop) -> None:
    packed.sandbox.faults(
        [{"method": "POST", "path": SHIPMENTS, "when": "before", "status": 500, "times": 1}]
    )
    picklist = packed.picklist_id(packed.order_id)
    line = packed.picklist_lines(picklist)[0]
    with transaction():
        picking.pick(line.id, 1)
        picking.close_picklist(picklist, [NewParcel("dhl", "A1")], who="ann")
    packed.pass_time(4 * 3600, steps=16)
    assert len(packed.writes(SHIPMENTS)) == 1
    assert states(packed) == [EffectState.DECISION]
    assert any("not known if bol has the shipment" in title for title in packed.notices())
    shown = "bol shows of 2 pieces: 0 shipped, 0 cancelled, 2 open; this parcel holds 1."
    assert shown in packed.effects()[0].error
    assert any(shown in body for body in packed.notice_bodies())
    assert packed.runtime.try_shipment_again(packed.store_id, packed.effects()[0].id)
    packed.pass_time(5)
    assert shipped(packed) == 1
    assert states(packed) == [EffectState.CONFIRMED]


def test_one_of_two_pieces_whose_answer_is_lost_while_bol_takes_minutes_is_shipped_once(packed: Shop) -> None:
    packed.sandbox.settings(processStatusDelayMs=400_000)
    packed.sandbox.faults([{"method": "POST", "path": SHIPMENTS, "when": "after", "drop": True, "times": 1}])
    picklist = packed.picklist_id(packed.order_id)
    line = packed.picklist_lines(picklist)[0]
    with transaction():
        picking.pick(line.id, 1)
        picking.close_picklist(picklist, [NewParcel("dhl", "A1")], who="ann")
    packed.pass_time(1200, steps=15)
    assert states(packed) == [EffectState.CONFIRMED]
    assert shipped(packed) == 1


class Died(BaseException):
    """Stands for kill -9: nothing after it is carried out."""


@pytest.mark.parametrize("when", ["before the call", "after the call"])
def test_a_worker_that_dies_around_the_call_ships_once(
    packed: Shop, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed.close(packed.order_id)
    real = BolClient.call

    def dying(client: BolClient, route: Any, **more: Any) -> Any:
        if route.method == "POST" and route.template == SHIPMENTS:
            if when == "after the call":
                real(client, route, **more)
            raise Died
        return real(client, route, **more)

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(BolClient, "call", dying)
        packed.work()
    packed.forget_leases()
    packed.pass_time(900, steps=15)
    assert states(packed) == [EffectState.CONFIRMED]
    assert shipped(packed) == 2


def test_a_shipment_of_a_cancelled_item_is_refused_and_the_parcel_is_to_be_stopped(packed: Shop) -> None:
    packed.sandbox.cancel(packed.order_id)
    packed.close(packed.order_id)
    packed.pass_time(10, steps=3)
    assert states(packed) == [EffectState.REFUSED]
    assert any("stop the parcel" in title for title in packed.notices())


def test_a_refused_shipment_can_be_sent_again_or_closed_by_a_person(packed: Shop) -> None:
    packed.sandbox.faults(
        [{"method": "POST", "path": SHIPMENTS, "when": "before", "status": 400, "times": 1}]
    )
    packed.close(packed.order_id)
    packed.work()
    assert states(packed) == [EffectState.REFUSED]
    assert any("refused the shipment" in title for title in packed.notices())
    effect = packed.effects()[0]
    assert packed.runtime.try_shipment_again(packed.store_id, effect.id)
    packed.pass_time(5)
    assert states(packed) == [EffectState.CONFIRMED]
    assert not packed.runtime.shipment_handled(packed.store_id, effect.id)


def test_a_conflict_that_does_not_pass_is_left_to_people(packed: Shop) -> None:
    packed.sandbox.faults([{"method": "POST", "path": SHIPMENTS, "when": "before", "status": 409}])
    packed.close(packed.order_id)
    packed.pass_time(600, steps=10)
    assert states(packed) == [EffectState.WANTED]
    packed.pass_time(3 * 3600, steps=12)
    assert states(packed) == [EffectState.REFUSED]
    assert packed.effects()[0].attempts == MOST_CONFLICTS
    assert any("refused the shipment" in title for title in unread(packed))
    packed.sandbox.faults([])
    assert packed.runtime.try_shipment_again(packed.store_id, packed.effects()[0].id)
    packed.pass_time(5)
    assert (states(packed), shipped(packed)) == ([EffectState.CONFIRMED], 2)


def test_a_status_that_was_lost_is_settled_by_looking(packed: Shop) -> None:
    packed.sandbox.settings(processStatusDelayMs=1000)
    packed.close(packed.order_id)
    packed.work()
    with transaction() as session:
        session.execute(update(ShipmentEffect).values(process_status_id=None, token="gone"))
    packed.pass_time(120, steps=10)
    assert states(packed) == [EffectState.CONFIRMED]
    assert shipped(packed) == 2


def test_answers_are_recorded_in_portions_and_a_job_that_dies_loses_none(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(send_shipments=True)
    shop.work()
    orders = [shop.order((KETTLE, 1)) for _ in range(2)]
    shop.import_orders()
    for order_id in orders:
        shop.close(order_id)
    shop.work()
    real, noted = statuses._note, []

    def dies(ctx: Any, row: Any, status: Any) -> Any:
        noted.append(row)
        if len(noted) == 2:
            raise RuntimeError("killed")
        return real(ctx, row, status)

    shop.clock.ahead += timedelta(seconds=30)
    shop.sandbox.advance(30)
    wake = wake_for(SHIPMENTS_JOB, shop.store_id)
    with monkeypatch.context() as dying:
        dying.setattr(statuses, "AT_ONCE", 1)
        dying.setattr(statuses, "_note", dies)
        with pytest.raises(RuntimeError):
            jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    assert sorted(states(shop)) == [EffectState.CONFIRMED, EffectState.SENT]
    shop.forget_leases()
    shop.pass_time(120, steps=4)
    assert (states(shop), shipped(shop)) == ([EffectState.CONFIRMED] * 2, 2)


def test_a_paused_store_still_follows_what_it_has_sent(packed: Shop) -> None:
    packed.sandbox.settings(processStatusDelayMs=5000)
    packed.close(packed.order_id)
    packed.work()
    packed.runtime.pause(packed.store_id)
    packed.pass_time(20, steps=5)
    assert states(packed) == [EffectState.CONFIRMED]


def test_a_store_that_imports_and_sends_nothing_more_is_told_that_bol_answers_again(packed: Shop) -> None:
    packed.settings(send_shipments=True, import_orders=False)
    packed.close(packed.order_id)
    packed.sandbox.faults([{"path": "/shared/process-status", "when": "before", "status": 503}])
    packed.work()
    packed.clock.ahead += timedelta(seconds=5)
    packed.work()
    assert packed.store().problem
    packed.sandbox.faults([])
    packed.pass_time(60)
    assert packed.store().problem == ""


def test_the_order_shows_what_bol_has_confirmed(packed: Shop) -> None:
    packed.close(packed.order_id)
    packed.pass_time(5)
    assert "confirmed by bol on" in shown_on_the_order(packed)


@pytest.mark.parametrize(
    "answer", [{"status": 500}, {"status": 200, "body": {"shipments": [{"shipmentItems": [{}]}]}}]
)
def test_a_shipment_that_bol_fails_to_show_is_a_persons_decision_in_the_end(
    packed: Shop, answer: dict[str, Any]
) -> None:
    packed.sandbox.faults(
        [
            {"method": "POST", "path": "/retailer/shipments", "when": "before", "status": 500, "times": 1},
            {"method": "GET", "path": "/retailer/shipments", "when": "before"} | answer,
        ]
    )
    packed.close(packed.order_id)
    packed.pass_time(2 * 3600, steps=12)
    assert states(packed) == [EffectState.UNKNOWN]
    packed.pass_time(2 * 3600, steps=12)
    assert states(packed) == [EffectState.DECISION]
    assert ["failed to show" in body for body in packed.notice_bodies() if "Send again" in body] == [True]
    assert len(packed.writes("/retailer/shipments")) == 1


def test_a_shipment_waits_for_no_person_while_bol_can_not_be_reached(packed: Shop) -> None:
    packed.sandbox.faults(
        [
            {"method": "POST", "path": "/retailer/shipments", "when": "before", "status": 500, "times": 1},
            {"method": "GET", "path": "/retailer/shipments", "when": "before", "status": 429},
        ]
    )
    packed.close(packed.order_id)
    packed.pass_time(6 * 3600, steps=24)
    assert states(packed) == [EffectState.UNKNOWN]
    packed.sandbox.faults([])
    packed.pass_time(2 * 3600, steps=12)
    assert (states(packed), shipped(packed)) == ([EffectState.CONFIRMED], 2)


def test_people_go_on_hearing_of_a_withdrawn_parcel_that_bol_carries_out_late(packed: Shop) -> None:
    packed.sandbox.settings(processStatusDelayMs=1_800_000)
    packed.sandbox.faults(
        [
            {"method": "POST", "path": "/retailer/shipments", "when": "after", "drop": True, "times": 1},
            # bol names the order item of a status at its end only.
            {"method": "GET", "path": "/shared/process-status", "when": "before", "status": 200, "body": {}},
        ]
    )
    packed.close(packed.order_id)
    packed.pass_time(20, steps=4)
    assert states(packed) == [EffectState.UNKNOWN]
    (parcel,) = packed.all(Shipment)
    host_order_id = packed.host_order(packed.order_id).id
    with transaction():
        picking.withdraw_shipment(parcel.id, who="ann")
        orders.cancel_order(host_order_id, "sold in the shop")
    packed.pass_time(900, steps=15)
    assert states(packed) == [EffectState.UNKNOWN]
    packed.pass_time(6 * 3600, steps=24)
    assert (states(packed), shipped(packed)) == ([EffectState.CONFIRMED], 2)
    (told,) = packed.all(Notification, Notification.key.contains("withdrawn-late"))
    assert told.read_at is None


def test_a_parcel_is_followed_although_bol_gives_it_the_number_of_a_status_that_ended(shop: Shop) -> None:
    """bol's demo answers every request with status 1."""
    shop.connect(send_shipments=True)
    placed = [shop.order((KETTLE, 1)) for _ in range(2)]
    shop.work()
    status = {"processStatusId": "1", "eventType": "CREATE_SHIPMENT", "description": "", "status": "PENDING"}
    done = status | {"status": "SUCCESS"}
    shop.sandbox.faults(
        [
            {"method": "POST", "path": "/retailer/shipments", "when": "before", "status": 202, "body": status},
            {"method": "POST", "path": "/shared/process-status", "when": "before", "status": 200,
             "body": {"processStatuses": [done]}},
        ]
    )  # fmt: skip
    for order_id in placed:
        shop.close(order_id)
        shop.pass_time(60, steps=4)
        assert shop.effects()[-1].state == EffectState.CONFIRMED


def closing(shop: Shop) -> tuple[tuple[str, ...], bool]:
    answer = shop.runtime.closing_answer(shop.picklist_id(shop.order_id), 2.0)
    assert answer is not None
    return answer.objections, answer.may_overrule


def told_of_portal(shop: Shop) -> list[bool]:
    """Return, for each time that people were told of goods that were shipped in bol's portal, if that is over."""
    told = Notification.key.contains("shipped-elsewhere")
    return [row.read_at is not None for row in shop.all(Notification, told)]


def test_who_packs_what_somebody_shipped_in_the_portal_is_told_and_may_decide(packed: Shop) -> None:
    assert closing(packed) == ((), True)
    packed.ship_elsewhere(packed.order_id)
    # Not read since: bol is asked as the picklist is closed, and then everybody sees it.
    (objection,), may_overrule = closing(packed)
    assert "2 × " in objection and "not from here" in objection and may_overrule
    packed.work()
    assert ["not from here" in mark for mark in packed.marks()] == [True]
    assert told_of_portal(packed) == [False]
    packed.import_orders()
    assert told_of_portal(packed) == [False]
    assert packed.host_order(packed.order_id).state == "processing"


@pytest.mark.parametrize("way", ["cancelled", "taken off", "sent"])
def test_that_something_was_shipped_in_the_portal_is_over_once_nothing_of_it_is_left_here(
    packed: Shop, way: str
) -> None:
    (item,) = packed.bol_order_items(packed.order_id)
    packed.ship_pieces_elsewhere(item.order_item_id, 1)
    packed.import_orders()
    assert told_of_portal(packed) == [False] and len(packed.marks()) == 1
    order_id, (line,) = packed.host_order(packed.order_id).id, packed.all(OrderLine)
    if way == "sent":
        packed.close(packed.order_id)
    else:
        with transaction():
            if way == "cancelled":
                orders.cancel_order(order_id, "shipped in the portal")
            else:
                orders.take_off(order_id, line.id, 1, who="ann")
    packed.pass_time(120, steps=4)
    assert (packed.marks(), told_of_portal(packed)) == ([], [True])
    if way == "taken off":
        # The other one is open at bol, and leaves from here.
        assert closing(packed) == ((), True)
        packed.close(packed.order_id)
        packed.pass_time(120, steps=4)
        assert states(packed) == [EffectState.CONFIRMED]


def test_parcels_of_ours_are_not_taken_for_shipped_elsewhere(packed: Shop) -> None:
    """Part of an order, also one that was withdrawn although bol has it: of that people were told."""
    picklist_id = packed.picklist_id(packed.order_id)
    (line,) = packed.picklist_lines(picklist_id)
    with transaction():
        picking.pick(line.id, 1)
        picking.close_picklist(picklist_id, [NewParcel("dhl", "A1")], who="ann")
    packed.pass_time(60, steps=4)
    packed.import_orders()
    assert [item.shipped for item in packed.bol_order_items(packed.order_id)] == [1]
    assert (closing(packed), packed.marks()) == (((), True), [])
    (parcel,) = packed.all(Shipment)
    with transaction():
        picking.withdraw_shipment(parcel.id, who="ann")
    packed.pass_time(60, steps=4)
    packed.runtime.read_again(packed.store_id, packed.bol_order(packed.order_id).id)
    packed.work()
    # It is said what it is, and not that somebody shipped it in the portal.
    assert packed.marks() == [
        "Shipped at bol, but its parcel was withdrawn here: 1 × Kettle. This goes by itself once they are sent again."
    ]
    assert told_of_portal(packed) == []


def test_who_has_dealt_with_a_refused_parcel_says_so_once_for_all_that_is_in_it(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1), (TOASTER, 1))
    shop.work()
    shop.sandbox.faults([{"method": "POST", "path": "/retailer/shipments", "when": "before", "status": 400}])
    shop.close(order_id)
    shop.work()
    first, second = shop.effects()
    assert (first.state, second.state) == (EffectState.REFUSED, EffectState.REFUSED)
    assert shop.runtime.shipment_handled(shop.store_id, second.id, parcel=True)
    assert [effect.state for effect in shop.effects()] == [EffectState.CLOSED] * 2
    assert not shop.runtime.shipment_handled(shop.store_id, first.id)

"""A request is accepted once, by a person or a setting; packer and acceptance can't both win."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from host_app import events, jobs
from host_app.db import transaction
from host_app.models import Notification
from host_app.plugin_api import HostError
from host_app.plugins import plugins
from host_app.services import orders, picking
from host_app.services.picking import NewParcel
from plugin.models import BolOrderEvent, CancellationEffect, EffectState, ProcessStatusRow
from plugin.sync import cancelling
from plugin.sync.panels import picklist_panels
from tests.plugin.conftest import KETTLE, TOASTER, Shop

CANCELLATION = "/retailer/orders/cancellation"


@pytest.fixture
def asked(shop: Shop) -> Shop:
    """A shop with an order of two kettles, which the customer asks to cancel."""
    shop.connect()
    shop.order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.request_cancellation(shop.order_id)
    shop.import_orders()
    return shop


def accept(shop: Shop) -> None:
    shop.runtime.accept_request(shop.store_id, shop.bol_order(shop.order_id).id, "ann")


def states(shop: Shop) -> list[str]:
    return [effect.state for effect in shop.all(CancellationEffect)]


def test_accepting_cancels_at_bol_and_here(asked: Shop) -> None:
    accept(asked)
    asked.pass_time(20, steps=4)
    assert states(asked) == [EffectState.CONFIRMED]
    assert len(asked.writes(CANCELLATION)) == 1
    assert asked.host_order(asked.order_id).state == "cancelled"
    assert asked.free(KETTLE) == 20
    assert asked.marks() == []


@pytest.mark.parametrize("answer", ["accept_request", "keep_order"])
def test_the_notification_of_a_request_is_over_once_it_is_answered(asked: Shop, answer: str) -> None:
    (told,) = asked.all(Notification)
    assert told.read_at is None
    getattr(asked.runtime, answer)(asked.store_id, asked.bol_order(asked.order_id).id, "ann")
    (told,) = asked.all(Notification)
    assert (told.read_at is not None, told.read_by) == (True, "")


def test_the_notification_of_a_request_is_over_once_bol_cancels(asked: Shop) -> None:
    asked.sandbox.cancel(asked.order_id)
    asked.import_orders()
    assert [told.read_at is None for told in asked.all(Notification)] == [False]


def test_accepting_twice_asks_bol_once(asked: Shop) -> None:
    accept(asked)
    accept(asked)
    asked.pass_time(20, steps=4)
    assert len(asked.writes(CANCELLATION)) == 1


def test_while_bol_decides_the_packer_is_kept_from_the_order_and_told_why(asked: Shop) -> None:
    asked.sandbox.settings(processStatusDelayMs=60_000)
    accept(asked)
    asked.work()
    picklist_id = asked.picklist_id(asked.order_id)
    with pytest.raises(HostError, match="being accepted at bol"), transaction():
        picking.pick_all(picklist_id)


@pytest.mark.parametrize("paused", [False, True])
def test_while_bol_decides_nobody_resumes_the_order_and_what_a_person_paused_stays_so(
    asked: Shop, paused: bool
) -> None:
    asked.sandbox.settings(processStatusDelayMs=60_000)
    order_id = asked.host_order(asked.order_id).id
    if paused:
        with transaction():
            orders.pause_order(order_id)
    accept(asked)
    asked.work()
    with pytest.raises(HostError, match="being accepted at bol"), transaction():
        orders.resume_order(order_id)
    picklist_id = asked.picklist_id(asked.order_id)
    with pytest.raises(HostError), transaction():
        picking.pick_all(picklist_id)
    # bol refuses, and the order is as it was.
    with transaction() as session:
        (effect,) = session.scalars(select(CancellationEffect))
        session.execute(
            update(ProcessStatusRow)
            .where(ProcessStatusRow.process_status_id == effect.process_status_id)
            .values(next_poll_at=None, status="FAILURE")
        )
        effect.state, effect.unknown_since, effect.due_at = (
            EffectState.UNKNOWN,
            asked.host.now(),
            asked.host.now(),
        )
    asked.work()
    assert states(asked) == [EffectState.REFUSED]
    assert asked.host_order(asked.order_id).state == ("paused" if paused else "processing")
    if paused:
        with transaction():
            orders.resume_order(order_id)
    with transaction():
        picking.pick_all(picklist_id)


def test_the_packer_who_was_first_wins_and_the_other_is_told(asked: Shop) -> None:
    asked.close(asked.order_id)
    with pytest.raises(HostError, match="packer was first"):
        accept(asked)
    assert asked.writes(CANCELLATION) == []


def test_where_bol_refuses_the_order_goes_on_and_people_are_told(asked: Shop) -> None:
    asked.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 400}])
    accept(asked)
    asked.pass_time(20, steps=4)
    assert states(asked) == [EffectState.REFUSED]
    assert any("did not cancel" in title for title in asked.notices())
    assert asked.host_order(asked.order_id).state == "processing"
    assert asked.picklist(asked.order_id).state == "new"
    told = Notification.title.contains("did not cancel")
    assert [row.read_at for row in asked.all(Notification, told)] == [None]
    # Once bol has cancelled it after all, there is nothing left to do about that.
    asked.sandbox.cancel(asked.order_id)
    asked.import_orders()
    assert [row.read_at is not None for row in asked.all(Notification, told)] == [True]


def test_a_lost_answer_is_settled_by_looking_at_the_order(asked: Shop) -> None:
    asked.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "after", "drop": True, "times": 1}])
    accept(asked)
    asked.pass_time(60, steps=6)
    assert states(asked) == [EffectState.CONFIRMED]
    assert len(asked.writes(CANCELLATION)) == 1
    assert asked.host_order(asked.order_id).state == "cancelled"


def test_a_cancellation_that_never_arrived_is_asked_again_later(asked: Shop) -> None:
    asked.sandbox.faults(
        [{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 500, "times": 1}]
    )
    accept(asked)
    asked.pass_time(240, steps=8)
    assert len(asked.writes(CANCELLATION)) == 1
    asked.pass_time(400, steps=12)
    assert states(asked) == [EffectState.CONFIRMED]


def test_a_cancellation_whose_order_bol_does_not_show_any_more_is_left_to_people(asked: Shop) -> None:
    asked.sandbox.faults(
        [
            {"method": "PUT", "path": CANCELLATION, "when": "before", "status": 500, "times": 1},
            {"method": "GET", "path": f"/retailer/orders/{asked.order_id}", "when": "before", "status": 404},
        ]
    )
    accept(asked)
    asked.pass_time(2 * 3600, steps=8)
    assert states(asked) == [EffectState.UNKNOWN]
    asked.pass_time(2 * 3600, steps=8)
    assert states(asked) == [EffectState.REFUSED]
    (told,) = [title for title in asked.notices() if "not known" in title]
    assert asked.order_id in told
    asked.pass_time(3600, steps=3)
    assert len(asked.writes(CANCELLATION)) == 1


@pytest.mark.parametrize("answer", ["lost", "here"])
def test_a_cancellation_that_bol_confirms_counts_although_bol_does_not_show_the_order_any_more(
    asked: Shop, answer: str
) -> None:
    lost = [{"method": "PUT", "path": CANCELLATION, "when": "after", "drop": True, "times": 1}]
    asked.sandbox.faults(
        [
            *(lost if answer == "lost" else []),
            {"method": "GET", "path": f"/retailer/orders/{asked.order_id}", "when": "before", "status": 404},
        ]
    )
    accept(asked)
    asked.pass_time(120, steps=12)
    assert states(asked) == [EffectState.CONFIRMED]
    assert asked.host_order(asked.order_id).state == "cancelled"
    assert asked.free(KETTLE) == 20
    assert asked.marks() == []
    row = asked.bol_order(asked.order_id)
    assert (row.error, row.read_due_at) == ("", None)
    assert len(asked.writes(CANCELLATION)) == 1
    assert [told.read_at is not None for told in asked.all(Notification)] == [True]


def ask_again(shop: Shop) -> None:
    """The customer wants it after all, and then asks to cancel once more."""
    shop.sandbox.withdraw_cancellation_request(shop.order_id)
    shop.import_orders()
    shop.sandbox.request_cancellation(shop.order_id)
    shop.import_orders()


def test_a_request_that_is_withdrawn_and_made_again_is_told_again(asked: Shop) -> None:
    asked.sandbox.withdraw_cancellation_request(asked.order_id)
    asked.import_orders()
    assert asked.marks() == []
    assert [told.read_at is not None for told in asked.all(Notification)] == [True]
    asked.sandbox.request_cancellation(asked.order_id)
    asked.import_orders()
    assert [told.read_at is not None for told in asked.all(Notification)] == [True, False]
    assert len(asked.marks()) == 1
    for again in range(3):
        asked.runtime.read_again(asked.store_id, asked.bol_order(asked.order_id).id)
        asked.work()
    assert len(asked.notices()) == 2
    ask_again(asked)
    assert [told.read_at is not None for told in asked.all(Notification)] == [True, True, False]
    told = [event.text for event in asked.all(BolOrderEvent)]
    assert sum("The customer asks to cancel" in text for text in told) == 3
    assert sum("The customer withdrew the request to cancel" in text for text in told) == 2


def test_a_request_made_again_is_a_new_question_although_the_first_one_was_answered_no(asked: Shop) -> None:
    asked.runtime.keep_order(asked.store_id, asked.bol_order(asked.order_id).id, "ann")
    ask_again(asked)
    assert [told.read_at is not None for told in asked.all(Notification)] == [True, False]
    accept(asked)
    asked.pass_time(20, steps=4)
    assert asked.host_order(asked.order_id).state == "cancelled"


def test_bol_is_not_asked_to_cancel_what_the_customer_wants_after_all(asked: Shop) -> None:
    asked.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 429}])
    accept(asked)
    asked.work()
    assert states(asked) == [EffectState.WANTED]
    asked.sandbox.withdraw_cancellation_request(asked.order_id)
    asked.import_orders()
    asked.sandbox.faults([])
    asked.pass_time(300, steps=6)
    assert states(asked) == [EffectState.CLOSED]
    assert [item.cancelled for item in asked.bol_order_items(asked.order_id)] == [0]
    assert asked.marks() == []
    asked.close(asked.order_id)
    assert asked.host_order(asked.order_id).state == "completed"


def test_a_request_that_is_withdrawn_while_the_answer_is_lost_is_not_asked_for_again(asked: Shop) -> None:
    asked.sandbox.faults(
        [{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 500, "times": 1}]
    )
    accept(asked)
    asked.work()
    assert states(asked) == [EffectState.UNKNOWN]
    asked.sandbox.withdraw_cancellation_request(asked.order_id)
    asked.import_orders()
    asked.pass_time(240, steps=8)
    assert (states(asked), asked.host_order(asked.order_id).state) == ([EffectState.UNKNOWN], "paused")
    asked.pass_time(600, steps=12)
    assert states(asked) == [EffectState.REFUSED]
    assert len(asked.writes(CANCELLATION)) == 1
    assert sum("not known if bol cancelled" in title for title in asked.notices()) == 1
    # The order goes on, and a cancellation that bol carries out late is one like any other.
    assert (asked.marks(), asked.host_order(asked.order_id).state) == ([], "processing")
    asked.sandbox.cancel(asked.order_id)
    asked.import_orders()
    assert asked.host_order(asked.order_id).state == "cancelled"


def test_a_request_that_is_withdrawn_while_bol_takes_no_question_is_not_asked_for_again(
    asked: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 429}])
    accept(asked)
    record = cancelling._record_failure

    def withdrawn_meanwhile(*args: Any) -> None:
        asked.sandbox.withdraw_cancellation_request(asked.order_id)
        asked.sandbox.faults([])
        asked.import_orders()
        record(*args)

    monkeypatch.setattr(cancelling, "_record_failure", withdrawn_meanwhile)
    asked.pass_time(300, steps=6)
    assert states(asked) == [EffectState.CLOSED]
    assert len(asked.writes(CANCELLATION)) == 1
    assert (asked.marks(), asked.host_order(asked.order_id).state) == ([], "processing")


def test_a_cancellation_of_an_order_that_bol_fails_to_show_is_left_to_people_in_the_end(asked: Shop) -> None:
    asked.sandbox.faults(
        [
            {"method": "PUT", "path": CANCELLATION, "when": "before", "status": 500, "times": 1},
            {"method": "GET", "path": f"/retailer/orders/{asked.order_id}", "when": "before", "status": 500},
        ]
    )
    accept(asked)
    asked.pass_time(2 * 3600, steps=8)
    assert states(asked) == [EffectState.UNKNOWN]
    asked.pass_time(2 * 3600, steps=8)
    assert states(asked) == [EffectState.REFUSED]
    assert sum("not known if bol cancelled" in title for title in asked.notices()) == 1
    assert len(asked.writes(CANCELLATION)) == 1


def test_what_was_cancelled_here_is_cancelled_at_bol_although_the_customer_wants_it_after_all(
    asked: Shop,
) -> None:
    host_order_id = asked.host_order(asked.order_id).id
    with transaction():
        orders.cancel_order(host_order_id, "by hand")
    asked.work()
    asked.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 429}])
    row_id = asked.bol_order(asked.order_id).id
    asked.runtime.cancel_at_bol(asked.store_id, row_id, "REQUESTED_BY_CUSTOMER", "ann")
    asked.work()
    asked.sandbox.withdraw_cancellation_request(asked.order_id)
    asked.import_orders()
    asked.sandbox.faults([])
    asked.pass_time(300, steps=6)
    assert states(asked) == [EffectState.CONFIRMED]


def test_what_somebody_decided_to_keep_can_be_closed_and_shipped(asked: Shop) -> None:
    """The packer is stopped by the request until somebody has decided to ship all the same."""
    picklist_id = asked.picklist_id(asked.order_id)
    answer = asked.runtime.closing_answer(picklist_id, 2.0)
    assert answer is not None and "asks to cancel" in answer.objections[0]
    asked.runtime.keep_order(asked.store_id, asked.bol_order(asked.order_id).id, "ann")
    answer = asked.runtime.closing_answer(picklist_id, 2.0)
    assert answer is not None and answer.objections == ()


def test_keeping_the_order_takes_the_mark_away_and_it_is_not_asked_again(asked: Shop) -> None:
    asked.runtime.keep_order(asked.store_id, asked.bol_order(asked.order_id).id, "ann")
    asked.pass_time(60)
    assert asked.marks() == []
    assert len(asked.notices()) == 1
    assert asked.writes(CANCELLATION) == []


def told_to_packers(shop: Shop) -> dict[str, str]:
    """What the page of the order's picklist says of bol to who can't decide."""
    picklist_id = shop.picklist_id(shop.order_id)
    with shop.host.reading():
        panels = picklist_panels(shop.host, picklist_id, may_decide=False)
        return {row.label: row.value for panel in panels for row in panel.rows}


def test_who_put_a_parcel_aside_is_told_that_it_is_kept_until_it_has_left(asked: Shop) -> None:
    asked_for = "The customer asked to cancel"
    assert asked_for not in told_to_packers(asked) and "Next step" in told_to_packers(asked)
    asked.runtime.keep_order(asked.store_id, asked.bol_order(asked.order_id).id, "ann")
    assert told_to_packers(asked)[asked_for] == "Kept by ann: ship it"
    assert "Next step" not in told_to_packers(asked)
    asked.close(asked.order_id)
    assert asked_for not in told_to_packers(asked)


def test_accepting_by_itself_happens_only_where_the_setting_says_so_and_nothing_is_picked(shop: Shop) -> None:
    shop.connect(accept_requests=True)
    first, second = shop.order((KETTLE, 1)), shop.order((TOASTER, 1))
    shop.work()
    picklist_id = shop.picklist_id(second)
    with transaction():
        picking.pick_all(picklist_id)
    for order_id in (first, second):
        shop.sandbox.request_cancellation(order_id)
    shop.import_orders()
    shop.pass_time(20, steps=4)
    assert shop.host_order(first).state == "cancelled"
    assert shop.host_order(second).state == "processing"
    assert len(shop.notices()) == 1


def test_one_of_two_items_accepted_leaves_the_rest_to_be_shipped(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    shop.order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    item = shop.bol_order_items(shop.order_id)[0]
    shop.sandbox.request_cancellation(shop.order_id, [item.order_item_id])
    shop.import_orders()
    accept(shop)
    shop.pass_time(20, steps=4)
    order = shop.host_order(shop.order_id)
    assert order.state == "processing"
    assert any("partly cancelled" in title for title in shop.notices())
    picklist_id = shop.picklist_id(shop.order_id)
    toaster = shop.picklist_lines(picklist_id)[1]
    with transaction():
        picking.pick(toaster.id, 1)
        picking.close_picklist(picklist_id, [NewParcel("dhl", "A1")], who="ann")
    shop.pass_time(20, steps=4)
    assert [effect.state for effect in shop.effects()] == [EffectState.CONFIRMED]


def put_back(shop: Shop) -> None:
    picklist_id = shop.picklist_id(shop.order_id)
    with transaction():
        picking.put_all_back(picklist_id)


def pick_one(shop: Shop) -> None:
    (line,) = shop.picklist_lines(shop.picklist_id(shop.order_id))
    with transaction():
        picking.pick(line.id, 1)


@pytest.fixture
def wished(asked: Shop) -> Shop:
    """A shop where ann accepts a request although a piece is picked."""
    pick_one(asked)
    accept(asked)
    return asked


def test_who_accepts_what_is_picked_stops_the_packer_and_asks_bol_nothing_yet(wished: Shop) -> None:
    assert states(wished) == []
    assert ["ann accepts it" in mark for mark in wished.marks()] == [True]
    (line,) = wished.picklist_lines(wished.picklist_id(wished.order_id))
    with pytest.raises(HostError, match="put it back on the shelf"), transaction():
        picking.pick(line.id, 2)
    # Read again, and pressed again, it is the same wish.
    accept(wished)
    wished.runtime.read_again(wished.store_id, wished.bol_order(wished.order_id).id)
    wished.work()
    assert ["ann accepts it" in mark for mark in wished.marks()] == [True]
    assert states(wished) == []
    assert len(wished.all(BolOrderEvent, BolOrderEvent.fact.contains("accept wanted:"))) == 1


def test_what_a_person_wants_to_accept_is_accepted_once_everything_is_put_back(wished: Shop) -> None:
    put_back(wished)
    wished.pass_time(20, steps=4)
    assert states(wished) == [EffectState.CONFIRMED]
    assert [effect.who for effect in wished.all(CancellationEffect)] == ["ann"]
    assert wished.host_order(wished.order_id).state == "cancelled"
    assert wished.marks() == []
    assert len(wished.writes(CANCELLATION)) == 1


def test_nobody_has_to_decide_any_more_from_the_press_on_until_bol_has_cancelled_it(wished: Shop) -> None:
    put_back(wished)
    # Before that is heard of, while bol is asked, and once it has cancelled it, but the order was not read again.
    assert "Next step" not in told_to_packers(wished)
    for wake in events.due(plugins().names):
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    assert states(wished) != [] and "Next step" not in told_to_packers(wished)
    with transaction() as session:
        (effect,) = session.scalars(select(CancellationEffect)).all()
        effect.state, effect.settled_at, effect.due_at = EffectState.CONFIRMED, wished.clock.now(), None
    assert "Next step" not in told_to_packers(wished)


@pytest.mark.parametrize("how", ["kept", "withdrawn"])
def test_what_is_kept_or_not_asked_any_more_is_not_accepted_when_it_is_put_back(
    wished: Shop, how: str
) -> None:
    if how == "kept":
        wished.runtime.keep_order(wished.store_id, wished.bol_order(wished.order_id).id, "bob")
    else:
        wished.sandbox.withdraw_cancellation_request(wished.order_id)
        wished.runtime.read_again(wished.store_id, wished.bol_order(wished.order_id).id)
        wished.work()
    assert wished.marks() == []
    put_back(wished)
    wished.pass_time(20, steps=4)
    assert states(wished) == []
    assert wished.host_order(wished.order_id).state == "processing"
    # Asked anew it is a new question.
    if how == "kept":
        wished.sandbox.withdraw_cancellation_request(wished.order_id)
        wished.runtime.read_again(wished.store_id, wished.bol_order(wished.order_id).id)
        wished.work()
    wished.sandbox.request_cancellation(wished.order_id)
    wished.runtime.read_again(wished.store_id, wished.bol_order(wished.order_id).id)
    wished.work()
    assert ["ann" in mark for mark in wished.marks()] == [False]


def test_a_wish_to_accept_ends_with_the_parcel_that_left_all_the_same(wished: Shop) -> None:
    picklist_id = wished.picklist_id(wished.order_id)
    with transaction():
        picking.close_picklist(picklist_id, [NewParcel("dhl", "A1")], who="ann")
    wished.pass_time(20, steps=4)
    assert states(wished) == []
    assert ["The customer asks bol to cancel" in mark for mark in wished.marks()] == [True]
    (again,) = [row for row in wished.picklists(wished.order_id) if row.state == "new"]
    (line,) = wished.picklist_lines(again.id)
    with transaction():
        picking.pick(line.id, 1)


def test_a_store_that_goes_leaves_no_packer_stopped_by_a_wish(wished: Shop) -> None:
    wished.runtime.disconnect(wished.store_id, at_once=True)
    wished.pass_time(48 * 3600, steps=24)
    assert ["The customer asks bol to cancel" in mark for mark in wished.marks()] == [True]
    put_back(wished)
    wished.pass_time(60)
    assert states(wished) == []
    assert wished.host_order(wished.order_id).state == "processing"

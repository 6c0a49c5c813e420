"""What a person must do is found anew at each look: grouped, cheap, and gone when it is done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import event, update

from host_app import jobs
from host_app.db import db, reading, transaction
from host_app.plugin_api import NewProduct
from host_app.services import picking
from host_app.services.catalog import create_product
from host_app.services.orders import cancel_order
from plugin.jobs.wakes import wake_for
from plugin.models import (
    BolOrder,
    CancellationEffect,
    EffectState,
    LabelEffect,
    Offer,
    Run,
    RunState,
    ShipmentEffect,
    Store,
    StoreState,
)
from plugin.sync import attention
from plugin.sync.attention import Task
from plugin.sync.due import SHIPMENTS
from tests.plugin.conftest import KETTLE, TOASTER, Shop
from tests.plugin.queries import counted_queries


def tasks(shop: Shop) -> list[Task]:
    with reading():
        found = attention.tasks(shop.host)
        assert attention.count(shop.host) == sum(task.decisions for task in found)
        return found


def kinds(shop: Shop) -> list[str]:
    return [task.kind for task in tasks(shop)]


def set_all(model: Any, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(model).values(**values))


def test_a_store_that_is_well_needs_nobody(shop: Shop) -> None:
    shop.connect(send_stock=True, send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.import_orders()
    shop.close(order_id)
    shop.work()

    assert tasks(shop) == []


def test_many_shipments_that_wait_for_one_carrier_are_one_task(shop: Shop) -> None:
    shop.connect(send_shipments=True, carriers={})
    orders = [shop.order((KETTLE, 1)) for _ in range(3)]
    shop.import_orders()
    for order_id in orders:
        shop.close(order_id, carrier="postnl")
    shop.work()
    (task,) = tasks(shop)
    with reading():
        carriers = attention.carriers_of(shop.host, [task])

    assert (task.kind, task.number, task.decisions) == (attention.CARRIER, 3, 1)
    assert carriers[task].key == "postnl"

    shop.runtime.set_carrier(shop.store_id, "postnl", "TNT", "ann")
    shop.work()
    assert tasks(shop) == []
    assert len(shop.shipments_at_bol()) == 3


def test_refusals_are_grouped_by_their_reason_and_sent_again_together(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    orders = [shop.order((KETTLE, 1)) for _ in range(3)]
    shop.import_orders()
    shop.sandbox.faults([{"method": "POST", "path": "/retailer/shipments", "status": 400, "when": "before"}])
    for order_id in orders:
        shop.close(order_id)
    shop.work()
    with transaction() as session:
        odd = session.query(ShipmentEffect).order_by(ShipmentEffect.id.desc()).first()
        odd.error = "Another reason. (bol's reference: 1-2-3)"
    first, second = tasks(shop)
    assert [(task.kind, task.number) for task in (first, second)] == [
        (attention.REFUSED, 2),
        (attention.REFUSED, 1),
    ]

    shop.sandbox.faults([])
    assert shop.runtime.try_refused_again(shop.store_id, first.row_id) == 2
    shop.work()
    assert [task.about for task in tasks(shop)] == ["Another reason."]
    assert shop.runtime.try_refused_again(shop.store_id, first.row_id) == 0
    assert len(shop.shipments_at_bol()) == 2


def test_what_must_be_decided_one_by_one_counts_one_by_one(shop: Shop) -> None:
    shop.connect(send_shipments=False)
    for _ in range(attention.SHOWN_ALONE + 1):
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id)
    shop.work()
    set_all(ShipmentEffect, state=EffectState.DECISION, due_at=None)
    (task,) = tasks(shop)
    assert (task.kind, task.number, task.decisions) == (attention.UNDECIDED, 11, 11)

    shop.runtime.shipment_handled(shop.store_id, shop.effects()[0].id)
    alone = tasks(shop)
    assert len(alone) == 10
    assert all(task.decisions == 1 and task.about and task.order_id for task in alone)


def test_a_request_to_cancel_is_a_task_until_it_is_answered(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.sandbox.request_cancellation(order_id)
    shop.import_orders()
    (task,) = tasks(shop)
    assert (task.kind, task.about) == (attention.REQUEST, order_id)

    shop.runtime.keep_order(shop.store_id, task.order_id, "ann")
    assert tasks(shop) == []


def test_a_request_that_was_accepted_stays_answered_until_the_order_is_read(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.sandbox.request_cancellation(order_id)
    shop.import_orders()
    (task,) = tasks(shop)
    shop.runtime.accept_request(shop.store_id, task.order_id, "ann")
    shop.work()
    assert tasks(shop) == []
    shop.clock.ahead += timedelta(seconds=30)
    shop.sandbox.advance(30)
    wake = wake_for(SHIPMENTS, shop.store_id)
    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    (effect,) = shop.all(CancellationEffect)
    assert effect.state == EffectState.CONFIRMED
    assert shop.bol_order(order_id).read_due_at is not None
    assert tasks(shop) == []

    # Asked once more, of what bol did not cancel after all.
    set_all(BolOrder, read_at=shop.host.now() + timedelta(seconds=1))
    assert [task.kind for task in tasks(shop)] == [attention.REQUEST]


def test_orders_that_wait_for_a_product_are_grouped_by_it(shop: Shop) -> None:
    shop.connect(import_products=False)
    with transaction():
        create_product(NewProduct("T", "Toaster", None, (TOASTER,), 5))
    shop.order((KETTLE, 1), (TOASTER, 1))
    shop.order((KETTLE, 2))
    shop.import_orders()
    (task,) = tasks(shop)
    assert (task.kind, task.about, task.number) == (attention.PRODUCT, KETTLE, 2)

    with transaction():
        create_product(NewProduct("K", "Kettle", None, (), 5))
    assert shop.runtime.link_waiting(shop.store_id, KETTLE, "K") == 2
    shop.work()
    assert tasks(shop) == []
    assert len(shop.host_orders()) == 2


def test_an_order_that_keeps_failing_is_a_task_and_can_be_tried_at_once(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.sandbox.faults(
        [{"method": "GET", "path": f"/retailer/orders/{order_id}", "status": 500, "when": "before"}]
    )
    shop.import_orders()
    assert tasks(shop) == []
    shop.pass_time(400, steps=8)
    (task,) = tasks(shop)
    assert (task.kind, task.number) == (attention.UNREADABLE, 1)

    shop.sandbox.faults([])
    assert shop.runtime.read_failed_again(shop.store_id, task.row_id) == 1
    shop.work()
    assert tasks(shop) == []
    assert shop.host_order(order_id)


def test_orders_that_bol_cancels_within_a_day_are_one_task(shop: Shop) -> None:
    shop.connect()
    orders = [shop.order((KETTLE, 1)) for _ in range(2)]
    shop.import_orders()
    today = shop.clock.now().date()
    set_all(BolOrder, cancels_on=today + timedelta(days=3))
    assert tasks(shop) == []
    set_all(BolOrder, cancels_on=today)
    (task,) = tasks(shop)
    assert (task.kind, task.number) == (attention.CANCELS, 2)

    for order_id in orders:
        shop.ship_elsewhere(order_id)
    shop.import_orders()
    assert tasks(shop) == []


def test_a_refused_sign_in_needs_a_person_and_a_lost_line_does_not(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.sandbox.faults([{"path": "/retailer/orders", "status": 503, "when": "before"}])
    shop.pass_time(600)
    assert tasks(shop) == []

    shop.sandbox.faults([{"path": "/token", "status": 401, "when": "before"}])
    shop.pass_time(600)
    (task,) = tasks(shop)
    assert (task.kind, task.about) == (attention.PROBLEM, "sign-in")
    since = task.since
    shop.pass_time(600)
    assert [task.since for task in tasks(shop)] == [since]

    shop.sandbox.faults([])
    shop.pass_time(1200)
    assert tasks(shop) == []


def test_a_secret_that_cannot_be_read_needs_a_person(shop: Shop) -> None:
    shop.connect()
    set_all(Store, secret="not encrypted by any key")
    shop.pass_time(120)
    assert [task.about for task in tasks(shop)] == ["key"]


def test_the_guard_asks_once_for_all_its_offers(shop: Shop) -> None:
    shop.connect()
    shop.work()
    set_all(Offer, held_at=shop.clock.now(), dirty_version=Offer.done_version + 1)
    (task,) = tasks(shop)
    assert (task.kind, task.number, task.decisions) == (attention.GUARD, 3, 1)


def test_what_a_person_keeps_on_sale_is_one_task_that_leaves_by_itself(shop: Shop) -> None:
    shop.connect()
    shop.work()
    set_all(Offer, held_at=shop.clock.now(), dirty_version=Offer.done_version)
    (task,) = tasks(shop)
    assert (task.kind, task.number, task.decisions) == (attention.KEPT, 2, 1)

    set_all(Store, state=StoreState.PAUSED)
    assert [task.about for task in tasks(shop)] == [StoreState.PAUSED]
    # What is kept out of stock updates is bol's or another system's to sell.
    set_all(Offer, excluded=True)
    assert tasks(shop) == []
    set_all(Offer, excluded=False, confirmed_amount=0)
    assert tasks(shop) == []


def test_who_keeps_articles_on_sale_hears_of_everything_else_first(shop: Shop) -> None:
    shop.connect()
    shop.work()
    set_all(Offer, held_at=shop.clock.now(), dirty_version=Offer.done_version)
    set_all(Run, state=RunState.FAILED, finished_at=shop.clock.now())
    assert kinds(shop)[-1] == attention.KEPT


def test_a_store_that_is_gone_asks_for_nothing(shop: Shop) -> None:
    shop.connect()
    shop.work()
    set_all(Offer, held_at=shop.clock.now(), dirty_version=Offer.done_version + 1)
    set_all(Store, state=StoreState.DISCONNECTED)
    assert tasks(shop) == []


def test_a_run_that_failed_is_a_task_until_the_next_one(shop: Shop) -> None:
    shop.connect()
    shop.work()
    set_all(Run, state=RunState.FAILED, finished_at=shop.clock.now())
    (task,) = [task for task in tasks(shop) if task.about == "product import"]
    assert task.kind == attention.RUN
    shop.runtime.import_products(shop.store_id)
    assert tasks(shop) == []


def test_stock_that_fails_again_and_again_is_one_task(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    set_all(Offer, dirty_version=Offer.dirty_version + 1, attempts=5, error="bol is away.")
    (task,) = tasks(shop)
    assert (task.kind, task.number) == (attention.STOCK, 3)


def test_a_look_takes_as_many_statements_however_much_waits(shop: Shop) -> None:
    shop.connect(import_products=False)
    shop.order((KETTLE, 1))
    shop.import_orders()
    few = _statements(shop)
    for _ in range(5):
        shop.order((KETTLE, 1), (TOASTER, 1))
    shop.import_orders()
    assert _statements(shop) == few


def _statements(shop: Shop) -> int:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert kinds(shop)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return len([statement for statement in seen if statement.startswith("SELECT")])


def test_goods_picked_for_an_order_that_bol_cancelled_are_a_task_until_they_are_put_back(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.import_orders()
    picklist_id = shop.picklist_id(order_id)
    (line,) = shop.picklist_lines(picklist_id)
    with transaction():
        picking.pick(line.id, 1)
    shop.sandbox.cancel(order_id)
    shop.import_orders()
    (task,) = tasks(shop)
    assert (task.kind, task.about) == (attention.STILL_HERE, order_id)

    host_order_id = shop.host_order(order_id).id
    with transaction():
        picking.pick(line.id, 0)
        cancel_order(host_order_id, "cancelled at the shop")
    shop.work()
    assert tasks(shop) == []


def test_an_order_cancelled_here_is_a_task_until_bol_has_cancelled_it_too(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    host_order_id = shop.host_order(order_id).id
    with transaction():
        cancel_order(host_order_id, "broken")
    shop.work()
    (task,) = tasks(shop)
    assert (task.kind, task.about) == (attention.STILL_AT_BOL, order_id)

    shop.runtime.cancel_at_bol(shop.store_id, task.order_id, "BAD_CONDITION", "ann")
    assert tasks(shop) == [], "bol is being asked"
    shop.work()
    shop.import_orders()
    assert tasks(shop) == []


def goods(shop: Shop) -> list[tuple[str, list[tuple[str, str, int]], str]]:
    """Return what each task tells of the goods that it is about."""
    with reading():
        found = attention.tasks(shop.host)
        subjects = attention.subjects_of(shop.host, found)
    return [
        (task.kind, [(one.title, one.ean, one.pieces) for one in subjects[task].goods], subjects[task].order)
        for task in found
        if task in subjects
    ]


def test_a_request_to_cancel_tells_its_articles_and_pieces(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.import_orders()
    shop.sandbox.request_cancellation(order_id, [shop.bol_order_items(order_id)[0].order_item_id])
    shop.import_orders()
    assert goods(shop) == [(attention.REQUEST, [("Kettle", KETTLE, 2)], "")]


def test_what_is_cancelled_on_one_side_tells_the_pieces_that_count(shop: Shop) -> None:
    shop.connect()
    here, there = shop.order((KETTLE, 2), (TOASTER, 1)), shop.order((TOASTER, 3))
    shop.import_orders()
    (line, *_) = shop.picklist_lines(shop.picklist_id(here))
    host_order_id = shop.host_order(there).id
    with transaction():
        picking.pick(line.id, 1)
        cancel_order(host_order_id, "broken")
    shop.sandbox.cancel(here, [shop.bol_order_items(here)[0].order_item_id])
    shop.work()
    shop.import_orders()
    assert goods(shop) == [
        (attention.STILL_HERE, [("Kettle", KETTLE, 2)], ""),
        (attention.STILL_AT_BOL, [("Toaster", TOASTER, 3)], ""),
    ]


def test_a_parcel_that_waits_tells_its_order_and_what_is_in_it(shop: Shop) -> None:
    shop.connect(send_shipments=True, carriers={})
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.work()
    parcel = [("Kettle", KETTLE, 2), ("Toaster", TOASTER, 1)]
    assert goods(shop) == [(attention.CARRIER, parcel, order_id)]
    set_all(ShipmentEffect, state=EffectState.REFUSED, error="Wrong.")
    assert goods(shop) == [(attention.REFUSED, parcel, order_id)]
    # Each item is decided by itself.
    set_all(ShipmentEffect, state=EffectState.DECISION)
    assert goods(shop) == [(attention.UNDECIDED, [one], "") for one in parcel]
    with transaction() as session:
        first, second = session.query(ShipmentEffect).order_by(ShipmentEffect.id)
        first.state, second.state = EffectState.CONFIRMED, EffectState.REFUSED
    assert goods(shop) == [(attention.REFUSED, parcel[1:], order_id)]


def test_a_lost_label_tells_what_travels_on_it(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.import_orders()
    row, now = shop.bol_order(order_id), shop.clock.now()
    items = [item.order_item_id for item in shop.bol_order_items(order_id)]
    with transaction() as session:
        session.add(
            LabelEffect(
                store_id=shop.store_id, order_id=row.id, host_picklist_id=1, pieces={items[0]: 1, items[1]: 1},
                lines={}, option_id="", state=EffectState.DECISION, created_at=now,
            )
        )  # fmt: skip
    assert goods(shop) == [(attention.LABEL, [("Kettle", KETTLE, 1), ("Toaster", TOASTER, 1)], "")]


def test_an_article_that_orders_wait_for_is_told_by_name_with_all_its_pieces(shop: Shop) -> None:
    shop.connect(import_products=False)
    shop.order((KETTLE, 1))
    shop.order((KETTLE, 2))
    shop.import_orders()
    # Its EAN stands in the sentence above it.
    assert goods(shop) == [(attention.PRODUCT, [("Kettle", "", 3)], "")]


def test_the_goods_of_a_page_take_as_many_statements_however_many_tasks_it_has(shop: Shop) -> None:
    shop.connect(send_shipments=True, carriers={})

    def ask() -> None:
        order_id = shop.order((KETTLE, 1), (TOASTER, 1))
        shop.import_orders()
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()

    ask()
    few = statements_for_goods(shop)
    for _ in range(4):
        ask()
    assert statements_for_goods(shop) == few <= 6


def statements_for_goods(shop: Shop) -> int:
    with reading():
        found = attention.tasks(shop.host)
        with counted_queries() as seen:
            assert attention.subjects_of(shop.host, found)
    return len(seen)

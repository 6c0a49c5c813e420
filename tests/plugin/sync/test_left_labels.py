"""A label that is paid and on which nothing travels is told of once, is a task of its own, and leaves when it is used or settled."""

from __future__ import annotations

import pytest

from host_app.db import reading, transaction
from host_app.plugin_api import HostError
from host_app.services import picking
from host_app.services.orders import cancel_order
from host_app.services.picking import NewParcel
from plugin.models import EffectState, LabelEffect
from plugin.sync import attention
from plugin.sync.panels import order_panels, picklist_panels
from tests.plugin.conftest import KETTLE, Shop
from tests.plugin.sync.test_bought_labels import (
    buy,
    buy_for_a_kettle,
    close_on_label,
    offered,
    picklists,
    pieces,
    use,
    withdraw,
)


@pytest.fixture
def labelled(shop: Shop) -> Shop:
    """A shop with a bought label for an order of a kettle."""
    buy_for_a_kettle(shop)
    return shop


def cancel_here(shop: Shop) -> None:
    number = shop.host_order(shop.order_id).id
    with transaction():
        cancel_order(number, "broken", who="ann")
    shop.work()


def left(shop: Shop) -> list[attention.Task]:
    with reading():
        return [task for task in attention.tasks(shop.host) if task.kind == attention.LABEL_NOT_USED]


def told(shop: Shop) -> list[str]:
    return [title for title in shop.notices() if "paid, and not used" in title]


def test_a_label_that_is_to_be_used_is_nobodys_task(labelled: Shop) -> None:
    assert left(labelled) == []
    (picklist_id,) = picklists(labelled)
    with reading():
        rows = {row.label for row in picklist_panels(labelled.host, picklist_id)[-1].rows}
    assert "Hand the parcel over" in rows


def test_the_label_of_an_order_that_bol_cancels_is_a_task_and_told_once(labelled: Shop) -> None:
    (picklist_id,) = picklists(labelled)
    labelled.sandbox.cancel(labelled.order_id)
    labelled.import_orders()
    labelled.work()
    (task,) = left(labelled)
    assert (task.number, task.about) == (1, labelled.order_id)
    assert len(told(labelled)) == 1
    with reading():
        panels = (
            *order_panels(labelled.host, labelled.host_order(labelled.order_id).id),
            *picklist_panels(labelled.host, picklist_id),
        )
        rows = [row for panel in panels for row in panel.rows]
    assert "Hand the parcel over" not in {row.label for row in rows}
    assert [row.value for row in rows if row.label.startswith("Label for")] == ["paid, and not used"] * 2
    labelled.import_orders()
    assert len(told(labelled)) == 1


def test_the_label_of_an_order_that_is_cancelled_here_is_a_task(labelled: Shop) -> None:
    cancel_here(labelled)
    assert [task.about for task in left(labelled)] == [labelled.order_id]


def test_a_label_is_left_over_where_its_goods_leave_by_another_carrier(labelled: Shop) -> None:
    (picklist_id,) = picklists(labelled)
    with transaction():
        picking.pick_all(picklist_id)
        picking.close_picklist(picklist_id, [NewParcel("postnl", "3S1")], who="ann")
    labelled.work()
    assert [task.number for task in left(labelled)] == [1]


def test_a_label_that_travels_is_not_left_over(labelled: Shop) -> None:
    (picklist_id,) = picklists(labelled)
    close_on_label(labelled, picklist_id)
    labelled.work()
    assert left(labelled) == [] and told(labelled) == []


def test_a_label_that_is_offered_for_goods_packed_anew_is_left_over_once_they_go_another_way(
    labelled: Shop,
) -> None:
    (picklist_id,) = picklists(labelled)
    withdraw(labelled, close_on_label(labelled, picklist_id))
    assert left(labelled) == []
    (again,) = picklists(labelled)
    use(labelled, again, offered(labelled, again))
    labelled.pass_time(20, steps=5)
    assert left(labelled) == []
    with transaction():
        picking.pick_all(again)
        picking.close_picklist(again, [NewParcel("postnl", "3S1")], who="ann")
    labelled.work()
    assert [task.number for task in left(labelled)] == [1]


def test_a_label_that_is_left_over_leaves_by_itself_where_its_goods_wait_here_again(labelled: Shop) -> None:
    (picklist_id,) = picklists(labelled)
    withdraw(labelled, close_on_label(labelled, picklist_id))
    (again,) = picklists(labelled)
    with transaction():
        picking.pick_all(again)
        (shipment_id,) = picking.close_picklist(again, [NewParcel("postnl", "3S1")], who="ann")
    labelled.work()
    assert len(left(labelled)) == 1
    withdraw(labelled, shipment_id)
    assert left(labelled) == []


def test_a_label_that_comes_after_its_order_was_cancelled_is_left_over(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    items = [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    (picklist_id,) = picklists(shop)
    shop.sandbox.faults(
        [{"method": "GET", "path": "/retailer/shipping-labels/*", "when": "before", "status": 500}]
    )
    buy(shop, picklist_id, pieces(shop, picklist_id))
    cancel_here(shop)
    shop.sandbox.faults([])
    shop.pass_time(120, steps=5)
    assert [task.number for task in left(shop)] == [1]


def test_who_settles_a_left_over_label_is_kept_and_only_one_of_two_does(labelled: Shop) -> None:
    cancel_here(labelled)
    (task,) = left(labelled)
    labelled.runtime.settle_label(labelled.store_id, task.row_id, "bob")
    (effect,) = labelled.all(LabelEffect)
    assert (effect.state, effect.error) == (EffectState.CLOSED, "Not used. Settled by bob.")
    assert effect.settled_at is not None
    assert left(labelled) == []
    with pytest.raises(HostError, match="any more"):
        labelled.runtime.settle_label(labelled.store_id, task.row_id, "eve")


def test_a_label_that_is_to_be_used_is_not_settled_by_mistake(labelled: Shop) -> None:
    (effect,) = labelled.all(LabelEffect)
    with pytest.raises(HostError, match="any more"):
        labelled.runtime.settle_label(labelled.store_id, effect.id, "bob")


def test_the_task_of_several_labels_names_each_with_number_price_goods_and_order(labelled: Shop) -> None:
    first = labelled.order_id
    items = [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}]
    labelled.order_id = labelled.sandbox.place_order("seller", items)["orderId"]
    labelled.import_orders()
    (picklist_id,) = picklists(labelled)
    buy(labelled, picklist_id, pieces(labelled, picklist_id))
    for order_id in (first, labelled.order_id):
        labelled.sandbox.cancel(order_id)
    labelled.import_orders()
    labelled.work()
    (task,) = left(labelled)
    assert task.number == 2
    with reading():
        told = attention.subjects_of(labelled.host, [task])[task].labels
    effects = labelled.all(LabelEffect)
    assert [(label.number, label.price) for label in told] == [(row.label_id, row.price) for row in effects]
    assert [label.order for label in told] == [first, labelled.order_id]
    assert [[goods.pieces for goods in label.goods] for label in told] == [[1], [1]]


def test_a_label_is_paid_and_not_used_as_soon_as_bol_cancels_its_order_though_goods_are_to_be_put_back(
    labelled: Shop,
) -> None:
    (picklist_id,) = picklists(labelled)
    with transaction():
        picking.pick_all(picklist_id)
    labelled.sandbox.cancel(labelled.order_id)
    labelled.import_orders()
    labelled.work()
    with reading():
        rows = picklist_panels(labelled.host, picklist_id)[-1].rows
    assert [row.value for row in rows if row.label.startswith("Label for")] == ["paid, and not used"]
    assert [task.about for task in left(labelled)] == [labelled.order_id]

"""A store that is let go: it hangs on nothing that nobody can end, and what it leaves behind is said and not doubled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from host_app.db import transaction
from host_app.models import Notification, Shipment
from host_app.services import picking
from plugin.models import (
    CancellationEffect,
    EffectState,
    LabelEffect,
    ShipmentEffect,
    StoreState,
    TransportEffect,
)
from plugin.sync.owed import owed
from tests.plugin.conftest import KETTLE, Shop
from tests.plugin.sync.test_cancelling import CANCELLATION, accept
from tests.plugin.sync.test_found_in_review import LABELS, buy, label_states, sold


def test_a_store_that_tells_bol_of_no_shipments_does_not_wait_for_them(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.work()
    assert [effect.state for effect in shop.effects()] == [EffectState.WANTED]
    shop.runtime.disconnect(shop.store_id, at_once=False)
    shop.pass_time(300)
    assert shop.store().state == StoreState.DISCONNECTED


def test_what_bol_refused_for_good_keeps_no_store_from_leaving(shop: Shop) -> None:
    """A refused purchase or cancellation was told; nobody can do any more about its row."""
    shop.connect(send_shipments=True)
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.pass_time(120)
    (effect,) = shop.effects()
    assert effect.state == EffectState.CONFIRMED
    row, now = shop.bol_order(order_id), shop.host.now()
    with transaction() as session:
        session.add(
            CancellationEffect(
                store_id=shop.store_id,
                order_id=row.id,
                order_item_id=effect.order_item_id,
                reason_code="OTHER",
                who="ann",
                state=EffectState.REFUSED,
                token="",
                attempts=1,
                error="bol shows the item as shipped.",
                created_at=now,
                settled_at=now,
            )
        )
        session.add(
            LabelEffect(
                store_id=shop.store_id,
                order_id=row.id,
                host_picklist_id=effect.host_picklist_id,
                pieces={effect.order_item_id: 1},
                lines={},
                option_id="",
                who="ann",
                state=EffectState.REFUSED,
                token="",
                attempts=1,
                error="The option has expired.",
                created_at=now,
                settled_at=now,
            )
        )
    shop.runtime.disconnect(shop.store_id, at_once=False)
    shop.pass_time(300)
    assert shop.store().state == StoreState.DISCONNECTED


def test_a_refused_shipment_keeps_the_store_until_somebody_decides(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.pass_time(120)
    with transaction() as session:
        session.execute(update(ShipmentEffect).values(state=EffectState.REFUSED))
    (effect,) = shop.effects()
    shop.runtime.disconnect(shop.store_id, at_once=False)
    shop.pass_time(300)
    assert shop.store().state == StoreState.DISCONNECTING
    shop.runtime.shipment_handled(shop.store_id, effect.id)
    shop.pass_time(300)
    assert shop.store().state == StoreState.DISCONNECTED


def test_what_was_left_behind_is_told_and_not_sent_by_itself_when_the_store_comes_back(shop: Shop) -> None:
    """A person was told to finish it in bol's seller portal, and did: a piece of three is open for a second one."""
    shop.connect(send_shipments=True, confirm_after_minutes=60)
    shop.work()
    order_id = shop.order((KETTLE, 3))
    shop.import_orders()
    shop.close(order_id)
    shop.work()
    with transaction() as session:
        session.execute(update(ShipmentEffect).values(quantity=1))
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.work()
    assert shop.store().state == StoreState.DISCONNECTED
    assert any("1 parcel" in title for title in shop.notices())
    (item_id,) = shop.items_at_bol(order_id)
    shop.ship_pieces_elsewhere(item_id, 1)
    shop.runtime.sign_in_again(shop.store_id, client_id="seller", client_secret="secret")
    shop.runtime.activate(shop.store_id)
    shop.pass_time(7200, steps=4)
    (effect,) = shop.effects()
    assert effect.state == EffectState.DECISION
    assert len(shop.shipments_at_bol()) == 1


def test_a_parcel_that_leaves_after_its_store_has_gone_is_told_to_people(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.work()
    shop.close(order_id)
    shop.work()
    (effect,) = shop.effects()
    assert effect.state == EffectState.DECISION
    assert any(order_id in title for title in shop.notices())
    shop.runtime.sign_in_again(shop.store_id, client_id="seller", client_secret="secret")
    shop.runtime.activate(shop.store_id)
    shop.runtime.try_shipment_again(shop.store_id, effect.id)
    shop.pass_time(120)
    assert len(shop.shipments_at_bol()) == 1


def test_a_store_that_is_gone_owes_nothing(shop: Shop) -> None:
    """It left before bol had answered: that would be overdue for ever, and alarm whoever watches."""
    shop.sandbox.settings(processStatusDelayMs=600_000)
    shop.connect(send_shipments=True)
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.work()
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.work()
    shop.clock.ahead += timedelta(hours=1)
    assert shop.store().state == StoreState.DISCONNECTED
    assert owed(shop.host, shop.store()) == []
    shop.sandbox.settings(processStatusDelayMs=0)


def test_cancellations_that_are_left_behind_are_told_and_their_orders_go_on(shop: Shop) -> None:
    shop.connect()
    shop.order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.request_cancellation(shop.order_id)
    shop.import_orders()
    shop.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 429}])
    accept(shop)
    shop.work()
    assert shop.host_order(shop.order_id).state == "paused"
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.pass_time(48 * 3600, steps=24)
    (told,) = shop.all(Notification, Notification.key.contains("cancellation-left"))
    assert (told.read_at, shop.order_id in told.body) == (None, True)
    assert [effect.state for effect in shop.all(CancellationEffect)] == [EffectState.CLOSED]
    # It is not held in silence: whoever picks it sees why it may not be wanted any more.
    assert shop.host_order(shop.order_id).state == "processing"
    assert ["before bol had cancelled" in mark for mark in shop.marks()] == [True]
    # When the store is back the customer's question is open again, and bol is asked nothing before it is answered.
    shop.sandbox.faults([])
    before = len(shop.writes(CANCELLATION))
    shop.runtime.sign_in_again(shop.store_id, client_id="seller", client_secret="secret")
    shop.runtime.activate(shop.store_id)
    shop.runtime.read_again(shop.store_id, shop.bol_order(shop.order_id).id)
    shop.pass_time(600, steps=4)
    assert len(shop.writes(CANCELLATION)) == before
    assert ["The customer asks bol to cancel" in mark for mark in shop.marks()] == [True]


@pytest.mark.parametrize("known", [False, True])
def test_a_label_that_bol_was_asked_for_and_that_is_not_here_is_told_and_comes_when_the_store_comes_back(
    shop: Shop, known: bool
) -> None:
    shop.connect(send_shipments=True)
    items = [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    if known:
        shop.sandbox.faults([{"method": "GET", "path": f"{LABELS}/*", "when": "before", "status": 503}])
    else:
        shop.sandbox.settings(processStatusDelayMs=3_600_000)
    buy(shop)
    shop.pass_time(10, steps=5)
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.pass_time(120)
    assert shop.store().state == StoreState.DISCONNECTED
    (told,) = shop.all(Notification, Notification.key.contains("label-asked"))
    assert shop.order_id in told.body
    shop.sandbox.faults([])
    shop.runtime.sign_in_again(shop.store_id, client_id="seller", client_secret="secret")
    shop.pass_time(7200, steps=4)
    assert (sold(shop), label_states(shop)) == (1, [EffectState.CONFIRMED])


def test_a_correction_that_is_left_behind_is_told_and_left_to_people(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id, "postnl", "3SWRONG")
    shop.pass_time(120)
    shop.sandbox.faults([{"path": "/retailer/transports/*", "when": "before", "status": 503}])
    with transaction() as session:
        shipment_id = session.scalars(select(Shipment.id)).one()
        picking.correct_shipment(shipment_id, carrier="postnl", tracking_code="3SRIGHT")
    shop.work()
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.pass_time(120)
    assert shop.store().state == StoreState.DISCONNECTED
    assert any("1 corrected tracking code" in title for title in shop.notices())
    (effect,) = shop.all(TransportEffect)
    assert effect.state == EffectState.REFUSED
    shop.sandbox.faults([])
    shop.runtime.sign_in_again(shop.store_id, client_id="seller", client_secret="secret")
    shop.runtime.activate(shop.store_id)
    shop.runtime.try_correction_again(shop.store_id, effect.id)
    shop.pass_time(600, steps=10)
    assert shop.shipments_at_bol()[0]["transport"]["trackAndTrace"] == "3SRIGHT"


def test_a_correction_that_is_made_after_the_store_has_gone_is_told_and_left_to_people(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id, "postnl", "3SWRONG")
    shop.pass_time(120)
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.pass_time(120)
    with transaction() as session:
        shipment_id = session.scalars(select(Shipment.id)).one()
        picking.correct_shipment(shipment_id, carrier="postnl", tracking_code="3SRIGHT")
    shop.work()
    (told,) = shop.all(Notification, Notification.key.contains("correction-refused"))
    assert order_id in told.title
    (effect,) = shop.all(TransportEffect)
    assert effect.state == EffectState.REFUSED
    shop.runtime.correction_handled(shop.store_id, effect.id)
    assert shop.all(Notification, Notification.id == told.id)[0].read_at is not None


def test_a_correction_of_a_parcel_that_bol_was_not_told_of_is_no_task_of_its_own(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.sandbox.faults([{"path": "/retailer/shipments", "when": "before", "status": 429}])
    shop.close(order_id, "postnl", "3SWRONG")
    shop.work()
    with transaction() as session:
        shipment_id = session.scalars(select(Shipment.id)).one()
        picking.correct_shipment(shipment_id, carrier="postnl", tracking_code="3SRIGHT")
    shop.work()
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.pass_time(120)
    assert not any("corrected" in title for title in shop.notices())
    assert [effect.state for effect in shop.all(TransportEffect)] == [EffectState.WANTED]


def test_a_label_that_is_left_behind_is_told_and_not_bought_when_the_store_comes_back(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    items = [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    shop.sandbox.faults([{"method": "POST", "path": LABELS, "when": "before", "status": 429}])
    buy(shop)
    shop.work()
    shop.runtime.disconnect(shop.store_id, at_once=True)
    shop.pass_time(6 * 3600, steps=6)
    (told,) = shop.all(Notification, Notification.key.contains("label-left"))
    assert shop.order_id in told.body
    shop.sandbox.faults([])
    shop.runtime.sign_in_again(shop.store_id, client_id="seller", client_secret="secret")
    shop.runtime.activate(shop.store_id)
    shop.pass_time(600, steps=10)
    assert (sold(shop), label_states(shop)) == (0, [EffectState.CLOSED])

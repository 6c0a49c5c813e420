"""What people do while a job is at work is neither overlooked nor undone by it."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from host_app.db import transaction
from host_app.models import EventDelivery, Notification
from host_app.plugin_api import NewProduct
from host_app.services import catalog
from plugin.connector import ConnectFailed
from plugin.connector.resources.labels import Labels
from plugin.connector.resources.shipments import Shipments
from plugin.models import EffectState, LabelEffect, Store
from plugin.settings import DEFAULT_CARRIERS, StoreSettings
from plugin.sync import label_options, labels, order_list, shipments, taking_over
from tests.plugin.conftest import KETTLE, Shop

SLICE = 61


def test_a_start_date_that_is_changed_while_the_list_is_read_counts_for_all_of_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = shop.order((KETTLE, 1))
    shop.connect(orders_from=(datetime.now(UTC) + timedelta(days=2)).date())
    ask = order_list._ask

    def ask_and_change(*args: Any) -> Future[Any]:
        page = ask(*args)
        page.exception()
        shop.settings(orders_from=None)
        return page

    monkeypatch.setattr(order_list, "_ask", ask_and_change)
    shop.work()
    shop.pass_time(SLICE)
    assert [order.reference for order in shop.host_orders()] == [order_id]


def test_products_that_may_be_made_from_now_on_are_made_for_an_order_that_is_being_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(import_products=False)
    order_id = shop.order((KETTLE, 1))
    agree = taking_over._agree

    def agree_and_change(*args: Any) -> str:
        state = agree(*args)
        with transaction() as session:
            # Saved before the order was seen to wait: those that waited then are read again, and it is not one of them.
            settings = StoreSettings(import_products=True).dump()
            session.execute(update(Store).values(settings=settings))
        return state

    monkeypatch.setattr(taking_over, "_agree", agree_and_change)
    shop.work()
    shop.pass_time(SLICE)
    assert [order.reference for order in shop.host_orders()] == [order_id]


def test_a_product_that_comes_while_an_order_is_set_aside_for_it_lets_it_go_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(import_products=False)
    order_id = shop.order((KETTLE, 1))
    agree, made = taking_over._agree, []

    def agree_and_add(*args: Any) -> str:
        state = agree(*args)
        if not made:
            with transaction() as session:
                made.append(catalog.create_product(NewProduct("K-1", "Kettle", None, (KETTLE,), 5)))
                # Told before the order was seen to wait, as can happen on PostgreSQL.
                session.execute(delete(EventDelivery))
        return state

    monkeypatch.setattr(taking_over, "_agree", agree_and_add)
    shop.work()
    assert [order.reference for order in shop.host_orders()] == [order_id]


def test_the_code_of_a_carrier_counts_for_a_parcel_that_is_being_sent(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.close(order_id, carrier="gls")
    send = shipments._send_parcel

    def change_and_send(*args: Any) -> bool:
        shop.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": "GLS"})
        return send(*args)

    monkeypatch.setattr(shipments, "_send_parcel", change_and_send)
    shop.work()
    shop.pass_time(5)
    assert [effect.state for effect in shop.effects()] == [EffectState.CONFIRMED]


def test_people_hear_again_of_a_carrier_that_lost_its_code_again(shop: Shop) -> None:
    def told() -> int:
        return sum("GLS" in title for title in shop.notices())

    shop.connect(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    first, second = (shop.order((KETTLE, 1)) for _ in range(2))
    shop.work()
    shop.close(first, carrier="gls")
    shop.work()
    assert told() == 1
    shop.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": "GLS"})
    shop.work()
    shop.clock.ahead += timedelta(days=1)
    shop.settings(send_shipments=True, carriers={**DEFAULT_CARRIERS, "gls": ""})
    shop.close(second, carrier="gls")
    shop.work()
    assert told() == 2


@pytest.fixture
def via_bol(shop: Shop) -> Shop:
    """A shop with an order of two kettles, sold with Shipping via bol."""
    shop.connect(send_shipments=True)
    items = [{"ean": KETTLE, "quantity": 2, "distributionParty": "BOL"}]
    shop.order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    return shop


def buy(shop: Shop, count: int) -> None:
    picklist_id = shop.picklist_id(shop.order_id)
    (line,) = shop.picklist_lines(picklist_id)
    with transaction():
        label_options.request(
            shop.host, picklist_id, {line.order_line_id: count}, label_options.RECOMMENDED, "ann"
        )


@pytest.mark.parametrize("stop", ["pause", "send_shipments"])
def test_who_stops_a_store_stops_the_parcels_that_a_job_has_still_to_send(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    shop.connect()
    orders = [shop.order((KETTLE, 1)) for _ in range(3)]
    shop.import_orders()
    for number, order_id in enumerate(orders):
        shop.close(order_id, tracking=f"3S{number}")
    create = Shipments.create

    def send_and_stop(self: Shipments, *args: Any) -> Any:
        status = create(self, *args)
        if stop == "pause":
            shop.runtime.pause(shop.store_id)
        else:
            shop.settings(send_shipments=False)
        return status

    monkeypatch.setattr(Shipments, "create", send_and_stop)
    shop.settings(send_shipments=True)
    shop.work()
    assert len(shop.writes("shipments")) == 1
    monkeypatch.setattr(Shipments, "create", create)
    shop.settings(send_shipments=True)
    shop.runtime.activate(shop.store_id)
    shop.pass_time(60)
    assert len(shop.shipments_at_bol()) == 3


def test_a_purchase_that_fails_late_does_not_undo_what_a_person_bought_meanwhile(
    via_bol: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, calls = Labels.create, [0]

    def hang(self: Labels, *args: Any) -> Any:
        calls[0] += 1
        if calls[0] > 1:
            return create(self, *args)
        # This process stands still so long that another one finds its work left, and a person decides about it.
        via_bol.forget_leases()
        via_bol.pass_time(90)
        (effect,) = via_bol.all(LabelEffect)
        with transaction():
            labels.buy_again(via_bol.host, via_bol.store_id, effect.id)
        via_bol.pass_time(10)
        raise ConnectFailed("nobody there")

    monkeypatch.setattr(Labels, "create", hang)
    buy(via_bol, 2)
    via_bol.work()
    via_bol.pass_time(600)
    assert [effect.state for effect in via_bol.all(LabelEffect)] == [EffectState.CONFIRMED]
    assert len(via_bol.sandbox.state("seller")["labels"]) == 1


def test_a_label_for_other_pieces_does_not_end_that_one_was_refused(via_bol: Shop) -> None:
    def unread() -> int:
        found = via_bol.all(Notification, Notification.read_at.is_(None))
        return sum("did not sell a label" in row.title for row in found)

    none = {"status": 200, "body": {"deliveryOptions": []}}
    path = "/retailer/shipping-labels/delivery-options"
    via_bol.sandbox.faults([{"method": "POST", "path": path, "times": 1, **none}])
    buy(via_bol, 2)
    via_bol.work()
    buy(via_bol, 1)
    via_bol.pass_time(10)
    assert unread() == 1
    buy(via_bol, 1)
    via_bol.pass_time(10)
    assert unread() == 0

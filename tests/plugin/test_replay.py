"""``bol replay``: what happened while the connector was away, or failed, is told again, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import delete, update

from host_app.db import db, transaction
from host_app.events import BACKOFF
from host_app.models import EventDelivery
from host_app.services import orders, picking
from host_app.services.stock import adjust_stock
from plugin.models import BolOrderEvent, EffectState, Offer
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, TOASTER, Shop


def replay(app: Flask, *arguments: str) -> Result:
    done: Result = app.test_cli_runner().invoke(args=["bol", "replay", *arguments])
    db.session.remove()
    return done


@pytest.fixture
def away(shop: Shop) -> Iterator[Shop]:
    """A shop whose people ship, cancel and count while the connector is not loaded: nothing is written for it."""
    shop.connect(send_stock=True, send_shipments=True)
    shop.work()
    for number, ean in enumerate((KETTLE, KETTLE, TOASTER)):
        shop.sandbox.place_order("seller", [{"ean": ean, "quantity": 1 + number % 2}])
    shop.import_orders()
    first, second, third = (order.reference for order in shop.host_orders())
    shop.close(first, "postnl", "3SFIRST")
    shop.close(second, "postnl", "3SBACK")
    parcel = shop.picklists(second)[0].id
    shipments = [box.id for box in shop.all(_shipment(), _shipment().picklist_id == parcel)]
    cancelled, kettle = shop.host_order(third).id, shop.offer(KETTLE).product_id
    with transaction() as session:
        picking.withdraw_shipment(shipments[0], who="ann")
        orders.cancel_order(cancelled, "The last one was broken")
        adjust_stock(kettle, shop.warehouse, change=-3, reason="counted", who="ann")
        session.execute(delete(EventDelivery))
    yield shop


def _shipment() -> type:
    from host_app.models import Shipment

    return Shipment


def an_hour_ago(shop: Shop) -> str:
    return (shop.host.now() - timedelta(hours=1)).isoformat()


def test_what_happened_while_the_connector_was_away_reaches_bol_once(away: Shop) -> None:
    away.pass_time(60)
    assert away.effects() == []
    assert away.amount_at_bol(KETTLE) == 20 - 3

    for _ in range(2):
        done = replay(away.app, "--since", an_hour_ago(away))
        assert done.exit_code == 0, done.output
        told = dict(line.split(": ") for line in done.output.splitlines())
        assert told == {
            "picklist_closed": "2",
            "shipment_changed": "2",
            "order_cancelled": "1",
            "stock_changed": "2",
        }
        away.pass_time(60, steps=4)

    assert [effect.state for effect in away.effects()] == [EffectState.CONFIRMED]
    (sent,) = away.shipments_at_bol()
    assert sent["transport"]["trackAndTrace"] == "3SFIRST"
    assert away.amount_at_bol(KETTLE) == away.free(KETTLE)
    offer = away.offer(KETTLE)
    assert offer.dirty_version == offer.done_version
    assert [title for title in away.notices() if "was cancelled here" in title] == [
        title for title in away.notices() if "still counts on it" in title
    ]
    assert len([title for title in away.notices() if "was cancelled here" in title]) == 1
    texts = [row.text for row in away.all(BolOrderEvent)]
    assert texts.count("Cancelled in the warehouse, still open at bol") == 1


def test_events_that_failed_for_good_are_told_once_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.connect(send_shipments=True)
    order = shop.order((KETTLE, 1))
    shop.import_orders()
    with monkeypatch.context() as broken:
        broken.setattr("plugin.sync.shipments.owe", lambda *_: 1 / 0)
        shop.close(order)
        for _ in range(len(BACKOFF) + 1):
            shop.work()
            # The waits between the tries are over.
            with transaction() as session:
                session.execute(update(EventDelivery).values(next_try_at=None))
    (parked,) = shop.all(EventDelivery)
    assert parked.parked_at is not None

    done = replay(shop.app)
    assert done.output.splitlines() == ["parked: 1"]
    shop.pass_time(30, steps=3)
    assert [effect.state for effect in shop.effects()] == [EffectState.CONFIRMED]
    assert len(shop.shipments_at_bol()) == 1
    assert replay(shop.app).output.strip() == "There was nothing to tell again."


def test_a_moment_that_is_none_is_refused(shop: Shop) -> None:
    refused = replay(shop.app, "--since", "yesterday")
    assert refused.exit_code == 2
    assert "'yesterday' is no moment" in refused.output


def test_stock_that_the_connector_knows_is_told_in_parts_and_sent_to_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host_app.replay.AT_ONCE", 1)
    shop.connect(send_stock=True)
    shop.work()
    before, calls = shop.all(Offer), len(shop.writes())
    assert "stock_changed: 2" in replay(shop.app, "--since", an_hour_ago(shop)).output
    shop.work()
    assert [offer.done_version for offer in shop.all(Offer)] == [offer.done_version for offer in before]
    assert len(shop.writes()) == calls


def test_orders_whose_product_came_while_the_connector_was_away_come_in(shop: Shop) -> None:
    shop.connect(import_products=False)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    assert shop.bol_order(order_id).state == "waiting for product"
    add_product("K", 5, KETTLE)
    with transaction() as session:
        session.execute(delete(EventDelivery))
    shop.pass_time(3600, steps=4)
    assert shop.host_orders() == []
    assert replay(shop.app, "--since", an_hour_ago(shop)).exit_code == 0
    shop.work()
    assert [order.reference for order in shop.host_orders()] == [order_id]

"""Two at the same moment on PostgreSQL: nobody holds what the other needs while waiting for what the other holds."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from host_app import events, jobs
from host_app.db import transaction
from host_app.services import catalog, picking, stock
from plugin.jobs.wakes import wake_for
from plugin.models import BolOrder, BolOrderItem, EffectState, Offer, OfferLink, TransportEffect
from plugin.settings import StoreSettings
from plugin.sync import (
    corrections,
    dirty,
    links,
    offer_decisions,
    order_decisions,
    pump,
    statuses,
    taking_over,
)
from plugin.sync.due import ORDERS, SHIPMENTS, STOCK
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, TOASTER, Shop
from tests.plugin.sync.test_races import work_at_once


@pytest.mark.parametrize("corrected_first", [False, True])
def test_parcels_that_bol_confirms_and_that_people_correct_in_another_order_do_not_wait_for_each_other(
    postgres_shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    corrected_first: bool,
) -> None:
    shop = postgres_shop
    shop.connect(send_shipments=True)
    shop.work()
    orders = [shop.order((KETTLE, 1)) for _ in range(2)]
    shop.import_orders()
    shop.sandbox.settings(processStatusDelayMs=5000)
    for order_id in orders:
        shop.close(order_id)
    shop.work()
    shop.clock.ahead += shop.hours(0.01)
    shop.sandbox.advance(36)
    parcels = [effect.host_shipment_id for effect in shop.effects()]
    for parcel in reversed(parcels):
        with transaction():
            picking.correct_shipment(parcel, carrier="dpd", tracking_code=f"D{parcel}")
    confirm, change = statuses.after_confirmation, corrections.change
    confirmed, changed = threading.Event(), threading.Event()

    def confirm_slowly(*args: Any) -> None:
        confirm(*args)
        if not confirmed.is_set():
            confirmed.set()
            changed.wait(1)

    def change_slowly(*args: Any) -> Any:
        if not corrected_first:
            confirmed.wait(1)
        done = change(*args)
        if not changed.is_set():
            changed.set()
            confirmed.wait(1)
        return done

    monkeypatch.setattr(statuses, "after_confirmation", confirm_slowly)
    monkeypatch.setattr(corrections, "change", change_slowly)
    if corrected_first:
        ask = statuses._ask
        monkeypatch.setattr(statuses, "_ask", lambda *args: (changed.wait(5), ask(*args))[1])
    work_at_once(shop, wake_for(SHIPMENTS, shop.store_id), events.dispatch_wake("bol"))
    assert confirmed.is_set() and changed.is_set()
    assert "one by one" not in caplog.text
    assert [effect.state for effect in shop.effects()] == [EffectState.CONFIRMED] * 2
    shop.work()
    assert len(shop.all(TransportEffect)) == 2


def test_a_product_that_is_chosen_for_all_orders_and_for_one_of_them_is_chosen_for_each(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = postgres_shop
    shop.connect(import_products=False)
    orders = [shop.order((KETTLE, 1)) for _ in range(2)]
    shop.import_orders()
    rows = sorted((shop.bol_order(order_id) for order_id in orders), key=lambda row: row.id)
    assert {row.state for row in rows} == {"waiting for product"}
    product_id = add_product("K", 9)
    items = [item.id for row in rows for item in shop.all(BolOrderItem, BolOrderItem.order_id == row.id)]
    locked, remember = order_decisions.locked, order_decisions.remember
    has_offers, has_second = threading.Event(), threading.Event()

    def remember_slowly(*args: Any) -> None:
        remember(*args)
        if not has_offers.is_set():
            has_offers.set()
            has_second.wait(1)

    def lock(*args: Any) -> Any:
        row = locked(*args)
        if has_offers.is_set():
            has_second.set()
        return row

    def for_the_second() -> None:
        has_offers.wait(5)
        shop.runtime.link_item(shop.store_id, rows[1].id, items[1], "K")

    monkeypatch.setattr(order_decisions, "remember", remember_slowly)
    monkeypatch.setattr(order_decisions, "locked", lock)
    work_at_once(shop, lambda: shop.runtime.link_waiting(shop.store_id, KETTLE, "K"), for_the_second)
    assert has_offers.is_set() and has_second.is_set()
    assert [item.product_id for item in shop.all(BolOrderItem)] == [product_id] * 2
    shop.work()
    assert {shop.bol_order(row.order_id).state for row in rows} == {"imported"}


def test_two_people_choose_the_product_of_an_ean_for_two_orders_at_once(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = postgres_shop
    shop.connect(import_products=False)
    rows = [shop.order((KETTLE, 1)) for _ in range(2)]
    shop.import_orders()
    found = [shop.bol_order(order_id) for order_id in rows]
    items = [shop.bol_order_items_of(row)[0] for row in found]
    add_product("K", 9)
    with transaction() as session:
        # Without an offer of it, nothing is locked for both.
        session.execute(delete(Offer).where(Offer.ean == KETTLE))
    link, both = links._link_chosen, threading.Barrier(2)

    def link_chosen(*args: Any) -> None:
        # The other one has begun before this choice is there for all to see.
        with suppress(threading.BrokenBarrierError):
            both.wait(1)
        link(*args)

    monkeypatch.setattr(links, "_link_chosen", link_chosen)
    work_at_once(
        shop,
        *(
            partial(shop.runtime.link_item, shop.store_id, row.id, item.id, "K")
            for row, item in zip(found, items, strict=True)
        ),
    )
    shop.work()
    assert {shop.bol_order(order_id).state for order_id in rows} == {"imported"}


def test_offers_of_a_product_that_is_chosen_for_an_order_are_locked_by_rising_id(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The offer that orders wait for comes after another one of the product: whoever marks both takes that one first."""
    shop = postgres_shop
    product_id = add_product("BOTH", 10, KETTLE)
    shop.connect(import_products=False)
    shop.work()
    order_id = shop.order((TOASTER, 1))
    shop.import_orders()
    first, second = sorted(shop.all(Offer, Offer.ean.in_((KETTLE, TOASTER))), key=lambda offer: offer.id)
    with transaction() as session:
        # So that the one that has no product yet is the later one.
        session.execute(update(Offer).where(Offer.id == second.id).values(ean=TOASTER, product_id=None))
        session.execute(update(Offer).where(Offer.id == first.id).values(ean=KETTLE, product_id=product_id))
    remember = order_decisions.remember
    has_later, has_first = threading.Event(), threading.Event()

    def remember_slowly(*args: Any) -> None:
        remember(*args)
        has_later.set()
        has_first.wait(1)

    def mark_both() -> None:
        has_later.wait(5)
        with transaction() as session:
            session.execute(select(Offer.id).where(Offer.id == first.id).with_for_update()).all()
            has_first.set()
            session.execute(select(Offer.id).where(Offer.id == second.id).with_for_update()).all()

    monkeypatch.setattr(order_decisions, "remember", remember_slowly)
    work_at_once(shop, lambda: shop.runtime.link_waiting(shop.store_id, TOASTER, "BOTH"), mark_both)
    assert has_later.is_set() and has_first.is_set()
    shop.work()
    assert shop.bol_order(order_id).state == "imported"


def test_a_job_that_the_database_ends_for_another_is_done_again_and_troubles_nobody(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Products that are changed one after the other are told in that order; the pump locks their offers in its own."""
    shop = postgres_shop
    shop.connect(send_stock=True)
    shop.work()
    first, second = sorted((KETTLE, TOASTER), key=lambda ean: shop.offer(ean).id)
    products = {ean: shop.offer(ean).product_id for ean in (first, second)}
    for ean in (second, first):
        with transaction() as session:
            stock.adjust_stock(products[ean], shop.warehouse, change=1, reason="counted", who="ann")
            session.execute(update(Offer).values(dirty_version=Offer.dirty_version + 1))
            catalog.change_product(products[ean], code=f"N{ean}", name="New", price=None, barcodes=[ean])
    locked, marked = threading.Event(), threading.Event()
    lock, mark = pump.lock_offers, links.mark_product

    def lock_slowly(*args: Any) -> None:
        marked.wait(3)
        lock(*args)
        locked.set()

    def mark_slowly(*args: Any) -> Any:
        done = mark(*args)
        if not marked.is_set():
            marked.set()
            locked.wait(1)
        return done

    with monkeypatch.context() as slow:
        slow.setattr(pump, "lock_offers", lock_slowly)
        slow.setattr(links, "mark_product", mark_slowly)
        work_at_once(shop, wake_for(STOCK, shop.store_id), events.dispatch_wake("bol"))
    assert "made way for another job" in caplog.text
    assert shop.notices() == []
    shop.work()
    assert [shop.amount_at_bol(ean) for ean in (first, second)] == [shop.free(ean) for ean in (first, second)]


def test_the_guard_and_who_saves_settings_do_not_wait_for_each_other(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = postgres_shop
    shop.connect(send_stock=True, guard_least=1, guard_share=0)
    shop.work()
    products = [shop.offer(ean).product_id for ean in (KETTLE, TOASTER)]
    with transaction():
        for product in products:
            stock.adjust_stock(product, shop.warehouse, set_to=0, reason="counted", who="ann")
    wake = events.dispatch_wake("bol")
    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    holding, saving = threading.Event(), threading.Event()
    hold, mark = pump.hold, dirty.mark_all

    def hold_slowly(*args: Any) -> None:
        holding.set()
        saving.wait(1)
        hold(*args)

    def mark_slowly(*args: Any) -> None:
        saving.set()
        holding.wait(1)
        mark(*args)

    monkeypatch.setattr(pump, "hold", hold_slowly)
    monkeypatch.setattr(dirty, "mark_all", mark_slowly)
    settings = StoreSettings(send_stock=True, guard_least=1, guard_share=0, safety_stock=1)
    work_at_once(
        shop,
        wake_for(STOCK, shop.store_id),
        lambda: shop.runtime.save_settings(shop.store_id, settings),
    )
    assert holding.is_set() and saving.is_set()


def test_who_links_an_offer_and_a_read_of_an_order_do_not_wait_for_each_other(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = postgres_shop
    shop.connect(import_products=False)
    add_product("K", 6, KETTLE)
    order_id = shop.order((KETTLE, 1), (TOASTER, 1))
    shop.work()
    shop.runtime.read_again(shop.store_id, shop.bol_order(order_id).id)
    reading_order, linking = slow_reading(monkeypatch)
    choose = offer_decisions.choose

    def choose_slowly(*args: Any) -> None:
        linking.set()
        reading_order.wait(3)
        choose(*args)

    monkeypatch.setattr(offer_decisions, "choose", choose_slowly)
    offer_id = shop.offer(KETTLE).id
    work_at_once(
        shop,
        wake_for(ORDERS, shop.store_id),
        lambda: shop.runtime.link_offer(shop.store_id, offer_id, "K"),
    )
    assert reading_order.is_set() and linking.is_set()
    assert shop.offer(KETTLE).link == OfferLink.HAND


def slow_reading(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Let who takes an order over wait for somebody else once it holds the order; return both moments."""
    reading_order, other = threading.Event(), threading.Event()
    lock = taking_over.lock_row

    def read(*args: Any) -> BolOrder:
        row = lock(*args)
        if not reading_order.is_set():
            reading_order.set()
            other.wait(1)
        return row

    monkeypatch.setattr(taking_over, "lock_row", read)
    return reading_order, other

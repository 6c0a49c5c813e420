"""Two at the same moment: packer and acceptance, two workers at one import; each thing happens once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from host_app import events, jobs
from host_app.db import db, reading, transaction
from host_app.models import Stock
from host_app.plugin_api import HostError, StockChange, Wake
from host_app.services import picking, stock
from host_app.services.picking import NewParcel
from plugin.jobs.wakes import wake_for
from plugin.models import ApiCall, BolOrder, CancellationEffect, EffectState, Offer, Store
from plugin.sync import cancelling, links, statuses, taking_over
from plugin.sync.call_log import PACKING
from plugin.sync.dirty import lock_offers
from plugin.sync.due import ORDERS, SHIPMENTS
from tests.host_app.factories import add_product, add_warehouse
from tests.plugin.conftest import KETTLE, TOASTER, Shop
from tests.plugin.sync.test_cancelling import CANCELLATION, accept

ROUNDS = 6


def work_at_once(shop: Shop, *deeds: Wake | Callable[[], object]) -> None:
    """Do these jobs, and what people do, in threads; what fails is raised here."""
    db.session.remove()
    raised: list[DBAPIError] = []

    def run(deed: Wake | Callable[[], object]) -> None:
        try:
            if isinstance(deed, Wake):
                jobs.run_wake(deed.name, deed.queue, deed.job, list(deed.args))
            else:
                deed()
        except DBAPIError as error:
            raised.append(error)

    at_once(shop, *[lambda deed=deed: run(deed) for deed in deeds])
    if raised:
        raise raised[0]


def at_once(shop: Shop, *deeds: Callable[[], None]) -> list[str]:
    """Do these in threads, as close to each other as can be; return what each was refused for, or ""."""
    ready = threading.Barrier(len(deeds))
    told = [""] * len(deeds)

    def do(number: int, deed: Callable[[], None]) -> None:
        with shop.app.app_context():
            ready.wait(10)
            try:
                deed()
            except HostError as error:
                told[number] = str(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=do, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return told


def test_of_packer_and_acceptance_at_once_one_wins_and_the_other_is_told(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_ids = [shop.order((KETTLE, 1)) for _ in range(ROUNDS)]
    shop.work()
    for order_id in order_ids:
        shop.sandbox.request_cancellation(order_id)
    shop.import_orders()
    for order_id in order_ids:
        row_id, picklist_id = shop.bol_order(order_id).id, shop.picklist_id(order_id)

        def pack(picklist_id: int = picklist_id) -> None:
            with transaction():
                picking.pick_all(picklist_id)
                picking.close_picklist(picklist_id, [NewParcel("dhl", "A1")], who="ann")

        def accept(row_id: int = row_id) -> None:
            shop.runtime.accept_request(shop.store_id, row_id, "bob")

        packer, acceptance = at_once(shop, pack, accept)
        if packer:
            assert "being accepted at bol" in packer
            assert not acceptance
        else:
            assert "the packer was first" in acceptance
    shop.pass_time(30, steps=5)
    cancelled = {effect.order_id for effect in shop.all(CancellationEffect)}
    for order_id in order_ids:
        accepted = shop.bol_order(order_id).id in cancelled
        assert shop.host_order(order_id).state == ("cancelled" if accepted else "completed")
    assert len(shop.effects()) == ROUNDS - len(cancelled)
    assert all(effect.state == "confirmed" for effect in shop.effects())


def test_an_import_that_several_workers_begin_at_once_brings_each_order_in_once(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_ids = [shop.order((KETTLE, 1), (TOASTER, 1), force=True) for _ in range(30)]
    shop.runtime.import_orders(shop.store_id)
    wake = wake_for(ORDERS, shop.store_id)

    def run() -> None:
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))

    at_once(shop, *[run] * 4)
    shop.work()
    assert sorted(order.reference for order in shop.host_orders()) == sorted(order_ids)
    assert details_read(shop) == sorted(order_ids)


def details_read(shop: Shop) -> Sequence[str]:
    """Return the orders whose details bol was asked for, each as often as that was."""
    paths = [call["path"] for call in shop.sandbox.calls() if call["method"] == "GET"]
    return sorted(path.rpartition("/")[2] for path in paths if path.startswith("/retailer/orders/"))


def test_a_packer_waits_for_nobody_who_works_on_the_store_or_on_the_order(postgres_shop: Shop) -> None:
    """An import holds both rows for as long as its transaction is; the picklist is closed and told meanwhile."""
    shop = postgres_shop
    shop.connect(send_shipments=True)
    packed, cancelled = shop.order((KETTLE, 1)), shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.cancel(cancelled)
    picklists = [shop.picklist_id(order_id) for order_id in (packed, cancelled)]
    with db.engine.connect() as somebody:
        # Who waits for a lock fails instead.
        somebody.execute(text(f"ALTER DATABASE {db.engine.url.database} SET lock_timeout = '1s'"))
        somebody.commit()
        somebody.execute(select(Store.id).with_for_update(key_share=True))
        somebody.execute(select(BolOrder.id).with_for_update(key_share=True))
        db.session.remove()
        db.engine.dispose()
        answers = [shop.runtime.closing_answer(picklist_id, 2.0) for picklist_id in picklists]
        shop.close(packed)
        # What was learnt is written together with the calls, and would have been lost with them.
        assert len(shop.all(ApiCall, ApiCall.job == PACKING)) == len(picklists)
        assert shop.bol_order(cancelled).read_due_at is None
    assert [bool(answer and answer.objections) for answer in answers] == [False, True]


def test_pieces_that_two_count_at_once_in_a_new_place_are_there_once(postgres_shop: Shop) -> None:
    place, product = add_warehouse("Attic"), add_product("A", 5)

    def count() -> None:
        with transaction():
            stock.adjust_stock(product, place, set_to=10, reason="counted", who="ann")

    at_once(postgres_shop, *[count] * 4)
    with reading() as session:
        assert session.scalars(select(Stock.physical).where(Stock.warehouse_id == place)).all() == [10]


def test_a_cancellation_that_bol_refuses_and_a_read_of_its_order_do_not_wait_for_each_other(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = postgres_shop
    shop.connect()
    shop.order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.sandbox.request_cancellation(shop.order_id)
    shop.import_orders()
    shop.sandbox.faults([{"method": "PUT", "path": CANCELLATION, "when": "before", "status": 400}])
    accept(shop)
    shop.runtime.read_again(shop.store_id, shop.bol_order(shop.order_id).id)
    at_bols_order, at_the_hosts = threading.Event(), threading.Event()
    lock, release = taking_over.lock_row, cancelling.release_if_decided

    def read(*args: Any) -> BolOrder:
        row = lock(*args)
        at_bols_order.set()
        at_the_hosts.wait(3)
        return row

    def refuse(*args: Any) -> None:
        at_bols_order.wait(3)
        release(*args)
        at_the_hosts.set()

    monkeypatch.setattr(taking_over, "lock_row", read)
    monkeypatch.setattr(cancelling, "release_if_decided", refuse)
    work_at_once(shop, *[wake_for(kind, shop.store_id) for kind in (ORDERS, SHIPMENTS)])
    assert at_bols_order.is_set() and at_the_hosts.is_set()
    assert [effect.state for effect in shop.all(CancellationEffect)] == [EffectState.REFUSED]
    assert shop.bol_order(shop.order_id).error == ""


def test_parcels_that_bol_confirms_and_changes_of_their_stock_do_not_wait_for_each_other(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = postgres_shop
    shop.connect(send_shipments=True, send_stock=True, managed_by_retailer=False)
    shop.work()
    # Offers are locked by their ids: these are confirmed the other way round.
    first, second = sorted((KETTLE, TOASTER), key=lambda ean: shop.offer(ean).id)
    orders = [shop.order((ean, 1)) for ean in (second, first)]
    shop.import_orders()
    shop.sandbox.settings(processStatusDelayMs=5000)
    for order_id in orders:
        shop.close(order_id)
    shop.work()
    shop.clock.ahead += shop.hours(0.01)
    shop.sandbox.advance(36)
    products = [shop.offer(ean).product_id for ean in (first, second)]
    with transaction():
        for product in products:
            stock.adjust_stock(product, shop.warehouse, change=3, reason="counted", who="ann")
    confirm, mark = statuses.after_confirmation, links.mark
    confirmed = threading.Event()

    def confirm_slowly(*args: Any) -> None:
        confirm(*args)
        if not confirmed.is_set():
            confirmed.set()
            time.sleep(1)

    def mark_then(*args: Any) -> Any:
        confirmed.wait(5)
        return mark(*args)

    monkeypatch.setattr(statuses, "after_confirmation", confirm_slowly)
    monkeypatch.setattr(links, "mark", mark_then)
    work_at_once(shop, wake_for(SHIPMENTS, shop.store_id), events.dispatch_wake("bol"))
    assert [effect.state for effect in shop.effects()] == [EffectState.CONFIRMED] * 2


def test_many_changes_of_stock_and_the_pump_do_not_wait_for_each_other(
    postgres_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = postgres_shop
    shop.connect()
    shop.work()
    first, second = sorted((shop.offer(ean) for ean in (KETTLE, TOASTER)), key=lambda offer: offer.id)
    # More than are looked up together, and those that are locked first come last.
    monkeypatch.setattr(links, "CHUNK", 1)
    changes = [
        StockChange(offer.product_id, history_id, 3)
        for history_id, offer in enumerate((second, first), 10**6)
    ]
    raised: list[DBAPIError] = []

    def wait_for(waiting: int) -> None:
        locks = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        for _ in range(200):
            with reading() as session:
                if session.scalar(locks) == waiting:
                    return
            time.sleep(0.02)
        raise AssertionError("nobody waits for the row that is locked")

    def in_thread(deed: Callable[[Any], object]) -> threading.Thread:
        def run() -> None:
            with shop.app.app_context():
                try:
                    with transaction() as session:
                        deed(session)
                except DBAPIError as error:
                    raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    with transaction() as session:
        session.execute(select(Offer.id).where(Offer.id == first.id).with_for_update()).all()
        # Whoever asked for the row first has it next.
        threads = []
        for waiting, deed in enumerate(
            (
                lambda session: lock_offers(session, [first.id, second.id]),
                lambda _session: links.mark(shop.host, changes),
            ),
            start=1,
        ):
            threads.append(in_thread(deed))
            with shop.app.app_context():
                wait_for(waiting)
    for thread in threads:
        thread.join(30)
    assert raised == []
    assert [row.dirty_version > row.done_version for row in (shop.offer(KETTLE), shop.offer(TOASTER))] == [
        True
    ] * 2

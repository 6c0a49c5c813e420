"""What a review of the stock flows found: effects that were lost, kept too long, or never came to an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.engine import Engine

from host_app import leases
from host_app.db import transaction
from plugin.connector import BolClient
from plugin.connector.resources.orders import Orders
from plugin.models import BolOrder, Offer, Run, RunState
from plugin.settings import StoreSettings
from plugin.sync import order_list, pump
from plugin.sync.due import STOCK, due
from plugin.sync.order_list import FRESH
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, OFFERS, TOASTER, Shop
from tests.plugin.portal import remove_at_bol
from tests.plugin.sync.test_pump import MANY, before_call, let_the_list_age, list_reads, push, stock


@pytest.fixture
def sending(shop: Shop) -> Shop:
    """A store that sends stock, whose last read of the order list is old."""
    shop.connect(send_stock=True)
    shop.work()
    let_the_list_age(shop)
    return shop


def with_offers(shop: Shop, *eans: str) -> None:
    """The seller has these offers, too."""
    shop.sandbox.reset()
    shop.sandbox.limits([])
    shop.sandbox.settings(latencyMs=0, processStatusDelayMs=0)
    offers = [{"ean": ean, "title": ean, "stock": 50} for ean in eans]
    shop.sandbox.add_seller("seller", "secret", offers=[*OFFERS, *offers])


@pytest.fixture
def many(shop: Shop) -> Shop:
    """A store with seven offers that it ships itself."""
    with_offers(shop, *MANY)
    shop.connect(send_stock=True, guard_least=3, guard_share=25)
    shop.work()
    return shop


def here(shop: Shop, act: Callable[[], object]) -> Callable[[], None]:
    """Do something with the database from the thread of a call."""

    def acting() -> None:
        with shop.app.app_context():
            act()

    return acting


def change(shop: Shop, ean: str, **values: Any) -> None:
    with transaction() as session:
        session.execute(
            update(Offer).where(Offer.ean == ean, Offer.store_id == shop.store_id).values(**values)
        )


def stock_is_due(shop: Shop) -> bool:
    return any(work.kind == STOCK for work in due(shop.host, shop.host.now()))


# the pump and the settings


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pump claims one offer after the other, in one job."""
    monkeypatch.setattr(pump, "BATCH", 1)
    monkeypatch.setattr(pump, "LOW_WATER", 0)


@pytest.mark.usefixtures("one_by_one")
def test_a_setting_saved_while_stock_is_sent_counts_for_what_it_marked(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(sending, KETTLE, 19)
    stock(sending, TOASTER, 9)
    before_call(
        monkeypatch, "PATCH", here(sending, lambda: sending.settings(send_stock=True, safety_stock=5))
    )
    push(sending)
    sending.work()
    assert (sending.amount_at_bol(KETTLE), sending.amount_at_bol(TOASTER)) == (14, 4)


@pytest.mark.usefixtures("one_by_one")
def test_a_store_that_is_paused_while_stock_is_sent_claims_nothing_more(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(sending, KETTLE, 19)
    stock(sending, TOASTER, 9)
    before_call(monkeypatch, "PATCH", here(sending, lambda: sending.runtime.pause(sending.store_id)))
    push(sending)
    assert (sending.amount_at_bol(KETTLE), sending.amount_at_bol(TOASTER)) in ((19, 10), (20, 9))


# the pump and the order list


def test_what_becomes_due_after_the_look_waits_until_orders_are_known(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, late = pump._Pump._anything_due, []

    def anything_due(job: pump._Pump) -> bool:
        found = real(job)
        if not late:
            late.append(True)
            stock(sending, KETTLE, 19)
        return found

    told: list[int] = []
    real_call = BolClient.call

    def call(client: BolClient, route: Any, **more: Any) -> Any:
        if route.method == "PATCH":
            told.append(more["body"]["stock"]["amount"])
        return real_call(client, route, **more)

    monkeypatch.setattr(pump._Pump, "_anything_due", anything_due)
    monkeypatch.setattr(BolClient, "call", call)
    sending.order((KETTLE, 4))
    push(sending)
    push(sending)
    assert told == [15]


def test_a_list_that_cannot_be_read_after_the_last_update_is_not_asked_for_each_second(sending: Shop) -> None:
    stock(sending, KETTLE, 19)
    push(sending)
    sending.sandbox.faults([{"method": "GET", "path": "/retailer/orders", "when": "before", "status": 500}])
    sending.clock.ahead += 2 * FRESH
    push(sending)
    before = list_reads(sending)
    for _ in range(5):
        sending.clock.ahead += timedelta(seconds=1)
        if stock_is_due(sending):
            push(sending)
    assert list_reads(sending) == before
    sending.sandbox.faults([])
    sending.clock.ahead += timedelta(minutes=1)
    assert stock_is_due(sending)
    push(sending)
    assert not stock_is_due(sending)


def test_a_page_that_was_overtaken_by_another_reader_is_not_noted(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = sending.order((KETTLE, 4))
    real, asked = Orders.page, []

    def read_all() -> None:
        lease = leases.acquire("another reader")
        assert lease is not None
        with sending.runtime.context(sending.store_id, lease) as ctx:
            assert ctx is not None
            order_list.know_orders(ctx, sending.host.now())

    def page(orders: Orders, *given: Any, **named: Any) -> Any:
        found = real(orders, *given, **named)
        if not asked:
            asked.append(True)
            sending.sandbox.cancel(order_id)
            here(sending, read_all)()
        return found

    monkeypatch.setattr(Orders, "page", page)
    stock(sending, KETTLE, 19)
    push(sending)
    assert ":4:0:4:" in sending.bol_order(order_id).list_signature


# what the pump records


def test_a_pump_that_lost_its_lease_during_a_call_records_nothing(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.0)
    stock(sending, KETTLE, 19)
    before_call(monkeypatch, "PATCH", here(sending, sending.forget_leases))
    push(sending)
    row = sending.offer(KETTLE)
    assert row.in_doubt
    assert row.dirty_version > row.done_version
    assert stock_is_due(sending)


def test_what_became_scarce_during_a_call_stays_urgent(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed: list[bool] = []

    def may_claim(_job: pump._Pump) -> bool:
        claimed.append(True)
        return len(claimed) == 1

    monkeypatch.setattr(pump._Pump, "_may_claim", may_claim)
    stock(sending, KETTLE, 19)
    before_call(monkeypatch, "PATCH", here(sending, lambda: stock(sending, KETTLE, 2)))
    push(sending)
    row = sending.offer(KETTLE)
    assert (row.confirmed_amount, row.urgent, row.done_version < row.dirty_version) == (19, True, True)


def test_one_job_looks_at_all_that_is_due_where_nothing_needs_sending(
    many: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "BATCH", 2)
    let_the_list_age(many)
    with transaction() as session:
        session.execute(update(Offer).values(dirty_version=Offer.dirty_version + 1))
    push(many)
    assert many.all(Offer, Offer.dirty_version > Offer.done_version, Offer.ean != LAMP) == []


def test_slow_read_backs_leave_time_for_updates(sending: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "READ_BACK_SECONDS", -1.0)
    change(sending, TOASTER, read_back_at=sending.host.now())
    stock(sending, KETTLE, 19)
    push(sending)
    assert sending.amount_at_bol(KETTLE) == 19
    assert sending.offer(TOASTER).read_back_at is not None


@pytest.fixture
def locking(shop: Shop) -> Iterator[list[list[str]]]:
    """The tables that each transaction changed or locked, in order."""
    found: list[list[str]] = [[]]

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(("UPDATE bol_store", "UPDATE bol_offer")):
            found[-1].append(statement.split()[1])

    def end(_connection: Any) -> None:
        found.append([])

    event.listen(Engine, "before_cursor_execute", note)
    event.listen(Engine, "commit", end)
    yield found
    event.remove(Engine, "before_cursor_execute", note)
    event.remove(Engine, "commit", end)


def test_the_store_is_locked_before_its_offers_as_readers_of_the_order_list_do(
    sending: Shop, locking: list[list[str]]
) -> None:
    stock(sending, KETTLE, 19)
    push(sending)
    both = [tables for tables in locking if {"bol_store", "bol_offer"} <= set(tables)]
    assert len(both) >= 2
    assert all(tables[0] == "bol_store" for tables in both)


# the guard


def test_a_permission_to_send_zeros_ends_with_the_offer_having_stock_again(many: Shop) -> None:
    for ean in MANY[:4]:
        stock(many, ean, 0)
    many.work()
    many.runtime.send_zeros_anyway(many.store_id)
    for ean in MANY[:4]:
        stock(many, ean, 50)
    many.work()
    for ean in MANY[:4]:
        stock(many, ean, 0)
    many.work()
    assert [many.amount_at_bol(ean) for ean in MANY[:4]] == [50] * 4


def test_people_are_told_of_a_stop_although_an_offer_that_is_kept_out_by_now_was_held_before(
    many: Shop,
) -> None:
    for ean in MANY[:4]:
        stock(many, ean, 0)
    many.work()
    change(many, MANY[0], excluded=True)
    for ean in MANY[1:4]:
        stock(many, ean, 50)
    many.work()
    many.pass_time(2, steps=1)
    for ean in MANY[1:5]:
        stock(many, ean, 0)
    many.work()
    assert [many.amount_at_bol(ean) for ean in MANY[1:5]] == [50] * 4
    assert sum("about to go to 0" in title for title in many.notices()) == 2


# what is sold and not here yet


def test_linking_an_item_of_a_waiting_order_by_hand_lowers_the_offers_of_that_product(shop: Shop) -> None:
    add_product("K", 20, KETTLE)
    with_offers(shop, MANY[0])
    shop.connect(send_stock=True, import_products=False)
    shop.work()
    shop.order((MANY[0], 4), (TOASTER, 1))
    shop.import_orders()
    (row,) = shop.all(BolOrder)
    item = next(item for item in shop.bol_order_items_of(row) if item.ean == MANY[0])
    shop.runtime.link_item(shop.store_id, row.id, item.id, "K")
    shop.work()
    assert shop.bol_order(row.order_id).host_order_id is None
    assert shop.amount_at_bol(KETTLE) == 16


def test_an_order_of_an_ean_without_an_offer_here_lowers_the_other_offers_of_its_product(shop: Shop) -> None:
    add_product("K", 20, KETTLE, MANY[0])
    shop.sandbox.add_seller("second", "secret", offers=[{"ean": MANY[0], "title": "Kettle", "stock": 3}])
    shop.connect(send_stock=True, import_products=False)
    shop.work()
    second = shop.runtime.connect_store(
        name="Second", environment="sandbox", client_id="second", client_secret="secret"
    )
    with transaction() as session:
        session.execute(update(Run).values(state=RunState.DONE, due_at=None))
    shop.runtime.save_settings(second, StoreSettings(import_products=False))
    shop.runtime.activate(second)
    shop.work()
    shop.sandbox.faults([{"method": "GET", "path": "/retailer/orders/*", "when": "before", "status": 500}])
    shop.sandbox.place_order("second", [{"ean": MANY[0], "quantity": 3}])
    shop.pass_time(60)
    assert shop.all(Offer, Offer.store_id == second) == []
    assert shop.sandbox.offer("seller", KETTLE)["stock"]["amount"] == 17


# the check


def test_an_offer_that_cannot_be_read_does_not_keep_a_check_from_its_end(sending: Shop) -> None:
    offer_id = sending.offer(TOASTER).offer_id
    remove_at_bol(sending, TOASTER)
    sending.sandbox.faults(
        [{"method": "GET", "path": f"/retailer/offers/{offer_id}", "when": "before", "status": 400}]
    )
    run_id = sending.runtime.check_stock(sending.store_id, False, "ann")
    sending.work()
    sending.pass_time(4 * 3600, steps=8)
    (run,) = sending.all(Run, Run.id == run_id)
    assert run.state == RunState.DONE
    assert sending.offer(TOASTER).state == "listed"

"""The stock pump knows bol's orders before it sends, sends what is scarce first, and asks before it empties the shop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from host_app import events, jobs, leases
from host_app.db import transaction
from host_app.models import Notification
from host_app.plugin_api import HostError
from host_app.plugins import plugins
from host_app.services.stock import adjust_stock
from host_app.wakes import waker
from plugin.connector import BolClient, BudgetExhausted, Deadline
from plugin.connector.resources.offers import Offers
from plugin.jobs.wakes import wake_for
from plugin.models import Offer, Store
from plugin.settings import StoreSettings
from plugin.sync import pump
from plugin.sync.due import ORDERS, STOCK
from plugin.sync.guard import empties
from plugin.sync.offer_states import KEPT_ON_SALE
from plugin.sync.order_list import FRESH
from plugin.sync.overview import overview
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, OFFERS, TOASTER, Shop

MANY = ("8710000000010", "8710000000027", "8710000000034", "8710000000041", "8710000000058")


def stock(shop: Shop, ean: str, amount: int) -> None:
    """Count the stock of a product in the warehouse, and let the event arrive."""
    product_id = shop.offer(ean).product_id
    with transaction():
        adjust_stock(product_id, shop.warehouse, set_to=amount, reason="counted", who="ann")
    deliver(shop)


def deliver(shop: Shop) -> None:
    for wake in events.due(plugins().names):
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


def let_the_list_age(shop: Shop) -> None:
    """The last read of the order list is so old that the pump reads it anew."""
    shop.pass_time(60)
    shop.clock.ahead += 2 * FRESH


def push(shop: Shop) -> None:
    """Let the pump run, and nothing else."""
    wake = wake_for(STOCK, shop.store_id)
    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The amounts that bol was told, in order."""
    amounts: list[int] = []
    real = Offers.set_stock

    def set_stock(offers: Offers, offer_id: str, amount: int, *arguments: Any, **more: Any) -> None:
        amounts.append(amount)
        real(offers, offer_id, amount, *arguments, **more)

    monkeypatch.setattr(Offers, "set_stock", set_stock)
    return amounts


def corrected(shop: Shop, ean: str) -> int:
    return int(shop.sandbox.offer("seller", ean)["stock"]["correctedStock"])


def before_call(monkeypatch: pytest.MonkeyPatch, method: str, act: Callable[[], None]) -> None:
    """Do something once, just before the next call of this method."""
    real, done = BolClient.call, []

    def call(client: BolClient, route: Any, **more: Any) -> Any:
        if route.method == method and not done:
            done.append(1)
            act()
        return real(client, route, **more)

    monkeypatch.setattr(BolClient, "call", call)


def unread(shop: Shop) -> list[str]:
    """Return what people are still to be told."""
    return [row.title for row in shop.all(Notification, Notification.read_at.is_(None))]


def list_reads(shop: Shop) -> int:
    return sum(call["path"] == "/retailer/orders" for call in shop.sandbox.calls())


def use_up_the_list(shop: Shop) -> None:
    """Other work has made all calls of this minute that bol allows for the order list."""
    lease = leases.acquire("somebody else")
    assert lease is not None
    with shop.runtime.context(shop.store_id, lease) as ctx, pytest.raises(BudgetExhausted):
        assert ctx is not None
        for _ in range(30):
            ctx.client.orders.page(deadline=Deadline.after(turn=0.1))


def change_store(**values: Any) -> None:
    with transaction() as session:
        session.execute(update(Store).values(**values))


def stock_is_due(shop: Shop) -> bool:
    return wake_for(STOCK, shop.store_id) in shop.due()


# orders first


def test_an_order_placed_since_the_last_import_is_known_before_stock_is_sent(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    let_the_list_age(shop)
    shop.order((KETTLE, 4))
    stock(shop, KETTLE, 19)
    push(shop)
    assert shop.amount_at_bol(KETTLE) == 15
    shop.work()
    assert (shop.amount_at_bol(KETTLE), corrected(shop, KETTLE), shop.free(KETTLE)) == (15, 15, 15)


def test_an_order_placed_between_reading_and_sending_is_made_good_by_the_read_after_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(send_stock=True)
    shop.work()
    let_the_list_age(shop)
    before_call(monkeypatch, "PATCH", lambda: shop.order((KETTLE, 4)) and None)
    stock(shop, KETTLE, 19)
    push(shop)
    assert corrected(shop, KETTLE) == 19
    shop.clock.ahead += FRESH
    push(shop)
    assert corrected(shop, KETTLE) == 15


def test_an_order_placed_after_sending_is_not_subtracted_twice(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    let_the_list_age(shop)
    stock(shop, KETTLE, 19)
    push(shop)
    shop.order((KETTLE, 4))
    assert corrected(shop, KETTLE) == 15
    shop.pass_time(60)
    assert (shop.amount_at_bol(KETTLE), corrected(shop, KETTLE)) == (15, 15)


def test_stock_that_rises_by_as_much_as_was_ordered_is_sent_although_the_amount_stays_the_same(
    shop: Shop,
) -> None:
    shop.connect(send_stock=True)
    shop.work()
    let_the_list_age(shop)
    shop.order((KETTLE, 4))
    stock(shop, KETTLE, 24)
    shop.work()
    assert (shop.amount_at_bol(KETTLE), corrected(shop, KETTLE)) == (20, 20)


def test_an_amount_that_bol_has_and_subtracts_orders_from_is_sent_although_it_is_right(shop: Shop) -> None:
    shop.order((KETTLE, 4))
    add_product("K", 24, KETTLE)
    shop.connect(send_stock=True)
    shop.work()
    assert (shop.amount_at_bol(KETTLE), corrected(shop, KETTLE), shop.free(KETTLE)) == (20, 20, 20)


def test_the_list_is_not_read_again_while_the_last_read_is_fresh(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    before = list_reads(shop)
    for amount in (19, 18, 17, 16):
        stock(shop, KETTLE, amount)
        push(shop)
    assert list_reads(shop) - before <= 1
    assert shop.amount_at_bol(KETTLE) == 16


def test_the_work_ends_when_the_list_was_read_after_the_last_update(shop: Shop) -> None:
    shop.connect(send_stock=True, import_minutes=60)
    shop.work()
    stock(shop, KETTLE, 19)
    push(shop)
    store = shop.store()
    assert store.stock_sent_at is not None and store.orders_read_at is not None
    shop.pass_time(30)
    store = shop.store()
    assert store.orders_read_at is not None and store.stock_sent_at is not None
    assert store.orders_read_at > store.stock_sent_at
    assert shop.due() == []


def test_nothing_is_sent_while_the_order_list_cannot_be_read(shop: Shop, sent: list[int]) -> None:
    shop.connect(send_stock=True)
    shop.work()
    let_the_list_age(shop)
    sent.clear()
    shop.sandbox.faults([{"path": "/retailer/orders", "when": "before", "status": 500}])
    stock(shop, KETTLE, 5)
    push(shop)
    assert sent == []
    shop.sandbox.faults([])
    shop.pass_time(60)
    assert shop.amount_at_bol(KETTLE) == 5


def test_where_the_lists_limit_is_used_up_only_amounts_near_zero_wait_for_it(
    shop: Shop, sent: list[int]
) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.clock.ahead += 2 * FRESH
    use_up_the_list(shop)
    sent.clear()
    stock(shop, KETTLE, 3)
    stock(shop, TOASTER, 17)
    push(shop)
    assert sent == [17]
    assert not stock_is_due(shop), "the pump rests until there is room"
    shop.pass_time(61)
    assert shop.amount_at_bol(KETTLE) == 3


def test_what_nobody_looked_for_within_a_minute_waits_for_the_list(shop: Shop, sent: list[int]) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.clock.ahead += timedelta(seconds=70)
    use_up_the_list(shop)
    sent.clear()
    stock(shop, TOASTER, 17)
    push(shop)
    assert sent == []
    shop.pass_time(61)
    assert shop.amount_at_bol(TOASTER) == 17


def test_what_waits_for_the_list_goes_as_soon_as_the_import_has_read_it(shop: Shop, sent: list[int]) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.clock.ahead += timedelta(seconds=70)
    use_up_the_list(shop)
    sent.clear()
    stock(shop, TOASTER, 17)
    push(shop)
    assert sent == []
    assert not stock_is_due(shop)
    # There is room again.
    waker().redis.flushdb()
    shop.sandbox.limits([])
    change_store(import_wanted_at=shop.host.now())
    wake = wake_for(ORDERS, shop.store_id)
    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))
    assert stock_is_due(shop)
    push(shop)
    assert sent == [17]


def test_a_pause_that_a_wrong_clock_has_noted_holds_up_nothing(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    stock(shop, TOASTER, 17)
    now = shop.host.now()
    change_store(orders_known_at=now - timedelta(minutes=5), orders_look_after=now + timedelta(minutes=1))
    assert not stock_is_due(shop)
    change_store(orders_look_after=now + timedelta(days=1))
    assert stock_is_due(shop)


def test_after_a_gap_orders_are_taken_over_before_stock_is_sent(shop: Shop, sent: list[int]) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.order((KETTLE, 4))
    shop.clock.ahead += shop.hours(3)
    shop.sandbox.advance(3 * 3600)
    stock(shop, KETTLE, 19)
    sent.clear()
    push(shop)
    assert sent == []
    shop.work()
    assert sent == [15]


def test_an_order_that_waits_for_a_product_lowers_what_another_store_offers(shop: Shop) -> None:
    product = add_product("K", 20, KETTLE)
    first = shop.connect(send_stock=True, import_products=False)
    shop.sandbox.add_seller("second", "secret", offers=[{"ean": KETTLE, "title": "Kettle", "stock": 3}])
    second = shop.runtime.connect_store(
        name="Second", environment="sandbox", client_id="second", client_secret="secret"
    )
    shop.runtime.save_settings(second, StoreSettings(send_stock=True, import_products=False))
    shop.runtime.activate(second)
    shop.work()
    assert shop.sandbox.offer("second", KETTLE)["stock"]["amount"] == 20
    shop.order((KETTLE, 4), (TOASTER, 1))
    shop.store_id = first
    shop.import_orders()
    assert shop.sandbox.offer("second", KETTLE)["stock"]["amount"] == 16
    assert product


def test_an_order_that_one_store_has_only_found_lowers_what_another_store_offers(shop: Shop) -> None:
    """Two stores sell one EAN: the pieces of an order that is not here yet are missing from both."""
    first = shop.connect(send_stock=True)
    shop.work()
    shop.sandbox.add_seller("second", "secret", offers=[{"ean": KETTLE, "title": "Kettle", "stock": 3}])
    second = shop.runtime.connect_store(
        name="Second", environment="sandbox", client_id="second", client_secret="secret"
    )
    shop.runtime.save_settings(second, StoreSettings(send_stock=True))
    shop.runtime.activate(second)
    shop.work()
    shop.order((KETTLE, 4))
    shop.clock.ahead += 2 * FRESH
    # The first store's pump reads of the order; nobody imports it.
    shop.runtime.push_offer(first, shop.all(Offer, Offer.store_id == first, Offer.ean == KETTLE)[0].id)
    for shop.store_id in (first, second):
        push(shop)
    assert shop.host_orders() == []
    assert shop.amount_at_bol(KETTLE) == 16
    assert shop.sandbox.offer("second", KETTLE)["stock"]["amount"] == 16


# what goes first, and what is in doubt


def test_people_are_told_of_an_offer_that_cannot_be_sent_until_it_is(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    path = f"/retailer/offers/{shop.offer(KETTLE).offer_id}"
    shop.sandbox.faults([{"method": "PATCH", "path": path, "when": "before", "status": 500}])
    stock(shop, KETTLE, 19)
    shop.pass_time(4 * 3600, steps=16)
    (notice,) = unread(shop)
    assert KETTLE in notice
    shop.sandbox.faults([])
    shop.pass_time(2 * 3600, steps=10)
    assert shop.amount_at_bol(KETTLE) == 19
    assert unread(shop) == []


def test_what_is_nearly_sold_out_goes_first(
    big_shop: Shop, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "BATCH", 2)
    monkeypatch.setattr(pump, "LOW_WATER", 0)
    sent.clear()
    for ean, amount in zip(MANY, (40, 30, 2, 20, 0), strict=True):
        stock(big_shop, ean, amount)
    push(big_shop)
    assert sorted(sent[:2]) == [0, 2]
    assert sorted(sent[2:]) == [20, 30, 40]


def test_a_job_that_died_after_the_call_leaves_the_offer_in_doubt_and_the_next_sends_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect(send_stock=True)
    shop.work()
    with monkeypatch.context() as patch:
        patch.setattr("plugin.sync.pump._Pump._settle", died)
        stock(shop, KETTLE, 7)
        with pytest.raises(Died):
            push(shop)
    assert shop.offer(KETTLE).in_doubt
    shop.forget_leases()
    stock(shop, KETTLE, 20)
    shop.work()
    assert (shop.amount_at_bol(KETTLE), shop.offer(KETTLE).in_doubt) == (20, False)


def test_after_a_lost_answer_the_offer_is_read_back_a_minute_later(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.sandbox.faults(
        [{"method": "PATCH", "path": "/retailer/offers/*", "when": "after", "drop": True, "times": 1}]
    )
    stock(shop, KETTLE, 7)
    push(shop)
    assert shop.offer(KETTLE).read_back_at is not None
    shop.pass_time(120, steps=4)
    offer = shop.offer(KETTLE)
    assert (offer.read_back_at, offer.confirmed_amount, shop.amount_at_bol(KETTLE)) == (None, 7, 7)
    read = [c for c in shop.sandbox.calls() if c["method"] == "GET" and c["path"].endswith(offer.offer_id)]
    assert len(read) == 1


def test_what_the_read_back_shows_to_be_wrong_is_sent_again(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    offer = shop.offer(KETTLE)
    with transaction() as session:
        row = session.get_one(Offer, offer.id)
        row.confirmed_amount, row.read_back_at = 3, shop.host.now()
    shop.work()
    assert (shop.offer(KETTLE).confirmed_amount, shop.amount_at_bol(KETTLE)) == (20, 20)


# the guard


@pytest.fixture
def big_shop(shop: Shop) -> Shop:
    """A store with seven offers that it ships itself."""
    offers = [{"ean": ean, "title": ean, "stock": 50} for ean in MANY]
    shop.sandbox.reset()
    shop.sandbox.limits([])
    shop.sandbox.settings(latencyMs=0, processStatusDelayMs=0)
    shop.sandbox.add_seller("seller", "secret", offers=[*OFFERS, *offers])
    shop.connect(send_stock=True, guard_least=3, guard_share=25)
    shop.work()
    return shop


def amounts_at_bol(shop: Shop) -> list[int]:
    return [shop.amount_at_bol(ean) for ean in MANY]


def test_many_offers_that_go_to_zero_at_once_are_stopped_before_the_first(big_shop: Shop) -> None:
    for ean in MANY[:4]:
        stock(big_shop, ean, 0)
    stock(big_shop, MANY[4], 7)
    big_shop.work()
    assert amounts_at_bol(big_shop) == [50, 50, 50, 50, 7]
    assert sum("about to go to 0" in title for title in big_shop.notices()) == 1
    assert big_shop.due() == []


def test_few_offers_that_go_to_zero_are_sent(big_shop: Shop) -> None:
    for ean in MANY[:2]:
        stock(big_shop, ean, 0)
    big_shop.work()
    assert amounts_at_bol(big_shop) == [0, 0, 50, 50, 50]


def test_zeros_of_the_last_hour_count_and_older_ones_do_not(big_shop: Shop) -> None:
    for ean in MANY[:2]:
        stock(big_shop, ean, 0)
    big_shop.work()
    stock(big_shop, MANY[2], 0)
    big_shop.work()
    assert amounts_at_bol(big_shop)[2] == 50
    big_shop.runtime.discard_zeros(big_shop.store_id)
    big_shop.pass_time(3700)
    stock(big_shop, MANY[2], 1)
    big_shop.work()
    stock(big_shop, MANY[2], 0)
    big_shop.work()
    assert amounts_at_bol(big_shop)[2] == 0


def test_send_anyway_sends_what_was_stopped(big_shop: Shop) -> None:
    for ean in MANY[:4]:
        stock(big_shop, ean, 0)
    big_shop.work()
    assert len(unread(big_shop)) == 1
    big_shop.runtime.send_zeros_anyway(big_shop.store_id)
    assert unread(big_shop) == []
    big_shop.work()
    assert amounts_at_bol(big_shop) == [0, 0, 0, 0, 50]
    with pytest.raises(HostError):
        big_shop.runtime.send_zeros_anyway(big_shop.store_id)


def test_discard_leaves_bol_its_amounts_until_the_stock_changes(big_shop: Shop) -> None:
    for ean in MANY[:4]:
        stock(big_shop, ean, 0)
    big_shop.work()
    big_shop.runtime.discard_zeros(big_shop.store_id)
    big_shop.work()
    assert amounts_at_bol(big_shop) == [50] * 5
    stock(big_shop, MANY[0], 4)
    big_shop.work()
    assert amounts_at_bol(big_shop) == [4, 50, 50, 50, 50]


def test_what_was_kept_on_sale_is_counted_and_sent_after_all(big_shop: Shop) -> None:
    for ean in MANY[:4]:
        stock(big_shop, ean, 0)
    big_shop.work()
    big_shop.runtime.discard_zeros(big_shop.store_id)
    big_shop.work()
    seen = overview(big_shop.host, big_shop.store_id)
    assert seen is not None
    assert (seen.offers[KEPT_ON_SALE], seen.held, sum(seen.offers.values())) == (4, 0, 8)
    stock(big_shop, MANY[3], 9)
    big_shop.work()
    assert big_shop.runtime.send_zeros_after_all(big_shop.store_id) == 3
    big_shop.work()
    assert amounts_at_bol(big_shop) == [0, 0, 0, 9, 50]
    with pytest.raises(HostError):
        big_shop.runtime.send_zeros_after_all(big_shop.store_id)


def test_a_stopped_offer_that_has_stock_again_is_sent_without_a_person(big_shop: Shop) -> None:
    for ean in MANY[:4]:
        stock(big_shop, ean, 0)
    big_shop.work()
    for ean in MANY[:4]:
        stock(big_shop, ean, 9)
    big_shop.work()
    assert amounts_at_bol(big_shop) == [9, 9, 9, 9, 50]
    assert (unread(big_shop), big_shop.store().guard_stopped_at) == ([], None)


def test_a_second_mistake_is_told_again(big_shop: Shop) -> None:
    for _ in range(2):
        for ean in MANY[:4]:
            stock(big_shop, ean, 0)
        big_shop.work()
        big_shop.runtime.discard_zeros(big_shop.store_id)
        for ean in MANY[:4]:
            stock(big_shop, ean, 50)
        big_shop.pass_time(60)
    assert sum("about to go to 0" in title for title in big_shop.notices()) == 2


@pytest.mark.parametrize(
    ("confirmed", "sent", "in_doubt", "amount", "expected"),
    [
        (3, 3, False, 0, True),
        (3, 3, False, 1, False),
        (0, 0, False, 0, False),
        (None, None, False, 0, False),
        # The answer to a 5 was lost: bol may have it.
        (0, 5, True, 0, True),
        (0, 0, True, 0, False),
    ],
)
def test_what_goes_from_something_to_nothing_counts(
    confirmed: int | None, sent: int | None, in_doubt: bool, amount: int, expected: bool
) -> None:
    offer = Offer(confirmed_amount=confirmed, sent_amount=sent, in_doubt=in_doubt)
    assert empties(offer, amount) == expected


def test_offers_of_bols_own_warehouse_neither_count_nor_change(big_shop: Shop) -> None:
    before = big_shop.sandbox.offer("seller", LAMP)
    for ean in MANY[:4]:
        stock(big_shop, ean, 0)
    big_shop.work()
    assert big_shop.sandbox.offer("seller", LAMP) == before


class Died(BaseException):
    """Stands for kill -9."""


def died(*arguments: object) -> None:
    raise Died

"""The list tells every change, over pages that shift, slices, restarts and bol's limits; the sweep finds the rest."""

from __future__ import annotations

import re
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from host_app import jobs
from host_app.db import reading, transaction
from plugin.connector.resources.orders import Orders
from plugin.jobs.wakes import wake_for
from plugin.models import BolOrder, BolOrderEvent, Run, ShipmentEffect, Store
from plugin.sync import attention, order_list
from plugin.sync.due import STOCK
from plugin.sync.mapping import LISTED_LATE
from plugin.sync.sweep import KIND as SWEEP
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, TOASTER, Shop


def place(shop: Shop, count: int) -> list[str]:
    return [shop.order((KETTLE, 1), force=True) for _ in range(count)]


def test_a_list_of_several_pages_comes_in_completely(shop: Shop) -> None:
    order_ids = place(shop, 101)
    shop.connect()
    shop.work()
    assert {order.reference for order in shop.host_orders()} == set(order_ids)


@pytest.mark.usefixtures("pages_of_ten")
def test_an_order_that_arrives_while_pages_are_read_makes_no_gap_and_no_double(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(shop, 12)
    late: list[str] = []
    real = Orders.page

    def page(orders: Orders, number: int = 1, **more: object) -> object:
        answer = real(orders, number, **more)  # type: ignore[arg-type]
        if number == 1 and len(late) < 2:
            late.extend(place(shop, 1))
        return answer

    monkeypatch.setattr(Orders, "page", page)
    shop.connect()
    shop.work()
    shop.import_orders()
    assert len(shop.host_orders()) == 12 + len(late)


@pytest.mark.usefixtures("pages_of_ten")
def test_an_order_that_leaves_the_list_while_pages_are_read_hides_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_ids = place(shop, 21)
    newest = order_ids[-1]
    left = False
    real = Orders.page

    def page(orders: Orders, number: int = 1, **more: object) -> object:
        nonlocal left
        answer = real(orders, number, **more)  # type: ignore[arg-type]
        if number == 1 and not left:
            # The newest order is handled and, two days later, gone: the rows below it move up by one.
            left = True
            shop.sandbox.cancel(newest)
            shop.sandbox.advance(49 * 3600)
        return answer

    monkeypatch.setattr(Orders, "page", page)
    shop.connect()
    shop.work()
    assert {order.reference for order in shop.host_orders()} >= set(order_ids) - {newest}


@pytest.mark.usefixtures("pages_of_ten")
def test_pages_of_a_first_pass_that_overtake_each_other_hide_no_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_ids = place(shop, 28)
    third_is_here = threading.Event()
    real = Orders.page

    def page(orders: Orders, number: int = 1, **more: object) -> object:
        if number == 2 and not third_is_here.is_set():
            # An order arrives after the third page was read and before the second: one row is on neither.
            assert third_is_here.wait(10)
            order_ids.extend(place(shop, 1))
        answer = real(orders, number, **more)  # type: ignore[arg-type]
        if number == 3:
            third_is_here.set()
        return answer

    monkeypatch.setattr(Orders, "page", page)
    shop.connect()
    shop.work()
    shop.pass_time(20, steps=2)
    assert {order.reference for order in shop.host_orders()} == set(order_ids)


@pytest.mark.usefixtures("pages_of_ten")
def test_a_later_pass_asks_for_a_page_only_when_the_one_before_is_here(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(shop, 28)
    asked: list[str] = []
    real = Orders.page

    def page(orders: Orders, number: int = 1, **more: object) -> object:
        asked.append(f"{number} asked")
        answer = real(orders, number, **more)  # type: ignore[arg-type]
        asked.append(f"{number} here")
        return answer

    monkeypatch.setattr(Orders, "page", page)
    # One read of two passes, also on a machine so slow that the next read would be due.
    monkeypatch.setattr(order_list, "SANDBOX_EVERY", shop.hours(1))
    shop.connect()
    shop.work()
    second = asked[len(asked) - asked[::-1].index("1 asked") - 1 :]
    assert asked.count("1 asked") == 2
    assert second == ["1 asked", "1 here", "2 asked", "2 here", "3 asked", "3 here"]


@pytest.mark.usefixtures("pages_of_ten")
def test_a_read_that_meets_bols_limit_goes_on_where_it_stopped(shop: Shop) -> None:
    order_ids = place(shop, 21)
    shop.sandbox.limits([{"method": "GET", "path": "/retailer/orders", "capacity": 2, "seconds": 60}])
    shop.connect()
    shop.pass_time(600, steps=10)
    assert len(shop.host_orders()) == len(order_ids)
    assert shop.store().orders_read_at is not None


def pages_asked(shop: Shop, since: int) -> list[int]:
    """Return the pages of the list that bol was asked for since a call."""
    asked = [call["query"] for call in shop.sandbox.calls(since) if call["path"] == "/retailer/orders"]
    return [int(re.findall(r"\bpage=(\d+)", query)[0]) for query in asked]


@pytest.mark.usefixtures("pages_of_ten")
def test_a_read_that_stood_still_while_bol_was_away_begins_anew(shop: Shop) -> None:
    order_ids = place(shop, 38)
    shop.sandbox.limits([{"method": "GET", "path": "/retailer/orders", "capacity": 2, "seconds": 60}])
    shop.connect()
    shop.work()
    shop.sandbox.faults([{"path": "/retailer/orders", "status": 503, "when": "before"}])
    assert shop.store().list_page > 1
    shop.pass_time(3600, steps=3)
    before = len(shop.sandbox.calls())
    shop.sandbox.faults([])
    shop.pass_time(3600, steps=1)
    assert pages_asked(shop, before)[0] == 1
    shop.pass_time(600, steps=10)
    assert {order.reference for order in shop.host_orders()} == set(order_ids)


def test_what_changed_in_an_outage_longer_than_bol_lists_it_is_found(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    cancelled, shipped, kept, sent = (shop.order((KETTLE, 1)) for _ in range(4))
    shop.work()
    shop.close(sent)
    shop.pass_time(20, steps=4)
    shop.sandbox.cancel(cancelled)
    shop.ship_elsewhere(shipped)
    shop.sandbox.faults([{"path": "/retailer/*", "status": 503, "when": "before"}])
    shop.pass_time(72 * 3600, steps=6)
    shop.sandbox.faults([])
    asked = len(shop.sandbox.calls())
    shop.pass_time(1800, steps=6)
    assert shop.host_order(cancelled).state == "cancelled"
    assert shop.host_order(kept).state == "processing"
    assert [item.shipped for item in shop.bol_order_items(shipped)] == [1]
    read = [call["path"].rpartition("/")[2] for call in shop.sandbox.calls(asked) if call["method"] == "GET"]
    # Each of those that were open, once; what was shipped before needs nobody to look.
    assert [read.count(order_id) for order_id in (cancelled, shipped, kept, sent)] == [1, 1, 1, 0]


@pytest.mark.usefixtures("pages_of_ten")
def test_what_changed_in_an_outage_is_found_although_a_read_stood_still_in_it(shop: Shop) -> None:
    shop.connect()
    order_ids = place(shop, 25)
    shop.work()
    shop.sandbox.limits([{"method": "GET", "path": "/retailer/orders", "capacity": 1, "seconds": 60}])
    place(shop, 1)
    shop.clock.ahead += timedelta(hours=2)
    shop.sandbox.advance(7200)
    shop.work()
    assert shop.store().list_page > 1
    shop.sandbox.faults([{"path": "/retailer/orders", "status": 503, "when": "before"}])
    shop.sandbox.cancel(order_ids[3])
    shop.pass_time(72 * 3600, steps=6)
    shop.sandbox.limits([])
    shop.sandbox.faults([])
    shop.pass_time(1800, steps=6)
    assert shop.host_order(order_ids[3]).state == "cancelled"
    assert shop.host_order(order_ids[4]).state == "processing"


# import and stock pump read the list side by side


class TheOther:
    """Another reader of the same list, who notes a page each time that the first one sleeps, and some seconds pass then."""

    def __init__(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, stops_at: int, sleep_lasts: float
    ) -> None:
        self.shop, self.stops_at, self.sleep_lasts = shop, stops_at, sleep_lasts
        self.asked: list[int] = []
        self.passed = 0.0
        real = Orders.page

        def page(orders: Orders, number: int = 1, **more: object) -> object:
            answer = real(orders, number, **more)  # type: ignore[arg-type]
            self.asked.append(number)
            if len(self.asked) == 1:
                with shop.app.app_context():
                    self.note_a_page()
            return answer

        monkeypatch.setattr(Orders, "page", page)
        moments = SimpleNamespace(monotonic=lambda: time.monotonic() + self.passed, sleep=self.sleep)
        monkeypatch.setattr(order_list, "time", moments)

    def sleep(self, seconds: float) -> None:
        self.passed += self.sleep_lasts
        self.note_a_page()

    def note_a_page(self) -> None:
        """Note a page; the last one ends the read. Nothing more once it has stopped."""
        page = self.shop.store().list_page
        if page == self.stops_at:
            return
        values: dict[str, object] = {"list_page": page + 1}
        if page == 6:
            now = self.shop.clock.now()
            values = {"list_began_at": None, "orders_read_at": now, "orders_known_at": now}
            values["next_import_at"] = now + timedelta(hours=1)
        with transaction() as session:
            session.execute(update(Store).values(**values))


@pytest.mark.usefixtures("pages_of_ten")
def test_who_finds_another_at_the_list_leaves_it_the_pages(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(shop, 58)
    shop.connect()
    other = TheOther(shop, monkeypatch, stops_at=0, sleep_lasts=0.1)
    shop.work()
    # The first, which the other was faster with, and what had been asked for ahead; without it all six, twice.
    assert other.asked[0] == 1 and len(other.asked) <= 1 + order_list.PAGES_AT_ONCE
    assert shop.store().list_began_at is None


@pytest.mark.usefixtures("pages_of_ten")
def test_who_finds_that_the_other_does_not_move_on_reads_the_list_itself(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_ids = place(shop, 58)
    shop.connect()
    other = TheOther(shop, monkeypatch, stops_at=3, sleep_lasts=1.0)
    shop.work()
    assert set(other.asked) >= {1, 2, 3, 4, 5, 6}
    assert {order.reference for order in shop.host_orders()} == set(order_ids)


# the look for new orders that stock updates rest on


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, pages_of_ten: None) -> list[tuple[int, bool]]:
    """The pages of the list that were asked for, in order, and if they were urgent."""
    pages: list[tuple[int, bool]] = []
    real = Orders.page

    def page(orders: Orders, number: int = 1, **more: object) -> object:
        pages.append((number, bool(more.get("urgent", True))))
        return real(orders, number, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Orders, "page", page)
    return pages


def send_stock_once(shop: Shop) -> None:
    """Have an offer sent by hand, some seconds after the last look, and do nothing else."""
    shop.clock.ahead += order_list.SELDOMEST
    shop.runtime.push_offer(shop.store_id, shop.offer(KETTLE).id)
    wake = wake_for(STOCK, shop.store_id)
    jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))


def selling(shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, bool]], orders: int) -> None:
    """A store that sends stock, and whose list, of so many orders, is not read again by itself."""
    monkeypatch.setattr(order_list, "SANDBOX_EVERY", shop.hours(10))
    place(shop, orders)
    shop.connect(send_stock=True)
    shop.work()
    # They are old when new ones come.
    for _ in range(2):
        shop.clock.ahead += timedelta(minutes=5)
        shop.sandbox.advance(300)
        send_stock_once(shop)
    asked.clear()


def found(shop: Shop) -> set[str]:
    return {row.order_id for row in shop.all(BolOrder)}


def test_new_orders_are_known_by_one_page_of_a_long_list(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, bool]]
) -> None:
    selling(shop, monkeypatch, asked, 24)
    new = place(shop, 3)
    send_stock_once(shop)
    assert asked[0] == (1, True)
    assert len(asked) <= 2
    assert set(new) <= found(shop)
    assert shop.store().orders_known_at > shop.store().orders_read_at


def test_a_look_turns_pages_until_it_comes_to_orders_that_it_knows(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, bool]]
) -> None:
    selling(shop, monkeypatch, asked, 3)
    new = place(shop, 14)
    send_stock_once(shop)
    assert [number for number, _ in asked[:2]] == [1, 2]
    assert set(new) <= found(shop)


def test_very_many_new_orders_are_known_by_reading_the_list_and_the_rest_of_it_leaves_room(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, bool]]
) -> None:
    monkeypatch.setattr(order_list, "LOOK_PAGES", 1)
    selling(shop, monkeypatch, asked, 3)
    shop.clock.ahead += shop.hours(1.5)
    shop.sandbox.advance(5400)
    new = place(shop, 24)
    send_stock_once(shop)
    assert set(new) <= found(shop)
    known = shop.store()
    assert known.list_began_at is not None, "the list itself goes on later"
    asked.clear()
    shop.pass_time(120)
    assert shop.store().list_began_at is None
    assert {number for number, urgent in asked if not urgent} >= {1, 2, 3}


def test_an_order_that_arrives_between_two_pages_of_a_look_is_on_neither_but_the_next_look_knows_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, bool]]
) -> None:
    selling(shop, monkeypatch, asked, 3)
    new = place(shop, 14)
    real, late = Orders.page, []

    def page(orders: Orders, number: int = 1, **more: object) -> object:
        answer = real(orders, number, **more)  # type: ignore[arg-type]
        if not late:
            late.extend(place(shop, 1))
        return answer

    monkeypatch.setattr(Orders, "page", page)
    send_stock_once(shop)
    assert set(new) <= found(shop)
    send_stock_once(shop)
    assert set(late) <= found(shop)


def test_new_orders_are_known_after_a_gap_without_waiting_for_the_end_of_a_read_that_has_passed_them(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, bool]]
) -> None:
    selling(shop, monkeypatch, asked, 24)
    with transaction() as session:
        session.execute(update(Store).values(list_began_at=Store.orders_known_at, list_page=3))
    shop.clock.ahead += 2 * order_list.GAP
    shop.sandbox.advance(2 * order_list.GAP.total_seconds())
    new = place(shop, 1)
    send_stock_once(shop)
    assert asked[0] == (1, True)
    assert set(new) <= found(shop)
    assert shop.store().list_page == 3, "the read goes on where it was"


def test_a_clock_that_was_ahead_and_is_set_right_hides_no_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, bool]]
) -> None:
    shop.clock.ahead += shop.hours(1)
    shop.connect(send_stock=True)
    shop.work()
    shop.clock.ahead = timedelta(0)
    shop.forget_leases()
    new = place(shop, 1)
    send_stock_once(shop)
    assert set(new) <= found(shop)
    assert shop.store().orders_known_at <= shop.clock.now()
    new += place(shop, 1)
    send_stock_once(shop)
    assert set(new) <= found(shop)
    new += place(shop, 1)
    shop.import_orders()
    assert {order.reference for order in shop.host_orders()} == set(new)


def test_a_clock_that_was_ahead_and_is_set_right_stops_nothing(shop: Shop) -> None:
    """What was put off by it is done, what it noted as done is not believed, and nothing is done twice."""
    shop.clock.ahead += shop.hours(3)
    shop.connect(send_stock=True, send_shipments=True, tracking_wait_minutes=30)
    sent, unknown, waiting = (shop.order((KETTLE, 1)) for _ in range(3))
    shop.work()
    shop.close(sent)
    shop.close(waiting, tracking="")
    shop.work()
    lost = {"method": "POST", "path": "/retailer/shipments", "when": "after", "drop": True, "times": 1}
    shop.sandbox.faults([lost])
    shop.close(unknown)
    shop.work()
    shop.sandbox.faults([])
    assert [row.state for row in shop.all(ShipmentEffect)] == ["sent", "wanted", "unknown"]
    shop.clock.ahead = timedelta(0)
    new = shop.order((TOASTER, 1))
    shop.pass_time(1800, steps=30)
    assert new in found(shop)
    assert [row.state for row in shop.all(ShipmentEffect)][::2] == ["confirmed", "confirmed"]
    shop.pass_time(120)
    assert {row.state for row in shop.all(ShipmentEffect)} == {"confirmed"}
    assert len(shop.writes("/retailer/shipments")) == 3
    assert shop.amount_at_bol(TOASTER) == shop.free(TOASTER)
    store = shop.store()
    moments = (store.orders_read_at, store.orders_known_at, store.stock_sent_at, store.next_import_at)
    assert all(moment is None or moment <= shop.clock.now() + order_list.SANDBOX_EVERY for moment in moments)
    assert shop.notices() == []


def test_an_order_that_bol_lists_late_comes_in_with_the_next_read(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.pass_time(60, steps=6)
    late = shop.order((KETTLE, 1))
    not_listed = {"method": "GET", "path": "/retailer/orders", "when": "before", "status": 200, "body": {}}
    shop.sandbox.faults([not_listed])
    shop.pass_time(LISTED_LATE.total_seconds() - 30, steps=20)
    shop.sandbox.faults([])
    shop.pass_time(60, steps=4)
    assert late in found(shop)


def test_a_read_that_overlaps_the_one_before_reads_no_order_again(shop: Shop) -> None:
    shop.connect()
    order_ids = place(shop, 3)
    shop.work()
    shop.pass_time(20)
    asked = len(shop.sandbox.calls())
    shop.pass_time(60, steps=6)
    paths = [call["path"] for call in shop.sandbox.calls(asked)]
    assert len(pages_asked(shop, asked)) >= 5
    assert not any(path.endswith(tuple(order_ids)) for path in paths)


def test_a_look_asks_as_far_back_as_an_order_may_be_listed_late(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[int, bool]]
) -> None:
    selling(shop, monkeypatch, asked, 3)
    send_stock_once(shop)
    look = [call for call in shop.sandbox.calls() if call["path"] == "/retailer/orders"][-1]
    minutes = int(look["query"].rpartition("change-interval-minute=")[2])
    assert timedelta(minutes=minutes) > order_list.SELDOMEST + LISTED_LATE


def test_a_read_that_had_not_begun_to_read_when_bol_went_away_begins_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect()
    shop.work()
    shop.sandbox.faults([{"path": "/retailer/orders", "when": "before", "status": 500}])
    shop.import_orders()
    away = shop.store().list_began_at
    assert away is not None
    shop.sandbox.faults([])
    shop.pass_time(3 * 3600, steps=3)
    assert shop.store().orders_read_at > away + shop.hours(0.5)


# the daily sweep


def test_the_sweep_finds_what_the_reads_missed_and_says_so(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.sandbox.cancel(order_id)
    # A read that was believed complete, but had not told of the cancellation.
    with transaction() as session:
        session.execute(update(Store).values(next_import_at=shop.clock.now().replace(year=2030)))
    shop.clock.ahead += shop.hours(1)
    with transaction() as session:
        session.execute(update(Store).values(orders_read_at=shop.clock.now(), next_sweep_at=shop.clock.now()))
    shop.work()
    (run,) = shop.all(Run, Run.kind == SWEEP)
    assert (run.state, run.counts["missed"]) == ("done", 1)
    assert shop.host_order(order_id).state == "cancelled"
    assert any("daily check" in title for title in shop.notices())


def test_the_sweep_tells_of_shipments_that_were_made_elsewhere(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((TOASTER, 1))
    shop.import_orders()
    shop.ship_elsewhere(order_id)
    with transaction() as session:
        session.execute(update(Store).values(next_sweep_at=shop.clock.now()))
    shop.work()
    assert any("was shipped at bol, but not from here" in title for title in shop.notices())


def test_the_sweep_comes_every_night_and_is_quiet_when_all_is_well(shop: Shop) -> None:
    shop.connect()
    shop.order((KETTLE, 1))
    shop.work()
    shop.pass_time(2 * 24 * 3600, steps=16)
    runs = shop.all(Run, Run.kind == SWEEP)
    assert len(runs) == 2
    assert all(run.state == "done" and run.counts["missed"] == 0 for run in runs)
    assert shop.notices() == []


def test_an_order_of_which_one_item_changed_was_not_missed(shop: Shop) -> None:
    """A list of what changed names the changed items only; the sweep's names all."""
    shop.connect()
    order_id = shop.order((KETTLE, 1), (TOASTER, 1))
    shop.work()
    cancelled, kept = shop.items_at_bol(order_id)
    before = shop.bol_order(order_id).list_signature.split(";")
    shop.pass_time(3 * 3600, steps=60)
    shop.sandbox.cancel(order_id, [cancelled])
    shop.pass_time(600, steps=20)
    assert [item.cancelled for item in shop.bol_order_items(order_id)] == [1, 0]
    after = shop.bol_order(order_id).list_signature.split(";")
    assert [signature.partition(":")[0] for signature in set(before) & set(after)] == [kept]
    assert len(after) == 2
    wait_for_the_night(shop)
    (run,) = shop.all(Run, Run.kind == SWEEP, Run.started_at > shop.clock.now() - shop.hours(1))
    assert (run.state, run.counts["missed"]) == ("done", 0)
    assert not any("missed" in title for title in shop.notices())


def shipments(*found: dict[str, object]) -> dict[str, object]:
    """Return the fault that makes this bol's list of shipments."""
    body = {"shipments": list(found)}
    return {"method": "GET", "path": "/retailer/shipments", "when": "before", "status": 200, "body": body}


def wait_for_the_night(shop: Shop) -> None:
    """Let time pass until a sweep has begun."""
    left = shop.store().next_sweep_at - shop.clock.now()
    shop.pass_time(left.total_seconds() + 60, steps=1)


def test_a_sweep_that_can_not_go_on_ends_is_told_and_begins_anew_the_next_night(shop: Shop) -> None:
    shop.connect()
    shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.faults([shipments({"shipmentId": "1", "shipmentItems": [{"ean": "no id"}]})])
    wait_for_the_night(shop)
    shop.pass_time(12 * 3600, steps=48)
    (failed,) = shop.all(Run, Run.kind == SWEEP)
    assert (failed.state, failed.due_at) == ("failed", None)
    assert failed.error
    with reading():
        assert [(task.kind, task.about) for task in attention.tasks(shop.host)] == [("run", SWEEP)]
    shop.sandbox.faults([])
    wait_for_the_night(shop)
    assert [run.state for run in shop.all(Run, Run.kind == SWEEP)] == ["failed", "done"]
    with reading():
        assert not list(attention.tasks(shop.host))


def test_a_sweep_that_waits_for_bol_gives_way_to_the_next_one(shop: Shop) -> None:
    shop.connect()
    shop.work()
    away = {"method": "GET", "path": "/retailer/shipments", "when": "before", "status": 403}
    shop.sandbox.faults([away])
    wait_for_the_night(shop)
    shop.pass_time(12 * 3600, steps=48)
    (waiting,) = shop.all(Run, Run.kind == SWEEP)
    assert waiting.state == "running"
    shop.sandbox.faults([away | {"times": 1}])
    wait_for_the_night(shop)
    shop.pass_time(3600)
    assert [run.state for run in shop.all(Run, Run.kind == SWEEP)] == ["stopped", "done"]


def test_a_shipment_that_names_no_order_makes_none(shop: Shop) -> None:
    shop.connect()
    shop.work()
    item = {"orderItemId": "5", "ean": KETTLE}
    long = {"orderId": "A" * 41}
    shop.sandbox.faults(
        [
            shipments(
                {"shipmentId": "1", "shipmentItems": [item]},
                {"shipmentId": "2", "shipmentItems": [item], "order": long},
            )
        ]
    )
    with transaction() as session:
        session.execute(update(Store).values(next_sweep_at=shop.clock.now()))
    shop.work()
    (run,) = shop.all(Run, Run.kind == SWEEP)
    assert (run.state, run.counts["shipments"]) == ("done", 2)
    assert shop.all(BolOrder) == []
    shop.sandbox.faults([])
    order_id = shop.order((KETTLE, 5))
    shop.import_orders()
    assert [order.reference for order in shop.host_orders()] == [order_id]


def test_an_order_tells_what_happened_to_it(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.close(order_id)
    shop.pass_time(20, steps=4)
    texts = [event.text for event in shop.all(BolOrderEvent)]
    assert texts[0] == "Found at bol"
    assert any("Taken over as order" in text for text in texts)
    assert any("as shipped" in text for text in texts)


def test_a_product_linked_by_hand_lets_the_order_go_on(shop: Shop) -> None:
    shop.connect(import_products=False)
    order_id = shop.order((TOASTER, 1))
    shop.work()
    product_id = add_product("OTHER", 5)
    row, item = shop.bol_order(order_id), shop.bol_order_items(order_id)[0]
    shop.runtime.link_item(shop.store_id, row.id, item.id, "OTHER")
    shop.work()
    assert shop.bol_order(order_id).state == "imported"
    assert shop.bol_order_items(order_id)[0].product_id == product_id


def test_an_order_goes_on_when_its_product_comes_with_other_zeros_in_front(shop: Shop) -> None:
    """A UPC is the same number as its EAN (GS1)."""
    shop.sandbox.add_seller("zeros", "secret", offers=[{"ean": "0036000291452", "title": "Z", "stock": 9}])
    shop.store_id = shop.runtime.connect_store(
        name="S", environment="sandbox", client_id="zeros", client_secret="secret"
    )
    shop.settings(import_products=False)
    shop.runtime.activate(shop.store_id)
    shop.work()
    order_id = shop.sandbox.place_order("zeros", [{"ean": "0036000291452", "quantity": 1}])["orderId"]
    shop.import_orders()
    assert shop.bol_order(order_id).state == "waiting for product"
    add_product("TISSUES", 9, "036000291452")
    shop.work()
    assert shop.bol_order(order_id).state == "imported"


def test_an_order_can_be_read_again_at_once(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.cancel(order_id)
    shop.runtime.read_again(shop.store_id, shop.bol_order(order_id).id)
    shop.work()
    assert shop.host_order(order_id).state == "cancelled"


def test_addresses_are_erased_some_days_after_an_order_is_done(shop: Shop) -> None:
    shop.connect(send_shipments=True, address_days=30)
    done, still_open = shop.order((KETTLE, 1)), shop.order((TOASTER, 1))
    shop.work()
    shop.close(done)
    shop.pass_time(20, steps=4)
    assert shop.host_order(done).delivery
    shop.clock.ahead += shop.hours(31 * 24)
    shop.work()
    assert shop.host_order(done).delivery is None
    assert shop.host_order(done).billing is None
    assert shop.host_order(still_open).delivery


def test_no_names_or_addresses_are_kept_in_the_connectors_tables(shop: Shop) -> None:
    order_id = shop.order((KETTLE, 1))
    shop.connect()
    shop.work()
    surname = str(shop.host_order(order_id).delivery["name"]).rpartition(" ")[2]  # type: ignore[index]
    dump = repr([vars(row) for model in (BolOrder, BolOrderEvent, Run) for row in shop.all(model)])
    assert surname not in dump

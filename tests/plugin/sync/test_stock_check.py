"""The stock check finds what differs, says why, has the pump mend it, and changes nothing where it only reports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from host_app import jobs
from host_app.db import transaction
from host_app.plugin_api import HostError, NewProduct, Wake
from host_app.services.catalog import create_product
from host_app.services.stock import adjust_stock
from plugin.jobs.wakes import wake_for
from plugin.models import Discrepancy, Offer, Run, RunState, Store
from plugin.sync import comparing, runs, stock_check
from plugin.sync.due import CHECK, STOCK
from plugin.sync.findings import KIND
from plugin.sync.stock_check import next_check
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, OFFERS, TOASTER, Shop
from tests.plugin.portal import add_at_bol, remove_at_bol, set_at_bol
from tests.plugin.queries import counted_queries
from tests.plugin.sync.test_pump import unread

MUG = "8710103934509"


@pytest.fixture
def sending(shop: Shop) -> Shop:
    """A store whose offers at bol are as they should be."""
    shop.connect(send_stock=True)
    shop.work()
    return shop


def check(shop: Shop, *, dry: bool = False) -> Run:
    """Start a check, do what is due, and return the run."""
    run_id = shop.runtime.check_stock(shop.store_id, dry, "ann")
    shop.work()
    return run_of(shop, run_id)


def run_of(shop: Shop, run_id: int) -> Run:
    (run,) = shop.all(Run, Run.id == run_id)
    return run  # type: ignore[no-any-return]


def report(shop: Shop, run: Run) -> dict[str, tuple[str, str]]:
    """Return cause and action of each row of a report, by EAN."""
    return {row.ean: (row.cause, row.action) for row in shop.all(Discrepancy, Discrepancy.run_id == run.id)}


def change_offer(shop: Shop, ean: str, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(Offer).where(Offer.ean == ean).values(**values))


def adjust(shop: Shop, ean: str, change: int) -> None:
    product_id = shop.offer(ean).product_id
    with transaction():
        adjust_stock(product_id, shop.warehouse, change=change, reason="test", who="ann")


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something between bol's answer and the comparison, once."""
    look_at, done = comparing.look_at, []

    def acting(*given: Any, **named: Any) -> Any:
        if not done:
            done.append(True)
            act()
        return look_at(*given, **named)

    monkeypatch.setattr(stock_check, "look_at", acting)


# what differs, why, and what is done


def test_where_all_is_right_nothing_is_reported_or_sent(sending: Shop) -> None:
    writes = sending.writes()
    run = check(sending)
    assert (run.state, run.counts["offers"], run.counts["compared"]) == (RunState.DONE, 3, 2)
    assert run.counts["bol ships"] == 1
    assert report(sending, run) == {}
    assert sending.writes() == writes
    assert sending.notices() == []


def test_an_amount_that_somebody_changed_at_bol_is_set_right(sending: Shop) -> None:
    set_at_bol(sending, KETTLE, 99)
    run = check(sending)
    assert report(sending, run) == {KETTLE: ("changed at bol", "marked for sending")}
    (row,) = sending.all(Discrepancy)
    assert (row.bol_amount, row.our_amount, row.bol_managed, row.our_managed) == (99, 20, True, True)
    assert sending.amount_at_bol(KETTLE) == 20
    assert sending.offer(KETTLE).confirmed_amount == 20


def test_people_are_told_once_what_a_check_found(sending: Shop) -> None:
    set_at_bol(sending, KETTLE, 99)
    set_at_bol(sending, TOASTER, 0)
    check(sending)
    assert sending.notices() == ["Shop: the stock check found 2 offers that differed"]


def test_a_switched_cut_off_is_set_right(sending: Shop) -> None:
    set_at_bol(sending, KETTLE, 20, managed=False)
    run = check(sending)
    assert report(sending, run) == {KETTLE: ("switched cut-off", "marked for sending")}
    assert sending.sandbox.offer("seller", KETTLE)["stock"]["managedByRetailer"] is True


def test_an_update_that_bol_took_and_does_not_show_was_lost(sending: Shop) -> None:
    sending.pass_time(3600)
    sending.sandbox.faults(
        [{"method": "PATCH", "path": "/retailer/offers/*", "when": "before", "status": 204}]
    )
    adjust(sending, KETTLE, -3)
    sending.work()
    sending.sandbox.faults([])
    assert (sending.offer(KETTLE).confirmed_amount, sending.amount_at_bol(KETTLE)) == (17, 20)
    assert report(sending, check(sending)) == {KETTLE: ("lost update", "marked for sending")}
    assert sending.amount_at_bol(KETTLE) == 17


def test_a_change_here_that_was_never_sent_was_lost(sending: Shop) -> None:
    adjust(sending, KETTLE, -3)
    sending.work()
    sending.pass_time(3600)
    set_at_bol(sending, KETTLE, 20)
    change_offer(sending, KETTLE, confirmed_amount=20)
    assert report(sending, check(sending)) == {KETTLE: ("lost update", "marked for sending")}
    assert sending.amount_at_bol(KETTLE) == 17


def test_an_order_that_is_not_here_yet_explains_the_difference(sending: Shop) -> None:
    """The order is known, and its pieces are not sent: somebody lost the mark of the pump."""
    orders = {"path": "/retailer/orders/*", "when": "before", "status": 500}
    sending.sandbox.faults([orders, {"method": "PATCH", "path": "*", "when": "before", "status": 500}])
    sending.order((KETTLE, 4))
    sending.import_orders()
    sending.sandbox.faults([orders])
    change_offer(
        sending,
        KETTLE,
        done_version=Offer.dirty_version,
        in_doubt=False,
        read_back_at=None,
        next_try_at=None,
        attempts=0,
    )
    assert report(sending, check(sending)) == {KETTLE: ("order in flight", "marked for sending")}
    assert sending.amount_at_bol(KETTLE) == 16


def test_a_new_offer_with_a_product_is_linked_and_sent(sending: Shop) -> None:
    add_product("MUG", 7, MUG)
    add_at_bol(sending, MUG, 3)
    run = check(sending)
    assert report(sending, run) == {MUG: ("new offer", "linked")}
    assert sending.offer(MUG).product_id is not None
    assert sending.amount_at_bol(MUG) == 7


@pytest.mark.parametrize("dry", [False, True])
def test_a_new_offer_without_a_product_is_left_out_and_does_not_differ(sending: Shop, dry: bool) -> None:
    """There is no stock here that it could differ from."""
    add_at_bol(sending, MUG, 3)
    run = check(sending, dry=dry)
    assert report(sending, run) == {}
    assert (run.counts["differed"], run.counts["no product"], run.counts["compared"]) == (0, 1, 2)
    assert sending.notices() == []
    # What the check takes over is listed among the offers without a product from then on.
    assert [(offer.ean, offer.product_id) for offer in sending.all(Offer) if offer.ean == MUG] == (
        [] if dry else [(MUG, None)]
    )


@pytest.mark.parametrize("kept_out", [{"excluded": True}, {"product_id": None, "link": "unlinked"}])
def test_an_offer_that_came_back_and_gets_no_stock_does_not_differ(
    sending: Shop, kept_out: dict[str, Any]
) -> None:
    change_offer(sending, TOASTER, state="gone", **kept_out)
    set_at_bol(sending, TOASTER, 4)
    run = check(sending)
    assert (report(sending, run), run.counts["differed"]) == ({}, 0)
    assert sending.offer(TOASTER).state == "listed"
    assert sending.amount_at_bol(TOASTER) == 4


def test_an_order_for_a_product_that_nobody_has_counted_sends_no_stock(shop: Shop) -> None:
    shop.connect(send_stock=True, import_products=False)
    order_id = shop.order((TOASTER, 1))
    shop.work()
    with transaction():
        create_product(NewProduct("T", "Toaster", None, (TOASTER,), None))
    shop.work()
    assert shop.host_order(order_id) and shop.free(TOASTER) == -1
    check(shop)

    assert shop.offer(TOASTER).product_id is not None
    assert shop.writes("/retailer/offers") == []
    adjust(shop, TOASTER, 8)
    shop.work()
    assert shop.amount_at_bol(TOASTER) == 7


def test_a_new_offer_that_bol_ships_is_kept_and_not_reported(sending: Shop) -> None:
    add_at_bol(sending, MUG, 3, method="FBB")
    assert report(sending, check(sending)) == {}
    assert sending.offer(MUG).method == "FBB"


def test_an_offer_whose_product_appeared_unnoticed_is_linked(sending: Shop) -> None:
    change_offer(sending, TOASTER, product_id=None, product_history_id=0)
    assert report(sending, check(sending)) == {TOASTER: ("link changed", "linked")}
    assert sending.offer(TOASTER).product_id is not None


def test_an_offer_that_was_unlinked_by_hand_stays_so(sending: Shop) -> None:
    change_offer(sending, TOASTER, product_id=None, link="unlinked")
    run = check(sending)
    assert report(sending, run) == {}
    assert run.counts["no product"] == 1
    assert sending.offer(TOASTER).product_id is None


def test_an_offer_that_vanished_is_marked(sending: Shop) -> None:
    remove_at_bol(sending, TOASTER)
    sending.pass_time(1)
    run = check(sending)
    assert report(sending, run) == {TOASTER: ("gone", "marked as gone")}
    assert sending.offer(TOASTER).state == "gone"
    assert run.counts["gone"] == 1
    assert sending.due() == []


def test_an_offer_that_the_list_left_out_but_bol_knows_is_compared(sending: Shop) -> None:
    set_at_bol(sending, TOASTER, 99)
    sending.pass_time(1)
    sending.sandbox.faults(
        [{"path": "/retailer/offers", "when": "before", "body": {"offers": [], "page": {"pageSize": 100}}}]
    )
    run = check(sending)
    assert report(sending, run) == {TOASTER: ("changed at bol", "marked for sending")}
    assert run.counts["read singly"] == 3
    assert [offer.state for offer in sending.all(Offer)] == ["listed"] * 3


def test_no_more_than_so_many_offers_are_read_one_by_one(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_check, "MOST_READS", 1)
    monkeypatch.setattr(stock_check, "BATCH", 1)
    for offer in OFFERS:
        remove_at_bol(sending, str(offer["ean"]))
    sending.pass_time(1)
    run = check(sending)
    assert (run.state, run.counts["read singly"], run.counts["gone"]) == (RunState.DONE, 1, 1)


def test_an_offer_that_came_back_is_listed_again(sending: Shop) -> None:
    change_offer(sending, TOASTER, state="gone")
    set_at_bol(sending, TOASTER, 4)
    assert report(sending, check(sending)) == {TOASTER: ("new offer", "marked for sending")}
    assert sending.offer(TOASTER).state == "listed"
    assert sending.amount_at_bol(TOASTER) == 10


def test_that_an_offer_is_gone_is_over_once_it_is_back(sending: Shop) -> None:
    path = f"/retailer/offers/{sending.offer(KETTLE).offer_id}"
    sending.sandbox.faults([{"path": path, "when": "before", "status": 404}])
    adjust(sending, KETTLE, -1)
    sending.work()
    assert [KETTLE in title for title in unread(sending)] == [True]
    sending.sandbox.faults([])
    check(sending)
    assert sending.amount_at_bol(KETTLE) == 19
    assert [title for title in unread(sending) if "gone" in title] == []


def test_an_offer_that_a_person_keeps_out_is_not_compared(sending: Shop) -> None:
    change_offer(sending, KETTLE, excluded=True)
    set_at_bol(sending, KETTLE, 99)
    run = check(sending)
    assert (report(sending, run), run.counts["kept out"]) == ({}, 1)


def test_a_wrong_note_of_what_bol_has_is_mended(sending: Shop) -> None:
    change_offer(sending, KETTLE, confirmed_amount=3)
    assert report(sending, check(sending)) == {}
    assert sending.offer(KETTLE).confirmed_amount == 20


# what is under way is left to the pump


def test_an_update_that_waits_is_told_as_on_its_way(sending: Shop) -> None:
    set_at_bol(sending, KETTLE, 99)
    tomorrow = sending.clock.now() + timedelta(days=1)
    change_offer(sending, KETTLE, dirty_version=Offer.dirty_version + 1, next_try_at=tomorrow)
    run = check(sending)
    assert report(sending, run) == {KETTLE: ("update on its way", "will be sent")}
    assert run.counts["differed"] == 0
    assert sending.notices() == []


def test_what_the_guard_holds_stays_held(sending: Shop) -> None:
    set_at_bol(sending, KETTLE, 99)
    change_offer(
        sending, KETTLE, dirty_version=Offer.dirty_version + 1, held_at=sending.clock.now(), wanted_amount=0
    )
    before = sending.offer(KETTLE).dirty_version
    assert report(sending, check(sending)) == {KETTLE: ("update on its way", "held by the guard")}
    assert sending.offer(KETTLE).dirty_version == before


def test_a_zero_that_a_person_discarded_is_not_sent_after_all(sending: Shop) -> None:
    adjust(sending, KETTLE, -20)
    sending.work()
    # As the guard leaves it: the 0 was worked out and never sent.
    set_at_bol(sending, KETTLE, 20)
    change_offer(sending, KETTLE, wanted_amount=0, sent_amount=20, confirmed_amount=20)
    assert report(sending, check(sending)) == {KETTLE: ("discarded", "reported only")}
    assert sending.amount_at_bol(KETTLE) == 20


def test_what_a_person_keeps_on_sale_is_not_sent_after_all_though_it_was_0_at_bol_before(
    sending: Shop,
) -> None:
    adjust(sending, KETTLE, -20)
    sending.work()
    assert sending.amount_at_bol(KETTLE) == 0
    sending.settings(send_stock=True, guard_least=1, guard_share=0)
    set_at_bol(sending, KETTLE, 20)
    check(sending)
    sending.runtime.discard_zeros(sending.store_id)
    assert report(sending, check(sending)) == {KETTLE: ("discarded", "reported only")}
    sending.work()
    assert sending.amount_at_bol(KETTLE) == 20


def test_a_change_that_comes_before_the_comparison_is_not_flagged(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sell() -> None:
        adjust(sending, KETTLE, -5)
        change_offer(
            sending,
            KETTLE,
            confirmed_amount=15,
            sent_at=sending.clock.now(),
            confirmed_at=sending.clock.now(),
        )

    meanwhile(monkeypatch, sell)
    run = check(sending)
    assert report(sending, run) == {}
    assert run.counts["changed meanwhile"] == 1


def test_an_update_that_was_under_way_when_bol_was_asked_is_not_flagged(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_at_bol(sending, KETTLE, 99)
    moment = sending.clock.now() - timedelta(seconds=5)
    tomorrow = sending.clock.now() + timedelta(days=1)
    change_offer(
        sending,
        KETTLE,
        dirty_version=Offer.dirty_version + 1,
        in_doubt=True,
        sent_at=moment,
        next_try_at=tomorrow,
    )

    def answered() -> None:
        change_offer(sending, KETTLE, done_version=Offer.dirty_version, in_doubt=False, confirmed_at=moment)

    meanwhile(monkeypatch, answered)
    run = check(sending)
    assert report(sending, run) == {}
    assert run.counts["changed meanwhile"] == 1


def test_what_is_marked_while_it_is_compared_is_left_to_the_pump(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_at_bol(sending, KETTLE, 99)
    keep = comparing.keep

    def marked_first(*given: Any, **named: Any) -> Any:
        sending.host.session.execute(update(Offer).values(dirty_version=Offer.dirty_version + 1))
        return keep(*given, **named)

    monkeypatch.setattr(stock_check, "keep", marked_first)
    run = check(sending)
    assert (run.state, report(sending, run)) == (RunState.DONE, {})


# reporting only


def state(shop: Shop) -> list[tuple[Any, ...]]:
    return [
        (row.ean, row.product_id, row.state, row.dirty_version, row.confirmed_amount)
        for row in shop.all(Offer)
    ]


def test_a_dry_run_changes_nothing(sending: Shop) -> None:
    add_product("MUG", 7, MUG)
    add_at_bol(sending, MUG, 3)
    set_at_bol(sending, KETTLE, 99)
    remove_at_bol(sending, TOASTER)
    sending.pass_time(1)
    before, writes = state(sending), sending.writes()
    run = check(sending, dry=True)
    assert report(sending, run) == {
        MUG: ("new offer", "reported only"),
        KETTLE: ("changed at bol", "reported only"),
        TOASTER: ("gone", "reported only"),
    }
    assert (state(sending), sending.writes()) == (before, writes)
    assert sending.offer(KETTLE).corrected_stock == 99, "what is left at bol was read"
    assert sending.notices() == []


def test_a_store_that_sends_no_stock_is_only_reported_on(shop: Shop) -> None:
    add_product("K", 7, KETTLE)
    shop.connect()
    shop.work()
    run = check(shop)
    assert run.dry
    assert report(shop, run) == {KETTLE: ("not sent yet", "reported only")}
    assert shop.writes() == []


@pytest.mark.parametrize("counted", [False, True])
def test_what_a_report_told_is_sent_when_sending_is_turned_on(shop: Shop, counted: bool) -> None:
    """Also where it was here that bol's amount had been the right one all along."""
    shop.connect()
    shop.work()
    if counted:
        adjust(shop, KETTLE, 1)
        adjust(shop, KETTLE, -1)
        shop.work()
    set_at_bol(shop, KETTLE, 12)
    shop.pass_time(60)
    assert KETTLE in report(shop, check(shop, dry=True))
    assert shop.amount_at_bol(KETTLE) == 12
    shop.runtime.start_sending_stock(shop.store_id)
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 20


def test_a_store_that_is_not_active_yet_can_be_checked(shop: Shop) -> None:
    add_product("K", 7, KETTLE)
    shop.store_id = shop.runtime.connect_store(
        name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
    )
    shop.work()
    run = check(shop)
    assert (run.dry, run.state) == (True, RunState.DONE)
    assert report(shop, run) == {KETTLE: ("not sent yet", "reported only")}


def test_a_check_whose_store_stops_sending_goes_on_as_a_report(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = sending.runtime.check_stock(sending.store_id, False, "ann")
    set_at_bol(sending, KETTLE, 99)
    sending.settings(send_stock=False)
    change_offer(sending, KETTLE, done_version=Offer.dirty_version)
    sending.work()
    assert report(sending, run_of(sending, run_id)) == {KETTLE: ("changed at bol", "reported only")}


# crashes, repeats, errors


def test_a_check_that_dies_between_pages_goes_on_where_it_was(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_check, "PAGE_SIZE", 1)
    set_at_bol(sending, KETTLE, 99)
    keep, pages = comparing.keep, []

    def dying(*given: Any, **named: Any) -> Any:
        pages.append(True)
        if len(pages) == 2:
            raise KeyboardInterrupt
        return keep(*given, **named)

    monkeypatch.setattr(stock_check, "keep", dying)
    run_id = sending.runtime.check_stock(sending.store_id, False, "ann")
    with pytest.raises(KeyboardInterrupt):
        sending.work()
    run = run_of(sending, run_id)
    assert (run.state, run.counts["offers"]) == (RunState.RUNNING, 1)
    sending.forget_leases()
    sending.work()
    run = run_of(sending, run_id)
    assert (run.state, run.counts["offers"]) == (RunState.DONE, 3)
    assert report(sending, run) == {KETTLE: ("changed at bol", "marked for sending")}


def test_who_was_overtaken_keeps_nothing(sending: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    set_at_bol(sending, KETTLE, 99)

    def overtake() -> None:
        with transaction() as session:
            session.execute(update(Run).where(Run.kind == KIND).values(cursor="rest:999"))

    meanwhile(monkeypatch, overtake)
    run = check(sending)
    assert run.state == RunState.DONE
    assert run.counts.get("offers", 0) == 0
    assert report(sending, run) == {}


def test_an_offer_that_comes_by_twice_is_reported_once(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_check, "PAGE_SIZE", 1)
    set_at_bol(sending, TOASTER, 98)
    set_at_bol(sending, KETTLE, 99)
    # Changed while the walk is under way, the toaster moves to the end of the list.
    meanwhile(monkeypatch, lambda: set_at_bol(sending, TOASTER, 97))
    run = check(sending)
    assert report(sending, run).keys() == {KETTLE, TOASTER}
    assert run.counts["differed"] == 2


def test_bol_out_of_order_puts_the_check_off(sending: Shop) -> None:
    sending.sandbox.faults([{"path": "/retailer/offers", "when": "before", "status": 500, "times": 1}])
    run = check(sending)
    assert run.state == RunState.RUNNING
    assert run.error
    assert run.due_at is not None
    assert run.due_at > sending.clock.now()
    sending.pass_time(60)
    run = run_of(sending, run.id)
    assert (run.state, run.error, run.counts["offers"]) == (RunState.DONE, "", 3)


def test_a_cursor_that_bol_does_not_take_any_more_begins_the_walk_anew(sending: Shop) -> None:
    set_at_bol(sending, KETTLE, 99)
    run_id = sending.runtime.check_stock(sending.store_id, False, "ann")
    with transaction() as session:
        session.execute(update(Run).where(Run.id == run_id).values(cursor="walk:stale"))
    sending.work()
    assert run_of(sending, run_id).state == RunState.RUNNING
    sending.pass_time(600)
    run = run_of(sending, run_id)
    assert (run.state, run.counts["offers"], run.counts["differed"]) == (RunState.DONE, 3, 1)


def test_a_check_that_is_stopped_ends_where_it_is(sending: Shop) -> None:
    writes = sending.writes()
    set_at_bol(sending, KETTLE, 99)
    run_id = sending.runtime.check_stock(sending.store_id, False, "ann")
    sending.runtime.stop_run(sending.store_id, run_id)
    sending.work()
    assert run_of(sending, run_id).state == RunState.STOPPED
    assert len(sending.writes()) == len(writes) + 1
    with pytest.raises(HostError, match="ended already"):
        sending.runtime.stop_run(sending.store_id, run_id)


def test_a_check_that_is_stopped_on_the_way_keeps_nothing_more(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_check, "PAGE_SIZE", 1)
    set_at_bol(sending, KETTLE, 99)

    def stop() -> None:
        (run,) = sending.all(Run, Run.kind == KIND)
        sending.runtime.stop_run(sending.store_id, run.id)

    meanwhile(monkeypatch, stop)
    run = check(sending)
    assert (run.state, run.counts.get("offers", 0)) == (RunState.STOPPED, 0)
    assert report(sending, run) == {}


def test_one_check_at_a_time(sending: Shop) -> None:
    sending.runtime.check_stock(sending.store_id, False, "ann")
    with pytest.raises(HostError, match="under way already"):
        sending.runtime.check_stock(sending.store_id, True, "bob")


def test_old_reports_are_forgotten(sending: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT", 2)
    for amount in (91, 92, 93, 94):
        set_at_bol(sending, KETTLE, amount)
        check(sending)
    assert [row.bol_amount for row in sending.all(Discrepancy)] == [92, 93, 94]
    assert len(sending.all(Run, Run.kind == KIND)) == 3


# by night


def night(shop: Shop) -> None:
    """Let the night come, and the check be due."""
    due_at = shop.store().next_check_at
    assert due_at is not None
    shop.pass_time((due_at - shop.clock.now()).total_seconds() + 1, steps=1)


def test_it_runs_by_itself_each_night(sending: Shop) -> None:
    first = sending.store().next_check_at
    assert first is not None
    set_at_bol(sending, KETTLE, 99)
    night(sending)
    (run,) = sending.all(Run, Run.kind == KIND)
    assert (run.asked_by, run.dry, run.state) == ("", False, RunState.DONE)
    assert sending.amount_at_bol(KETTLE) == 20
    assert sending.store().next_check_at == next_check(sending.clock.now(), time(3, 30))
    night(sending)
    assert len(sending.all(Run, Run.kind == KIND)) == 2


def test_nights_that_were_missed_are_made_up_for_once(sending: Shop) -> None:
    with transaction() as session:
        session.execute(update(Store).values(next_check_at=sending.clock.now() - timedelta(days=3)))
    sending.work()
    assert len(sending.all(Run, Run.kind == KIND)) == 1


@pytest.mark.parametrize("changes", [{"send_stock": False}, {"send_stock": True, "check_time": None}])
def test_it_does_not_run_by_night_where_it_is_off(shop: Shop, changes: dict[str, Any]) -> None:
    shop.connect(**changes)
    shop.work()
    shop.pass_time(2 * 86400, steps=2)
    assert shop.all(Run, Run.kind == KIND) == []


def test_another_time_counts_from_the_next_night_on(sending: Shop) -> None:
    sending.settings(send_stock=True, check_time=time(23, 45))
    sending.work()
    assert sending.store().next_check_at == next_check(sending.clock.now(), time(23, 45))


def test_large_stores_are_told_and_checked_on_demand_only(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_check, "LARGEST", 2)
    night(sending)
    night(sending)
    assert sending.all(Run, Run.kind == KIND) == []
    assert sending.notices() == ["Shop: more than 2 offers: the nightly stock check is left out"]
    assert check(sending).state == RunState.DONE


@pytest.mark.parametrize(
    ("now", "at", "expected"),
    [
        # Winter and summer.
        ("2026-12-01T12:00", time(3, 30), "2026-12-02T02:30"),
        ("2026-07-01T00:00", time(3, 30), "2026-07-01T01:30"),
        # At that very moment the next night is meant.
        ("2026-07-01T01:30", time(3, 30), "2026-07-02T01:30"),
        # 29 March: the clock goes from 2:00 to 3:00, so 2:30 is skipped.
        ("2026-03-29T00:00", time(2, 30), "2026-03-29T01:30"),
        ("2026-03-29T01:30", time(2, 30), "2026-03-30T00:30"),
        # 25 October: the clock goes from 3:00 to 2:00, so 2:30 comes twice.
        ("2026-10-24T12:00", time(2, 30), "2026-10-25T00:30"),
        ("2026-10-25T00:30", time(2, 30), "2026-10-26T01:30"),
        ("2026-10-25T01:15", time(2, 30), "2026-10-26T01:30"),
    ],
)
def test_the_night_comes_once_whatever_the_clock_does(now: str, at: time, expected: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert next_check(moment, at) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_the_number_of_queries_of_a_page_does_not_grow_with_its_offers(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queries() -> int:
        sending.runtime.check_stock(sending.store_id, False, "ann")
        with counted_queries() as seen:
            sending.work()
        return len([statement for statement in seen if "bol_" in statement])

    three = queries()
    sending.sandbox.generate_offers("seller", 60)
    sending.runtime.import_products(sending.store_id)
    sending.work()
    assert len(sending.all(Offer)) == 63
    assert queries() == three


def test_lamps_are_never_touched(sending: Shop) -> None:
    before = sending.sandbox.offer("seller", LAMP)
    add_product("L", 50, LAMP)
    sending.work()
    check(sending)
    assert sending.sandbox.offer("seller", LAMP) == before


@pytest.mark.parametrize("how", ["paused", "disconnected"])
def test_stock_that_somebody_changed_at_bol_while_the_store_was_off_is_found_when_it_comes_back(
    sending: Shop, how: str
) -> None:
    if how == "paused":
        sending.runtime.pause(sending.store_id)
    else:
        sending.runtime.disconnect(sending.store_id, at_once=True)
    # Not over a night, which would be made up for.
    sending.pass_time(3 * 3600, steps=3)
    set_at_bol(sending, KETTLE, 60)
    if how == "disconnected":
        sending.runtime.sign_in_again(sending.store_id, client_id="seller", client_secret="secret")
    sending.runtime.activate(sending.store_id)
    sending.pass_time(60, steps=3)
    assert sending.amount_at_bol(KETTLE) == sending.free(KETTLE)


def test_stock_that_was_changed_at_bol_between_signing_in_and_activating_is_found(shop: Shop) -> None:
    """The usual way to come: another program goes on sending stock until the day of the switch."""
    add_product("K", 20, KETTLE)
    shop.store_id = shop.runtime.connect_store(
        name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
    )
    shop.settings(send_stock=True)
    shop.work()
    shop.pass_time(3 * 3600, steps=3)
    set_at_bol(shop, KETTLE, 60)
    shop.runtime.activate(shop.store_id)
    shop.pass_time(60, steps=3)
    assert shop.amount_at_bol(KETTLE) == 20


def test_that_stock_is_compared_when_a_store_comes_back_does_not_hang_on_the_nightly_check(
    shop: Shop,
) -> None:
    shop.connect(send_stock=True, check_time=None)
    shop.work()
    shop.runtime.pause(shop.store_id)
    shop.pass_time(3 * 3600, steps=3)
    set_at_bol(shop, KETTLE, 60)
    shop.runtime.activate(shop.store_id)
    shop.pass_time(60, steps=3)
    assert shop.amount_at_bol(KETTLE) == shop.free(KETTLE)
    set_at_bol(shop, KETTLE, 60)
    shop.pass_time(2 * 86400, steps=4)
    # Once only: nobody has chosen a night.
    assert (shop.amount_at_bol(KETTLE), len(shop.all(Run, Run.kind == KIND))) == (60, 1)


@pytest.mark.parametrize("check_time", [None, time(3, 30)])
def test_stock_that_was_changed_at_bol_before_stock_is_sent_for_the_first_time_is_found(
    shop: Shop, check_time: time | None
) -> None:
    shop.connect(check_time=check_time)
    shop.work()
    # Not over a night, which would be made up for.
    shop.pass_time(3600, steps=3)
    set_at_bol(shop, KETTLE, 60)
    shop.settings(send_stock=True, check_time=check_time)
    shop.pass_time(60, steps=3)
    assert shop.amount_at_bol(KETTLE) == shop.free(KETTLE)


def test_what_the_plan_has_just_compared_is_not_compared_again(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.pass_time(3600, steps=3)
    check(shop, dry=True)
    shop.settings(send_stock=True)
    shop.pass_time(60, steps=3)
    assert [run.dry for run in shop.all(Run, Run.kind == KIND)] == [True]


def test_what_differs_is_found_too_where_the_pump_waits_while_it_is_compared(sending: Shop) -> None:
    """No stock is sent before new orders are known, which may take longer than reading the offers."""
    sending.runtime.pause(sending.store_id)
    sending.pass_time(3600, steps=3)
    set_at_bol(sending, KETTLE, 60)
    sending.sandbox.faults([{"method": "GET", "path": "/retailer/orders", "when": "before", "status": 503}])
    sending.runtime.activate(sending.store_id)
    sending.pass_time(60, steps=3)
    (run,) = sending.all(Run, Run.kind == KIND)
    assert (run.state, sending.amount_at_bol(KETTLE)) == (RunState.DONE, 60)
    sending.sandbox.faults([])
    sending.pass_time(3600, steps=4)
    assert sending.amount_at_bol(KETTLE) == sending.free(KETTLE)


def test_what_the_pump_has_sent_since_bol_was_compared_is_not_taken_back(
    sending: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_at_bol(sending, KETTLE, 60)
    adjust(sending, KETTLE, 3)
    look_at = comparing.look_at

    def do(wake: Wake) -> None:
        jobs.run_wake(wake.name, wake.queue, wake.job, list(wake.args))

    def look_then_push(*given: Any, **named: Any) -> Any:
        look = look_at(*given, **named)
        do(wake_for(STOCK, sending.store_id))
        return look

    change_offer(sending, KETTLE, dirty_version=Offer.dirty_version + 1)
    monkeypatch.setattr(stock_check, "look_at", look_then_push)
    run_id = sending.runtime.check_stock(sending.store_id, False, "ann")
    do(wake_for(CHECK, sending.store_id))
    sending.work()
    assert run_of(sending, run_id).state == RunState.DONE
    assert sending.amount_at_bol(KETTLE) == sending.offer(KETTLE).confirmed_amount == 23
    # By somebody at bol, and by us, once.
    assert len(sending.writes("/retailer/offers/")) == 2

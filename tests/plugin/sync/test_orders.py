"""Orders of bol come in once, without what bol ships itself, whatever happens meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from host_app.db import reading, transaction
from host_app.leases import HeldLease, acquire
from host_app.models import OrderLine, Product, Stock
from host_app.plugin_api import HostError, NewProduct
from host_app.services import catalog
from plugin.connector.resources.offers import Offers
from plugin.connector.resources.orders import Orders
from plugin.models import BolOrder, Offer, Store
from plugin.settings import StoreSettings
from plugin.sync import orders
from plugin.sync.mapping import AMSTERDAM
from plugin.sync.order_list import every, note_page
from tests.host_app.factories import add_product, add_warehouse
from tests.plugin.conftest import KETTLE, LAMP, TOASTER, Shop


def lines(order_id: int) -> list[OrderLine]:
    with reading() as session:
        return list(
            session.scalars(select(OrderLine).where(OrderLine.order_id == order_id).order_by(OrderLine.id))
        )


def test_a_new_order_comes_in_with_its_address_prices_and_deadline(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 2))
    shop.import_orders()
    order = shop.host_order(order_id)
    assert (order.source, order.state) == (f"bol:{shop.store_id}", "processing")
    assert order.delivery and order.delivery["name"] and order.delivery["postal_code"]
    assert order.deadline is not None
    (line,) = lines(order.id)
    assert (line.quantity, line.unit_price, line.name) == (2, Decimal("24.95"), "Kettle")
    assert line.external_ref


def leaves_on(shop: Shop, order_id: str) -> date:
    deadline = shop.host_order(order_id).deadline
    assert deadline is not None
    return deadline.astimezone(AMSTERDAM).date()


def bol_days(shop: Shop, order_id: str) -> tuple[date, date]:
    """Return on which day bol has an order as placed, and by which day it promised it."""
    with reading() as session:
        row = session.scalars(select(BolOrder).where(BolOrder.order_id == order_id)).one()
        assert row.placed_at is not None and row.latest_delivery is not None
        return row.placed_at.astimezone(AMSTERDAM).date(), row.latest_delivery


@pytest.mark.parametrize("days", [0, 1, 5])
def test_an_order_is_due_on_the_day_it_must_leave_and_never_before_it_was_placed(
    shop: Shop, days: int
) -> None:
    shop.connect(carrier_days=days)
    shop.work()
    order_id = shop.order((KETTLE, 2))
    shop.import_orders()
    placed, promised = bol_days(shop, order_id)
    assert leaves_on(shop, order_id) == max(placed, promised - timedelta(days=days))


def test_open_orders_follow_when_the_days_of_carriers_are_changed(shop: Shop) -> None:
    shop.connect(carrier_days=0, send_shipments=True)
    shop.work()
    done, left = shop.order((KETTLE, 1)), shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(done)
    shop.pass_time(20, steps=5)
    shop.import_orders()
    _placed, promised = bol_days(shop, left)
    assert leaves_on(shop, left) == promised

    shop.settings(carrier_days=1, send_shipments=True)
    assert leaves_on(shop, left) == promised - timedelta(days=1)
    assert leaves_on(shop, done) == promised, "what has left is not touched"


def test_importing_again_makes_no_second_order(shop: Shop) -> None:
    shop.connect()
    shop.order((KETTLE, 2))
    shop.work()
    for _ in range(3):
        shop.import_orders()
    assert len(shop.host_orders()) == 1
    assert shop.free(KETTLE) == 18


def test_items_that_bol_ships_are_left_out_with_a_note(shop: Shop) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 1), (LAMP, 1))
    shop.import_orders()
    order = shop.host_order(order_id)
    assert len(lines(order.id)) == 1
    assert "bol ships it" in order.notes


def test_new_orders_are_read_before_those_that_changed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.connect()
    known = [shop.order((KETTLE, 1)) for _ in range(3)]
    shop.work()
    new = [shop.order((KETTLE, 1)) for _ in range(2)]
    with transaction() as session:
        session.execute(update(BolOrder).values(read_due_at=shop.clock.now()))
    read: list[str] = []
    get = Orders.get

    def note(orders: Orders, order_id: str, **more: Any) -> Any:
        read.append(order_id)
        return get(orders, order_id, **more)

    monkeypatch.setattr(Orders, "get", note)
    shop.import_orders()
    assert set(read[:2]) == set(new)
    assert set(read) == {*known, *new}


def test_the_list_that_becomes_due_is_read_before_more_of_the_orders(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when bol was away: orders that were known before are due at once, and the list some seconds later."""
    shop.connect()
    known = [shop.order((KETTLE, 1)) for _ in range(4)]
    shop.work()
    new = shop.order((KETTLE, 1))
    now = shop.clock.now()
    with transaction() as session:
        session.execute(update(BolOrder).values(read_due_at=now))
        session.execute(
            update(Store).values(next_import_at=now + timedelta(seconds=5), import_wanted_at=None)
        )
    read: list[str] = []
    get = Orders.get

    def slowly(client: Orders, order_id: str, **more: Any) -> Any:
        read.append(order_id)
        shop.clock.ahead += timedelta(seconds=3)
        return get(client, order_id, **more)

    monkeypatch.setattr(Orders, "get", slowly)
    monkeypatch.setattr(orders, "BATCH", 1)
    monkeypatch.setattr(orders, "DETAILS_AT_ONCE", 1)
    shop.work()
    assert read.index(new) == 2
    assert set(read) == {*known, new}


def test_an_order_that_bol_ships_alone_is_ignored(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.order((LAMP, 1))
    shop.import_orders()
    assert shop.host_orders() == []


def test_what_lies_in_bols_warehouse_is_no_stock_here(shop: Shop) -> None:
    """Sold by us, and sent in to bol's warehouse since."""
    shop.connect()
    shop.work()
    placed = shop.sandbox.place_order("seller", [{"ean": LAMP, "quantity": 1, "method": "FBR"}])
    shop.import_orders()
    order = shop.host_order(placed["orderId"])
    (line,) = lines(order.id)
    with reading() as session:
        product = session.get_one(Product, line.product_id)
        assert not product.stock_known
        stock = session.scalars(select(Stock).where(Stock.product_id == product.id)).all()
    assert sum(row.physical for row in stock) == 0
    assert shop.picklists(placed["orderId"]) == []


def test_a_product_is_found_by_its_code_before_a_barcode(shop: Shop) -> None:
    by_barcode = add_product("A", 5, KETTLE)
    by_code = add_product(KETTLE, 5)
    shop.connect()
    order_id = shop.order((KETTLE, 1))
    shop.work()
    assert lines(shop.host_order(order_id).id)[0].product_id == by_code != by_barcode


def test_a_product_is_found_by_barcode_first_where_the_store_says_so(shop: Shop) -> None:
    by_barcode = add_product("A", 5, KETTLE)
    add_product(KETTLE, 5)
    shop.connect(lookup="barcode")
    order_id = shop.order((KETTLE, 1))
    shop.work()
    assert lines(shop.host_order(order_id).id)[0].product_id == by_barcode


def test_an_unknown_product_waits_visibly_and_the_order_goes_on_once_it_exists(shop: Shop) -> None:
    shop.connect(import_products=False)
    order_id = shop.order((TOASTER, 1))
    shop.work()
    assert shop.host_orders() == []
    assert shop.bol_order(order_id).state == "waiting for product"
    assert any("waits for a product" in title for title in shop.notices())
    with transaction():
        catalog.create_product(NewProduct("T", "Toaster", None, (TOASTER,), 3))
    shop.work()
    assert shop.host_order(order_id).state == "processing"


def test_a_product_created_for_an_order_has_the_stock_that_bol_would_sell(shop: Shop) -> None:
    shop.order((KETTLE, 3))
    shop.connect()
    shop.work()
    assert shop.free(KETTLE) == 17


def test_only_the_open_pieces_of_a_partly_cancelled_order_come_in(shop: Shop) -> None:
    order_id = shop.order((KETTLE, 1), (TOASTER, 2))
    item = shop.sandbox.state("seller")["orders"][0]["orderItems"][0]
    shop.sandbox.cancel(order_id, [item["orderItemId"]])
    shop.connect()
    shop.work()
    assert [line.quantity for line in lines(shop.host_order(order_id).id)] == [2]


def test_only_what_is_not_shipped_yet_comes_in_and_the_note_tells_the_rest(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.runtime.pause(shop.store_id)
    order_id = shop.order((KETTLE, 3))
    (item_id,) = shop.items_at_bol(order_id)
    shop.ship_pieces_elsewhere(item_id, 1)
    shop.sandbox.cancel(order_id, [item_id], quantity=1)
    shop.runtime.activate(shop.store_id)
    shop.work()
    order = shop.host_order(order_id)
    assert [line.quantity for line in lines(order.id)] == [1]
    assert "Left out, shipped or cancelled at bol before the import: 2 × Kettle" in order.notes


def test_no_words_in_the_language_of_the_installation_are_kept_with_lines(shop: Shop) -> None:
    shop.connect()
    items = [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}, {"ean": TOASTER, "quantity": 1}]
    order_id = shop.sandbox.place_order("seller", items)["orderId"]
    shop.work()
    assert [line.note for line in lines(shop.host_order(order_id).id)] == ["", ""]


def test_a_concept_waits_to_be_processed_in_the_warehouse_of_the_store(shop: Shop) -> None:
    second = add_warehouse("Second")
    shop.connect(process_orders=False, warehouse_id=second)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    order = shop.host_order(order_id)
    assert (order.state, order.warehouse_id) == ("concept", second)
    assert shop.picklists(order_id) == []


def test_an_order_for_a_pickup_point_in_belgium_has_its_point_phone_and_language(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 1), pickupPoint=True, country="BE")
    shop.work()
    delivery = shop.host_order(order_id).delivery
    assert delivery is not None
    assert delivery["country"] == "BE"
    assert delivery["pickup_point"]
    assert delivery["email"] and delivery["language"]


@pytest.mark.parametrize(("minutes", "asked"), [(1, 8), (5, 12), (53, 60), (54, None)])
def test_the_list_is_asked_for_what_changed_since_the_last_complete_read(
    shop: Shop, minutes: int, asked: int | None
) -> None:
    shop.connect()
    shop.work()
    with transaction() as session:
        # As long ago as the last read began, to the second, on a machine of any speed.
        moment = shop.clock.now() - timedelta(minutes=minutes) + timedelta(seconds=20)
        session.execute(update(Store).values(orders_read_at=moment))
    since = shop.sandbox.calls()[-1]["index"]
    shop.import_orders()
    queries = [call["query"] for call in shop.sandbox.calls(since) if call["path"] == "/retailer/orders"]
    assert queries
    for query in queries:
        assert "status=ALL" in query and "fulfilment-method=FBR" in query
        assert (f"change-interval-minute={asked}" in query) if asked else ("change-interval" not in query)


def test_a_store_at_the_real_bol_is_read_every_five_minutes_unless_set_otherwise(shop: Shop) -> None:
    shop.connect()
    lease = acquire("test")
    assert lease is not None
    with shop.runtime.context(shop.store_id, lease) as ctx:
        assert ctx is not None
        assert every(replace(ctx, sandbox=False)) == timedelta(minutes=5)
        slow = replace(ctx, sandbox=False, settings=StoreSettings(import_minutes=60))
        assert every(slow) == timedelta(hours=1)
    for minutes in (4, 61):
        with pytest.raises(HostError):
            shop.settings(import_minutes=minutes)


def test_orders_before_the_start_date_are_left_alone(shop: Shop) -> None:
    order_id = shop.order((KETTLE, 1))
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()
    shop.connect(orders_from=tomorrow)
    shop.work()
    assert shop.host_orders() == []
    assert shop.bol_order(order_id).state == "before start date"
    shop.settings(orders_from=None)
    shop.work()
    assert len(shop.host_orders()) == 1


def test_nothing_comes_in_before_activation(shop: Shop) -> None:
    shop.order((KETTLE, 1))
    shop.runtime.connect_store(name="Shop", environment="sandbox", client_id="seller", client_secret="secret")
    shop.work()
    assert shop.host_orders() == []
    assert shop.all(BolOrder) == []


def test_a_list_that_breaks_half_way_is_read_again(shop: Shop) -> None:
    shop.connect()
    shop.work()
    for _ in range(3):
        shop.order((KETTLE, 1))
    shop.sandbox.faults([{"path": "/retailer/orders", "when": "after", "truncate": True, "times": 3}])
    before = shop.store().orders_read_at
    shop.import_orders()
    assert shop.store().orders_read_at == before
    assert shop.store().problem
    shop.sandbox.faults([])
    shop.pass_time(60)
    assert len(shop.host_orders()) == 3
    assert not shop.store().problem


def test_an_order_that_can_not_be_read_is_set_aside_and_holds_up_no_other(shop: Shop) -> None:
    shop.connect()
    shop.work()
    bad, good = shop.order((KETTLE, 1)), shop.order((TOASTER, 1))
    shop.sandbox.faults(
        [
            {
                "path": f"/retailer/orders/{bad}",
                "when": "before",
                "status": 500,
                "body": "<html>oops</html>",
                "times": 9,
            }
        ]
    )
    shop.import_orders()
    assert [order.reference for order in shop.host_orders()] == [good]
    assert shop.bol_order(bad).error
    shop.sandbox.faults([])
    shop.pass_time(120)
    assert {order.reference for order in shop.host_orders()} == {bad, good}


def test_a_change_between_two_reads_longer_than_an_hour_apart_is_found(shop: Shop) -> None:
    shop.connect()
    shop.work()
    shop.runtime.pause(shop.store_id)
    order_id = shop.order((KETTLE, 1))
    shop.pass_time(3 * 3600)
    shop.runtime.activate(shop.store_id)
    shop.work()
    assert shop.host_order(order_id)


def test_a_product_made_for_an_order_has_no_pieces_of_one_that_is_found_after_its_offer_was_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[str] = []
    real = Offers.get

    def get(offers: Offers, offer_id: str, **more: Any) -> object:
        answer = real(offers, offer_id, **more)
        if not late:
            late.append(shop.order((KETTLE, 2)))
            # The stock pump finds it, beside the import.
            with shop.app.app_context():
                lease = acquire("pump")
                assert lease is not None
                with shop.runtime.context(shop.store_id, lease) as ctx:
                    assert ctx is not None
                    page = ctx.client.orders.page(1)
                    with shop.host.transaction():
                        note_page(ctx, page)
        return answer

    shop.connect(import_products=False)
    shop.work()
    shop.order((KETTLE, 3))
    shop.settings()
    monkeypatch.setattr(Offers, "get", get)
    shop.import_orders()
    assert late
    assert {order.reference for order in shop.host_orders()} >= set(late)
    # bol had 20, sold 3 of them, and then 2.
    assert shop.free(KETTLE) <= 15


def test_the_lease_is_renewed_before_each_offer_of_an_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    renew, get = HeldLease.ensure, Offers.get

    def ensure(lease: HeldLease, *seconds: float) -> None:
        happened.append("renewed")
        renew(lease, *seconds)

    def asked(offers: Offers, offer_id: str, **more: Any) -> object:
        happened.append("asked")
        return get(offers, offer_id, **more)

    shop.connect(import_products=False)
    shop.work()
    with transaction() as session:
        session.execute(delete(Offer))
    order_id = shop.order((KETTLE, 3), (TOASTER, 1))
    shop.settings()
    monkeypatch.setattr(HeldLease, "ensure", ensure)
    monkeypatch.setattr(Offers, "get", asked)
    shop.import_orders()
    assert happened.count("asked") == 2
    assert ("asked", "asked") not in set(pairwise(happened))
    assert len(lines(shop.host_order(order_id).id)) == 2
    assert (shop.free(KETTLE), shop.offer(TOASTER).link) == (17, "created")


def test_an_answer_that_somebody_who_began_later_overtook_is_not_taken_over_but_asked_for_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.connect()
    shop.work()
    order_id = shop.order((KETTLE, 2))
    shop.import_orders()
    real, hung = Orders.get, []

    def get(orders: Orders, asked: str, **more: Any) -> Any:
        answer = real(orders, asked, **more)
        if not hung:
            hung.append(asked)
            # Meanwhile another worker, which took the lease of this one for lost, has read the order.
            shop.sandbox.cancel(order_id)
            with shop.app.app_context(), transaction() as session:
                session.execute(update(BolOrder).values(read_at=shop.clock.now() + timedelta(seconds=1)))
        return answer

    monkeypatch.setattr(Orders, "get", get)
    with transaction() as session:
        session.execute(update(BolOrder).values(read_due_at=shop.clock.now()))
    shop.pass_time(20, steps=4)
    assert hung == [order_id]
    assert shop.host_order(order_id).state == "cancelled"


def test_an_order_read_by_a_clock_that_was_ahead_is_taken_over_once_it_is_set_right(shop: Shop) -> None:
    shop.connect()
    shop.clock.ahead = timedelta(hours=3)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.clock.ahead = timedelta(0)
    shop.sandbox.cancel(order_id)
    asked = len(shop.sandbox.calls())
    shop.runtime.read_again(shop.store_id, shop.bol_order(order_id).id)
    shop.work()
    assert shop.host_order(order_id).state == "cancelled"
    read = [call for call in shop.sandbox.calls(asked) if call["path"].endswith(f"/orders/{order_id}")]
    assert len(read) == 1


def test_an_order_read_by_a_machine_whose_clock_is_ahead_is_not_read_over_and_over(shop: Shop) -> None:
    shop.connect()
    shop.clock.ahead = timedelta(seconds=30)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.clock.ahead = timedelta(0)
    shop.sandbox.cancel(order_id)
    asked = len(shop.sandbox.calls())
    shop.runtime.read_again(shop.store_id, shop.bol_order(order_id).id)
    shop.work()
    shop.pass_time(40, steps=2)
    assert shop.host_order(order_id).state == "cancelled"
    read = [call for call in shop.sandbox.calls(asked) if call["path"].endswith(f"/orders/{order_id}")]
    assert len(read) == 2

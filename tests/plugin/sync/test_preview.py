"""What activating a store will do is found out before, and nothing of it is done by that."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from host_app.db import transaction
from host_app.models import Notification, Order, Product, Warehouse
from host_app.plugin_api import HostError
from plugin.models import BolOrder, Run, RunState
from plugin.settings import StoreSettings
from plugin.sync import findings, preview, products
from plugin.sync.preview import Forecast, forecast
from plugin.sync.stock_plan import Plan, newest_plan
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, LAMP, TOASTER, Shop
from tests.plugin.portal import remove_at_bol

UNKNOWN = "4006381333931"


def sign_in(shop: Shop) -> None:
    """Connect, and do what follows by itself before the store is activated."""
    shop.store_id = shop.runtime.connect_store(
        name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
    )


def foretold(shop: Shop, **changes: object) -> Forecast:
    return forecast(shop.host, shop.store_id, StoreSettings(**changes))  # type: ignore[arg-type]


def use_warehouse(active: bool) -> None:
    with transaction() as session:
        session.execute(update(Warehouse).values(active=active))


def plan(shop: Shop) -> Plan:
    found = newest_plan(shop.host, shop.store_id, StoreSettings())
    assert found is not None
    return found


def test_open_orders_are_counted_and_none_is_imported(shop: Shop) -> None:
    shop.order((KETTLE, 1))
    shop.order((KETTLE, 1), (TOASTER, 2))
    shop.order((LAMP, 1))  # bol ships it
    cancelled = shop.order((KETTLE, 1))
    shop.sandbox.cancel(cancelled)
    sign_in(shop)
    shop.work()
    found = foretold(shop)
    assert (found.orders, found.too_old, found.without_product) == (2, 0, 2)
    assert found.counted
    assert not found.counting
    assert shop.all(BolOrder) == []
    assert shop.all(Order) == []
    assert shop.all(Product) == []
    assert shop.writes() == []


def test_what_is_foretold_is_what_comes_in(shop: Shop) -> None:
    for _ in range(3):
        shop.order((KETTLE, 1))
    sign_in(shop)
    shop.work()
    told = foretold(shop)
    shop.runtime.activate(shop.store_id)
    shop.work()
    assert len(shop.all(Order)) == told.orders == 3
    assert len(shop.all(Product)) == told.to_create == 2


def test_a_start_date_is_counted_with_without_asking_bol_again(shop: Shop) -> None:
    shop.order((KETTLE, 1))
    shop.sandbox.advance(3 * 24 * 3600)
    shop.clock.ahead += timedelta(days=3)
    shop.order((KETTLE, 1))
    sign_in(shop)
    shop.work()
    calls = len(shop.sandbox.calls())
    placed = foretold(shop).earliest
    assert placed is not None
    later = placed + timedelta(days=1)
    assert (foretold(shop).orders, foretold(shop).too_old) == (2, 0)
    assert (foretold(shop, orders_from=later).orders, foretold(shop, orders_from=later).too_old) == (1, 1)
    assert foretold(shop, orders_from=date(2100, 1, 1)).orders == 0
    assert len(shop.sandbox.calls()) == calls


def test_an_order_that_slips_to_the_next_page_is_counted_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(60):
        shop.order((KETTLE, 1), force=True)
    sign_in(shop)
    note = preview._note
    arrived: list[str] = []

    def note_and_sell(*args: object) -> None:
        note(*args)  # type: ignore[arg-type]
        if not arrived:
            arrived.extend(shop.order((KETTLE, 1), force=True) for _ in range(5))

    monkeypatch.setattr(preview, "_note", note_and_sell)
    shop.work()
    assert len(arrived) == 5
    assert foretold(shop).orders == 60


def test_products_that_are_made_and_those_that_look_alike_are_told_apart(shop: Shop) -> None:
    add_product("K", 10, KETTLE[:-1] + "9")
    sign_in(shop)
    shop.work()
    found = foretold(shop)
    assert (found.to_create, found.look_alikes, found.for_orders) == (1, 1, 0)


def test_an_order_makes_products_that_an_import_would_leave_to_a_person(shop: Shop) -> None:
    add_product("K", 10, KETTLE[:-1] + "9")
    shop.order((KETTLE, 1))
    sign_in(shop)
    shop.work()
    told = foretold(shop)
    assert (told.to_create, told.look_alikes, told.for_orders) == (2, 0, 1)
    later = told.earliest + timedelta(days=1) if told.earliest else None
    assert (foretold(shop, orders_from=later).to_create, foretold(shop, orders_from=later).look_alikes) == (
        1,
        1,
    )
    assert foretold(shop, import_orders=False).to_create == 1
    here = len(shop.all(Product))
    shop.runtime.activate(shop.store_id)
    shop.work()
    assert len(shop.all(Product)) == here + told.to_create


def test_a_product_of_an_order_whose_offer_is_gone_is_foretold(shop: Shop) -> None:
    shop.order((KETTLE, 1))
    remove_at_bol(shop, KETTLE)
    sign_in(shop)
    shop.work()
    told = foretold(shop)
    assert (told.to_create, told.for_orders) == (2, 1)
    shop.runtime.activate(shop.store_id)
    shop.work()
    assert len(shop.all(Product)) == told.to_create


def test_stock_is_compared_as_soon_as_the_offers_are_read(shop: Shop) -> None:
    add_product("K", 7, KETTLE)
    sign_in(shop)
    shop.work()
    (row,) = plan(shop).rows
    assert (row.ean, row.bol_amount, row.our_amount) == (KETTLE, 20, 7)
    assert plan(shop).is_ready
    assert shop.writes() == []
    assert shop.amount_at_bol(KETTLE) == 20
    assert shop.free(KETTLE) == 7


def test_the_comparison_waits_for_the_offers(shop: Shop) -> None:
    sign_in(shop)
    shop.sandbox.faults([{"path": "/retailer/offers", "status": 503}])
    shop.work()
    assert foretold(shop).counted
    assert foretold(shop).comparing
    assert newest_plan(shop.host, shop.store_id, StoreSettings()) is None
    shop.sandbox.faults([])
    shop.pass_time(3600)
    assert plan(shop).run.state == RunState.DONE


def test_counting_goes_on_when_bol_answers_again(shop: Shop) -> None:
    shop.order((KETTLE, 1))
    sign_in(shop)
    shop.sandbox.faults([{"path": "/retailer/orders", "status": 503}])
    shop.work()
    found = foretold(shop)
    assert found.counting
    assert found.run is not None
    assert found.run.error
    shop.sandbox.faults([])
    shop.pass_time(3600)
    assert foretold(shop).orders == 1


def test_a_store_is_not_activated_before_there_is_a_warehouse_for_what_comes_in(shop: Shop) -> None:
    sign_in(shop)
    use_warehouse(False)
    with pytest.raises(HostError, match="Add one first"):
        shop.runtime.activate(shop.store_id)
    assert ("warehouse", False) in [(one.check, one.ok) for one in shop.runtime.examine()]
    use_warehouse(True)
    shop.runtime.activate(shop.store_id)
    shop.work()
    assert len(shop.all(Product)) == 2


def test_products_that_the_warehouse_does_not_take_are_told_and_come_in_later(shop: Shop) -> None:
    sign_in(shop)
    shop.runtime.activate(shop.store_id)
    use_warehouse(False)
    shop.pass_time(60)
    assert shop.all(Product) == []
    assert any("products could not be imported" in title for title in shop.notices())
    (run,) = shop.all(Run, Run.kind == products.KIND, Run.state == RunState.RUNNING)
    assert "no active warehouse" in run.error
    use_warehouse(True)
    shop.pass_time(60)
    assert len(shop.all(Product)) == 2


def test_products_that_are_imported_meanwhile_overtake_a_plan(shop: Shop) -> None:
    sign_in(shop)
    shop.work()
    shop.runtime.activate(shop.store_id)
    use_warehouse(False)
    shop.pass_time(60)
    shop.runtime.check_stock(shop.store_id, True, "ann")
    shop.work()
    assert plan(shop).is_ready
    use_warehouse(True)
    shop.pass_time(60)
    assert plan(shop).outdated


def test_a_store_that_is_activated_meanwhile_needs_no_preview(shop: Shop) -> None:
    shop.order((KETTLE, 1))
    sign_in(shop)
    shop.runtime.activate(shop.store_id)
    shop.work()
    assert shop.all(Run, Run.kind == preview.KIND) == []
    assert shop.all(Run, Run.kind == findings.KIND) == []
    assert len(shop.host_orders()) == 1


def test_it_can_be_found_out_anew_until_the_store_is_active(shop: Shop) -> None:
    sign_in(shop)
    shop.work()
    shop.order((KETTLE, 1))
    assert foretold(shop).orders == 0
    shop.runtime.preview_again(shop.store_id)
    shop.work()
    assert foretold(shop).orders == 1
    assert len(shop.all(Run, Run.kind == findings.KIND)) == 2
    shop.runtime.activate(shop.store_id)
    with pytest.raises(HostError, match="active already"):
        shop.runtime.preview_again(shop.store_id)


def test_a_plan_that_somebody_asked_for_is_not_begun_twice(shop: Shop) -> None:
    sign_in(shop)
    shop.runtime.check_stock(shop.store_id, True, "chief")
    shop.work()
    with transaction() as session:
        kinds = session.scalars(select(Run.asked_by).where(Run.kind == findings.KIND)).all()
    assert kinds == ["chief"]


def test_products_that_the_warehouse_refuses_at_another_place_are_told_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "PAGE_SIZE", 1)
    real, calls = products.create_products, [0]

    def create(*given: Any) -> Any:
        calls[0] += 1
        if calls[0] in (1, 2, 4):
            raise HostError(f"refused at call {calls[0]}")
        return real(*given)

    monkeypatch.setattr(products, "create_products", create)
    sign_in(shop)
    shop.runtime.activate(shop.store_id)
    shop.pass_time(300, steps=8)
    assert len(shop.all(Product)) == 2
    told = shop.all(Notification)
    assert [one.body.split(" It is")[0] for one in told] == ["refused at call 1", "refused at call 4"]
    assert all(one.read_at for one in told)

"""Orders that bol cancels soon: on a list of their own, the most urgent first."""

from __future__ import annotations

from datetime import date, timedelta

from host_app.db import transaction
from plugin.models import BolOrder
from plugin.sync.deadlines import cancel_day, last_soon
from plugin.views.words import day
from tests.host_app.admin.conftest import Person
from tests.plugin.conftest import KETTLE
from tests.plugin.views.conftest import Site
from tests.plugin.views.test_store_pages import text

SOON = "orders?state=cancelled+soon"


def placed(site: Site, *days: int) -> tuple[list[str], date]:
    """Import orders that bol cancels that many days after the last day that is soon; return their ids and that day."""
    with site.shop() as shop:
        ids = [shop.order((KETTLE, 1)) for _ in days]
        shop.import_orders()
        last = last_soon(shop.clock.now())
        with transaction() as session:
            for order_id, later in zip(ids, days, strict=True):
                row = session.query(BolOrder).filter_by(order_id=order_id).one()
                row.cancels_on = last + timedelta(days=later)
        return ids, last


def written(site: Site, value: date) -> str:
    with site.app.test_request_context():
        return day(value)


def test_bol_cancels_on_the_third_day_after_delivery_unless_it_names_a_date() -> None:
    assert cancel_day(date(2026, 3, 2), None) == date(2026, 3, 5)
    assert cancel_day(date(2026, 3, 2), date(2026, 3, 4)) == date(2026, 3, 4)
    assert cancel_day(None, None) is None


def test_orders_that_bol_cancels_soon_are_listed_by_that_day(site: Site, store: int, packer: Person) -> None:
    (on_the_day, late, earlier), last = placed(site, 0, 1, -1)
    page = text(packer, f"{store}/{SOON}")
    assert page.index(earlier) < page.index(on_the_day)
    assert late not in page
    assert f"bol cancels it {written(site, last)}" in page
    everything = text(packer, f"{store}/orders")
    assert f"bol cancels it {written(site, last + timedelta(days=1))}" in everything


def test_a_confirmed_order_is_not_cancelled_any_more(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True)
    (order_id,), _last = placed(site, 0)
    with site.shop() as shop:
        shop.close(order_id)
        shop.pass_time(120, steps=6)
        shop.import_orders()
        row_id = shop.bol_order(order_id).id
    assert "bol cancels no order within two days." in text(packer, f"{store}/{SOON}")
    assert "bol cancels it" not in text(packer, f"{store}/orders/{row_id}")


def test_the_days_of_bol_are_on_the_list_and_on_the_order(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        row = shop.bol_order(order_id)
    assert row.latest_delivery is not None
    assert row.cancels_on is not None
    for path in (f"{store}/orders", f"{store}/orders/{row.id}"):
        page = text(packer, path)
        assert written(site, row.latest_delivery) in page
        assert f"bol cancels it {written(site, row.cancels_on)}" in page

"""The page of calls to bol: filters, bol's reference, and page after page."""

from __future__ import annotations

from sqlalchemy import insert, update

from host_app.db import transaction
from plugin.models import ApiCall
from tests.host_app.admin.conftest import Person
from tests.plugin.conftest import KETTLE
from tests.plugin.views.conftest import Site


def log(site: Site, store: int, count: int, **fields: object) -> None:
    with site.shop() as shop, transaction() as session:
        row = {
            "store_id": store, "at": shop.clock.now(), "job": "stock", "method": "PATCH",
            "route": "/retailer/offers/{offer-id}", "status": 204, "duration_ms": 12, "error": "",
        }  # fmt: skip
        rows = [
            {**row, "subject": f"offer {number:03}", "request_id": f"r-{number}", **fields}
            for number in range(count)
        ]
        session.execute(insert(ApiCall), rows)


def test_calls_are_listed_and_filtered(site: Site, store: int, packer: Person) -> None:
    page = f"/admin/bol/{store}/calls"
    log(site, store, 2)
    log(site, store, 1, status=None, error="TimedOut", subject="offer lost", request_id="lost-one")
    shown = packer.get(page).text
    assert "offer 001" in shown and "/retailer/orders" in shown and "TimedOut" in shown
    shown = packer.get(page, query_string={"state": "failed"}).text
    assert "no answer" in shown and "offer 001" not in shown
    shown = packer.get(page, query_string={"q": "r-1"}).text
    assert "offer 001" in shown and "offer 000" not in shown
    shown = packer.get(page, query_string={"route": "/retailer/orders"}).text
    assert "offer 001" not in shown and "GET /retailer/orders" in shown
    shown = packer.get(page, query_string={"job": "stock"}).text
    assert "offer 001" in shown and "GET /retailer/orders" not in shown
    assert "No call fits." in packer.get(page, query_string={"q": "nothing"}).text


def test_older_calls_are_on_the_next_page(site: Site, store: int, packer: Person) -> None:
    page = f"/admin/bol/{store}/calls"
    log(site, store, 60)
    answer = packer.get(page)
    shown = answer.text
    assert "offer 059" in shown and "offer 010" in shown and "offer 009" not in shown
    with site.shop() as shop:
        (last,) = shop.all(ApiCall, ApiCall.subject == "offer 010")
    assert f"below={last.id}" in answer.text
    shown = packer.get(page, query_string={"below": last.id}).text
    assert "offer 009" in shown and "offer 010" not in shown and "Newest" in shown


def test_calls_of_another_store_are_not_shown(site: Site, store: int, packer: Person) -> None:
    log(site, store, 1)
    with site.shop() as shop:
        shop.sandbox.add_seller("other", "secret")
        other = shop.runtime.connect_store(
            name="Other", environment="sandbox", client_id="other", client_secret="secret"
        )
        with transaction() as session:
            session.execute(update(ApiCall).where(ApiCall.subject == "offer 000").values(store_id=other))
    assert "offer 000" not in packer.get(f"/admin/bol/{store}/calls").text
    assert "offer 000" in packer.get(f"/admin/bol/{other}/calls").text


def test_a_failed_shipment_is_repeated_from_its_call_through_the_ledger(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store = shop.connect(send_shipments=True)
        shop.work()
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.sandbox.faults([{"method": "POST", "path": "/retailer/shipments", "status": 400, "times": 1}])
        shop.close(order_id)
        shop.work()
        assert [effect.state for effect in shop.effects()] == ["refused"]
        item, row = shop.items_at_bol(order_id)[0], shop.bol_order(order_id)
    page = f"/admin/bol/{store}/calls?state=failed"
    shown = chief.get(page).text
    assert f"order item {item}" in shown and f"/admin/bol/{store}/orders/{row.id}" in shown
    with site.shop() as shop:
        (effect,) = shop.effects()
    assert f"/shipments/{effect.id}/try-again" in shown
    chief.post(f"/admin/bol/{store}/shipments/{effect.id}/try-again", page=page)
    with site.shop() as shop:
        shop.work()
        assert len(shop.shipments_at_bol()) == 1
    assert "/try-again" not in chief.get(page).text, "what is done can't be repeated"


def test_calls_of_the_packing_table_are_logged_too(site: Site, chief: Person, packer: Person) -> None:
    with site.shop() as shop:
        store = shop.connect(send_shipments=True)
        shop.work()
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        picklist = shop.picklist_id(order_id)
        assert shop.runtime.closing_answer(picklist, 2.0) is not None
    shown = chief.get(f"/admin/bol/{store}/calls?job=packing").text
    assert f"order {order_id}" in shown

"""The scheduler asks each second what is due: of many stores, only those are looked at that may have something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from host_app.db import db, transaction
from host_app.services.stock import adjust_stock
from plugin.models import Store, StoreState
from plugin.settings import StoreSettings
from plugin.sync import due as asked
from plugin.sync.due import due
from tests.plugin.conftest import KETTLE, TOASTER, Shop

MOMENTS = [timedelta(0), timedelta(seconds=2), timedelta(minutes=6), timedelta(hours=4), timedelta(days=2)]


@contextmanager
def statements() -> Iterator[list[str]]:
    made: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        made.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield made
    event.remove(db.engine, "before_cursor_execute", note)


def add_idle_stores(shop: Shop, count: int) -> None:
    now = shop.host.now()
    later = now + timedelta(days=9)
    times = dict.fromkeys(("import", "sweep", "erase", "check", "upkeep"), later)
    with transaction() as session:
        for number in range(count):
            session.add(
                Store(
                    name=f"Idle {number}",
                    environment="sandbox",
                    client_id=f"idle-{number}",
                    account=f"idle-{number}",
                    secret="",
                    state=StoreState.ACTIVE,
                    settings=StoreSettings(send_stock=True).dump(),
                    created_at=now,
                    **{f"next_{name}_at": moment for name, moment in times.items()},
                )
            )


def test_stores_with_nothing_to_do_cost_nothing(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    due(shop.host, shop.host.now())
    with statements() as alone:
        due(shop.host, shop.host.now())
    add_idle_stores(shop, 40)
    with statements() as among_many:
        due(shop.host, shop.host.now())
    assert len(among_many) == len(alone)


def same_as_without_the_first_look(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> int:
    """Compare what is found, at several moments, with what a look at every store finds; return how much there was."""
    found = 0
    for later in MOMENTS:
        now = shop.host.now() + later
        quickly = due(shop.host, now)
        with monkeypatch.context() as patched:
            patched.setattr(asked, "_with_something", lambda: select(Store).order_by(Store.id))
            assert quickly == due(shop.host, now), later
        found += len(quickly)
    return found


def test_nothing_that_is_due_is_overlooked(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> None:
        assert same_as_without_the_first_look(shop, monkeypatch)

    store = shop.runtime.connect_store(
        name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
    )
    look()
    shop.store_id = store
    shop.settings(send_stock=True, send_shipments=True)
    shop.runtime.activate(store)
    look()
    shop.work()
    look()
    labelled = shop.sandbox.place_order(
        "seller", [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}]
    )
    lost, pending, cancelled = (shop.order((ean, 1)) for ean in (KETTLE, KETTLE, TOASTER))
    shop.import_orders()
    look()
    shop.sandbox.faults([{"method": "POST", "path": "/retailer/shipments", "when": "after", "drop": True}])
    shop.close(lost)
    look()
    shop.work()
    look()
    shop.sandbox.faults([])
    shop.sandbox.settings(processStatusDelayMs=60_000)
    shop.close(pending)
    shop.work()
    look()
    shop.sandbox.request_cancellation(cancelled)
    shop.import_orders()
    shop.runtime.accept_request(store, shop.bol_order(cancelled).id, "ann")
    look()
    kettle = shop.offer(KETTLE).product_id
    with transaction():
        adjust_stock(kettle, shop.warehouse, change=-1, reason="counted", who="ann")
    look()
    shop.runtime.check_stock(store, True, "ann")
    look()
    shop.runtime.pause(store)
    look()
    shop.runtime.activate(store)
    shop.runtime.disconnect(store, at_once=False)
    look()
    assert labelled

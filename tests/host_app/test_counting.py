"""A shelf that is counted while its pieces are on their way: nothing is lost, whoever comes first."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask

from host_app.db import db, reading, transaction
from host_app.models import Stock
from host_app.services import picking, stock
from host_app.services.picking import NewParcel
from tests.conftest import AppFactory
from tests.host_app.factories import accept, add_product, add_warehouse


@pytest.fixture
def house(make_any_app: AppFactory) -> Flask:
    """Ten pieces, of which two lie in a cart."""
    app = make_any_app(blocked_plugins=("bol",))
    with app.app_context():
        add_warehouse()
        accept("R-1", (add_product("A", 10), 2))
        with transaction():
            picking.pick_all(1)
        db.session.remove()
    return app


def test_a_count_waits_for_a_closing_that_is_under_way(house: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, in_carts = threading.Event(), stock.in_carts

    def look(product_id: int) -> Any:
        looked.set()
        return in_carts(product_id)

    def count() -> None:
        with house.app_context():
            try:
                with transaction():
                    stock.adjust_stock(1, 1, set_to=8, seen_on_shelf=8, reason="counted", who="ann")
            finally:
                db.session.remove()

    monkeypatch.setattr(stock, "in_carts", look)
    counting = threading.Thread(target=count)
    with house.app_context():
        with transaction():
            picking.close_picklist(1, [NewParcel("postnl", "3S1")], who="bea")
            counting.start()
            assert not looked.wait(0.5), "what lies in carts was looked at while it was changing"
        counting.join(15)
        with reading() as session:
            assert session.get_one(Stock, (1, 1)).physical == 8

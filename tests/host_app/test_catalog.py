"""What plugins read of products, and what they are told of changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import MetaData, delete, select

from host_app.db import db, reading, transaction
from host_app.models import EventDelivery
from host_app.plugin_api import HostPort, PluginInfo, ProductChanged, ProductView, Wake, hookimpl
from host_app.services import catalog
from tests.conftest import AppFactory
from tests.host_app.factories import add_product, add_warehouse


class Listener:
    """A plugin that wants to hear of products."""

    @hookimpl
    def plugin_info(self) -> PluginInfo:
        return PluginInfo("listener", "Listener", "1", "listener", "listener_", MetaData(), "", ())

    @hookimpl
    def product_changed(self, host: HostPort, event: ProductChanged) -> list[Wake]:
        return []


@pytest.fixture
def listening(make_app: AppFactory) -> Iterator[None]:
    app = make_app(extra_plugins={"listener": Listener()}, blocked_plugins=("bol",))
    with app.app_context():
        add_warehouse()
        yield
        db.session.remove()


def told() -> list[dict[str, Any]]:
    """Return what is to be told of products, and forget it."""
    with transaction() as session:
        payloads = list(session.scalars(select(EventDelivery.payload).order_by(EventDelivery.id)))
        session.execute(delete(EventDelivery))
    return payloads


def test_products_come_with_their_barcodes_in_the_order_in_which_these_were_added(app: Flask) -> None:
    add_warehouse()
    first, second = add_product("A", 1, "9", "1", "5"), add_product("B", 1)
    with reading():
        found = catalog.products([second, first, first, 999])
    assert found == {
        first: ProductView(first, "A", "Product A", ("9", "1", "5")),
        second: ProductView(second, "B", "Product B", ()),
    }


def test_a_change_tells_what_was_lost(listening: None) -> None:
    product = add_product("A", 1, "9", "1")
    assert told() == [{"product_id": product, "lost": []}]
    with transaction():
        catalog.change_product(product, code="1", name="A", price=None, barcodes=["5"])
    assert told() == [{"product_id": product, "lost": ["A", "9"]}]
    with transaction():
        catalog.change_product(product, code="1", name="B", price=None, barcodes=["5"])
    assert told() == [{"product_id": product, "lost": []}]


def test_a_product_gets_a_name_only_instead_of_the_one_it_was_made_with(listening: None) -> None:
    product = add_product("A", 1)
    told()
    for name, instead_of, named in (
        ("Kettle", "another", False),
        (" ", "Product A", False),
        ("Product A", "Product A", False),
        (" Kettle ", "Product A", True),
        ("Jug", "Product A", False),
    ):
        with transaction():
            assert catalog.name_product(product, name, instead_of) is named
        assert bool(told()) is named
    with reading():
        assert catalog.products([product])[product].name == "Kettle"

"""What plugins read of products."""

from __future__ import annotations

from flask import Flask

from host_app.db import reading
from host_app.plugin_api import ProductView
from host_app.services import catalog
from tests.host_app.factories import add_product, add_warehouse


def test_products_come_with_their_barcodes_in_the_order_in_which_these_were_added(app: Flask) -> None:
    add_warehouse()
    first, second = add_product("A", 1, "9", "1", "5"), add_product("B", 1)
    with reading():
        found = catalog.products([second, first, first, 999])
    assert found == {
        first: ProductView(first, "A", "Product A", ("9", "1", "5")),
        second: ProductView(second, "B", "Product B", ()),
    }

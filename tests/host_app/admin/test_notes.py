"""What plugins tell of orders at a glance, and of products, stands in the host's lists and pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from flask import Flask

from host_app.db import db
from host_app.plugin_api import LabelSale, Level, OrderBadge, OrderNote, Panel, PanelRow, hookimpl
from tests.conftest import AppFactory
from tests.host_app import factories
from tests.host_app.admin.conftest import Person, add_people
from tests.host_app.admin.probe import Probe

PAGE = "/admin/picklists/1"
Do = Callable[..., Any]


class Telling(Probe):
    """A plugin with something to say of each order and product."""

    def __init__(self) -> None:
        super().__init__()
        self.note: Any = OrderNote((OrderBadge("By <boat>", Level.INFO), OrderBadge("Plain")))
        self.asked_of: list[list[int]] = []

    @hookimpl
    def order_notes(self, host: Any, order_ids: Sequence[int]) -> Mapping[int, OrderNote]:
        self.asked_of.append(list(order_ids))
        if isinstance(self.note, Exception):
            raise self.note
        return {**dict.fromkeys(order_ids, self.note), 77: self.note}

    @hookimpl
    def product_panels(self, host: Any, product_id: int) -> list[Panel]:
        return [Panel("Probe", (PanelRow("Sold as", f"<{product_id}>"),))]


@pytest.fixture
def probe() -> Telling:
    return Telling()


@pytest.fixture
def site(make_app: AppFactory, probe: Telling) -> Iterator[Flask]:
    app = make_app(blocked_plugins=("bol",), extra_plugins={"probe": probe})
    add_people(app)
    with app.app_context():
        factories.add_warehouse()
        factories.accept("R-1", (factories.add_product("A1"), 2))
        db.session.remove()
    yield app


@pytest.mark.parametrize("path", ["/admin/orders/", "/admin/picklists/", "/admin/orders/1", PAGE])
def test_badges_stand_in_lists_and_at_the_top_of_pages(packer: Person, probe: Telling, path: str) -> None:
    page = packer.get(path).text

    assert '<span class="badge badge-info">By &lt;boat&gt;</span>' in page
    assert '<span class="badge badge-secondary">Plain</span>' in page
    assert probe.asked_of == [[1]]


@pytest.mark.parametrize("path", ["/admin/orders/", PAGE])
def test_a_plugin_that_fails_to_tell_harms_no_page(packer: Person, probe: Telling, path: str) -> None:
    probe.note = RuntimeError("down")

    assert "R-1" in packer.get(path).text


def test_an_empty_list_asks_nobody(packer: Person, probe: Telling) -> None:
    packer.get("/admin/orders/?q=nothing")

    assert probe.asked_of == []


def test_labels_are_offered_as_the_plugin_says(packer: Person, probe: Telling) -> None:
    probe.note = OrderNote()
    assert "Shipping label" not in packer.get(PAGE).text
    probe.note = OrderNote(labels=LabelSale.OFFERED)
    assert "<summary>Buy a shipping label for this order</summary>" in packer.get(PAGE).text
    probe.note = OrderNote(labels=LabelSale.NEEDED)
    page = packer.post(f"{PAGE}/pick-all", PAGE).text
    assert "Show label options" in page and "<summary>Buy a shipping label" not in page
    assert (
        "This order needs a shipping label. Buy it above first" in page and "btn-primary btn-lg" not in page
    )


def test_the_sale_of_labels_is_called_what_the_plugin_calls_it(packer: Person, probe: Telling) -> None:
    probe.note = OrderNote(labels=LabelSale.OFFERED, labels_title="By <boat>")
    assert "<summary>By &lt;boat&gt;: buy a shipping label for this order</summary>" in packer.get(PAGE).text
    probe.note = OrderNote(labels=LabelSale.NEEDED, labels_title="By <boat>")
    assert "By &lt;boat&gt;: buy the label above first;" in packer.post(f"{PAGE}/pick-all", PAGE).text


def test_where_a_label_is_needed_no_carrier_is_proposed(packer: Person, probe: Telling, do: Do) -> None:
    probe.note = OrderNote()
    do(lambda: factories.accept("R-2", (1, 1)))
    packer.post(f"{PAGE}/pick-all", PAGE)
    seen = re.search(r'name="seen" value="([^"]*)"', packer.get(PAGE).text)
    assert seen
    fields = {"seen": seen[1], "parcels": "1", "carrier-0": "dhl", "tracking-0": "3S1"}
    assert "Closed by packer" in packer.post(f"{PAGE}/close", PAGE, **fields).text

    following = "/admin/picklists/2"
    assert '<option value="dhl" selected>' in packer.post(f"{following}/pick-all", following).text
    probe.note = OrderNote(labels=LabelSale.NEEDED)
    page = packer.get(following).text
    assert 'name="carrier-0"' in page and " selected>" not in page and "as your last parcel" not in page


def test_a_product_shows_what_plugins_tell_of_it(packer: Person) -> None:
    assert "&lt;1&gt;" in packer.get("/admin/products/1").text

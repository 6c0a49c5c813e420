"""What plugins tell of orders at a glance, and of products, stands in the host's lists and pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from host_app.db import db, transaction
from host_app.plugin_api import (
    LabelSale,
    Level,
    NewLabel,
    OrderBadge,
    OrderNote,
    Panel,
    PanelRow,
    ShippingOption,
    ShippingOptions,
    hookimpl,
)
from host_app.port import host_port
from host_app.services import orders, picking
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


def test_what_the_shop_knows_stands_at_the_order_the_picklist_and_the_parcel_it_is_about(
    packer: Person, probe: Telling, do: Do
) -> None:
    def pack() -> None:
        with transaction():
            picking.pick_all(1)
            picking.close_picklist(1, [picking.NewParcel("postnl", "3S1")], who="ann")

    do(pack)
    probe.note = OrderNote(
        (OrderBadge("Everywhere"),),
        order_badges=(OrderBadge("Of the order"),),
        picklist_badges={1: (OrderBadge("Of picklist 1"),), 2: (OrderBadge("Of picklist 2"),)},
        parcel_badges={1: (OrderBadge("Of parcel 1", Level.SUCCESS),), 2: (OrderBadge("Of parcel 2"),)},
        withdrawing={1: "The <shop> has it: correct it.", 2: "Another."},
    )
    shown = {
        path: {word for word in re.findall(r'<span class="badge[^>]*>([^<]*)</span>', packer.get(path).text)}
        for path in (
            "/admin/orders/",
            "/admin/picklists/?show=closed",
            PAGE,
            "/admin/shipments/1",
            "/admin/shipments/",
        )
    }
    told = {
        path: {word for word in words if word.startswith(("Every", "Of "))} for path, words in shown.items()
    }
    assert told == {
        "/admin/orders/": {"Everywhere", "Of the order"},
        "/admin/picklists/?show=closed": {"Everywhere", "Of picklist 1"},
        PAGE: {"Everywhere", "Of picklist 1"},
        "/admin/shipments/1": {"Everywhere", "Of parcel 1"},
        "/admin/shipments/": {"Of parcel 1"},
    }
    page = packer.get("/admin/shipments/1").text
    # What is better stands before what is asked about.
    assert (
        page.index("/correct")
        < page.index("The &lt;shop&gt; has it: correct it.</p>")
        < page.index("/withdraw")
    )
    assert 'data-confirm="The &lt;shop&gt; has it: correct it. Withdraw this shipment?' in page
    assert "Another." not in page


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
        "This order needs a shipping label. First get it above" in page and "btn-primary btn-lg" not in page
    )


def test_once_all_is_picked_the_label_is_the_next_step_by_keyboard(packer: Person, probe: Telling) -> None:
    probe.note = OrderNote(labels=LabelSale.NEEDED)
    step = r'<button class="btn btn-primary" autofocus data-next-step>Show label options'
    page = packer.get(PAGE).text
    assert not re.search(step, page) and re.search(r"<input [^>]*host-scan[^>]* autofocus", page)

    page = packer.post(f"{PAGE}/pick-all", PAGE).text
    assert re.search(step, page) and page.count("autofocus") == 1

    # While it is chosen, what is scanned is told: nothing else would take it.
    probe.offer = ShippingOptions((ShippingOption("small", "Small parcel", "PostNL", Decimal("4.95")),))
    page = packer.get(f"{PAGE}?labels=1").text
    assert "Buy this label: €4.95" in page
    assert re.search(r"<input [^>]*host-scan[^>]* autofocus", page) and page.count("autofocus") == 1


def test_the_sale_of_labels_is_called_what_the_plugin_calls_it(packer: Person, probe: Telling) -> None:
    probe.note = OrderNote(labels=LabelSale.OFFERED, labels_title="By <boat>")
    assert "<summary>By &lt;boat&gt;: buy a shipping label for this order</summary>" in packer.get(PAGE).text
    probe.note = OrderNote(labels=LabelSale.NEEDED, labels_title="By <boat>")
    assert "By &lt;boat&gt;: first get the label above;" in packer.post(f"{PAGE}/pick-all", PAGE).text


def test_what_buying_a_label_means_is_said_before_it_is_bought_and_not_where_one_is_left(
    packer: Person, probe: Telling, do: Do
) -> None:
    hint = "Charged at once & for good."
    probe.note = OrderNote(labels=LabelSale.NEEDED, labels_hint=hint)
    probe.offer = ShippingOptions((ShippingOption("small", "Small parcel", "PostNL", Decimal("4.95")),))
    page = packer.get(f"{PAGE}?labels=1").text
    assert page.index("Charged at once &amp; for good.") < page.index("Buy this label: €4.95")
    assert 'aria-describedby="option-1 labels-hint"' in page

    def left_over() -> None:
        with transaction():
            host_port().attach_label(NewLabel(1, "L1", "PostNL", "3SL1", b"%PDF", {1: 2}))
            orders.cancel_order(1, "Cancelled by the shop.")

    do(left_over)
    page = packer.get(PAGE).text
    assert "3SL1" in page and "not used" in page
    # There is nothing to buy any more.
    assert "tell an administrator, who can ask the shop" in page and "Charged at once" not in page


def test_a_carrier_that_the_shop_does_not_know_yet_is_marked_where_it_is_chosen(
    packer: Person, probe: Telling
) -> None:
    probe.note = OrderNote(waiting_carriers=frozenset({"dhl"}), waiting_hint="The chief must <name> it.")
    packer.post(f"{PAGE}/pick-all", PAGE)
    marked = '<option value="dhl" data-waits>DHL (parcel waits)</option>'
    page = packer.get(PAGE).text
    assert marked in page and page.count("data-waits") == 1 and '<option value="dpd">DPD</option>' in page
    assert '<small class="form-text host-waits">The chief must &lt;name&gt; it.</small>' in page

    seen = re.search(r'name="seen" value="([^"]*)"', page)
    assert seen
    fields = {"seen": seen[1], "parcels": "1", "carrier-0": "postnl", "tracking-0": "3S1"}
    closed = packer.post(f"{PAGE}/close", PAGE, **fields).text
    for shown in (closed, packer.get("/admin/shipments/1").text):
        assert marked in shown and "The chief must &lt;name&gt; it." in shown
    probe.note = OrderNote()
    assert "host-waits" not in packer.get("/admin/shipments/1").text


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

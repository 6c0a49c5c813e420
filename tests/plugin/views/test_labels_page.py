"""The labels of a store: what was bought, and what a person decides where bol's number was lost."""

from __future__ import annotations

from typing import Any

import pytest

from host_app.db import transaction
from plugin.models import EffectState, LabelEffect
from plugin.sync import label_options
from tests.host_app.admin.conftest import Person
from tests.plugin.conftest import KETTLE, Shop
from tests.plugin.views.conftest import Site
from tests.plugin.views.test_store_pages import press, text


def asked(shop: Shop) -> str:
    """Ask for a label for an order of one kettle that is sold with Shipping via bol; return bol's id of the order."""
    order = shop.sandbox.place_order("seller", [{"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}])
    order_id = str(order["orderId"])
    shop.import_orders()
    picklist_id = shop.picklist_id(order_id)
    pieces = {line.order_line_id: line.quantity for line in shop.picklist_lines(picklist_id)}
    with transaction():
        label_options.request(shop.host, picklist_id, pieces, label_options.RECOMMENDED, "ann")
    return order_id


def effect(site: Site) -> Any:
    with site.shop() as shop:
        (row,) = shop.all(LabelEffect)
        return row


@pytest.fixture
def undecided(site: Site, store: int) -> int:
    """A purchase of a label whose answer was lost; return its id."""
    with site.shop() as shop:
        shop.sandbox.faults(
            [
                {
                    "method": "POST",
                    "path": "/retailer/shipping-labels",
                    "when": "after",
                    "drop": True,
                    "times": 1,
                }
            ]
        )
        asked(shop)
        shop.work()
    row = effect(site)
    assert row.state == EffectState.DECISION
    return int(row.id)


def test_a_bought_label_is_listed_with_its_goods_and_number(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop:
        order_id = asked(shop)
        shop.pass_time(20, steps=5)
        row_id = shop.bol_order(order_id).id
    page = text(packer, f"{store}/labels")
    assert order_id in page
    assert "1 × Kettle" in page
    assert "bought" in page
    assert str(effect(site).label_id) in page
    assert "ann" in page
    assert "Label for picklist" in text(packer, f"{store}/orders/{row_id}")
    # With what a packer calls the picklist, what was bought, and a way to print it once more.
    row = effect(site)
    assert row.option
    assert row.price > 0
    assert f"P-{row.host_picklist_id:05d}" in page
    assert row.option in page
    assert f"€{row.price}" in page.replace(" ", "")
    with site.shop() as shop, shop.host.reading():
        (label,) = shop.host.labelled_picklists([row.host_picklist_id, 99])[row.host_picklist_id].labels
    assert label.tracking_code in page
    assert label.url in packer.get(f"/admin/bol/{store}/labels").text
    assert packer.get(label.url).data.startswith(b"%PDF")


def test_no_label_was_asked_for_yet(store: int, packer: Person) -> None:
    assert "No label was asked for yet." in text(packer, f"{store}/labels")
    assert "No label is in this state." in text(packer, f"{store}/labels?state=decision")


def test_a_purchase_that_may_have_been_charged_is_told_everywhere(
    undecided: int, store: int, chief: Person, packer: Person
) -> None:
    page = text(chief, f"{store}/labels?state=decision")
    assert "bol may have charged this: look in the seller portal" in page
    assert "Enter the label's number fetches the label" in page
    assert "Buy again buys a new label" in page
    assert "No label is in this state." in text(chief, f"{store}/labels?state=confirmed")
    assert "bol may have charged a label for order" in text(chief, f"{store}/")
    assert "Labels for you to decide 1" in text(chief, f"{store}/")
    assert "bol may have charged a label for order" in text(chief, "attention")
    assert "badge-pill" in chief.get("/admin/").text
    looked = text(packer, f"{store}/labels?state=decision")
    assert "bol may have charged this" in looked
    assert "Buy again" not in looked


def test_a_label_that_was_found_in_the_portal_is_fetched_by_its_number(
    site: Site, undecided: int, store: int, chief: Person
) -> None:
    with site.shop() as shop:
        (sold,) = shop.sandbox.state("seller")["labels"]
    path = f"{store}/labels/{undecided}/enter-number"
    assert "Enter the number of the label." in press(chief, path, number=" ")
    assert "The label is fetched from bol" in press(chief, path, number=sold["shippingLabelId"])
    with site.shop() as shop:
        shop.pass_time(20, steps=5)
        assert len(shop.sandbox.state("seller")["labels"]) == 1
    assert effect(site).state == EffectState.CONFIRMED
    assert "does not wait for a decision any more" in press(chief, path, number="another")
    assert effect(site).label_id == sold["shippingLabelId"]


def test_a_label_is_bought_again_once(site: Site, undecided: int, store: int, chief: Person) -> None:
    path = f"{store}/labels/{undecided}/buy-again"
    assert "The label is bought again" in press(chief, path, state="decision")
    assert "does not wait for a decision any more" in press(chief, path)
    with site.shop() as shop:
        shop.pass_time(20, steps=5)
        assert len(shop.sandbox.state("seller")["labels"]) == 2
    assert effect(site).state == EffectState.CONFIRMED


@pytest.mark.parametrize("button", ["enter-number", "buy-again"])
def test_a_purchase_of_another_store_is_not_touched(
    site: Site, undecided: int, store: int, chief: Person, button: str
) -> None:
    press(chief, f"{store + 1}/labels/{undecided}/{button}", number="123")
    assert effect(site).state == EffectState.DECISION
    assert "does not wait for a decision" in press(
        chief, f"{store}/labels/{undecided + 1}/{button}", number="123"
    )


@pytest.mark.parametrize("button", ["enter-number", "buy-again"])
def test_packers_decide_on_no_label(
    site: Site, undecided: int, store: int, packer: Person, button: str
) -> None:
    assert packer.post(f"/admin/bol/{store}/labels/{undecided}/{button}", number="1").status_code == 403
    assert effect(site).state == EffectState.DECISION


def test_the_panel_of_the_order_leads_to_the_labels(
    site: Site, undecided: int, store: int, chief: Person
) -> None:
    with site.shop() as shop:
        (order,) = shop.host_orders()
        path = shop.host.order_url(order.id)
    page = chief.get(path).text
    assert f'href="/admin/bol/{store}/labels"' in page
    assert f'href="/admin/bol/{store}/shipments"' in page


def test_a_label_that_can_not_be_fetched_is_told_everywhere_and_fetched_by_a_button(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        late = {"method": "GET", "path": "/retailer/shipping-labels/*", "when": "before", "status": 500}
        shop.sandbox.faults([late])
        order_id = asked(shop)
        shop.pass_time(900, steps=15)
        picklist = f"/admin/picklists/{shop.picklist_id(order_id)}"
        row_id = shop.bol_order(order_id).id
        shop.sandbox.faults([])
    stuck = "bought, can't be fetched from bol: do not buy another one"
    for path in (f"{store}/labels?state=sent", f"{store}/orders/{row_id}"):
        assert stuck in text(packer, path)
    assert stuck in packer.get(picklist).text.replace("&#39;", "'")
    told = f"The label of order {order_id} is bought, but can't be fetched from bol"
    for path in (f"{store}/", "attention"):
        assert told in text(chief, path)
    path = f"{store}/labels/{effect(site).id}/fetch"
    assert path in packer.get(f"/admin/bol/{store}/labels").text
    assert path in chief.get("/admin/bol/attention").text
    assert "The label is being fetched" in press(packer, path, state="sent")
    with site.shop() as shop:
        shop.work()
    assert effect(site).state == EffectState.CONFIRMED
    assert "does not wait to be fetched any more" in press(chief, path)
    assert told not in text(chief, "attention")
    assert stuck not in text(packer, f"{store}/orders/{row_id}")


def test_a_label_that_is_paid_and_not_used_is_listed_and_settled(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        order_id = asked(shop)
        shop.pass_time(20, steps=5)
        shop.sandbox.cancel(order_id)
        shop.import_orders()
    row = effect(site)
    tasks = text(chief, "attention")
    assert f"1 label is paid and not used (order {order_id})" in tasks
    number = f'<span class="bol-code bol-whole">{row.label_id}</span>'
    asked_about = chief.get("/admin/bol/attention").text
    assert f"€{row.price}" in tasks and number in asked_about and f"order {order_id}" in tasks
    page = text(packer, f"{store}/labels?state=not+used")
    assert order_id in page and "paid, and not used" in page
    assert number in packer.get(f"/admin/bol/{store}/labels?state=not+used").text
    assert "Settled with bol" not in page
    assert "Only an administrator can do this" in text(packer, "attention")
    settled = press(chief, f"{store}/labels/{row.id}/settled")
    assert "Noted: this label is settled." in settled
    assert "No label is in this state." in text(chief, f"{store}/labels?state=not+used")
    assert "Not used. Settled by chief." in text(chief, f"{store}/labels")
    assert "is paid and not used" not in text(chief, "attention")

"""What the host's pages and lists show of bol."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from host_app.db import transaction
from host_app.models import Notification, OrderMark, Product
from host_app.plugin_api import HostError, LabelSale, Level, OrderNote, Panel
from host_app.services import picking
from host_app.services.orders import cancel_order
from host_app.services.stock import adjust_stock
from plugin.models import EffectState, ShipmentEffect
from plugin.sync import attention
from plugin.sync.dirty import mark_all
from plugin.sync.panels import goes_on, order_notes, picklist_panels, product_panels, reason
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, TOASTER, Shop

VIA_BOL = {"ean": KETTLE, "quantity": 1, "distributionParty": "BOL"}


def noted(shop: Shop, order_id: str) -> OrderNote:
    host_order_id = shop.host_order(order_id).id
    with shop.host.reading():
        return order_notes(shop.host, [host_order_id, 9_999])[host_order_id]


def badges(shop: Shop, order_id: str) -> list[str]:
    note = noted(shop, order_id)
    return [badge.text for badge in note.badges + note.order_badges]


def at_picklist(shop: Shop, order_id: str, picklist_id: int) -> list[str]:
    note = noted(shop, order_id)
    return [badge.text for badge in note.badges + note.picklist_badges.get(picklist_id, ())]


def rows(panel: Panel) -> dict[str, str]:
    return {row.label: row.value for row in panel.rows}


def test_lists_tell_which_orders_travel_on_bols_labels(shop: Shop) -> None:
    shop.connect()
    via_bol = str(shop.sandbox.place_order("seller", [VIA_BOL])["orderId"])
    own = shop.order((TOASTER, 1))
    shop.work()

    assert noted(shop, via_bol).labels == LabelSale.NEEDED and badges(shop, via_bol) == ["Shipping via bol"]
    note = noted(shop, own)
    assert note == OrderNote(may_close_stopped=False, cancelling=note.cancelling)
    assert "bol goes on counting" in note.cancelling
    shop.settings(labels_for_all=True)
    assert noted(shop, own).labels == LabelSale.OFFERED
    assert [noted(shop, one).labels_title for one in (own, via_bol)] == ["Shipping via bol"] * 2
    with shop.host.reading():
        assert order_notes(shop.host, []) == {} and order_notes(shop.host, [9_999]) == {}


def test_packers_are_told_of_carriers_that_bol_does_not_know(shop: Shop) -> None:
    shop.connect(send_shipments=True, carriers={"postnl": "TNT"})
    order_id = shop.order((KETTLE, 1))
    shop.work()
    note = noted(shop, order_id)
    assert "postnl" not in note.waiting_carriers and {"dhl", "own"} < note.waiting_carriers
    assert "until an administrator fills in the carrier's code" in note.waiting_hint
    assert "pattern" not in note.waiting_hint
    shop.settings(tracking_patterns={"JJD*": "DHLFORYOU"}, carriers={"postnl": "TNT"}, send_shipments=True)
    assert "fits a pattern" in noted(shop, order_id).waiting_hint

    shop.close(order_id, "own", "BIKE-1")
    shop.work()
    assert badges(shop, order_id) == ["Waits for its carrier's code"]
    for may_decide, told, leads in ((False, "An administrator fills in", False), (True, "Fill in the", True)):
        with shop.host.reading():
            panels = picklist_panels(shop.host, shop.picklist_id(order_id), may_decide=may_decide)
        row = next(row for row in panels[-1].rows if row.label == "Shipment 1 (BIKE-1) at bol")
        assert row.tone == Level.WARNING and told in row.value
        assert any(link.url == "/admin/bol/attention" for link in panels[-1].links) is leads

    shop.settings(carriers={"postnl": "TNT", "own": "COURIER"}, send_shipments=True)
    shop.work()
    assert badges(shop, order_id) == ["Sent to bol"]


def test_a_part_that_bol_has_is_not_taken_for_the_picklist_of_the_rest(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1), (TOASTER, 1))
    shop.work()
    first = shop.picklist_id(order_id)
    line = shop.picklist_lines(first)[0].id
    with transaction():
        picking.pick_more(first, line, 1)
        picking.close_picklist(first, [picking.NewParcel("postnl", "3S1")], who="ann")
    shop.work()
    shop.pass_time(30)
    assert badges(shop, order_id) == ["A part confirmed by bol"]
    assert at_picklist(shop, order_id, first) == ["Confirmed by bol"]

    (rest,) = [one for one in shop.picklists(order_id) if one.state == "new"]
    assert at_picklist(shop, order_id, rest.id) == []
    with transaction():
        picking.pick_all(rest.id)
        picking.close_picklist(rest.id, [picking.NewParcel("postnl", "3S2")], who="ann")
    shop.work()
    shop.pass_time(30)
    assert badges(shop, order_id) == ["Confirmed by bol"]


def test_a_new_parcel_has_nothing_of_one_that_was_withdrawn_although_bol_has_it(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.close(order_id, tracking="3S1")
    shop.pass_time(20, steps=4)
    first, parcel = shop.picklist_id(order_id), shop.effects()[0].host_shipment_id
    hint = noted(shop, order_id).withdrawing[parcel]
    assert "do not withdraw it: write those above and press “Correct”" in hint and "packed anew" in hint
    with transaction():
        picking.withdraw_shipment(parcel, who="ann")
    shop.work()
    assert badges(shop, order_id) == ["Withdrawn here, shipped at bol"]
    assert at_picklist(shop, order_id, first) == ["Withdrawn here, shipped at bol"]
    note = noted(shop, order_id)
    assert [badge.text for badge in note.parcel_badges[parcel]] == ["Shipped at bol"]
    assert note.withdrawing == {}
    # Lists and the top of the new picklist tell it, until it is packed; and picking goes on.
    told = "Shipped at bol, but its parcel was withdrawn here: 2 × Kettle. This goes by itself once they are sent again."
    with shop.host.reading() as session:
        assert session.execute(select(OrderMark.text, OrderMark.stops_picking)).all() == [(told, False)]

    again = shop.picklist_id(order_id)
    assert again != first and at_picklist(shop, order_id, again) == []
    with shop.host.reading():
        step = rows(picklist_panels(shop.host, again)[0])["Next step"]
        (task,) = attention.tasks(shop.host)
        (goods,) = attention.subjects_of(shop.host, [task])[task].goods
    assert step.startswith("The customer waits for it: have the same goods packed anew into one parcel")
    assert "contact bol's partner service" in step and "told its carrier and tracking code by itself" in step
    assert (task.kind, task.about, goods.pieces) == (attention.WITHDRAWN, order_id, 2)

    shop.sandbox.settings(processStatusDelayMs=60_000)
    # Without a tracking code, so that bol can't be told it instead.
    shop.close(order_id, tracking="")
    shop.work()
    assert at_picklist(shop, order_id, again) == badges(shop, order_id) == ["Sent to bol"]
    assert at_picklist(shop, order_id, first) == [] and shop.marks() == []
    with shop.host.reading():
        assert attention.tasks(shop.host) == []
    shop.pass_time(70, steps=4)
    assert at_picklist(shop, order_id, again) == badges(shop, order_id) == ["Refused by bol"]
    with shop.host.reading():
        (task,) = attention.tasks(shop.host)
    assert task.kind == attention.REFUSED
    assert task.about.startswith(
        "bol has these goods as shipped already, by a parcel that was withdrawn here"
    )
    (told,) = shop.all(Notification, Notification.title.contains("bol refused the shipment"))
    assert "press “Handled elsewhere”" in told.body and "again" not in told.body
    refused = next(effect for effect in shop.effects() if effect.state == "refused")
    assert shop.runtime.shipment_handled(shop.store_id, refused.id)
    assert badges(shop, order_id) == ["Shipped at bol"]
    handled = next(effect for effect in shop.effects() if effect.id == refused.id)
    assert "bol's partner service" in reason(refused) and "Handled elsewhere" in reason(refused)
    (told,) = shop.all(Notification, Notification.key.contains("withdrawn-late"))
    assert told.read_at is not None
    # Once that is done, only why it was.
    assert reason(handled).endswith("takes no second shipment of them.")
    with shop.host.reading():
        assert attention.tasks(shop.host) == []


def test_pieces_that_wait_again_and_are_at_bol_need_somebody_until_the_order_is_cancelled(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    shop.sandbox.settings(processStatusDelayMs=60_000)
    shop.close(order_id)
    shop.work()
    # bol carries it out after it was withdrawn.
    parcel = shop.effects()[0].host_shipment_id
    with transaction():
        picking.withdraw_shipment(parcel, who="ann")
    shop.work()
    shop.pass_time(90, steps=4)
    shop.import_orders()
    with shop.host.reading():
        assert [task.kind for task in attention.tasks(shop.host)] == [attention.WITHDRAWN]
    here = shop.host_order(order_id).id
    with transaction():
        cancel_order(here, "the customer has his money back")
    shop.work()
    with shop.host.reading():
        assert attention.tasks(shop.host) == []
    assert badges(shop, order_id) == []


def test_buying_a_label_is_explained_where_labels_are_sold(shop: Shop) -> None:
    shop.connect()
    via_bol = str(shop.sandbox.place_order("seller", [VIA_BOL])["orderId"])
    own = shop.order((TOASTER, 1))
    shop.work()
    assert noted(shop, via_bol).labels_hint.startswith("bol charges a label as soon as you press")
    assert noted(shop, own).labels_hint == "" and noted(shop, own).waiting_hint == ""


def test_an_article_has_the_name_that_the_warehouse_gives_it(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = str(shop.sandbox.place_order("seller", [VIA_BOL, {"ean": TOASTER, "quantity": 1}])["orderId"])
    shop.work()
    product_id = shop.offer(KETTLE).product_id
    with transaction() as session:
        session.get_one(Product, product_id).name = "Blue kettle, shelf 4"
    with shop.host.reading():
        (panel,) = picklist_panels(shop.host, shop.picklist_id(order_id))
    assert rows(panel)["Only these by Shipping via bol"] == "Blue kettle, shelf 4"


def test_the_panel_tells_which_items_travel_on_bols_label_where_not_all_do(shop: Shop) -> None:
    shop.connect()
    mixed = str(shop.sandbox.place_order("seller", [VIA_BOL, {"ean": TOASTER, "quantity": 1}])["orderId"])
    whole = str(shop.sandbox.place_order("seller", [VIA_BOL])["orderId"])
    shop.work()
    with shop.host.reading():
        (some,) = picklist_panels(shop.host, shop.picklist_id(mixed))
        (every,) = picklist_panels(shop.host, shop.picklist_id(whole))
    assert rows(some)["Only these by Shipping via bol"] == "Kettle"
    assert "Only these by Shipping via bol" not in rows(every)


def test_lists_and_the_picklist_tell_what_bol_has_said_of_a_parcel(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    assert badges(shop, order_id) == []
    shop.close(order_id, tracking="3SABC")
    assert badges(shop, order_id) == []
    shop.pass_time(20, steps=4)

    assert badges(shop, order_id) == ["Confirmed by bol"]
    with shop.host.reading():
        (panel,) = picklist_panels(shop.host, shop.picklist_id(order_id))
    assert rows(panel)["Shipment 1 (3SABC) at bol"].startswith("confirmed by bol on ")
    assert "Promised delivery" in rows(panel)


def test_a_parcel_that_bol_is_not_told_of_says_why(shop: Shop) -> None:
    shop.connect(send_shipments=False)
    order_id = shop.order((KETTLE, 1))
    shop.work()
    picklist_id, told = (
        shop.picklist_id(order_id),
        "bol is not told yet: “Send shipments and update status” is off.",
    )
    with shop.host.reading():
        (panel,) = picklist_panels(shop.host, picklist_id)
    assert told not in rows(panel).values()
    shop.close(order_id, tracking="3SABC")
    # Also before the connector has heard of it.
    with shop.host.reading():
        (panel,) = picklist_panels(shop.host, picklist_id)
    assert rows(panel)["At bol"] == told
    shop.work()

    assert badges(shop, order_id) == ["Not sent to bol"]
    with shop.host.reading():
        (panel,) = picklist_panels(shop.host, picklist_id)
    assert rows(panel)["Shipment 1 (3SABC) at bol"] == told and "At bol" not in rows(panel)


def test_a_refusal_stands_before_what_went_well(shop: Shop) -> None:
    shop.connect(send_shipments=True)
    order_id = shop.order((KETTLE, 2))
    shop.work()
    shop.ship_elsewhere(order_id)
    shop.close(order_id)
    shop.pass_time(20, steps=4)

    (badge,) = noted(shop, order_id).order_badges
    assert (badge.text, badge.tone) == ("Refused by bol", Level.DANGER)


def test_an_order_that_bol_cancelled_is_not_picked_any_more(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2))
    shop.work()
    picklist_id = shop.picklist_id(order_id)
    with transaction():
        picking.scan(picklist_id, KETTLE)
    shop.sandbox.cancel(order_id)
    shop.import_orders()

    assert [mark.stops_picking for mark in shop.all(OrderMark)] == [True]
    for pick in (lambda: picking.scan(picklist_id, KETTLE), lambda: picking.pick_all(picklist_id)):
        with pytest.raises(HostError, match="Not picked.*Cancelled at bol"), transaction():
            pick()
    with transaction():
        picking.put_all_back(picklist_id)
    shop.import_orders()


def test_of_an_order_that_bol_cancelled_in_part_the_rest_is_picked(shop: Shop) -> None:
    shop.connect()
    order_id = shop.order((KETTLE, 2), (TOASTER, 1))
    shop.work()
    shop.sandbox.cancel(order_id, shop.items_at_bol(order_id)[:1])
    shop.import_orders()
    picklist_id = shop.picklist_id(order_id)

    with transaction() as session:
        picking.scan(picklist_id, TOASTER)
        assert session.scalars(select(OrderMark.stops_picking)).all() == [False]


def test_a_product_shows_its_offers_and_what_bol_has_of_them(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    offer = shop.offer(KETTLE)
    with shop.host.reading():
        (panel,) = product_panels(shop.host, offer.product_id or 0)
        assert product_panels(shop.host, 9_999) == []

    told = rows(panel)
    assert told["EAN"] == KETTLE and told["Stock"] == "up to date" and told["bol has"] == "20"
    assert [link.url for link in panel.links] == [f"/admin/bol/{shop.store_id}/offers/{offer.id}"]
    assert "Stock updates" not in told
    shop.settings(send_stock=False)
    with shop.host.reading():
        (panel,) = product_panels(shop.host, offer.product_id or 0)
    assert rows(panel)["Stock updates"] == "off: bol is told nothing"
    shop.settings(send_stock=True)
    shop.runtime.pause(shop.store_id)
    with shop.host.reading():
        (panel,) = product_panels(shop.host, offer.product_id or 0)
    assert rows(panel)["Stock updates"] == "bol is told once the store is active"


def test_what_is_being_checked_names_no_moment_that_has_passed(shop: Shop) -> None:
    now = shop.clock.now()
    effect = ShipmentEffect(state=EffectState.UNKNOWN, unknown_since=now, due_at=now + timedelta(minutes=5))
    assert goes_on(effect, now).startswith("Next look at ")
    assert goes_on(effect, now + timedelta(minutes=6)).startswith("If bol does not show it by ")


def test_a_product_tells_the_whole_sum_of_what_bol_should_have(shop: Shop) -> None:
    shop.connect(send_stock=True, safety_stock=1)
    shop.work()
    product_id = shop.offer(KETTLE).product_id or 0

    def should_have() -> str:
        with shop.host.reading():
            (panel,) = product_panels(shop.host, product_id)
        return rows(panel)["Should have"]

    assert should_have() == "19 (20 free here − 1 kept back)"
    shop.order((KETTLE, 2))
    shop.import_orders()
    assert should_have() == "17 (20 in stock − 2 ordered − 1 kept back)"
    with transaction():
        adjust_stock(product_id, shop.warehouse, set_to=1, reason="counted", who="ann")
    assert should_have() == "0 (1 in stock − 2 ordered − 1 kept back; less than 0 is 0)"


def test_a_product_is_not_up_to_date_before_its_change_is_told_and_sent(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    product_id = shop.offer(KETTLE).product_id or 0

    def stock() -> tuple[str, Level]:
        with shop.host.reading():
            (panel,) = product_panels(shop.host, product_id)
        return next((row.value, row.tone) for row in panel.rows if row.label == "Stock")

    with transaction():
        adjust_stock(product_id, shop.warehouse, set_to=15, reason="counted", who="ann")
    # Nobody has been told of the change yet.
    offer = shop.offer(KETTLE)
    assert offer.dirty_version == offer.done_version
    assert stock() == ("being sent to bol: 15", Level.INFO)
    shop.work()
    assert stock() == ("up to date", Level.SUCCESS) and shop.amount_at_bol(KETTLE) == 15

    with transaction():
        adjust_stock(product_id, shop.warehouse, set_to=14, reason="counted", who="ann")
    shop.settings(send_stock=False)
    assert stock() == ("not sent to bol: 14", Level.WARNING)


def test_what_was_only_marked_and_is_right_stays_up_to_date(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    product_id = shop.offer(KETTLE).product_id or 0
    with transaction():
        mark_all(shop.host, shop.store_id)
    with shop.host.reading():
        (panel,) = product_panels(shop.host, product_id)
    assert rows(panel)["Stock"] == "up to date"


def test_a_product_whose_stock_nobody_knows_is_not_up_to_date(shop: Shop) -> None:
    add_product("K", None, KETTLE)
    shop.connect(send_stock=True)
    shop.work()
    with shop.host.reading():
        (panel,) = product_panels(shop.host, shop.offer(KETTLE).product_id or 0)
    assert rows(panel)["Stock"] == "stock unknown"

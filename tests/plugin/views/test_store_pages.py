"""The pages of a connected store."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from host_app.db import transaction
from host_app.models import Notification, Product
from host_app.services import orders as orders_here
from host_app.services import picking
from host_app.services.picking import NewParcel
from host_app.services.stock import adjust_stock
from plugin.models import BolOrder, BolOrderState, EffectState, Offer, Run, ShipmentEffect, Store, StoreState
from plugin.settings import StoreSettings
from plugin.sync.overview import overviews
from plugin.sync.sweep import KIND as SWEEP
from plugin.views import words
from tests.host_app.admin.conftest import Person
from tests.plugin.conftest import KETTLE, TOASTER
from tests.plugin.views.conftest import Site

#: A moment of today, or of another day where the test runs around midnight.
MOMENT = r"(today|\d+ \w+ \d{4}) \d+:\d+"


def text(person: Person, path: str) -> str:
    """Return what a page says, without markup."""
    main = person.get(f"/admin/bol/{path}").text.split('id="main"')[1]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", main)))


def press(person: Person, path: str, **fields: str) -> str:
    return html.unescape(person.post(f"/admin/bol/{path}", **fields).text)


def shipped(site: Site, state: str, carrier: str = "postnl") -> None:
    """Ship an order of a kettle and a toaster in one parcel, and put its shipment into a state."""
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1), (TOASTER, 1))
        shop.import_orders()
        shop.close(order_id, carrier=carrier)
        shop.work()
        with transaction() as session:
            session.query(ShipmentEffect).update({"state": state, "error": "Wrong <b>code</b>."})


def test_stores_are_listed_with_what_waits(site: Site, store: int, packer: Person) -> None:
    shipped(site, EffectState.WANTED)
    page = text(packer, "")
    assert "Shop" in page
    assert "active" in page
    assert "1 shipment" in page


def test_a_shipment_tells_what_was_in_the_parcel(site: Site, store: int, packer: Person) -> None:
    shipped(site, EffectState.CONFIRMED)
    page = text(packer, f"{store}/shipments")
    assert "Kettle" in page
    assert "Toaster" in page


def test_shipments_are_told_by_parcel_with_its_place_on_the_picklist(
    site: Site, store: int, packer: Person
) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 2), (TOASTER, 1))
        shop.import_orders()
        picklist_id = shop.picklist_id(order_id)
        kettles, toaster = shop.picklist_lines(picklist_id)
        with transaction():
            picking.pick_all(picklist_id)
            lines = {kettles.id: 1, toaster.id: 1}, {kettles.id: 1}
            picking.close_picklist(
                picklist_id,
                [NewParcel("postnl", f"3S {of}", held) for of, held in enumerate(lines)],
                who="ann",
            )
        shop.work()
        number = shop.picklists(order_id)[0].number
    page = text(packer, f"{store}/shipments").split("What to do")[1]
    # The newest first; goods of one parcel in one line.
    second, first = re.split(r"Shipment \d+", page)[1:]
    assert f"parcel 2 of 2, {number}" in second and "1 × Kettle" in second and "Toaster" not in second
    assert f"parcel 1 of 2, {number}" in first and "1 × Kettle 1 × Toaster" in first
    assert "2 in all" in page


def test_no_store_is_connected_yet(site: Site, chief: Person) -> None:
    assert "No store is connected yet." in text(chief, "")


def test_nothing_needs_anybody_and_the_next_step_is_told(store: int, chief: Person) -> None:
    page = text(chief, f"{store}/")
    assert "Set up, waiting for the first order." in page
    assert "Everything working? Then let bol know" in page
    assert "Linked to a product 2" in page
    assert "Shipped by bol 1" in page


def test_sending_is_off_and_shipments_wait(site: Site, store: int, chief: Person) -> None:
    shipped(site, EffectState.WANTED)
    assert "Sending is off: 1 shipment waits." in text(chief, f"{store}/")


def test_a_shipment_without_a_code_is_asked_for(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True, carriers={})
    shipped(site, EffectState.WANTED)
    page = text(chief, f"{store}/")
    assert page.count("1 shipment waits for bol's code of the carrier PostNL") == 1
    assert "1 thing needs you." in page


@pytest.mark.parametrize(("back", "at"), [("store", "{store}/"), ("attention", "attention")])
def test_the_code_asked_for_is_filled_in_and_one_that_bol_never_published_needs_a_tick(
    site: Site, store: int, chief: Person, back: str, at: str
) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True, carriers={})
    shipped(site, EffectState.WANTED, carrier="dpd")
    page = chief.get(f"/admin/bol/{at.format(store=store)}").text
    assert re.search(r'name="code" value="DPD-NL" required[^>]*list="transporter-codes"', page)
    assert '<option value="DPD-NL">' in page and "Usual: DPD-NL." in page

    def give(code: str, **more: str) -> str:
        return press(chief, f"{store}/carriers", carrier="dpd", code=code, back=back, **more)

    def code() -> str:
        with site.shop() as shop:
            return StoreSettings.load(shop.store().settings).carriers.get("dpd", "")

    asked = give("DPD")
    assert "“DPD” is none of the codes that bol has published. Do you mean DPD-BE, DPD-NL?" in asked
    assert re.search(r'name="code" value="DPD" required', asked)
    assert re.search(r'type="checkbox"[^>]*name="confirmed" value="DPD">', asked)
    assert "“BLA” is none of" in give("BLA", confirmed="DPD")
    assert code() == ""
    assert "The code is saved" in give("DPD", confirmed="DPD")
    assert code() == "DPD"


def test_what_is_typed_into_an_address_is_only_text(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True, carriers={})
    shipped(site, EffectState.WANTED, carrier="dpd")
    crafted = chief.get(
        f'/admin/bol/attention?store={store}&carrier=dpd&code="><script>alert(1)</script>'
    ).text
    assert "<script>alert" not in crafted and "is none of the codes" in crafted


def test_a_problem_is_shown_in_words(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop, transaction() as session:
        row = session.get(Store, store)
        assert row is not None
        row.problem, row.problem_at = "bol can't be reached.", shop.clock.now()
    assert "bol can't be reached." in text(packer, f"{store}/")
    assert "bol can't be reached." in text(packer, "")


def test_a_store_is_paused_and_activated(site: Site, store: int, chief: Person) -> None:
    assert "Paused." in press(chief, f"{store}/pause")
    with site.shop() as shop:
        assert shop.store().state == StoreState.PAUSED
    assert "The store is active." in press(chief, f"{store}/activate")
    with site.shop() as shop:
        assert shop.store().state == StoreState.ACTIVE


def test_orders_are_imported_by_the_button(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
    press(chief, f"{store}/import-orders")
    assert "data-bol-running" in chief.get(f"/admin/bol/{store}/").text
    with site.shop() as shop:
        shop.work()
        number = shop.host_order(order_id).number
    page = text(chief, f"{store}/orders")
    assert order_id in page
    assert number in page
    assert "data-bol-running" not in chief.get(f"/admin/bol/{store}/").text


def test_orders_are_not_imported_by_the_button_of_a_paused_store(
    site: Site, store: int, chief: Person
) -> None:
    press(chief, f"{store}/pause")
    assert "activate" in press(chief, f"{store}/import-orders")
    with site.shop() as shop:
        assert shop.store().import_wanted_at is None


def test_products_are_imported_by_the_button(site: Site, store: int, chief: Person) -> None:
    assert "Your offers at bol are being read." in press(chief, f"{store}/import-products")
    assert "Reading your offers at bol" in text(chief, f"{store}/")
    with site.shop() as shop:
        shop.work()
        shop.settings(import_products=False)
    page = chief.get(f"/admin/bol/{store}/").text
    assert re.search(r"<button[^>]* disabled[^>]*>Import products", page)
    assert "is off in the settings" in page
    assert "is off for this store" in press(chief, f"{store}/import-products")


def test_an_order_that_waits_tells_for_what(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store = shop.connect(import_products=False)
        shop.order((KETTLE, 1))
        shop.import_orders()
    page = text(chief, f"{store}/orders?state=waiting+for+product")
    assert f"{KETTLE}: make a product with this code or barcode" in page
    assert "1 order waits for a product" in text(chief, f"{store}/")
    assert "No order is in this state." in text(chief, f"{store}/orders?state=failed")


def test_orders_tell_what_they_wait_for_and_what_happened_last(
    site: Site, store: int, packer: Person
) -> None:
    path = f"/admin/bol/{store}/orders"
    told = lambda: html.unescape(packer.get(path).text)
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
    assert ">to be picked<" in told()
    assert "Taken over as order" in told()
    with site.shop() as shop:
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
    assert "Waits for your answer: the customer asks to cancel." in told()
    with site.shop() as shop:
        shop.runtime.accept_request(store, shop.bol_order(order_id).id, "ann")
    assert ">being cancelled at bol<" in told()
    assert "Waits for bol to cancel it." in told()
    with site.shop() as shop:
        shop.pass_time(20, steps=4)
        shop.sandbox.settings(processStatusDelayMs=60_000)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id)
        shop.work()
    assert ">shipped, bol is being told<" in told()
    assert "Waits for bol to confirm the shipment." in told()
    with site.shop() as shop:
        shop.pass_time(120, steps=6)
    page = told()
    assert "Waits" not in page.split("<tbody>")[1]
    assert "bol has 1 of item Kettle as shipped" in page
    assert ">shipped and confirmed by bol<" in page
    assert ">imported<" not in page
    assert "was cancelled, because bol cancelled it" in page


def test_an_order_that_bol_cancelled_and_that_is_still_open_here_looks_like_one(
    site: Site, store: int, packer: Person
) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        picklist_id = shop.picklist_id(order_id)
        with transaction():
            picking.pick_all(picklist_id)
        shop.sandbox.cancel(order_id)
        shop.import_orders()
        row_id = shop.bol_order(order_id).id
    orders = text(packer, f"{store}/orders").split("Last change")[1]
    assert "cancelled at bol" in orders
    assert "it is still open here. Put the goods back, then cancel it." in orders
    assert f"Order {order_id} cancelled at bol" in text(packer, f"{store}/orders/{row_id}")
    with site.shop() as shop:
        (line,), here = shop.picklist_lines(picklist_id), shop.host_order(order_id)
        with transaction():
            picking.pick_more(picklist_id, line.id, -1)
            orders_here.cancel_order(here.id, "bol cancelled it", who="ann")
        shop.work()
    orders = text(packer, f"{store}/orders").split("Last change")[1]
    assert "Cancelled in the warehouse" in orders and "was not" not in orders


def test_offers_tell_what_bol_was_told(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop:
        product_id = shop.offer(KETTLE).product_id
        with transaction():
            adjust_stock(product_id, shop.warehouse, change=-2, reason="test", who="ann")
        shop.work()
    page = text(packer, f"{store}/offers")
    assert KETTLE in page
    assert "once sending is on" in page
    assert "bol ships it" in page
    with site.shop() as shop:
        shop.settings(send_stock=True)
        shop.work()
        assert shop.offer(KETTLE).confirmed_amount == 18
    assert "up to date" in text(packer, f"{store}/offers?q={KETTLE}")
    assert TOASTER not in text(packer, f"{store}/offers?q={KETTLE}")


def test_an_offer_without_known_stock_is_told(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop:
        product_id = shop.offer(KETTLE).product_id
        with transaction() as session:
            session.execute(update(Product).where(Product.id == product_id).values(stock_known=False))
    assert "stock unknown" in text(packer, f"{store}/offers?q={KETTLE}")


def test_a_failed_offer_tells_why(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop, transaction() as session:
        row = session.query(Offer).filter_by(ean=KETTLE).one()
        row.error, row.dirty_version = "bol said <no>.", row.done_version + 1
        row.next_try_at = shop.clock.now()
    page = packer.get(f"/admin/bol/{store}/offers?state=failed").text
    assert "bol said &lt;no&gt;." in page
    assert "Failed 1" in text(packer, f"{store}/")


def test_a_withdrawn_parcel_stays_a_task_of_the_warehouse_when_its_store_is_gone(
    site: Site, store: int, chief: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id)
        shop.pass_time(120, steps=4)
        (effect,) = shop.effects()
        assert effect.state == EffectState.CONFIRMED
        with transaction():
            picking.withdraw_shipment(effect.host_shipment_id, who="ann")
        shop.work()
        shop.runtime.disconnect(store, at_once=False)
        page = text(chief, f"{store}/connection")
        assert "Nothing is left to do" not in page
        assert "1 order still needs people in the warehouse" in page
        shop.pass_time(300)
        assert shop.store().state == StoreState.DISCONNECTED
    assert "1 order still needs people in the warehouse" in text(chief, f"{store}/connection")
    told = text(chief, "attention")
    assert "was withdrawn, but bol has it as shipped" in told
    # When that was, the parcel's page tells; bol was read later, and may be again.
    assert "Since" not in told


def test_what_the_guard_stopped_is_decided_on_the_stores_page(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    def hold() -> None:
        with site.shop() as shop, transaction() as session:
            row = session.query(Offer).filter_by(ean=KETTLE).one()
            row.held_at, row.dirty_version = shop.clock.now(), row.done_version + 1

    hold()
    page = text(packer, f"{store}/")
    assert page.count("1 offer is about to go to 0 at bol, and you are asked first") == 1
    assert "1 offer is about to go to 0 , held until somebody decides." in page
    assert "bol has all that it should" not in page and "Held until somebody decides 1" in page
    assert "Only an administrator can do this: tell one" in page
    assert "are sent" in press(chief, f"{store}/send-zeros")
    assert "No offer is held back any more." in press(chief, f"{store}/discard-zeros")
    hold()
    assert "are not sent" in press(chief, f"{store}/discard-zeros")
    assert "about to go to 0" not in text(chief, f"{store}/")


def test_what_was_kept_on_sale_is_told_everywhere_and_can_be_sent_after_all(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_stock=True, guard_least=1, guard_share=0)
        shop.work()
        row = shop.offer(KETTLE)
        with transaction():
            adjust_stock(row.product_id, shop.warehouse, set_to=0, reason="counted", who="ann")
        shop.runtime.push_stock(shop.store_id)
        shop.work()
        free = shop.amount_at_bol(KETTLE)
        assert free
    assert f"Kettle EAN {KETTLE} : bol sells {free}" in text(chief, f"{store}/")
    press(chief, f"{store}/discard-zeros")
    kept = f"kept on sale: bol has {free}, here 0"
    assert kept in text(packer, f"{store}/offers?state=kept+on+sale")
    assert "being sent to bol" not in text(packer, f"{store}/offers")
    page = text(packer, f"{store}/offers/{row.id}")
    assert kept in page and "Send 0 after all" not in page
    for reader in (packer, chief):
        page = text(reader, f"{store}/")
        assert page.count("1 article is kept on sale though none is free here: bol may sell what") == 1
        assert f"Kettle EAN {KETTLE} : bol sells {free}" in page
        assert "1 thing needs you." in page
        assert "All is well" not in page and "bol has all that it should" not in page
        assert "1 article is kept on sale" in text(reader, "attention")
        assert "bol goes on selling 1 offer that has no stock here." in reader.get("/admin/").text
    assert "It is sent" in press(chief, f"{store}/offers/{row.id}/send-zero")
    with site.shop() as shop:
        shop.work()
        assert shop.amount_at_bol(KETTLE) == 0
    assert "kept on sale" not in text(chief, f"{store}/")
    assert "No such offer is kept on sale any more." in press(chief, f"{store}/send-zeros-after-all")


@pytest.fixture
def waiting_parcel(site: Site, store: int) -> int:
    """A parcel by a carrier that bol has no code of; return the row of its order."""
    with site.shop() as shop:
        shop.settings(send_shipments=True, carriers={})
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id, "own", "BIKE-1")
        shop.work()
        return int(shop.bol_order(order_id).id)


def test_a_parcel_whose_carrier_has_no_code_says_who_fills_it_in(
    store: int, waiting_parcel: int, chief: Person, packer: Person
) -> None:
    for path in (f"{store}/shipments", f"{store}/orders/{waiting_parcel}"):
        assert "An administrator fills in the carrier&#39;s code" in packer.get(f"/admin/bol/{path}").text
        shown = chief.get(f"/admin/bol/{path}").text
        assert 'href="/admin/bol/attention">waits: bol does not know its carrier yet. Fill in the' in shown
        assert "Waits for its carrier&#39;s code" in shown and "set it in the store" not in shown


def test_no_link_leads_a_packer_to_a_refusal(waiting_parcel: int, packer: Person) -> None:
    seen, ahead = set(), ["/admin/", "/admin/notifications/", "/admin/bol/attention"]
    while ahead:
        path = ahead.pop(0)
        kind = re.sub(r"\d+", "0", path)
        if kind in seen:
            continue
        seen.add(kind)
        answer = packer.get(path)
        if answer.status_code == 302:
            # What leads on to a page.
            ahead.append(answer.location)
            continue
        assert answer.status_code == 200, path
        if answer.mimetype == "text/html":
            links = re.findall(r'<a [^>]*href="(/admin/[^"#]*)', answer.text)
            ahead += [link.replace("&amp;", "&") for link in links]
    assert {"/admin/picklists/0", "/admin/shipments/0", "/admin/bol/0/shipments", "/admin/bol/0/"} < seen


def test_shipments_tell_their_state_and_what_to_do(site: Site, store: int, chief: Person) -> None:
    shipped(site, EffectState.REFUSED)
    page = chief.get(f"/admin/bol/{store}/shipments?state=needs+you").text
    assert "refused by bol" in page
    assert "Wrong &lt;b&gt;code&lt;/b&gt;." in page
    assert page.count(">Send again</button>") == 2
    assert text(chief, f"{store}/").count("bol refused 1 shipment") == 1
    assert "badge-pill" in chief.get("/admin/").text


def test_what_is_told_of_a_refused_shipment_leads_to_the_buttons_that_it_names(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.ship_elsewhere(order_id)
        shop.close(order_id)
        shop.pass_time(30)
        (told,) = (row for row in shop.all(Notification) if "refused the shipment" in row.title)
        assert "is already shipped. bol has not so many of these goods open any more" in told.body
        assert "press “Handled elsewhere”" in told.body and "Send again" not in told.body
    buttons = re.findall(r"<button[^>]*>([^<]*)</button>", chief.get(told.url).text)
    # What bol would refuse again is not offered.
    assert "Handled elsewhere" in buttons and "Send again" not in buttons
    for path in ("/admin/bol/attention", f"/admin/bol/{store}/"):
        page = chief.get(path).text
        assert ">Handled elsewhere</button>" in page and ">Send again</button>" not in page
        assert "would refuse them again" in page
    # Who has no such button is told whom to ask.
    with site.shop() as shop:
        host_order, picklist = shop.host_order(order_id).id, shop.effects()[0].host_picklist_id
        bols_order = shop.bol_order(order_id).id
    for path in (
        f"/admin/orders/{host_order}",
        f"/admin/picklists/{picklist}",
        f"/admin/bol/{store}/shipments?state=refused",
        f"/admin/bol/{store}/orders/{bols_order}",
    ):
        page = packer.get(path).text
        assert "Ask an administrator" in page and "press “" not in page, path
        page = chief.get(path).text
        assert "Ask an administrator" not in page, path


def test_a_shipment_is_tried_again_and_another_handled_elsewhere(
    site: Site, store: int, chief: Person
) -> None:
    shipped(site, EffectState.REFUSED)
    with site.shop() as shop:
        first, second = (row.id for row in shop.effects())
    assert "sent to bol again" in press(chief, f"{store}/shipments/{first}/try-again")
    assert "handled elsewhere" in press(chief, f"{store}/shipments/{second}/handled", state="needs you")
    with site.shop() as shop:
        assert [row.state for row in shop.effects()] == [EffectState.WANTED, EffectState.CLOSED]
    assert "Nothing was changed" in press(chief, f"{store}/shipments/{second}/try-again")


def test_a_refused_parcel_is_handled_elsewhere_with_all_that_is_in_it_under_needs_attention(
    site: Site, store: int, chief: Person
) -> None:
    """One task there, and one button for it; the list of shipments decides on each article."""
    shipped(site, EffectState.REFUSED)
    action = re.search(r'action="(/admin/bol/[^"]*/handled[^"]*)"', chief.get("/admin/bol/attention").text)
    assert action
    chief.post(html.unescape(action[1]))
    with site.shop() as shop:
        assert [row.state for row in shop.effects()] == [EffectState.CLOSED] * 2


def test_long_lists_have_pages(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop, transaction() as session:
        for number in range(120):
            session.add(
                BolOrder(
                    store_id=store,
                    order_id=f"A{number:03}",
                    found_at=shop.clock.now(),
                    state=BolOrderState.TOO_OLD,
                )
            )
    first = text(packer, f"{store}/orders")
    assert "1 to 50 of 120" in first
    assert "A119" in first
    assert "A000" in text(packer, f"{store}/orders?page=9&state=before+start+date")
    assert "1 to 50" in text(packer, f"{store}/orders?page=x")


def test_looking_writes_nothing(site: Site, store: int, chief: Person) -> None:
    calls = len(site._shop.sandbox.calls())
    with site.shop() as shop:
        before = {row.id: row.__dict__ | {"_sa_instance_state": None} for row in shop.all(Store)}
    for path in (
        "",
        f"{store}/",
        f"{store}/orders",
        f"{store}/offers",
        f"{store}/shipments",
        f"{store}/labels",
        f"{store}/summary",
    ):
        assert chief.get(f"/admin/bol/{path}").status_code == 200
    with site.shop() as shop:
        assert {row.id: row.__dict__ | {"_sa_instance_state": None} for row in shop.all(Store)} == before
        assert len(shop.sandbox.calls()) == calls


def test_a_sweep_tells_how_far_it_is(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop, transaction() as session:
        session.add(
            Run(
                store_id=store,
                kind=SWEEP,
                started_at=shop.clock.now(),
                due_at=shop.clock.now(),
                counts={"orders": 50, "shipments": 7},
            )
        )
    page = text(packer, f"{store}/")
    assert "Daily check of orders not yet running 50 orders and 7 shipments looked at" in page


def test_what_waits_is_told_with_its_age_and_its_end(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop:
        shop.settings(send_stock=True)
        shop.work()
        with transaction() as session:
            for number in range(6000):
                session.add(
                    Offer(
                        store_id=store,
                        offer_id=str(number),
                        ean="",
                        method="FBR",
                        seen_at=shop.clock.now(),
                        product_id=1,
                        dirty_version=1,
                        changed_version=1,
                        changed_at=shop.clock.now(),
                    )
                )
    page = text(packer, f"{store}/")
    assert re.search(rf"Stock updates to send 6,000 {MOMENT}", page)
    # 47 or 48 a second.
    end = re.search(rf"6,000 stock updates on the way, expected done {MOMENT}", page)
    assert end
    with site.shop() as shop:
        (row,) = overviews(shop.host)
    assert row.done_at is not None
    assert timedelta(seconds=120) < row.done_at - row.at < timedelta(seconds=135)


def test_what_is_marked_and_right_already_is_compared_and_not_waiting_to_be_sent(
    site: Site, store: int, packer: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_stock=True)
    page = text(packer, f"{store}/")
    assert "Stock updates to send" not in page and "not known" not in page
    assert "Offers being compared with bol 2 Last" in page
    with site.shop() as shop:
        shop.work()
        assert shop.writes() == []
    # Of shipments bol is not told.
    assert "Nothing, of all that is turned on in the settings." in text(packer, f"{store}/")
    with site.shop() as shop:
        shop.settings(send_stock=True, safety_stock=1)
        with transaction() as session:
            # Of one of them its stock changed, too.
            session.execute(
                update(Offer)
                .where(Offer.ean == KETTLE)
                .values(changed_version=Offer.dirty_version, changed_at=shop.clock.now())
            )
    page = text(packer, f"{store}/")
    assert re.search(rf"Stock updates to send 1 {MOMENT} Offers being compared with bol 1 Last", page)


def test_a_lost_line_tells_since_when_and_what_waits(site: Site, store: int, packer: Person) -> None:
    with site.shop() as shop:
        shop.sandbox.faults([{"path": "/retailer/orders", "status": 503, "when": "before"}])
        shop.pass_time(400)
        since = shop.store().problem_at
        shop.pass_time(400)
        # The first failure counts, not the last.
        assert shop.store().problem_at == since
    page = text(packer, f"{store}/")
    assert re.search(rf"Problem since {MOMENT}", page)
    assert "It is tried again by itself." in page


def test_charts_have_their_numbers_in_tables_and_no_inline_code(
    site: Site, store: int, packer: Person
) -> None:
    with site.shop() as shop:
        shop.order((KETTLE, 1))
        shop.import_orders()
    for period in ("24h", "30d", "nonsense"):
        page = packer.get(f"/admin/bol/{store}/?period={period}").text
        assert page.count("data-bol-chart") == 3
        assert page.count("<summary>As a table") == 3
        technical = packer.get(f"/admin/bol/{store}/calls?period={period}").text
        assert technical.count("data-bol-chart") == 1 and "Calls to bol</strong>" in technical
        assert "Orders in</strong>: 1" in page
        assert "<style" not in page
        assert not re.search(r"<script(?![^>]* src=)", page)
        assert " style=" not in page


def test_the_chosen_filter_is_in_sight_also_where_it_is_folded_up(
    site: Site, store: int, packer: Person
) -> None:
    for page, daily, seldom in (
        ("offers", "kept on sale", "invalid EAN"),
        ("orders", "asked", "undone"),
        ("shipments", "needs you", "closed"),
    ):
        for state in (daily, seldom):
            shown = packer.get(f"/admin/bol/{store}/{page}", query_string={"state": state}).text
            in_sight, folded = shown.split('class="bol-narrowing"')[1].split("<details>")
            assert in_sight.count('aria-current="true"') == 1, (page, state)
            assert (f"state={state.replace(' ', '+')}" in folded.split("</details>")[0]) == (state == seldom)


def test_what_technicians_look_at_stands_behind_one_tab(
    site: Site, store: int, chief: Person, packer: Person
) -> None:
    tabs = lambda reader, page: reader.get(f"/admin/bol/{store}/{page}").text.split("</ul>")[0:9]
    for page in ("connection", "calls"):
        shown = "".join(tabs(chief, page)).split('aria-label="Pages of this store"')[1]
        assert "For technicians" in shown and 'aria-current="page">For technicians' in shown
    assert ">Calls<" not in chief.get(f"/admin/bol/{store}/").text
    # A packer may look at the calls, and is led to no page that is not theirs.
    shown = packer.get(f"/admin/bol/{store}/calls").text
    assert f"/admin/bol/{store}/connection" not in shown
    assert f'href="/admin/bol/{store}/calls" aria-current="page">For technicians' in shown


def test_each_page_of_a_store_is_told_apart_by_its_title(site: Site, store: int, chief: Person) -> None:
    pages = (
        "",
        "orders",
        "offers",
        "eans",
        "checks",
        "shipments",
        "labels",
        "settings",
        "connection",
        "calls",
    )
    titles = [
        re.search(r"<title>(.*?)</title>", chief.get(f"/admin/bol/{store}/{page}").text) for page in pages
    ]
    found = [html.unescape(title.group(1)) for title in titles if title]
    assert len(set(found)) == len(pages) and all("Shop - " in title for title in found)


@pytest.mark.parametrize("state", words.OFFER_FILTERS)
def test_a_filter_of_the_offers_says_what_it_shows(
    site: Site, store: int, packer: Person, state: str
) -> None:
    told = str(words.OFFER_FILTERS[state])
    assert told in text(packer, f"{store}/offers?state={state}")
    assert told not in text(packer, f"{store}/offers")

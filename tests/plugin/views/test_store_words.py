"""What a store's pages say is true of it as it stands: fresh, paused, set up, with one thing to do."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from host_app.db import transaction
from plugin.models import BolOrderItem, EffectState, Offer, OfferLink, SettingChange, ShipmentEffect, Store
from plugin.views import words
from tests.host_app.admin.conftest import Person
from tests.plugin.conftest import KETTLE, Shop
from tests.plugin.views.conftest import Site
from tests.plugin.views.test_store_pages import press, text

FIRST = "Set up, waiting for the first order."


def checklist(page: str) -> str:
    found = re.search(
        r'<(?:section|details)[^>]*id="bol-checklist".*?</(?:section|details)>', page, re.DOTALL
    )
    return "" if found is None else found.group()


def test_a_fresh_store_says_what_it_waits_for_and_why_flows_never_ran(
    site: Site, store: int, chief: Person
) -> None:
    page = text(chief, f"{store}/")
    assert FIRST in page and "All is well" not in page and "never" not in page
    assert "Stock update off in the settings" in page
    assert "Shipment confirmed by bol off in the settings" in page
    assert "Stock check off in the settings" in page
    assert "products made by that reading." in page and "Orders imported 0" in page
    assert FIRST in chief.get("/admin/").text
    with site.shop() as shop:
        shop.settings(send_stock=True, send_shipments=True, import_products=False)
        shop.work()
    page = text(chief, f"{store}/")
    assert "Nothing: bol has all that it should." in page
    assert "Stock update nothing so far" in page and "Shipment confirmed by bol nothing so far" in page
    assert re.search(r"Stock check not yet: first (today|\d+ \w+ \d{4}) 03:30", page)
    assert re.search(r"Daily check of orders not yet: first (today|\d+ \w+ \d{4}) 04:10", page)


def test_all_is_well_once_an_order_came(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.order((KETTLE, 1))
        shop.import_orders()
    assert "All is well." in text(chief, f"{store}/") and FIRST not in text(chief, f"{store}/")
    assert "All is well. Orders were read" in chief.get("/admin/").text


def test_a_store_that_imports_no_orders_waits_for_none(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(import_orders=False)
    assert "All is well. Importing orders is off." in text(chief, f"{store}/")
    assert FIRST not in chief.get("/admin/").text


def test_the_list_of_the_set_up_stays_folded_with_the_day_it_was_done(
    site: Site, store: int, chief: Person
) -> None:
    assert "<section" in checklist(chief.get(f"/admin/bol/{store}/").text)
    with site.shop() as shop:
        shop.runtime.start_sending_stock(store, "chief")
        shop.runtime.start_sending_shipments(store, "chief")
        with transaction() as session:
            session.execute(update(Store).values(activated_at=shop.clock.now() - timedelta(days=40)))
            session.execute(update(SettingChange).values(at=shop.clock.now() - timedelta(days=30)))
        done_on = shop.clock.now() - timedelta(days=30)
    found = checklist(chief.get(f"/admin/bol/{store}/").text)
    assert found.startswith("<details") and " open" not in found.split(">")[0]
    assert f"Set-up done on {done_on.day} " in html.unescape(found)
    assert "“Send stock updates” is on" in html.unescape(found)
    with site.shop() as shop:
        shop.settings(send_stock=False, send_shipments=True)
    assert "<section" in checklist(chief.get(f"/admin/bol/{store}/").text)


def test_a_store_with_one_task_says_it_once(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
    page = text(chief, f"{store}/")
    assert page.count(f"The customer asks to cancel order {order_id}") == 1
    assert "1 thing needs you." in page


def test_a_paused_store_offers_nothing_that_would_do_nothing(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        row_id = shop.bol_order(order_id).id
    press(chief, f"{store}/pause")
    page = text(chief, f"{store}/")
    assert "Paused. No orders come in, and nothing is sent to bol." in page
    assert "Import orders now" not in page and "Import products" not in page and "Activate" in page
    assert "bol has all that it should" not in page
    assert "Nothing that is known here. New orders are not looked for while the store is paused." in page
    order = text(chief, f"{store}/orders/{row_id}")
    assert (
        "No orders are read at bol, and nothing new is sent to it" in order
        and "Read again from bol" not in order
    )
    press(chief, f"{store}/activate")
    assert "Read again from bol" in text(chief, f"{store}/orders/{row_id}")
    assert "Import products" in text(chief, f"{store}/")


def test_what_waits_in_a_paused_store_goes_on_later(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.runtime.pause(store)
        shop.close(order_id)
        shop.work()
    page = text(chief, f"{store}/")
    assert "Shipments to confirm 1" in page and "It goes on once the store is activated again." in page


def test_a_check_in_a_paused_store_says_why_it_only_reports(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(send_stock=True)
        shop.runtime.pause(store)
    assert "The store is not active, so a check only reports." in text(chief, f"{store}/checks")


@pytest.mark.parametrize(
    ("path", "title"),
    [("stock-plan", "Plan"), ("shipment-plan", "Plan"), ("summary", "Summary")],
)
def test_plans_and_the_summary_have_a_tab_of_their_own(
    store: int, chief: Person, path: str, title: str
) -> None:
    page = html.unescape(chief.get(f"/admin/bol/{store}/{path}").text)
    tabs = page.split('class="nav nav-tabs')[1].split("</ul>")[0]
    assert re.findall(r'aria-current="page">([^<]+)<', tabs) == [title]
    assert len(re.findall(r"nav-link active", tabs)) == 1
    # The name of the store, above it, leads back.
    heading = page.split("<h1")[1].split("</h1>")[0]
    assert f'<a href="/admin/bol/{store}/">Shop</a>' in heading


def test_the_steps_lead_to_each_other_and_not_to_where_one_is(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store_id = shop.runtime.connect_store(
            name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
        )
    for path, current in (("settings", "Settings"), ("summary", "Summary"), ("stock-plan", "")):
        page = chief.get(f"/admin/bol/{store_id}/{path}").text
        steps = page.split('class="bol-steps"')[1].split("</ol>")[0]
        links = re.findall(r"<a [^>]+>([^<]+)</a>", steps)
        assert links == [title for title in ("Settings", "Summary") if title != current]
        assert steps.count('aria-current="step"') == 1


def test_what_asks_to_be_confirmed_has_the_focus_and_no_other_button_saves(
    site: Site, store: int, chief: Person
) -> None:
    page = f"/admin/bol/{store}/settings"
    assert "autofocus" not in chief.get(page).text
    with site.shop() as shop:
        waiting_shipment(shop)
    asked = chief.post(page, page=page, send_shipments="on").text
    assert "Nothing is saved yet. This is what will happen:" in asked
    assert re.search(r'id="confirm" tabindex="-1" autofocus', asked)
    form = asked.split("data-bol-form")[1].split("</form>")[0]
    assert re.findall(r"<button[^>]*>([^<]+)</button>", form) == ["Save"]
    bar = form.split("bol-in-sight")[1]
    assert 'href="#confirm">See and confirm<' in bar
    # Whoever presses the button without the tick is told so at the tick.
    mark = re.search(r'name="asked" value="(\w+)"', asked)
    assert mark and "Put a tick here first" not in asked
    again = chief.post(page, page=page, send_shipments="on", asked=mark[1]).text
    assert "Put a tick here first, if it should happen." in again
    assert re.search(r'id="confirmed"[^>]*aria-invalid="true" autofocus', again)
    assert (
        "The settings are saved." in chief.post(page, page=page, send_shipments="on", confirmed=mark[1]).text
    )


def test_how_long_bol_took_to_confirm_is_told_in_words(site: Site, store: int, chief: Person) -> None:
    assert "picklist was closed" not in text(chief, f"{store}/")
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        waiting_shipment(shop)
        took(shop, 4)
    assert "Confirmed 4 seconds after the picklist was closed." in text(chief, f"{store}/")
    with site.shop() as shop:
        for _ in range(2):
            waiting_shipment(shop)
        took(shop, 4, 3, 12)
    page = text(chief, f"{store}/")
    assert (
        "Half of them within 4 seconds after the picklist was closed, the slowest after 12 seconds." in page
    )
    assert "time from closing the picklist, on average, seconds" in page
    with site.shop() as shop:
        took(shop, 4, 3, 3 * 3600)
    assert "the slowest after 3 hours." in text(chief, f"{store}/")
    assert "On average " in text(chief, f"{store}/?period=30d")


def took(shop: Shop, *seconds: int) -> None:
    """Have bol's confirmations of the shipments so far come so many seconds after their picklists were closed."""
    shop.pass_time(60)
    with transaction() as session:
        for effect, long in zip(
            session.query(ShipmentEffect).order_by(ShipmentEffect.id), seconds, strict=True
        ):
            assert effect.state == EffectState.CONFIRMED
            effect.created_at = effect.settled_at - timedelta(seconds=long)


def waiting_shipment(shop: Shop) -> None:
    order_id = shop.order((KETTLE, 1))
    shop.import_orders()
    shop.close(order_id)
    shop.work()


def test_who_turns_both_sendings_on_sees_both_plans(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store_id = shop.runtime.connect_store(
            name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
        )
    page = f"/admin/bol/{store_id}/settings"
    plan = html.unescape(chief.post(page, page=page, send_stock="on", send_shipments="on").text)
    assert "Saved, all but “Send stock updates”" in plan
    assert "What happens if stock updates are sent" in plan
    assert "Shipments are to be sent, too, once the store is active." in plan
    plans = plan.split('aria-label="Plans"')[1].split("</ul>")[0]
    other = f"/admin/bol/{store_id}/shipment-plan"
    assert re.findall(r'href="([^"]+)"[^>]*>([^<]+)<', plans) == [
        (f"/admin/bol/{store_id}/stock-plan", "Stock updates: off"),
        (other, "Shipments and status: on"),
    ]
    assert "What happens if shipments are sent" in chief.get(other).text
    assert other in chief.get(f"/admin/bol/{store_id}/summary").text


def test_what_has_no_product_yet_is_told_where_all_else_is_done(
    site: Site, store: int, chief: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_stock=True, send_shipments=True)
        shop.work()
    page = text(chief, f"{store}/")
    assert "Set-up done" in page and "no product" not in page.split("What waits")[0]
    with site.shop() as shop, transaction() as session:
        session.execute(update(Offer).where(Offer.ean == KETTLE).values(product_id=None, link=OfferLink.AUTO))
    page = text(chief, f"{store}/")
    assert "Set-up done" not in page
    assert "Stock and shipments are sent; 1 offer has no product yet" in page
    assert "Nothing: bol has all that it should. 1 offer has no product here: its stock is not sent." in page


def test_while_products_are_made_the_set_up_is_not_done(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(send_stock=True, send_shipments=True)
        shop.work()
        shop.runtime.import_products(store)
    page = chief.get(f"/admin/bol/{store}/").text
    assert checklist(page).startswith("<details")
    assert "Nothing so far: your offers are being read." in page
    with site.shop(), transaction() as session:
        session.execute(update(Offer).where(Offer.ean == KETTLE).values(product_id=None, link=OfferLink.AUTO))
    found = checklist(chief.get(f"/admin/bol/{store}/").text)
    assert found.startswith("<section") and "Your products are being made" in found
    with site.shop() as shop:
        shop.work()
    assert checklist(chief.get(f"/admin/bol/{store}/").text).startswith("<details")


def test_a_problem_that_passes_by_itself_asks_for_nobody_and_one_that_does_not_promises_no_end(
    site: Site, store: int, chief: Person
) -> None:
    with site.shop() as shop:
        shop.settings(send_shipments=True)
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.sandbox.faults([{"path": "/retailer/*", "status": 503, "when": "before"}])
        shop.close(order_id)
        shop.pass_time(60)
        assert "reference" in shop.store().problem
    home = html.unescape(chief.get("/admin/").text)
    assert "problem at bol</span> Problem since" in home and "needs attention</span>" not in home
    assert "It is tried again by itself." in home
    # Said once, with when it is; and the box of shipments says what it waits for.
    page = text(chief, f"{store}/")
    assert page.count("It is tried again by itself.") == 1
    assert re.search(r"Next try: today \d\d:\d\d\.", page)
    assert "1 shipment waiting" in page and "Answer lost, being checked at bol 1" in page
    for path in (f"{store}/", "", f"{store}/connection"):
        assert "bol has a technical problem" in text(chief, path)
        assert "bol's reference" not in text(chief, path)
    with site.shop() as shop:
        shop.sandbox.faults([{"path": "*", "status": 401, "when": "before"}])
        shop.pass_time(900)
        assert shop.store().problem_kind == "sign-in"
    home = html.unescape(chief.get("/admin/").text)
    assert "needs attention</span> Problem since" in home and "It is tried again by itself." not in home
    page = text(chief, f"{store}/")
    assert "Shipments to confirm 1" in page and "Expected done" not in page
    assert "It goes on once the problem above is solved." in page


def test_the_plan_of_shipments_leads_back_to_where_one_was(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store_id = shop.runtime.connect_store(
            name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
        )
        shop.store_id = store_id
        shop.settings(send_shipments=True)
    page = chief.get(f"/admin/bol/{store_id}/shipment-plan").text
    assert f'href="/admin/bol/{store_id}/summary">To the summary<' in page
    with site.shop() as shop:
        shop.runtime.activate(store_id)
    page = chief.get(f"/admin/bol/{store_id}/shipment-plan").text
    assert f'href="/admin/bol/{store_id}/">To the store<' in page


def test_a_store_that_was_disconnected_on_purpose_has_no_problem(
    site: Site, store: int, chief: Person
) -> None:
    with site.shop() as shop:
        shop.runtime.disconnect(store, at_once=True, who="chief")
        shop.work()
        with transaction() as session:
            session.execute(update(Store).values(problem="This store is not connected."))
    assert "disconnected" in text(chief, "") and "This store is not connected." not in text(chief, "")
    home = chief.get("/admin/").text
    assert "disconnected</span> No new orders come in." in home
    assert "needs attention</span>" not in home and "problem at bol</span>" not in home


def test_a_line_names_its_article_once_and_leaves_bols_own_words_their_number() -> None:
    item = BolOrderItem(order_item_id="8012", title="Kettle", ean=KETTLE)
    line = "bol refused shipment 5 of item 8012: Order item with id 8012 is already shipped."
    assert words.with_articles(line, [item]) == (
        "bol refused shipment 5 of item Kettle: Order item with id 8012 is already shipped."
    )

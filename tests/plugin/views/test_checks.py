"""The pages of stock checks, and the plan before stock is sent."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from host_app.db import transaction
from host_app.services.stock import adjust_stock
from plugin.models import Discrepancy, Offer, Run, RunState
from plugin.settings import StoreSettings
from plugin.sync.findings import KIND
from plugin.sync.products import KIND as PRODUCTS
from plugin.views import checks
from plugin.views.checks import harmless
from tests.host_app.admin.conftest import Person
from tests.host_app.factories import add_product
from tests.plugin.conftest import KETTLE, TOASTER
from tests.plugin.portal import set_at_bol
from tests.plugin.views.conftest import Site
from tests.plugin.views.test_store_pages import press, text


@pytest.fixture
def sending(site: Site) -> int:
    """A store that sends stock, and an offer that somebody changed at bol."""
    with site.shop() as shop:
        store_id = shop.connect(send_stock=True)
        shop.work()
        set_at_bol(shop, KETTLE, 99)
    return store_id


def work(site: Site) -> None:
    with site.shop() as shop:
        shop.work()


def newest(site: Site) -> Run:
    with site.shop() as shop:
        return shop.all(Run, Run.kind == KIND)[-1]  # type: ignore[no-any-return]


def kept(site: Site) -> StoreSettings:
    with site.shop() as shop:
        return StoreSettings.load(shop.store().settings)


def test_a_check_is_started_watched_and_read(site: Site, sending: int, chief: Person) -> None:
    page = press(chief, f"{sending}/checks/start")
    assert "Your offers are compared with bol" in page
    assert "data-bol-running" in page
    work(site)
    run = newest(site)
    assert (run.asked_by, run.dry) == ("chief", False)
    report = text(chief, f"{sending}/checks/{run.id}")
    assert "1 differs" in report
    assert f"{KETTLE} KETTLE-1 Kettle 99 20 changed at bol" in report
    assert "sent anew" in report
    assert "data-bol-running" not in chief.get(f"/admin/bol/{sending}/checks/{run.id}").text
    row = text(chief, f"{sending}/checks")
    assert "chief done 2 1 1" in row


def test_what_a_dry_run_found_is_corrected_by_a_button(
    site: Site, sending: int, chief: Person, packer: Person
) -> None:
    press(chief, f"{sending}/checks/start", dry="on")
    work(site)
    dry = newest(site)
    path = f"{sending}/checks/{dry.id}"
    assert "Correct these" in text(chief, path)
    assert "Correct these" not in text(packer, path)
    press(chief, f"{sending}/checks/start")
    work(site)
    assert "Correct these" not in text(chief, f"{sending}/checks/{newest(site).id}")
    with site.shop() as shop:
        shop.work()
        assert shop.amount_at_bol(KETTLE) == 20
        shop.settings(send_stock=False)
    off = text(chief, path)
    assert "Correct these" not in off
    assert "See what sending stock would change" in off


def test_a_dry_run_says_that_nothing_was_changed(site: Site, sending: int, chief: Person) -> None:
    press(chief, f"{sending}/checks/start", dry="on")
    work(site)
    report = text(chief, f"{sending}/checks/{newest(site).id}")
    assert "only compared" in report
    assert "nothing was changed" in report
    assert "reported only" in report
    with site.shop() as shop:
        assert shop.amount_at_bol(KETTLE) == 99


def test_pages_of_an_offer_tell_what_a_dry_run_has_seen_at_bol(
    site: Site, sending: int, chief: Person
) -> None:
    """It was read, and not corrected: that the last update was the right one does not make it up to date."""
    with site.shop() as shop:
        (walk,) = shop.all(Run, Run.kind == PRODUCTS)
        earlier = walk.finished_at - timedelta(minutes=17)
        with transaction() as session:
            session.execute(update(Run).where(Run.id == walk.id).values(finished_at=earlier))
    press(chief, f"{sending}/checks/start", dry="on")
    work(site)
    with site.shop() as shop:
        offer = shop.offer(KETTLE)
    seen = "bol showed 99 at the stock check of"
    assert seen in text(chief, f"{sending}/offers")
    page = text(chief, f"{sending}/offers/{offer.id}")
    assert seen in page
    assert "Still for sale at bol 99, read" in page
    assert "bol showed 99" in chief.get(f"/admin/products/{offer.product_id}").text
    narrowed = text(chief, f"{sending}/offers?state=differs")
    assert KETTLE in narrowed and TOASTER not in narrowed
    overview = text(chief, f"{sending}/")
    assert "read just now, to compare their stock. Before that 17 minutes ago" in overview
    press(chief, f"{sending}/checks/start")
    work(site)
    with site.shop() as shop:
        shop.work()
    assert "at the stock check of" not in text(chief, f"{sending}/offers/{offer.id}")
    assert "No offer fits." in text(chief, f"{sending}/offers?state=differs")


def test_differences_are_chosen_by_their_cause(site: Site, sending: int, chief: Person) -> None:
    with site.shop() as shop:
        set_at_bol(shop, TOASTER, 10, managed=False)
    press(chief, f"{sending}/checks/start")
    work(site)
    path = f"{sending}/checks/{newest(site).id}"
    assert KETTLE in text(chief, path)
    assert TOASTER in text(chief, path)
    chosen = text(chief, f"{path}?state=switched+cut-off")
    assert TOASTER in chosen
    assert KETTLE not in chosen


def test_a_check_is_stopped(site: Site, sending: int, chief: Person) -> None:
    press(chief, f"{sending}/checks/start")
    page = press(chief, f"{sending}/checks/{newest(site).id}/stop")
    assert "The check is stopped." in page
    assert newest(site).state == RunState.STOPPED
    assert "ended already" in press(chief, f"{sending}/checks/{newest(site).id}/stop")


def test_a_second_check_waits_for_the_first(sending: int, chief: Person) -> None:
    press(chief, f"{sending}/checks/start")
    assert "A stock check is under way already" in press(chief, f"{sending}/checks/start")
    assert "disabled" in chief.get(f"/admin/bol/{sending}/checks").text


def test_a_check_that_bol_keeps_waiting_says_why_and_when_it_goes_on(
    site: Site, sending: int, chief: Person
) -> None:
    with site.shop() as shop:
        shop.sandbox.faults([{"path": "/retailer/offers", "when": "before", "status": 500}])
    press(chief, f"{sending}/checks/start")
    work(site)
    page = text(chief, f"{sending}/checks/{newest(site).id}")
    assert "The check is interrupted. bol has a technical problem" in page
    assert "It goes on by itself at" in page


def test_progress_is_told_with_the_time_left(site: Site, sending: int, chief: Person) -> None:
    press(chief, f"{sending}/checks/start")
    with site.shop() as shop, transaction() as session:
        session.execute(
            update(Run)
            .where(Run.kind == KIND)
            .values(
                expected=300,
                counts={"offers": 100},
                started_at=shop.clock.now() - shop.hours(0.1),
            )
        )
    page = chief.get(f"/admin/bol/{sending}/checks").text
    assert '<progress class="bol-progress" max="100" value="33"' in page
    assert "About 12 minutes left" in page


def test_the_report_comes_as_a_file(
    site: Site, sending: int, packer: Person, chief: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "CHUNK", 1)
    with site.shop() as shop:
        set_at_bol(shop, TOASTER, 10, managed=False)
    press(chief, f"{sending}/checks/start")
    work(site)
    answer = packer.get(f"/admin/bol/{sending}/checks/{newest(site).id}/report.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.text.startswith("\ufeffEAN,")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [(row["EAN"], row["Stock at bol"], row["Stock by us"], row["Cause"]) for row in rows] == [
        (KETTLE, "99", "20", "changed at bol"),
        (TOASTER, "10", "10", "orders subtracted by the other"),
    ]
    assert (rows[1]["Orders subtracted by, at bol"], rows[1]["Orders subtracted by, as it should be"]) == (
        "bol",
        "this warehouse",
    )


def test_a_cell_of_the_file_is_never_a_formula(site: Site, sending: int, chief: Person) -> None:
    press(chief, f"{sending}/checks/start")
    work(site)
    with site.shop(), transaction() as session:
        session.execute(update(Discrepancy).values(ean="=1+1"))
    answer = chief.get(f"/admin/bol/{sending}/checks/{newest(site).id}/report.csv")
    assert "\n'=1+1," in answer.text
    assert [harmless(cell) for cell in ("+1", "-1", "@x", "12", None, 0)] == [
        "'+1",
        "'-1",
        "'@x",
        "12",
        "",
        "0",
    ]


@pytest.mark.parametrize("path", ["checks/99", "checks/99/report.csv", "checks/1"])
def test_a_check_that_is_not_there(sending: int, chief: Person, path: str) -> None:
    assert chief.get(f"/admin/bol/{sending}/{path}").status_code == 404


def test_large_stores_are_told_that_nights_are_left_out(
    sending: int, chief: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LARGEST", 2)
    assert "it is not checked by night" in text(chief, f"{sending}/checks")


# the plan


def turn_on(chief: Person, store: int) -> str:
    return press(chief, f"{store}/settings", send_stock="on", safety_stock="2", max_stock="50")


def test_turning_stock_updates_on_shows_first_what_changes(site: Site, store: int, chief: Person) -> None:
    page = turn_on(chief, store)
    assert "What happens if stock updates are sent" in page
    assert "stays off until you have seen the plan" in page
    settings = kept(site)
    assert (settings.send_stock, settings.safety_stock, settings.max_stock) == (False, 2, 50)
    work(site)
    plan = text(chief, f"{store}/stock-plan")
    assert "Offers that change 2" in plan
    assert "of which go to 0 0" in plan
    assert f"{KETTLE} KETTLE-1 Kettle 20 18 20 free here − 2 kept back" in plan
    assert f"{TOASTER} {TOASTER} Toaster 10 8 10 free here − 2 kept back" in plan
    assert "Left alone: shipped by bol 1" in plan
    with site.shop() as shop:
        assert shop.writes() == []


def test_the_plan_says_what_makes_each_amount(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 3))
        shop.import_orders()
        assert shop.host_order(order_id)
        (toaster,) = shop.all(Offer, Offer.ean == TOASTER)
        shop.runtime.set_safety_stock(store, toaster.id, 1)
        (kettle,) = shop.all(Offer, Offer.ean == KETTLE)
    fields = {"safety_stock": "2", "max_stock": "9", "managed_by_retailer": "off"}
    press(chief, f"{store}/settings", send_stock="on", **fields)
    work(site)
    plan = text(chief, f"{store}/stock-plan")
    made = "20 in stock − 3 ordered + 3 that bol subtracts itself − 2 kept back; at most 9 are shown"
    assert f"{KETTLE} KETTLE-1 Kettle 20 9" in plan and made in plan
    assert "10 free here − 1 kept back" in plan
    assert made in text(chief, f"{store}/summary")
    with site.shop() as shop, transaction():
        assert kettle.product_id is not None
        adjust_stock(kettle.product_id, shop.warehouse, set_to=3, reason="counted", who="ann")
    # What is another amount by now is not told of the one that was planned.
    assert made not in text(chief, f"{store}/stock-plan")


def test_the_plan_is_carried_out(site: Site, store: int, chief: Person) -> None:
    turn_on(chief, store)
    work(site)
    page = press(chief, f"{store}/stock-plan/send")
    assert "Stock updates are sent from now on." in page
    assert kept(site).send_stock
    assert kept(site).safety_stock == 2
    work(site)
    with site.shop() as shop:
        assert (shop.amount_at_bol(KETTLE), shop.amount_at_bol(TOASTER)) == (18, 8)


def test_it_can_be_left_off(site: Site, store: int, chief: Person) -> None:
    turn_on(chief, store)
    work(site)
    assert f'href="/admin/bol/{store}/">Leave it off</a>' in chief.get(f"/admin/bol/{store}/stock-plan").text
    assert not kept(site).send_stock


def test_the_guard_would_stop_the_zeros_says_the_plan(site: Site, store: int, chief: Person) -> None:
    press(chief, f"{store}/settings", send_stock="on", safety_stock="15", guard_least="1")
    work(site)
    plan = text(chief, f"{store}/stock-plan")
    assert "of which go to 0 1" in plan
    assert "The guard would stop the zeros. 1 of 2 offers go to 0" in plan


def test_offers_that_rise_from_zero_are_counted(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        set_at_bol(shop, KETTLE, 0)
    press(chief, f"{store}/settings", send_stock="on")
    work(site)
    assert "of which rise from 0 1" in text(chief, f"{store}/stock-plan")


def test_a_plan_by_other_settings_is_worked_out_again(site: Site, store: int, chief: Person) -> None:
    turn_on(chief, store)
    work(site)
    press(chief, f"{store}/settings", send_stock="off", safety_stock="4")
    page = chief.get(f"/admin/bol/{store}/stock-plan").text
    assert "The settings were changed since this plan was made." in page
    assert "stock-plan/send" not in page
    press(chief, f"{store}/stock-plan/work-out")
    work(site)
    assert "stock-plan/send" in chief.get(f"/admin/bol/{store}/stock-plan").text


def test_an_outdated_plan_asks_nobody_to_decide_while_stock_is_sent(
    site: Site, store: int, chief: Person
) -> None:
    press(chief, f"{store}/stock-plan/work-out")
    page = text(chief, f"{store}/stock-plan")
    assert "stays off until you have seen the plan" in page and "settings are saved" not in page
    work(site)
    with site.shop() as shop:
        shop.settings(send_stock=True, safety_stock=1)
        shop.work()
    page = text(chief, f"{store}/stock-plan")
    assert "Nothing is to be decided here: sending is on." in page
    assert "before you decide" not in page


def test_a_plan_that_stock_or_an_import_overtook_is_worked_out_again(
    site: Site, store: int, chief: Person
) -> None:
    turn_on(chief, store)
    work(site)
    with site.shop() as shop:
        product_id = shop.offer(KETTLE).product_id
        with transaction():
            adjust_stock(product_id, shop.warehouse, set_to=3, reason="counted", who="ann")
    work(site)
    address = f"/admin/bol/{store}/stock-plan"
    assert "stock-plan/send" in chief.get(address).text, "in a busy shop some stock changes all the time"
    with site.shop() as shop:
        shop.pass_time(400)
    page = chief.get(address).text
    assert "Stock or products changed since this plan was made" in page
    assert "stock-plan/send" not in page
    press(chief, f"{store}/stock-plan/work-out")
    work(site)
    assert f"{KETTLE} KETTLE-1 Kettle 20 1" in text(chief, f"{store}/stock-plan")
    with site.shop() as shop:
        shop.runtime.import_products(store)
    assert "stock-plan/send" not in chief.get(address).text


def test_a_plan_that_was_overtaken_is_worked_out_by_itself_once_nothing_is_imported(
    site: Site, store: int, chief: Person
) -> None:
    address = f"/admin/bol/{store}/stock-plan"
    assert 'data-bol-press="first"' in chief.get(address).text
    turn_on(chief, store)
    work(site)
    assert "data-bol-press" not in chief.get(address).text
    plan = newest(site).id
    with site.shop() as shop:
        shop.runtime.import_products(store)
    page = chief.get(address).text
    assert "data-bol-press" not in page, "the import would overtake it once more"
    assert re.search('id="bol-plan" data-bol-part data-bol-running>', page)
    assert "After that the plan is worked out by itself." in page
    work(site)
    assert f'data-bol-press="{plan}"><form' in re.sub(r">\s+<", "><", page := chief.get(address).text)
    assert page.count("data-bol-press") == 1
    press(chief, f"{store}/stock-plan/work-out")
    work(site)
    page = chief.get(address).text
    assert "data-bol-press" not in page and "stock-plan/send" in page
    # Once it is decided on, nobody needs another.
    with site.shop() as shop:
        shop.settings(send_stock=True)
        shop.runtime.import_products(store)
        shop.work()
    assert "data-bol-press" not in chief.get(address).text


def test_a_plan_that_was_stopped_is_not_offered(site: Site, store: int, chief: Person) -> None:
    turn_on(chief, store)
    press(chief, f"{store}/checks/{newest(site).id}/stop")
    page = text(chief, f"{store}/stock-plan")
    assert "stopped before it was complete" in page
    assert "Send stock updates" not in page.replace("“Send stock updates”", "")


def test_a_store_that_is_not_active_yet_is_planned_from_its_summary(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        add_product("K", 7, KETTLE)
        store = shop.runtime.connect_store(
            name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
        )
        shop.work()
    assert "1 offer would change" in text(chief, f"{store}/summary")
    plan = text(chief, f"{store}/stock-plan")
    assert f"{KETTLE} K Product K 20 7" in plan
    assert "Left alone: without a product here 1" in plan
    page = press(chief, f"{store}/stock-plan/send")
    assert "Stock updates are sent once the store is active." in page
    assert "What happens when you activate this store" in page
    assert kept(site).send_stock
    with site.shop() as shop:
        assert shop.writes() == []


def test_a_plan_comes_before_shipments_are_sent(site: Site, chief: Person, store: int) -> None:
    with site.shop() as shop:
        shop.settings(carriers={"postnl": "TNT"})
        orders = [shop.order((KETTLE, 1)), shop.order((KETTLE, 1))]
        shop.import_orders()
        shop.close(orders[0], "postnl", "3S 123")
        shop.close(orders[1], "gls", "G1")
        shop.work()
    assert "See what would be sent" in text(chief, f"{store}/")
    plan = text(chief, f"{store}/shipment-plan")
    assert "1 parcel that waits is reported to bol." in plan
    assert "1 parcel waits for its carrier's code." in plan
    assert re.search(rf"{orders[0]} today \d\d:\d\d PostNL TNT 3S123 reported at once", plan)
    assert re.search(rf"{orders[1]} today \d\d:\d\d GLS G1 waits for the carrier's code", plan)
    with site.shop() as shop:
        assert shop.writes() == []
    assert "Shipments are sent from now on." in press(chief, f"{store}/shipment-plan/send")
    work(site)
    with site.shop() as shop:
        assert [shipment["order"]["orderId"] for shipment in shop.shipments_at_bol()] == [orders[0]]
        assert kept(site).send_shipments
    assert "Nothing: no parcel waits." not in text(chief, f"{store}/shipment-plan")


def test_a_plan_without_parcels_says_so(site: Site, chief: Person, store: int) -> None:
    assert "Nothing: no parcel waits." in text(chief, f"{store}/shipment-plan")


def test_each_check_tells_what_it_was_and_those_of_the_set_up_are_folded(
    site: Site, chief: Person, packer: Person
) -> None:
    with site.shop() as shop:
        store = shop.store_id = shop.runtime.connect_store(
            name="Shop", environment="sandbox", client_id="seller", client_secret="secret"
        )
        shop.work()
    press(chief, f"{store}/checks/start", dry="on")
    work(site)
    with site.shop() as shop:
        shop.runtime.activate(store, "chief")
        shop.work()
    press(chief, f"{store}/checks/start", dry="on")
    work(site)
    page = text(packer, f"{store}/checks")
    assert "Before the store was activated: nothing sent" in page
    assert "Before stock was sent: only compared" in page
    assert "looks before stock was sent" not in page
    with site.shop() as shop:
        # bol may have changed since it was last seen.
        shop.pass_time(8 * 3600, steps=1)
        shop.settings(send_stock=True, check_time=None)
        shop.work()
        shop.pass_time(600, steps=2)
    press(chief, f"{store}/checks/start")
    work(site)
    press(chief, f"{store}/checks/start", dry="on")
    work(site)
    page, folded = chief.get(f"/admin/bol/{store}/checks").text.split("looks before stock was sent")
    assert "Asked for by chief" in page and "Only compared, asked for by chief: nothing sent" in page
    assert "When sending stock began" in page
    assert "Before" not in page.split("<tbody>")[1] and "Before the store was activated" in folded


def test_a_nightly_check_says_so(site: Site, sending: int, chief: Person) -> None:
    with site.shop() as shop:
        due_at = shop.store().next_check_at
        shop.pass_time((due_at - shop.clock.now()).total_seconds() + 61, steps=1)
    assert "Each night" in text(chief, f"{sending}/checks")
    assert "Each night." in text(chief, f"{sending}/checks/{newest(site).id}")

"""The settings form: what was typed is kept, checked and explained."""

from __future__ import annotations

import html
import re
from dataclasses import fields
from datetime import date

import pytest

from plugin.models import SettingChange
from plugin.settings import DEFAULT_CARRIERS, StoreSettings
from plugin.sync.transporters import TRANSPORTER_CODES
from plugin.views import settings_groups
from plugin.views.words import SETTINGS
from tests.host_app.admin.conftest import Person
from tests.host_app.factories import add_warehouse
from tests.plugin.conftest import KETTLE
from tests.plugin.views.conftest import Site


def path(store_id: int) -> str:
    return f"/admin/bol/{store_id}/settings"


def send(person: Person, store_id: int, **fields: object) -> str:
    return html.unescape(person.post(path(store_id), page=path(store_id), **fields).text)


def save(person: Person, store_id: int, **fields: object) -> str:
    """Send the form, and once more with the tick where it tells first what will happen."""
    answer = send(person, store_id, **fields)
    tick = re.search(r'name="confirmed" value="(\w+)"', answer)
    return send(person, store_id, **fields, confirmed=tick[1]) if tick else answer


def kept(site: Site) -> StoreSettings:
    with site.shop() as shop:
        return StoreSettings.load(shop.store().settings)


def test_who_saves_the_settings_of_a_working_store_stays_there_and_sees_what_changed(
    store: int, chief: Person
) -> None:
    saved = chief.post(path(store), page=path(store), safety_stock="2", import_minutes="30")
    answer = html.unescape(saved.text)
    assert "The settings are saved. Changed: Look for new orders every ... minutes, Keep back." in answer
    assert "What was changed" in answer
    assert "What happens when you activate" not in answer
    assert "The settings are saved. Nothing was changed." in send(chief, store, safety_stock="2")


def test_a_page_that_was_opened_before_somebody_else_saved_undoes_nothing(
    site: Site, store: int, chief: Person
) -> None:
    opened = re.search(r'name="opened" value="(\w+)"', chief.get(path(store)).text)
    assert opened
    send(chief, store, safety_stock="2", opened=opened[1])
    answer = send(chief, store, safety_stock="0", import_minutes="30", opened=opened[1])
    assert "Nothing was saved: the settings were changed since you opened this page" in answer
    assert (kept(site).safety_stock, kept(site).import_minutes) == (2, 5)
    assert 'id="import_minutes" name="import_minutes" value="30"' in answer
    again = re.search(r'name="opened" value="(\w+)"', answer)
    assert again
    send(chief, store, safety_stock="2", import_minutes="30", opened=again[1])
    assert (kept(site).safety_stock, kept(site).import_minutes) == (2, 30)


def test_every_setting_is_saved(site: Site, store: int, chief: Person) -> None:
    answer = save(
        chief,
        store,
        import_products="off",
        import_orders="on",
        process_orders="off",
        accept_requests="on",
        lookup="barcode",
        orders_from="2026-10-01",
        import_minutes="30",
        address_days="30",
        warehouse_id="1",
        stock_warehouses=["", "1"],
        send_shipments="on",
        check_at_closing="off",
        overrule_at_closing="on",
        confirm_after_minutes="10",
        tracking_wait_minutes="60",
        carrier_days="2",
        tracking_patterns="3S* = TNT\r\n\r\nJVGL*=DHL",
        safety_stock="2",
        max_stock="50",
        managed_by_retailer="off",
        mail_kinds=["", "order", "stock"],
        mail_to="ann@example.com, bob@example.com",
        **{"carrier:postnl": "TNT-EXTRA", "carrier:gls": ""},
    )
    assert "The settings are saved." in answer
    assert "Mails are sent only if there is a mail server" in answer
    summary = chief.get(f"/admin/bol/{store}/summary").text
    assert "Those placed before 1 Oct 2026 are left alone." in summary
    assert "GLS" in summary
    assert kept(site) == StoreSettings(
        import_products=False,
        process_orders=False,
        accept_requests=True,
        lookup="barcode",
        orders_from=date(2026, 10, 1),
        import_minutes=30,
        address_days=30,
        warehouse_id=1,
        stock_warehouses=(1,),
        send_shipments=True,
        check_at_closing=False,
        overrule_at_closing=True,
        confirm_after_minutes=10,
        tracking_wait_minutes=60,
        carrier_days=2,
        tracking_patterns={"3S*": "TNT", "JVGL*": "DHL"},
        safety_stock=2,
        max_stock=50,
        managed_by_retailer=False,
        mail_kinds=("order", "stock"),
        mail_to="ann@example.com bob@example.com",
        carriers=dict(DEFAULT_CARRIERS) | {"postnl": "TNT-EXTRA", "gls": ""},
    )


def test_the_choice_of_mails_says_first_what_they_need(store: int, chief: Person) -> None:
    page = chief.get(f"/admin/bol/{store}/settings").text
    needs = 'Nothing is mailed until this installation has a mail server (HOST_SMTP_URL): the page <a href="/admin/notifications/">'
    assert 0 < page.index(needs) < page.index("Told by e-mail")


def test_the_form_as_shown_changes_nothing(site: Site, store: int, chief: Person) -> None:
    save(chief, store)
    assert kept(site) == StoreSettings()


def test_fields_can_be_emptied(site: Site, store: int, chief: Person) -> None:
    save(chief, store, orders_from="2026-10-01", warehouse_id="1", stock_warehouses=["", "1"])
    save(chief, store, orders_from="", warehouse_id="", stock_warehouses=[""])
    assert kept(site) == StoreSettings()


def test_the_warehouse_that_delivers_by_itself_is_offered_once_and_says_what_it_follows(
    site: Site, store: int, chief: Person
) -> None:
    def choices() -> list[tuple[str, str, str]]:
        page = html.unescape(chief.get(path(store)).text)
        box = page.partition('name="warehouse_id"')[2].partition("</select>")[0]
        return re.findall(r'<option value="(\d*)"( selected)?>([^<]+)<', box)

    assert choices() == [("", "", "Main")]
    with site.shop():
        second = str(add_warehouse("Attic"))
    assert choices() == [
        ("", "", "Main (the first; follows if another becomes the first)"),
        (second, "", "Attic"),
    ]
    # Chosen by its name it does not follow.
    save(chief, store, warehouse_id="1")
    assert choices()[1] == ("1", " selected", "Main, always")
    # Of those only whose stock is offered the first one counts, even where another one comes before it.
    save(chief, store, warehouse_id="", stock_warehouses=["", "1"])
    assert choices() == [
        ("", "", "Main (the first whose stock is offered; follows if another becomes that)"),
        (second, "", "Attic"),
    ]
    save(chief, store)
    assert kept(site) == StoreSettings(stock_warehouses=(1,))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("import_minutes", "4", "Choose 5 to 60 minutes."),
        ("import_minutes", "often", "Enter a whole number."),
        ("address_days", "0", "Choose 1 to"),
        ("safety_stock", "-1", "Choose 0 to 999 pieces."),
        ("mail_to", "ann", "ann is no e-mail address."),
        ("max_stock", "1000", "bol takes 0 to 999 pieces."),
        ("confirm_after_minutes", "1441", "Choose 0 to 1440 minutes."),
        ("carrier_days", "6", "Choose 0 to 5 days."),
        ("tracking_patterns", "3S*", "Give each pattern one of bol's codes."),
        ("orders_from", "yesterday", "Enter a day"),
        ("lookup", "luck", "Choose how products are found."),
        ("warehouse_id", "99", "This warehouse is not there any more"),
        ("stock_warehouses", "x", "One of these warehouses"),
        ("carrier:dhl", "D" * 61, "at most 60 characters"),
    ],
)
def test_what_cannot_be_used_is_told_at_the_field(
    site: Site, store: int, chief: Person, field: str, value: str, message: str
) -> None:
    answer = save(chief, store, **{"send_stock": "on", field: value})
    assert message in answer
    assert "Nothing was saved" in answer
    if field not in ("lookup", "warehouse_id", "stock_warehouses", "tracking_patterns"):
        assert f'value="{value}"' in answer
    assert kept(site) == StoreSettings()


def test_all_that_is_wrong_is_named_in_the_order_of_the_page_and_leads_to_its_field(
    site: Site, store: int, chief: Person
) -> None:
    typed = {"import_minutes": "1", "address_days": "0", "safety_stock": "x", "mail_to": "ann ben"}
    long = {"carrier:dhl": "D" * 61, "carrier:gls": "G" * 61}
    answer = send(chief, store, **typed, **long)
    box = answer.split('id="wrong" tabindex="-1" autofocus>')[1].split("</div>")[0]
    assert "Nothing was saved. Please correct 6 fields:" in box
    told = re.findall(r'href="#([^"]+)">([^<]+)</a>: ([^<]+)<', box)
    assert told == [
        ("import_minutes", "Look for new orders every ... minutes", "Choose 5 to 60 minutes."),
        ("safety_stock", "Keep back", "Enter a whole number."),
        ("carrier-dhl", "DHL", "bol's code for a carrier has at most 60 characters."),
        ("carrier-gls", "GLS", "bol's code for a carrier has at most 60 characters."),
        ("address_days", "Keep names and addresses for ... days", "Choose 1 to 3650 days."),
        ("mail_to", "To these addresses", "These are no e-mail addresses: ann, ben."),
    ]
    for place, _title, message in told:
        field = re.search(rf'<input[^>]*id="{place}"[^>]*>', answer)
        assert field and "is-invalid" in field.group() and 'aria-invalid="true"' in field.group()
        name = re.search(r'name="([^"]+)"', field.group())
        assert name and re.search(rf'id="{name[1]}-error">{re.escape(message)}<', answer)
    assert kept(site) == StoreSettings()


def test_typed_text_is_escaped(store: int, chief: Person) -> None:
    answer = chief.post(path(store), page=path(store), max_stock='"><script>alert(1)</script>').text
    assert "<script>alert" not in answer


def test_who_changed_what_is_shown(site: Site, store: int, chief: Person) -> None:
    save(chief, store, safety_stock="3", import_orders="on", **{"carrier:gls": "GLS-NL"})
    chief.post(f"/admin/bol/{store}/pause")
    page = html.unescape(re.sub(r"<[^>]+>", " ", chief.get(path(store)).text.split('id="changes"')[1]))
    rows = re.sub(r"\s+", " ", page)

    assert "chief Store active paused" in rows
    assert "chief Keep back 0 3" in rows
    assert "chief bol's code for each carrier gls: GLS gls: GLS-NL" in rows
    assert "Import orders" not in rows
    with site.shop() as shop:
        shop.runtime.save_settings(store, StoreSettings())
    assert "by itself" in chief.get(path(store)).text


def test_every_setting_has_words_for_its_changes() -> None:
    assert {item.name for item in fields(StoreSettings)} | {"state"} == set(SETTINGS)


def test_a_refused_form_is_no_change(site: Site, store: int, chief: Person) -> None:
    before = changes(site)
    save(chief, store, safety_stock="-1")
    save(chief, store)
    assert changes(site) == before


def changes(site: Site) -> int:
    with site.shop() as shop:
        return len(shop.all(SettingChange))


@pytest.mark.parametrize(
    ("before", "typed", "told"),
    [
        ({}, {"import_orders": "off"}, "No orders come in any more"),
        ({}, {"accept_requests": "on"}, "accepted at bol without anybody being asked"),
        ({}, {"address_days": "7"}, "done more than 7 days ago are erased within the hour, for good"),
        ({}, {"call_log_days": "1"}, "older than 1 day are deleted"),
        ({"send_stock": True}, {"send_stock": "off"}, "bol goes on selling what it was told last"),
        ({"send_stock": True}, {"safety_stock": "1"}, "The stock of all 2 linked offers is worked out anew"),
        ({"send_stock": True}, {"max_stock": "0"}, "bol stops selling all of them"),
        ({"send_stock": True}, {"managed_by_retailer": "off"}, "all 2 linked offers is sent anew"),
        ({"send_shipments": True}, {"send_shipments": "off"}, "are not told that parcels left"),
    ],
)
def test_what_is_dangerous_is_told_first_and_happens_with_a_tick_only(
    site: Site, store: int, chief: Person, before: dict[str, bool], typed: dict[str, str], told: str
) -> None:
    with site.shop() as shop:
        shop.settings(**before)
        shop.work()
    first = send(chief, store, **typed)
    assert told in first
    assert "Nothing is saved yet." in first
    assert kept(site) == StoreSettings(**before)
    (name, value) = next(iter(typed.items()))
    assert re.search(rf'name="{name}"[^>]*value="{value}"', first)

    assert "The settings are saved." in save(chief, store, **typed)
    assert kept(site) != StoreSettings(**before)


def test_parcels_that_wait_are_told_before_sending_is_turned_on(
    site: Site, store: int, chief: Person
) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id)
        shop.work()
    assert "Parcels that are reported to bol at once: 1." in send(chief, store, send_shipments="on")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            {"carrier:dpd": "DPD"},
            "“DPD” is none of the codes that bol has published. Do you mean DPD-BE, DPD-NL?",
        ),
        (
            {"carrier:dpd": "BLA"},
            "“BLA” is none of the codes that bol has published. bol may refuse",
        ),
        ({"carrier:postnl": "tnt"}, "“tnt” is none of"),
        ({"tracking_patterns": "3S* = TNTT"}, "“TNTT” is none of"),
    ],
)
@pytest.mark.parametrize("paused", [False, True])
def test_a_code_that_bol_has_not_published_is_kept_only_by_who_insists(
    site: Site, store: int, chief: Person, typed: dict[str, str], told: str, paused: bool
) -> None:
    if paused:
        with site.shop() as shop:
            shop.runtime.pause(store)
    first = send(chief, store, **typed)
    assert told in first and "Nothing is saved yet." in first
    assert kept(site) == StoreSettings()
    assert "The settings are saved." in save(chief, store, **typed)
    assert kept(site) != StoreSettings()
    # What was insisted on is not asked about again with each change of something else.
    assert "Nothing is saved yet." not in send(chief, store, safety_stock="1")


def test_published_codes_stand_on_the_page_and_are_saved_without_a_question(
    site: Site, store: int, chief: Person
) -> None:
    page = chief.get(path(store)).text
    assert '<option value="DPD-NL">' in page and "All codes that bol has published" in page
    for code in TRANSPORTER_CODES:
        assert "Nothing is saved yet." not in send(chief, store, **{"carrier:dpd": code})
        assert kept(site).carriers["dpd"] == code


def test_who_empties_a_code_is_told_whose_parcels_wait_and_reads_the_usual_code(
    site: Site, store: int, chief: Person
) -> None:
    first = send(chief, store, **{"carrier:dpd": ""})
    assert "Parcels of DPD wait from now on and are not reported to bol" in first
    assert kept(site) == StoreSettings()
    save(chief, store, **{"carrier:dpd": ""})
    assert kept(site).carriers["dpd"] == ""
    assert "Usual: DPD-NL." in chief.get(path(store)).text


def test_a_tick_is_for_what_was_told_and_nothing_else(site: Site, store: int, chief: Person) -> None:
    first = send(chief, store, accept_requests="on")
    tick = re.search(r'name="confirmed" value="(\w+)"', first)
    assert tick
    second = send(chief, store, accept_requests="on", address_days="1", confirmed=tick[1])

    assert "Nothing is saved yet." in second
    assert kept(site) == StoreSettings()


def test_a_store_that_is_not_active_needs_no_second_look(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.runtime.pause(store)
    assert "The settings are saved." in send(chief, store, accept_requests="on", address_days="1")


def folded(page: str) -> dict[str, tuple[bool, str]]:
    """Return each group of a page: whether it is open, and what its line tells."""
    found = re.findall(
        r'<details class="card mb-2 bol-group" id="(\w+)"( open)?>.*?<span[^>]*>([^<]*)<', page
    )
    return {group: (bool(opened), html.unescape(line)) for group, opened, line in found}


def test_each_group_tells_in_one_line_what_is_set(site: Site, store: int, chief: Person) -> None:
    with site.shop() as shop:
        shop.settings(
            send_stock=True, safety_stock=2, max_stock=50, send_shipments=True, confirm_after_minutes=1,
            carriers={}, import_minutes=30, mail_kinds=("label", "stock"), overrule_at_closing=True,
            orders_from=date(2026, 3, 2), import_products=False,
        )  # fmt: skip
    groups = folded(chief.get(f"/admin/bol/{store}/settings").text)
    assert set(groups) == {
        "orders", "products", "stock", "shipments", "labels", "cancellations", "notifications", "data",
    }  # fmt: skip
    assert not any(opened for opened, _line in groups.values())
    assert groups["orders"][1] == "imported every 30 minutes · placed from 2 Mar 2026 · processed at once"
    assert groups["products"][1] == "not imported · found by code first"
    assert groups["stock"][1] == "sent to bol · 2 kept back · at most 50 shown · compared each night at 03:30"
    assert re.fullmatch(
        r"told to bol · after 1 minute · carriers take 1 day · \d+ carriers without a code",
        groups["shipments"][1],
    )
    assert groups["cancellations"][1].endswith("bol is asked before closing · packers may ship all the same")
    assert groups["notifications"][1] == "2 kinds are mailed"
    assert groups["data"][1] == "addresses kept for 90 days · calls kept for 14 days"


def test_every_setting_is_in_one_of_the_groups() -> None:
    grouped = [name for _title, names in settings_groups.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(StoreSettings().dump())


def test_what_is_wrong_or_not_saved_yet_is_unfolded(site: Site, store: int, chief: Person) -> None:
    page = f"/admin/bol/{store}/settings"
    shown = chief.post(page, page=page, safety_stock="-1", **{"carrier:dpd": "X" * 99}).text
    opened = {group for group, (opened, _line) in folded(shown).items() if opened}
    assert opened == {"stock", "shipments"}
    # What is to be confirmed first.
    shown = chief.post(page, page=page, address_days="30").text
    assert "Nothing is saved yet" in shown
    assert {group for group, (opened, _line) in folded(shown).items() if opened} == {"data"}
    assert folded(shown)["data"][1] == "addresses kept for 90 days · calls kept for 14 days"


def test_who_changes_how_long_carriers_take_is_told_how_many_orders_move(
    site: Site, store: int, chief: Person
) -> None:
    with site.shop() as shop:
        shop.sandbox.place_order("seller", [{"ean": KETTLE, "quantity": 1}])
        shop.sandbox.place_order("seller", [{"ean": KETTLE, "quantity": 1}])
        shop.import_orders()
    told = "2 open orders get another day to leave."
    assert told in send(chief, store, carrier_days="0")
    assert kept(site).carrier_days == 1
    assert "Changed: Carriers take." in save(chief, store, carrier_days="0")
    assert kept(site).carrier_days == 0
    assert told not in send(chief, store, carrier_days="0", safety_stock="1")

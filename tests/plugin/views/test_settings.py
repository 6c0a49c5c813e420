"""The settings form: what was typed is kept, checked and explained."""

from __future__ import annotations

import html
from datetime import date

import pytest

from plugin.settings import DEFAULT_CARRIERS, StoreSettings
from tests.host_app.admin.conftest import Person
from tests.plugin.views.conftest import Site


def path(store_id: int) -> str:
    return f"/admin/bol/{store_id}/settings"


def save(person: Person, store_id: int, **fields: object) -> str:
    return html.unescape(person.post(path(store_id), page=path(store_id), **fields).text)


def kept(site: Site) -> StoreSettings:
    with site.shop() as shop:
        return StoreSettings.load(shop.store().settings)


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
        tracking_patterns="3S* = TNT\r\n\r\nJVGL*=DHL",
        safety_stock="2",
        max_stock="50",
        managed_by_retailer="off",
        **{"carrier:postnl": "TNT-EXTRA", "carrier:gls": ""},
    )
    assert "The settings are saved." in answer
    assert "placed from 1 Oct 2026 on" in answer
    assert "GLS" in answer
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
        tracking_patterns={"3S*": "TNT", "JVGL*": "DHL"},
        safety_stock=2,
        max_stock=50,
        managed_by_retailer=False,
        carriers=dict(DEFAULT_CARRIERS) | {"postnl": "TNT-EXTRA", "gls": ""},
    )


def test_the_form_as_shown_changes_nothing(site: Site, store: int, chief: Person) -> None:
    save(chief, store)
    assert kept(site) == StoreSettings()


def test_fields_can_be_emptied(site: Site, store: int, chief: Person) -> None:
    save(chief, store, orders_from="2026-10-01", warehouse_id="1", stock_warehouses=["", "1"])
    save(chief, store, orders_from="", warehouse_id="", stock_warehouses=[""])
    assert kept(site) == StoreSettings()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("import_minutes", "4", "Choose 5 to 60 minutes."),
        ("import_minutes", "often", "Enter a whole number."),
        ("address_days", "0", "Choose 1 to"),
        ("safety_stock", "-1", "Choose 0 to 999 pieces."),
        ("max_stock", "1000", "bol takes 0 to 999 pieces."),
        ("confirm_after_minutes", "1441", "Choose 0 to 1440 minutes."),
        ("tracking_patterns", "3S*", "Give each pattern a transporter code."),
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


def test_typed_text_is_escaped(store: int, chief: Person) -> None:
    answer = chief.post(path(store), page=path(store), max_stock='"><script>alert(1)</script>').text
    assert "<script>alert" not in answer

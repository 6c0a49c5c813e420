"""Each text on each page of the host can be translated: in a language whose texts are marked, all are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import MetaData, update

from host_app.db import db, transaction, utcnow
from host_app.mail_server import MailServer
from host_app.models import EventDelivery, MailSetting, Order
from host_app.plugin_api import (
    Address,
    Attention,
    ClosingAnswer,
    HostPort,
    Integration,
    Level,
    NewLabel,
    NewOrder,
    NewOrderLine,
    NewProduct,
    Notice,
    OrderCancelled,
    Panel,
    PanelLink,
    PanelRow,
    PluginInfo,
    ShippingOption,
    ShippingOptions,
    StoreSummary,
    Wake,
    hookimpl,
)
from host_app.port import host_port
from host_app.services import catalog, orders, picking
from tests.conftest import AppFactory
from tests.host_app import factories
from tests.host_app.admin.conftest import Person, add_people, logged_in
from tests.pseudo import data, speak, unmarked

pytestmark = pytest.mark.long

#: Data that is written where no mark can be.
KNOWN = ("chief", "packer", "order:", "order_cancelled", "shop")
LIST_PAGES = (
    "orders",
    "picklists",
    "products",
    "shipments",
    "notifications",
    "webshops",
    "warehouses",
    "users",
)
#: What WTForms says, from its own catalogue.
FORMS = (
    "Dit veld is vereist.",
    "Ongeldige decimale waarde.",
    "Getal moet tussen 0 en 9999999999 liggen.",
    "Nummer moet tussen 0 en 9999999999 liggen.",
    "Veld mag niet langer zijn dan 80 karakters.",
)


class Shop:
    """A plugin whose every word is data."""

    answer: ClosingAnswer | None = None
    stores: tuple[StoreSummary, ...] = ()
    fails = False

    @hookimpl
    def plugin_info(self) -> PluginInfo:
        return PluginInfo("shop", data("Shop"), "1", "tests", "shop_", MetaData(), "", ("shop",))

    @hookimpl
    def attention(self, host: HostPort) -> Attention:
        return Attention(data("To do"), 3, "/admin/")

    @hookimpl
    def integrations(self, host: HostPort) -> list[Integration]:
        return [Integration("shop", data("Shop"), data("sells"), "/admin/", self.stores)]

    @hookimpl
    def order_panels(self, host: HostPort, order_id: int) -> list[Panel]:
        if self.fails:
            raise RuntimeError
        rows = (PanelRow(data("a"), data("b")),)
        return [Panel(data("Shop"), rows, (PanelLink(data("Look"), "/admin/"),))]

    @hookimpl
    def picklist_closing(self, host: HostPort, picklist_id: int) -> ClosingAnswer | None:
        if self.fails:
            raise RuntimeError
        return self.answer

    @hookimpl
    def shipping_options(
        self, host: HostPort, picklist_id: int, pieces: Mapping[int, int]
    ) -> ShippingOptions:
        if self.fails:
            raise RuntimeError
        options = (
            ShippingOption("a", data("Small"), "DHL", Decimal("3.10"), (data("flat"),), recommended=True),
            ShippingOption("b", data("Large"), "DHL", None),
        )
        return ShippingOptions(options)

    @hookimpl
    def request_label(self, host: HostPort, picklist_id: int, option_key: str) -> list[Wake]:
        return []

    @hookimpl
    def order_cancelled(self, host: HostPort, event: OrderCancelled) -> list[Wake]:
        return []


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def site(
    make_app: AppFactory, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    """An installation that speaks the language of tests, with a plugin and mails."""
    mails = MailServer("127.0.0.1", 1, "none", "wms@example.com", "", "")
    app = make_app(language="nl", blocked_plugins=("bol",), extra_plugins={"shop": shop}, mail_server=mails)
    speak(app, tmp_path / "marked", monkeypatch)
    add_people(app)
    yield app


def warehouse_at_work() -> None:
    """Make a warehouse with one of everything that a page may show."""
    place = factories.add_warehouse(data("Main"))
    with transaction() as session:
        known, unknown = (
            catalog.create_product(
                NewProduct(data(code), data("Thing"), Decimal("9.95"), ("871",), stock, place)
            )
            for code, stock in (("A", 1200), ("B", None))
        )
        numbers = [
            orders.accept_order(order(f"R-{number}", (known, 2), (unknown, 1), process=number > 0)).order_id
            for number in range(6)
        ]
        _concept, _open, paused, cancelled, closed, withdrawn = numbers
        orders.hold_order(paused, "why", data("Wait"))
        orders.cancel_order(cancelled, data("Changed their mind"))
        for number in (closed, withdrawn):
            picking.pick_all(number - 1)
            (shipment,) = picking.close_picklist(number - 1, [picking.NewParcel("own", "3S")], who="packer")
        picking.withdraw_shipment(shipment, who="packer")
        host_port().attach_label(NewLabel(1, "L", "DHL", "3S1", b"%PDF", {3: 1}))
        session.execute(update(Order).where(Order.id <= 2).values(deadline=utcnow() - timedelta(days=1)))
        for level in Level:
            host_port().notify(
                Notice(level.value, "test", level, data("Told"), data("Body"), "/admin/orders/")
            )
        host_port().settle_notices("info")
        session.add(
            MailSetting(
                id=1,
                addresses="a@example.com",
                levels="danger",
                since=utcnow(),
                error=data("refused"),
                failed_at=utcnow(),
            )
        )
        # Two that failed, one of which is parked; the cancelled order's waits.
        for parked in (None, utcnow()):
            session.add(
                EventDelivery(
                    plugin="shop",
                    kind="order_cancelled",
                    subject="order:1",
                    payload={},
                    attempts=3,
                    next_try_at=utcnow(),
                    parked_at=parked,
                    error=data("RuntimeError"),
                )
            )


def order(reference: str, *lines: tuple[int, int], process: bool) -> NewOrder:
    return NewOrder(
        source="shop:1",
        reference=data(reference),
        placed_at=factories.PLACED,
        delivery=Address(name=data("J. Jansen"), city=data("Utrecht"), country=data("NL")),
        billing=None,
        lines=tuple(
            NewOrderLine(product_id, quantity, data("Line"), Decimal("9.95"), f"{number}", note=data("note"))
            for number, (product_id, quantity) in enumerate(lines)
        ),
        process=process,
        notes=(data("Be quick"),),
        shop_name=data("Shop"),
    )


@pytest.fixture
def full(site: Flask) -> Flask:
    with site.app_context():
        warehouse_at_work()
        db.session.remove()
    return site


def check(page: str) -> None:
    assert "⟦" in page
    assert unmarked(page, KNOWN) == []


def paths(site: Flask) -> list[str]:
    """Return the address of every page of the host, for each row that there is."""
    found = []
    for rule in site.url_map.iter_rules():
        if (
            "GET" not in (rule.methods or ())
            or not rule.rule.startswith("/admin")
            or "static" in rule.endpoint
        ):
            continue
        for number in range(1, 7) if rule.arguments else (1,):
            found.append(str(rule.build({name: number for name in rule.arguments})[1]))  # type: ignore[index]
    return [path for path in found if not path.endswith(".pdf")]


@pytest.mark.parametrize("name", ["chief", "packer"])
def test_each_page_of_a_warehouse_at_work(full: Flask, name: str) -> None:
    person, seen = logged_in(full, name), 0
    for path in paths(full):
        answer = person.get(path, follow_redirects=True)
        assert answer.status_code in (200, 403, 404), path
        assert unmarked(answer.text, KNOWN) == [], path
        seen += answer.status_code == 200
    assert seen > 30


def test_each_page_of_an_empty_warehouse(site: Flask, shop: Shop) -> None:
    shop.stores = ()
    person = logged_in(site, "chief")
    for path in (*LIST_PAGES, "deliveries", "products/new", "account", "picklists/?show=closed"):
        check(person.get(f"/admin/{path}" + ("" if "?" in path else "/"), follow_redirects=True).text)
    for path in ("orders", "products", "shipments"):
        check(person.get(f"/admin/{path}/?q=871").text)


def test_lists_of_many_pages(full: Flask) -> None:
    with full.app_context():
        with transaction() as session:
            for number in range(120):
                host_port().notify(Notice(f"n{number}", "test", Level.INFO, data("Told"), "", None))
            session.flush()
        db.session.remove()
    person = logged_in(full, "chief")
    for number in (1, 2):
        check(person.get(f"/admin/notifications/?page={number}").text)


def test_logging_in_and_what_goes_wrong(full: Flask) -> None:
    nobody = Person(full)
    check(nobody.get("/login").text)
    check(nobody.log_in("chief", "wrong").text)
    for path in ("/nothing", "/admin"):
        check(nobody.get(path, follow_redirects=True).text)
    assert nobody.client.post("/login", data={}).status_code == 400
    check(nobody.client.post("/login", data={}).text)
    check(nobody.client.delete("/login").text)
    chief, packer = logged_in(full, "chief"), logged_in(full, "packer")
    for answer in (
        chief.get("/admin/nothing"),
        chief.client.post("/admin/orders/1/cancel"),
        chief.client.delete("/admin/orders/"),
        packer.get("/admin/users/"),
    ):
        assert answer.status_code >= 400
        check(answer.text)


def test_what_is_told_after_each_button(full: Flask, shop: Shop) -> None:
    """Each sends what a person would, and then something that is refused."""
    shop.stores = (StoreSummary(data("Mine"), data("well"), Level.SUCCESS, "/admin/"),)
    chief = logged_in(full, "chief")
    for path, fields in SENT:
        answer = chief.post(f"/admin/{path}", "/admin/", **fields)
        assert answer.status_code in (200, 404, 405), path
        assert unmarked(answer.text, (*KNOWN, *FORMS)) == [], (path, fields)
        # Something is told.
        assert answer.status_code != 200 or re.search('role="(alert|status)"', answer.text), (path, fields)


def test_the_packing_table(full: Flask, shop: Shop) -> None:
    packer, page = logged_in(full, "packer"), "/admin/picklists/1"
    check(packer.get(f"{page}?labels=1").text)
    check(packer.get(f"{page}?check=1").text)
    shop.answer = ClosingAnswer((data("Stop"),), (data("Mind"),), may_overrule=True)
    check(packer.get(f"{page}?check=1").text)
    packer.post(f"{page}/pick", page, line="1", pieces="1")
    check(packer.post(f"{page}/close", page, parcels="1", add_parcel="1").text)
    seen = packer.get(page).text.split('name="seen" value="')[1].split('"')[0]
    parcel = {"parcels": "1", "seen": seen, "carrier-0": "own", "tracking-0": "3S"}
    check(packer.post(f"{page}/close", page, **parcel).text)
    parcel["short"] = seen
    objected = packer.post(f"{page}/close", page, **parcel)
    check(objected.text)
    shop.fails = True
    for path in (page, f"{page}?labels=1", f"{page}?check=1", "/admin/orders/1"):
        check(packer.get(path).text)
    check(packer.post(f"{page}/close", page, **parcel).text)
    check(packer.get(page).text)


#: What buttons send: all that the host can answer.
SENT: tuple[tuple[str, dict[str, str]], ...] = (
    ("account/", {"language": "nl"}),
    ("webshops/import", {}),
    ("warehouses/", {"name": data("Second")}),
    ("warehouses/", {"name": data("Second")}),
    ("warehouses/", {"name": ""}),
    ("warehouses/2", {"name": data("Third")}),
    ("warehouses/1", {"name": data("Main")}),
    ("warehouses/9", {"name": data("Main")}),
    ("users/", {"username": "", "password": "", "role": ""}),
    ("users/", {"username": data("anna"), "password": "short", "role": "warehouse"}),
    ("users/", {"username": data("anna"), "password": "long enough", "role": "x"}),
    ("users/", {"username": data("anna"), "password": "long enough", "role": "warehouse"}),
    ("users/", {"username": data("anna"), "password": "long enough", "role": "warehouse"}),
    ("users/1", {"role": "warehouse"}),
    ("users/2", {"role": "warehouse", "active": "on"}),
    ("users/9", {"role": "warehouse"}),
    ("products/new", {}),
    ("products/new", {"code": data("A")}),
    ("products/new", {"code": data("C"), "price": "cheap"}),
    ("products/new", {"code": data("C"), "price": "-1"}),
    ("products/new", {"code": data("C" * 90)}),
    ("products/new", {"code": " "}),
    ("products/new", {"code": data("C")}),
    ("products/1/edit", {"code": data("B")}),
    ("products/1/edit", {"code": data("A")}),
    ("products/1/adjust", {"amount": "x"}),
    ("products/1/adjust", {"amount": "5"}),
    ("products/1/adjust", {"amount": "5", "warehouse": "1"}),
    ("products/1/adjust", {"amount": "5", "warehouse": "1", "how": "change"}),
    ("products/1/adjust", {"amount": "5", "warehouse": "1", "how": "change", "reason": data("why")}),
    ("products/1/adjust", {"amount": "-9999", "warehouse": "1", "how": "change", "reason": data("why")}),
    ("products/9/adjust", {"amount": "5", "warehouse": "1", "how": "change", "reason": data("why")}),
    ("orders/1/lines/1/take-off", {"pieces": "x"}),
    ("orders/1/lines/1/take-off", {"pieces": "9"}),
    ("orders/1/lines/1/take-off", {"pieces": "1"}),
    ("orders/1/lines/9/take-off", {"pieces": "1"}),
    ("orders/4/lines/7/take-off", {"pieces": "1"}),
    ("orders/1/process", {}),
    ("orders/1/process", {}),
    ("orders/1/pause", {}),
    ("orders/1/pause", {}),
    ("orders/1/resume", {}),
    ("orders/1/resume", {}),
    ("orders/3/resume", {}),
    ("orders/2/cancel", {}),
    ("orders/5/cancel", {"reason": data("why")}),
    ("orders/9/cancel", {"reason": data("why")}),
    ("picklists/1/scan", {"code": data("A")}),
    ("picklists/1/scan", {"code": data("A")}),
    ("picklists/1/scan", {"code": data("A")}),
    ("picklists/1/scan", {"code": data("Z")}),
    ("picklists/1/pick", {"line": "1", "pieces": "x"}),
    ("picklists/1/pick", {"line": "1", "pieces": "9"}),
    ("orders/2/lines/3/take-off", {"pieces": "1"}),
    ("picklists/1/pick-all", {}),
    ("picklists/1/label", {}),
    ("picklists/1/label", {"plugin": "shop", "option": "a", "of-3": "9"}),
    ("picklists/1/label", {"plugin": "shop", "option": "a", "of-3": "x"}),
    ("picklists/1/label", {"plugin": "shop", "option": "a", "of-3": "0"}),
    ("picklists/1/close", {"parcels": "1"}),
    ("picklists/2/pick-all", {}),
    ("picklists/3/pick-all", {}),
    ("picklists/9/pick-all", {}),
    ("picklists/4/pick-all", {}),
    ("shipments/1/correct", {"carrier": "x"}),
    ("shipments/1/correct", {"carrier": "dhl", "tracking_code": "3S"}),
    ("shipments/1/withdraw", {}),
    ("shipments/1/withdraw", {}),
    ("shipments/2/correct", {"carrier": "dhl"}),
    ("shipments/9/withdraw", {}),
    ("notifications/mail", {"addresses": "nobody"}),
    ("notifications/mail", {"addresses": "a@example.com", "levels": "danger"}),
    ("deliveries/9/again", {}),
    ("deliveries/again", {}),
    ("orders/2/cancel", {"reason": data("why")}),
)

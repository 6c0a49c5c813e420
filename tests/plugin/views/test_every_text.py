"""Each text on each page of the connector can be translated: in a language whose texts are marked, all are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bol_sandbox.testing import SandboxControls
from host_app.db import db, reading, transaction
from host_app.models import Notification, Order, OrderMark, User, Warehouse
from host_app.models.people import Role
from host_app.services import orders, picking
from plugin.models import (
    BolOrder,
    BolOrderEvent,
    BolOrderItem,
    BolOrderState,
    CancellationEffect,
    Discrepancy,
    EffectState,
    LabelEffect,
    Offer,
    OfferLink,
    OfferState,
    Run,
    RunState,
    ShipmentEffect,
    Store,
    StoreState,
    TransportEffect,
)
from plugin.sync import eans, failures, findings, label_options, panels, runs, stock_check
from plugin.sync.findings import Action, Cause
from plugin.sync.transporters import TRANSPORTER_CODES
from plugin.views import words
from tests.conftest import AppFactory
from tests.host_app.admin.conftest import HASH, Person, logged_in
from tests.plugin.conftest import KETTLE, LAMP, OFFERS, TOASTER, Clock, Shop
from tests.plugin.views.conftest import Site
from tests.pseudo import data, speak, unmarked

pytestmark = pytest.mark.long

#: Data that is written where no mark can be: people, and what bol names.
KNOWN = ("chief", "packer", "seller", "secret", "Bol.com Retailer", "Shop", "CSV", "HOST_PUBLIC_URL")
#: bol's codes of carriers, longer ones before those that they begin with.
CODES = "|".join(re.escape(code) for code in sorted(TRANSPORTER_CODES, key=len, reverse=True))
#: Numbers of bol, routes of its API, codes and names of carriers, and times, which Babel writes.
DATA = re.compile(
    r"\bC0\w{8}\b|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b(?:[A-Z]{3,6}(?:, )?)+ /[\w/{}*-]+"
    rf"|\b(?:{CODES})(?![\w-])"
    r"|\b3S\w+|KETTLE-1|dhl: |Dynalogic|Transportservice NL|Brievenbus\+|Pakket\b|extra@home|\d+ (?:minuut|minuten|uur|dag|dagen) geleden"
)
#: The innermost marked text, with tags of its own.
TAGGED = re.compile(r"⟦([^⟦⟧]*)⟧")


@pytest.fixture
def site(
    make_app: AppFactory, bol_sandbox: SandboxControls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """An installation that speaks the language of tests."""
    offers = [{**offer, "title": data(str(offer["title"]))} for offer in OFFERS]
    bol_sandbox.reset()
    bol_sandbox.limits([])
    bol_sandbox.settings(latencyMs=0, processStatusDelayMs=0)
    bol_sandbox.add_seller("seller", "secret", offers=offers)
    app = make_app(language="nl")
    speak(app, tmp_path / "marked", monkeypatch)
    clock = Clock()
    monkeypatch.setattr("host_app.db.utcnow", clock.now)
    with app.app_context():
        shop = Shop(app, bol_sandbox, clock)
        with transaction() as session:
            session.execute(update(Warehouse).values(name=data("Main")))
            for name, role in (("chief", Role.ADMINISTRATOR), ("packer", Role.WAREHOUSE)):
                session.add(User(username=name, role=role, active=True, password_hash=HASH))
        db.session.remove()
    yield Site(app, shop)


#: Times that a page shows of an effect.
ERROR = data("bol said so")


def fill(shop: Shop) -> None:
    """Have one of everything that a page of a store may show, written by the jobs that write it."""
    sent, asked, dead, cut, via_bol, here = (
        shop.order((KETTLE, 1)),
        shop.order((KETTLE, 1)),
        shop.order((TOASTER, 1), (LAMP, 1)),
        shop.order((KETTLE, 2)),
        shop.order((TOASTER, 1)),
        shop.order((KETTLE, 1)),
    )
    shop.import_orders()
    shop.close(sent)
    shop.work()
    shop.sandbox.request_cancellation(asked)
    shop.sandbox.cancel(dead)
    shop.sandbox.cancel(cut)
    picklist_id, order_id = shop.picklist_id(cut), shop.host_order(here).id
    with transaction():
        picking.pick_all(picklist_id)
        orders.cancel_order(order_id, data("Broken"))
    shop.import_orders()
    picklist_id = shop.picklist_id(via_bol)
    lines = {line.order_line_id: 1 for line in shop.picklist_lines(picklist_id)}
    with transaction():
        label_options.request(shop.host, picklist_id, lines, label_options.RECOMMENDED, "packer")
    shop.work()
    row, effect = shop.bol_order(asked), shop.effects()[0]
    with transaction() as session:
        session.add(
            CancellationEffect(
                store_id=shop.store_id,
                order_id=row.id,
                order_item_id="1",
                reason_code="OTHER",
                created_at=shop.host.now(),
            )
        )
        session.add(
            TransportEffect(
                store_id=shop.store_id,
                order_id=effect.order_id,
                host_shipment_id=effect.host_shipment_id,
                reference=effect.reference,
                transporter_code="TNT",
                tracking_code="3S2",
                created_at=shop.host.now(),
            )
        )
        stock_check.start(shop.host, shop.store_id, dry=True, who="chief")
    shop.work()


@pytest.fixture
def full(site: Site) -> Site:
    with site.shop() as shop:
        shop.connect(send_stock=True, send_shipments=True, labels_for_all=True)
        shop.work()
        fill(shop)
    return site


@pytest.fixture
def chief(full: Site) -> Person:
    return logged_in(full.app, "chief")


def words_of(page: str) -> list[str]:
    """Return the texts that are not marked; a text may have tags of its own, which don't end its mark."""
    page = DATA.sub(" ", page)
    while TAGGED.search(page):
        page = TAGGED.sub(lambda found: f"⟪{re.sub('<[^>]*>', ' ', found[1])}⟫", page)
    return unmarked(page.replace("⟪", "⟦").replace("⟫", "⟧"), KNOWN)


def check(person: Person, path: str) -> None:
    answer = person.get(path, follow_redirects=True)
    assert answer.status_code == 200, path
    check_text(answer.text, path)


def check_text(page: str, path: str) -> None:
    assert "⟦" in page
    assert words_of(page) == [], path


def pages(full: Site, *only: str) -> list[str]:
    """Return the address of every page of the connector, for each row that there is, and the host's that name it."""
    found = ["/admin/", "/admin/webshops/"]
    with full.shop() as shop:
        ids: dict[str, list[int]] = {
            "bol.order": [row.id for row in shop.all(BolOrder)],
            "bol.offer": [row.id for row in shop.all(Offer)],
            "bol.check": [row.id for row in shop.all(Run, Run.kind == findings.KIND)],
        }
    for rule in full.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or not rule.endpoint.startswith("bol."):
            continue
        if rule.endpoint in ("bol.static", "bol.check_file", "bol.returned"):
            continue
        last = [name for name in rule.arguments if name != "store_id"]
        for number in ids[rule.endpoint] if last else [1]:
            values = {name: number if name in last else 1 for name in rule.arguments}
            found.append(str(rule.build(values)[1]))  # type: ignore[index]
    return [path for path in found if not only or any(word in path for word in only)]


def change(full: Site, model: Any, *conditions: Any, **values: Any) -> None:
    with full.shop(), transaction() as session:
        session.execute(update(model).where(*conditions).values(**values))


@pytest.mark.parametrize("name", ["chief", "packer"])
def test_each_page_of_a_store_at_work(full: Site, name: str) -> None:
    person = logged_in(full.app, name)
    seen = {path: person.get(path, follow_redirects=True) for path in pages(full)}
    shown = {path: answer.text for path, answer in seen.items() if answer.status_code == 200}
    assert len(shown) > 20
    for path, page in shown.items():
        check_text(page, path)
    for page, states in LISTS.items():
        for state in states:
            check(person, f"/admin/bol/1/{page}?state={state}&period=30d")


def states(full: Site) -> Iterator[list[str]]:
    """Bring rows into each state that they can have; say each time which pages show it."""
    with full.shop() as shop:
        now, order = shop.host.now(), f"/admin/bol/1/orders/{shop.effects()[0].order_id}"
        run_id = shop.all(Run, Run.kind == findings.KIND)[0].id
    store, tasks, lists = "/admin/bol/1/", "/admin/bol/attention", [f"/admin/bol/1/{name}" for name in LISTS]
    for effect in EffectState:
        for model in (ShipmentEffect, LabelEffect, CancellationEffect, TransportEffect):
            change(full, model, state=effect, error=ERROR, unknown_since=now - timedelta(hours=1))
        yield [store, tasks, order, *lists]
    counts = {"offers": 5, "compared": 4, "differed": 2, "corrected": 1, "created": 2, "similar": 1}
    counts |= {"on their way": 1} | {str(reason): 1 for reason in words.SKIPPED}
    for state in RunState:
        for more in (
            {"error": "", "due_at": None, "dry": True, "asked_by": "", "expected": None},
            {"error": ERROR, "due_at": now, "dry": False, "asked_by": runs.COMMAND_LINE, "expected": 9},
        ):
            change(full, Run, state=state, counts=counts, **more)
            yield [
                store,
                *(f"{store}{page}" for page in ("checks", f"checks/{run_id}", "summary", "stock-plan")),
            ]
    with full.shop(), transaction() as session:
        for number, (cause, action) in enumerate(itertools.zip_longest(Cause, Action)):
            session.add(
                Discrepancy(
                    run_id=run_id,
                    offer_id=f"other-{number}",
                    ean=KETTLE,
                    bol_amount=2,
                    our_amount=number % 2,
                    bol_managed=True,
                    our_managed=False,
                    cause=cause,
                    action=action or Action.HELD,
                    found_at=now,
                )
            )
    change(full, Run, state=RunState.DONE, dry=True)
    yield [f"{store}checks/{run_id}", f"{store}stock-plan"]
    for problem in ("", failures.SIGN_IN, failures.BLOCKED, failures.ACCOUNT, failures.KEY, failures.SETUP):
        refused = problem == failures.SIGN_IN
        change(
            full,
            Store,
            problem=ERROR,
            problem_kind=problem,
            problem_at=now - timedelta(hours=1),
            refused_at=now if refused else None,
            refused_code="invalid_grant" if refused else "",
            sign_in="login" if refused else "credentials",
            consent_until=now + timedelta(days=1 if refused else 9) if problem else None,
            guard_stopped_at=now if problem else None,
        )
        yield [store, tasks, f"{store}connection"]
    change(full, Store, problem="", problem_kind="", refused_at=None, environment="demo")
    for stands in StoreState:
        change(full, Store, state=stands)
        yield ["/admin/bol/", store, tasks, f"{store}connection", f"{store}summary", f"{store}stock-plan"]
    change(full, Store, state=StoreState.ACTIVE, environment="sandbox")
    for one in OFFERS_AS:
        change(full, Offer, **one, **({"next_try_at": now} if "error" in one else {}))
        yield [f"{store}offers", f"{store}offers/1", f"{store}eans", store]
    for another in ORDERS_AS:
        change(full, BolOrder, **another, cancels_on=now.date(), latest_delivery=now.date())
        yield [order, f"{store}orders", store, tasks]
    change(full, BolOrderItem, ean="9" * 13, product_id=None)
    yield [order, f"{store}orders", store, tasks]


def test_each_state_of_what_pages_show(full: Site, chief: Person) -> None:
    packer, number = logged_in(full.app, "packer"), 0
    for paths in states(full):
        for path in paths:
            check(chief, path)
        # What only administrators may do is told in other words to all others; some of it is enough.
        number += 1
        if number % 5 == 0:
            check(packer, paths[0])
    assert number > 40
    file = chief.get("/admin/bol/1/checks/2/report.csv")
    assert file.status_code == 200 and file.text.count("⟦") > 30


def test_what_the_hosts_pages_show_of_an_order(full: Site) -> None:
    for state in EffectState:
        for model in (ShipmentEffect, LabelEffect):
            change(full, model, state=state, error=ERROR, unknown_since=datetime.now(UTC))
        with full.shop() as shop:
            numbers = [row.id for row in shop.all(Order)]
            with reading():
                shown = [panel for number in numbers for panel in panels.order_panels(shop.host, number)]
        texts = [text for panel in shown for row in panel.rows for text in (row.label, row.value)]
        texts += [link.label for panel in shown for link in panel.links]
        assert len(texts) > 20
        assert [text for text in texts if words_of(text)] == []


def test_what_is_told_after_each_button(full: Site, chief: Person) -> None:
    """Each button, first as somebody would press it, and then where it is refused."""
    for path, fields in SENT:
        answer = chief.post(f"/admin/bol/{path}", "/admin/", **fields)
        assert answer.status_code in (200, 404), path
        assert words_of(answer.text) == [], (path, fields)


def test_what_is_kept_is_written_in_the_installations_language(full: Site) -> None:
    """Jobs have no user; what they write is read by all."""
    with full.shop() as shop:
        kept = [row.title for row in shop.all(Notification)]
        kept += [row.body for row in shop.all(Notification)]
        kept += [row.text for row in shop.all(BolOrderEvent)] + [row.text for row in shop.all(OrderMark)]
        kept += [row.cancel_reason for row in shop.all(Order) if row.cancel_reason]
    assert len(kept) > 15
    assert [text for text in kept if unmarked(text, KNOWN)] == []


#: How an offer may be, one after the other.
OFFERS_AS: tuple[dict[str, Any], ...] = (
    *({"link": link} for link in OfferLink),
    *({"link": OfferLink.AUTO, "ean_problem": problem} for problem in words.EAN_PROBLEMS),
    {"ean": "", "ean_problem": eans.MISSING},
    {"ean_problem": "", "ean": KETTLE, "candidates": 3},
    {"dirty_version": 99, "error": ERROR, "attempts": 3},
    {"held_at": datetime.now(UTC), "attempts": 0},
    {"done_version": 99, "error": ""},
    {"held_at": None, "excluded": True, "in_doubt": True},
    {"excluded": False, "product_id": None},
    {"link": OfferLink.UNLINKED},
    {"state": OfferState.GONE},
    {"state": OfferState.LISTED, "method": "FBB"},
)
#: The same of an order.
ORDERS_AS: tuple[dict[str, Any], ...] = (
    {"undone": "open here"},
    {"undone": "open at bol"},
    {"undone": "", "error": ERROR, "read_due_at": datetime.now(UTC), "attempts": 9},
    *({"error": "", "state": state} for state in BolOrderState),
    {"state": BolOrderState.WAITING_FOR_PRODUCT, "host_order_id": None, "read_due_at": None},
)
#: What lists can be narrowed to.
LISTS = {
    "orders": ("imported", "waiting for product", "asked", "cancelled soon", "failed"),
    "offers": ("differs", "waiting", "unlinked by hand", "gone"),
    "shipments": ("needs you", "not corrected", "confirmed"),
    "labels": ("decision", "confirmed"),
    "calls": ("failed",),
    "eans": ("invalid", "twice"),
    "checks": ("",),
}
#: What buttons send, in this order.
SENT: tuple[tuple[str, dict[str, str]], ...] = (
    ("connect", {}),
    ("connect", {"name": data("New"), "environment": "sandbox", "client_id": "x", "client_secret": "y"}),
    (
        "connect",
        {"name": data("New"), "environment": "sandbox", "client_id": "seller", "client_secret": "secret"},
    ),
    ("connect/login", {"name": data("New"), "environment": "sandbox"}),
    ("1/settings", {"import_minutes": "x", "address_days": "0", "call_log_days": "0", "safety_stock": "-1"}),
    ("1/settings", {"max_stock": "9999", "guard_least": "0", "guard_share": "200", "check_time": "x"}),
    ("1/settings", {"orders_from": "x", "warehouse_id": "9", "stock_warehouses": "9", "lookup": "x"}),
    ("1/settings", {"confirm_after_minutes": "-1", "tracking_patterns": "3S*", "carrier:dhl": "x" * 61}),
    (
        "1/settings",
        {"send_stock": "off", "send_shipments": "off", "import_orders": "off", "address_days": "1"},
    ),
    ("1/settings", {"managed_by_retailer": "off", "max_stock": "0", "accept_requests": "on"}),
    ("1/settings", {"safety_stock": "1", "call_log_days": "1", "orders_from": "2026-01-01"}),
    ("1/settings", {"import_minutes": "6"}),
    ("1/connection/test", {}),
    ("1/connection/sign-in", {}),
    ("1/connection/sign-in", {"client_id": "x", "client_secret": "y"}),
    ("1/connection/sign-in", {"client_id": "seller", "client_secret": "secret"}),
    ("1/connection/login", {}),
    ("1/import-orders", {}),
    ("1/import-products", {}),
    ("1/import-products/1/stop", {}),
    ("1/checks/start", {}),
    ("1/checks/start", {}),
    ("1/checks/2/stop", {}),
    ("1/stock-plan/work-out", {}),
    ("1/stock-plan/send", {}),
    ("1/send-zeros", {}),
    ("1/discard-zeros", {}),
    ("1/carriers", {"carrier": "dhl", "code": ""}),
    ("1/carriers", {"carrier": "dhl", "code": "DHL"}),
    ("1/settings", {"carrier:dhl": "DHLL", "carrier:gls": "", "carrier:ups": "QQQQ"}),
    ("1/waiting-products/link", {"ean": "1", "code": "x"}),
    ("1/offers/1/link", {"code": ""}),
    ("1/offers/1/link", {"code": "x"}),
    ("1/offers/1/link", {"code": KETTLE}),
    ("1/offers/1/push", {}),
    ("1/offers/1/exclude", {}),
    ("1/offers/1/push", {}),
    ("1/offers/1/include", {}),
    ("1/offers/1/safety-stock", {"pieces": "x"}),
    ("1/offers/1/safety-stock", {"pieces": "1"}),
    ("1/offers/1/unlink", {}),
    ("1/offers/1/unlink", {}),
    ("1/offers/1/push", {}),
    ("1/offers/1/safety-stock", {"pieces": "1"}),
    ("1/offers/1/match", {}),
    ("1/offers/1/match", {}),
    ("1/offers/3/link", {"code": KETTLE}),
    ("1/offers/3/push", {}),
    ("1/orders/1/read-again", {}),
    ("1/orders/2/accept-request", {}),
    ("1/orders/2/accept-request", {}),
    ("1/orders/2/keep", {}),
    ("1/orders/6/cancel-at-bol", {}),
    ("1/orders/1/cancel-at-bol", {"reason": "OTHER"}),
    ("1/orders/6/cancel-at-bol", {"reason": "OTHER"}),
    ("1/orders/1/items/1/link", {"code": "x"}),
    ("1/orders/1/read-all-again", {}),
    ("1/shipments/1/try-again", {}),
    ("1/shipments/1/handled", {}),
    ("1/shipments/1/try-all-again", {}),
    ("1/corrections/1/try-again", {}),
    ("1/labels/1/enter-number", {}),
    ("1/labels/1/enter-number", {"number": "x"}),
    ("1/labels/1/buy-again", {}),
    ("1/pause", {}),
    ("1/import-orders", {}),
    ("1/activate", {}),
    ("1/connection/disconnect", {"when": "later"}),
    ("1/connection/stay", {}),
    ("1/connection/stay", {}),
    ("1/connection/disconnect", {"when": "now"}),
    ("9/activate", {}),
)

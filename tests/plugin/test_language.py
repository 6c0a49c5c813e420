"""Who looks reads their own language; what is kept is in the installation's, whoever caused it."""

from __future__ import annotations

import html
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from bol_sandbox.testing import SandboxControls
from host_app.db import db, transaction
from host_app.models import Notification, Order, OrderMark, User
from host_app.models.people import Role
from host_app.plugin_api import HostError, OrderState, speaking
from host_app.services import picking
from plugin.connector import BadRequest, Violation
from plugin.models import BolOrderEvent, CancellationEffect
from plugin.sync.failures import without_reference
from plugin.sync.timeline import note
from plugin.texts import gettext as _
from tests.conftest import AppFactory
from tests.host_app.admin.conftest import HASH, Person, logged_in
from tests.plugin.conftest import KETTLE, Clock, Shop
from tests.plugin.sync.test_pump import stock
from tests.plugin.views.conftest import Site


@pytest.fixture(params=["en", "nl"])
def installed(request: pytest.FixtureRequest) -> str:
    """The installation's language."""
    return str(request.param)


@pytest.fixture
def site(
    installed: str, make_app: AppFactory, bol_sandbox: SandboxControls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A chief who reads the other language than the installation's works here."""
    app = make_app(language=installed)
    clock = Clock()
    monkeypatch.setattr("host_app.db.utcnow", clock.now)
    with app.app_context():
        shop = Shop(app, bol_sandbox, clock)
        with transaction() as session:
            own = "nl" if installed == "en" else "en"
            session.add(
                User(username="chief", role=Role.ADMINISTRATOR, active=True, password_hash=HASH, language=own)
            )
        shop.connect(send_stock=True, send_shipments=True)
        shop.work()
        db.session.remove()
    yield Site(app, shop)


@pytest.fixture
def chief(site: Site) -> Person:
    return logged_in(site.app, "chief")


def kept(shop: Shop) -> list[str]:
    """Return all that was written for whoever looks later."""
    notices = [f"{row.title}. {row.body}" for row in shop.all(Notification)]
    lines = [row.text for row in shop.all(BolOrderEvent)]
    reasons = [row.cancel_reason for row in shop.all(Order) if row.cancel_reason]
    return notices + lines + [row.text for row in shop.all(OrderMark)] + reasons


def test_what_a_person_did_is_kept_in_the_installations_language(
    site: Site, chief: Person, installed: str
) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
        path = f"/admin/bol/{shop.store_id}/orders/{shop.bol_order(order_id).id}"
    told = chief.post(f"{path}/accept-request", path).text
    assert {"en": "Het verzoek is geaccepteerd", "nl": "The request is accepted"}[installed] in told
    with site.shop() as shop:
        mark = {"en": "The cancellation is being", "nl": "De annulering wordt bij bol"}[installed]
        assert [row.text for row in shop.all(OrderMark) if row.text.startswith(mark)]
        expected = {
            "en": "Cancellation accepted by chief; bol is asked to cancel",
            "nl": "Annulering geaccepteerd door chief, en bij bol aangevraagd",
        }
        assert expected[installed] in kept(shop)
    chief.post(f"{path}/keep", path)
    refused = chief.post(f"{path}/accept-request", path).text
    assert {"en": "De klant wil niets meer", "nl": "does not ask to cancel anything"}[installed] in refused


def test_what_jobs_did_is_kept_in_the_installations_language(site: Site, installed: str) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.sandbox.cancel(order_id)
        shop.import_orders()
        assert shop.host_order(order_id).state == OrderState.CANCELLED
        at_bol = shop.offer(KETTLE).offer_id
        shop.sandbox.faults(
            [{"method": "PATCH", "path": f"/retailer/offers/{at_bol}", "when": "before", "status": 500}]
        )
        # Another stock, which is sent by threads of its own.
        stock(shop, KETTLE, 19)
        shop.pass_time(4 * 3600, steps=12)
        texts = " ".join(kept(shop))
    expected = {
        "en": ("Found at bol", "Taken over as order", "cancelled at bol", "can't be sent to bol"),
        "nl": ("Gevonden bij bol", "Overgenomen als bestelling", "geannuleerd bij bol", "doorgegeven worden"),
    }
    for words in expected[installed]:
        assert words in texts
    for words in expected["nl" if installed == "en" else "en"]:
        assert words not in texts


def test_an_order_that_we_cancel_for_bol_is_told_once_in_any_language(site: Site) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.sandbox.cancel(order_id)
        shop.import_orders()
        facts = [row.fact for row in shop.all(BolOrderEvent, BolOrderEvent.fact != "")]
        assert facts == ["cancelled for bol"]
        assert shop.all(CancellationEffect) == []


def test_a_fact_that_was_told_is_not_told_again_when_the_language_changes(site: Site, installed: str) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.sandbox.request_cancellation(order_id)
        shop.import_orders()
        before = len(shop.all(BolOrderEvent))
        with speaking("nl" if installed == "en" else "en"), transaction() as session:
            session.execute(update(BolOrderEvent).values(text="In other words"))
        shop.runtime.read_again(shop.store_id, shop.bol_order(order_id).id)
        shop.work()
        assert len(shop.all(BolOrderEvent)) == before


def test_errors_of_one_kind_are_one_kind_in_any_language(site: Site) -> None:
    error = BadRequest(violations=(Violation("", "Too late."),), request_id="abc-1")
    for language in ("en", "nl"):
        with speaking(language):
            text = error.operator_text(_)
            assert "abc-1" in text
            assert without_reference(text) == text.rpartition(" (")[0]
    with speaking("nl"):
        assert "bol meldt: Too late." in error.operator_text(_)


def test_a_refusal_is_in_the_language_of_who_is_refused(site: Site) -> None:
    with site.shop() as shop, speaking("nl"), pytest.raises(HostError, match="Deze winkel bestaat niet"):
        shop.runtime.activate(99)


def test_the_history_of_an_order_is_said_in_the_language_of_who_looks(
    site: Site, chief: Person, installed: str
) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        row = shop.bol_order(order_id)
        path = f"/admin/bol/{shop.store_id}/orders/{row.id}"
    page = chief.get(path).text
    assert {"en": "Overgenomen als bestelling", "nl": "Taken over as order"}[installed] in page
    assert {"en": "Taken over as order", "nl": "Overgenomen als bestelling"}[installed] not in page
    assert "HOST_LANGUAGE" not in page
    # What nobody can say anew stays as it is, with the reason.
    with site.shop() as shop, transaction():
        note(shop.host, row.id, "Written by an older release")
    told = {"en": "in het Engels", "nl": "in Dutch"}[installed]
    page = chief.get(path).text
    assert told in page and "HOST_LANGUAGE" in page
    with site.shop(), transaction() as session:
        session.execute(update(User).values(language=installed))
    assert "HOST_LANGUAGE" not in chief.get(path).text


def test_marks_and_refusals_are_said_in_the_language_of_who_looks(
    site: Site, chief: Person, installed: str
) -> None:
    with site.shop() as shop:
        order_id = shop.order((KETTLE, 2))
        shop.import_orders()
        picklist = shop.picklist_id(order_id)
        here = shop.host_order(order_id).id
        with transaction():
            picking.pick_all(picklist)
        shop.sandbox.cancel(order_id)
        shop.import_orders()
        (mark,) = [row.text for row in shop.all(OrderMark)]
    said = {"en": "Geannuleerd bij bol. Niet verzenden", "nl": "Cancelled at bol. Do not ship it"}[installed]
    path = f"/admin/picklists/{picklist}"
    for page in (path, f"{path}/watched", "/admin/picklists/", "/admin/orders/", f"/admin/orders/{here}"):
        shown = html.unescape(chief.get(page).text)
        assert said in shown and mark not in shown, page
    refused = html.unescape(chief.post(f"{path}/scan", path, code=KETTLE).text)
    assert said in refused and mark not in refused

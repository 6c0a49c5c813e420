"""Pages speak the language of whoever looks; what is kept is written in that of the installation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import flask_admin.babel
import pytest
from flask import Flask

from host_app import jobs, mail, questions
from host_app.admin import filters
from host_app.db import db, reading, transaction
from host_app.languages import addressing
from host_app.mail_server import MailServer
from host_app.models import Notification, StockHistory, User
from host_app.plugin_api import HostError, HostPort, Level, Notice, PluginInfo, hookimpl, language, speaking
from host_app.port import host_port
from host_app.services import notifications, orders, stock
from tests.conftest import AppFactory
from tests.host_app import factories
from tests.host_app.admin.conftest import Person, add_people, logged_in

DUTCH = {"Accept-Language": "nl-NL,nl;q=0.9,en;q=0.8"}
FRENCH = {"Accept-Language": "fr-FR,fr;q=0.9"}


class Listener:
    """A plugin that notes which language it is spoken to in."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @hookimpl
    def plugin_info(self) -> PluginInfo:
        return PluginInfo("listener", "Listener", "1", "tests", "listener_", db.MetaData(), "", ())

    @hookimpl
    def picklist_closing(self, host: HostPort, picklist_id: int) -> None:
        with host.transaction():
            self.heard.append(language())

    @hookimpl
    def attention(self, host: HostPort) -> None:
        self.heard.append(language())

    @hookimpl
    def retell(self, texts: Sequence[str]) -> dict[str, str]:
        if "Kapot" in texts:
            raise RuntimeError("broken")
        return {"Niet <sturen>": f"Do not <send> in {language()}"}


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def dutch_house(make_app: AppFactory, listener: Listener) -> Iterator[Flask]:
    """An installation whose language is Dutch."""
    app = make_app(language="nl", blocked_plugins=("bol",), extra_plugins={"listener": listener})
    add_people(app)
    yield app


def words(person: Person, path: str = "/admin/orders/", **headers: str) -> str:
    return person.get(path, headers=headers).text


def test_who_says_nothing_gets_the_language_of_the_installation(chief: Person) -> None:
    page = words(chief)

    assert '<html lang="en">' in page and "Orders" in page and "Bestellingen" not in page


def test_the_browser_is_listened_to_before_and_after_the_login(site: Flask, anybody: Person) -> None:
    assert "Wachtwoord" in words(anybody, "/login", **DUTCH)
    assert "Password" in words(anybody, "/login", **FRENCH)
    page = words(logged_in(site, "packer"), **DUTCH)
    assert '<html lang="nl">' in page and "Bestellingen" in page and "Settings" not in page


def test_a_language_nobody_speaks_here_becomes_that_of_the_installation(dutch_house: Flask) -> None:
    assert "Wachtwoord" in words(Person(dutch_house), "/login", **FRENCH)
    assert "Wachtwoord" in words(Person(dutch_house), "/login")
    assert "Password" in words(Person(dutch_house), "/login", **{"Accept-Language": "en-GB"})


def test_the_language_of_the_account_counts_more_than_the_browser(chief: Person) -> None:
    saved = chief.post("/admin/account/", "/admin/account/", language="nl")

    # The answer is in the language that was chosen.
    assert "Opgeslagen." in saved.text
    assert "Bestellingen" in words(chief, **{"Accept-Language": "en"})
    chief.post("/admin/account/", "/admin/account/", language="")
    assert "Orders" in words(chief, **{"Accept-Language": "en"})


def test_a_language_that_is_none_is_not_kept(chief: Person) -> None:
    chief.post("/admin/account/", "/admin/account/", language="nl")
    answer = chief.post("/admin/account/", "/admin/account/", language="xx")

    assert '<html lang="nl">' in answer.text and "Opgeslagen." not in answer.text


def test_the_language_that_is_chosen_at_the_login_is_kept_for_nobody(site: Flask, anybody: Person) -> None:
    """Packers share a table: what one chose must not become the language of the next."""
    page = anybody.post("/language", "/login", language="nl", next="/admin/orders/")
    assert "Wachtwoord" in page.text and 'value="/admin/orders/"' in page.text
    assert anybody.log_in("packer").status_code == 302

    # It holds as long as this login, and nowhere else.
    assert "Bestellingen" in words(anybody)
    assert "Orders" in words(logged_in(site, "packer"))
    with site.app_context(), reading() as session:
        assert dict(session.query(User.username, User.language)) == {"chief": "", "packer": ""}
    anybody.post("/logout", "/admin/")
    assert "Password" in words(anybody, "/login")
    assert anybody.log_in("packer").status_code == 302
    assert "Orders" in words(anybody)


def test_ones_own_language_counts_more_than_what_was_chosen_at_the_login(
    site: Flask, anybody: Person, chief: Person
) -> None:
    chief.post("/admin/account/", "/admin/account/", language="en")
    anybody.post("/language", "/login", language="nl")
    assert anybody.log_in("chief").status_code == 302

    assert "Orders" in words(anybody, **DUTCH)
    with site.app_context(), reading() as session:
        assert dict(session.query(User.username, User.language)) == {"chief": "en", "packer": ""}


def test_asking_for_the_browsers_language_ends_what_was_chosen_at_the_login(anybody: Person) -> None:
    anybody.post("/language", "/login", language="nl")
    assert anybody.log_in("packer").status_code == 302
    anybody.post("/admin/account/", "/admin/account/", language="")

    assert "Orders" in words(anybody)


def test_logging_in_without_choosing_keeps_what_was_chosen(site: Flask, chief: Person) -> None:
    chief.post("/admin/account/", "/admin/account/", language="nl")

    assert "Bestellingen" in words(logged_in(site, "chief"))


def test_whoever_is_logged_in_is_not_looked_up_where_no_page_is_asked_for(
    chief: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may be away just when somebody wants to see if it is."""

    def away(*_arguments: object, **_named: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(db.session, "get", away)

    assert chief.get("/healthz").status_code == 200
    assert chief.get("/static/host.css").status_code == 200


def test_errors_forms_and_their_fields_are_in_the_language_of_whoever_looks(chief: Person) -> None:
    chief.post("/admin/account/", "/admin/account/", language="nl")

    assert "Deze pagina bestaat niet" in words(chief, "/admin/nothing")
    # These words are those of WTForms.
    assert "Dit veld is vereist." in chief.post("/admin/products/new", "/admin/products/new", code="").text
    refused = chief.post("/admin/orders/77/cancel", reason="x")
    assert "Deze pagina bestaat niet" in refused.text


def test_what_is_kept_is_in_the_language_of_the_installation(dutch_house: Flask) -> None:
    """Somebody with English pages closes; the history is read by all."""
    with dutch_house.app_context():
        warehouse = factories.add_warehouse()
        product = factories.add_product("A", 3, warehouse_id=warehouse)
        accepted = factories.accept("A-1", (product, 1))
        db.session.remove()
    person = logged_in(dutch_house, "chief")
    person.post("/admin/account/", "/admin/account/", language="en")
    told = person.post(f"/admin/orders/{accepted.order_id}/cancel", reason="because")

    assert "The order is cancelled" in told.text
    with dutch_house.app_context(), reading() as session:
        reasons = [row.reason for row in session.query(StockHistory).order_by(StockHistory.id)]
    assert reasons == ["nieuw product", "bestelling A-1", f"bestelling {accepted.number} geannuleerd"]


@pytest.mark.parametrize("path", ["/admin/notifications/", "/admin/products/1"])
def test_who_reads_another_language_is_told_why_what_is_kept_is_not_in_it(
    dutch_house: Flask, path: str
) -> None:
    with dutch_house.app_context():
        warehouse = factories.add_warehouse()
        product = factories.add_product("A", 3, warehouse_id=warehouse)
        with transaction():
            stock.adjust_stock(product, warehouse, change=1, reason="met de hand", who="")
            notifications.notify(Notice("x", "x", Level.INFO, "Met de hand", ""))
        db.session.remove()
    for name, who in (("chief", "HOST_LANGUAGE"), ("packer", "An administrator can have another one")):
        person = logged_in(dutch_house, name)
        assert "HOST_LANGUAGE" not in words(person, path) and "in het Nederlands" not in words(person, path)
        page = words(person, path, **{"Accept-Language": "en"})
        assert "written once, for everybody: here in Dutch." in page
        assert who in page


def test_what_a_plugin_had_us_keep_is_said_by_it_in_the_language_of_whoever_looks(dutch_house: Flask) -> None:
    texts = ("Niet <sturen>", "Zelf getypt", "Kapot")
    with dutch_house.app_context():
        product = factories.add_product("A", 9, warehouse_id=factories.add_warehouse())
        for number, text in enumerate(texts, start=1):
            factories.accept(f"R-{number}", (product, 1))
            with transaction():
                orders.mark_order(number, "x", text)
        db.session.remove()
    chief = logged_in(dutch_house, "chief")
    for path in ("/admin/orders/1", "/admin/picklists/1", "/admin/picklists/", "/admin/orders/"):
        assert "Do not &lt;send&gt; in en" in words(chief, path, **{"Accept-Language": "en"}), path
        assert "Niet &lt;sturen&gt;" in words(chief, path, **DUTCH), path
    why = "Such warnings are written once, for everybody: here in Dutch."
    for number, text in enumerate(texts, start=1):
        page = words(chief, f"/admin/picklists/{number}", **{"Accept-Language": "en"})
        assert (text in page, why in page) == ((False, False) if number == 1 else (True, True))
        assert why not in words(chief, f"/admin/picklists/{number}", **DUTCH)


def test_what_is_kept_is_shown_in_the_language_of_whoever_looks(dutch_house: Flask) -> None:
    with dutch_house.app_context():
        factories.add_product("A", 3, warehouse_id=factories.add_warehouse())
        with transaction():
            notifications.notify(Notice("x", "x", Level.INFO, "Niet <sturen>", "Niet <sturen>"))
        jobs._tell_people("host:mail", HostError("Niet <sturen>"))
        db.session.remove()
    chief = logged_in(dutch_house, "chief")
    page = words(chief, "/admin/notifications/", **{"Accept-Language": "en"})
    assert page.count("Do not &lt;send&gt; in en") == 3
    assert "Background work failed: host:mail" in page and "It is tried again by itself" in page
    assert "Achtergrondwerk mislukt: host:mail" in words(chief, "/admin/notifications/", **DUTCH)
    history = words(chief, "/admin/products/1", **{"Accept-Language": "en"})
    assert "new product" in history and "nieuw product" not in history
    assert "written once" not in page + history


def test_what_became_of_a_test_mail_is_told_in_the_language_of_whoever_looks(dutch_house: Flask) -> None:
    server = MailServer("127.0.0.1", 25, "none", "wms@example.com")
    config = dutch_house.extensions["host_config"]
    dutch_house.extensions["host_config"] = dataclasses.replace(config, mail_server=server)
    chief = logged_in(dutch_house, "chief")
    page = "/admin/notifications/"
    chief.post("/admin/notifications/mail", page=page, addresses="a@example.com", levels="danger")
    chief.post("/admin/notifications/mail/test", page=page)
    assert "Testmail. Hij wordt verstuurd naar a@example.com." in words(chief, page, **DUTCH)
    assert "Test e-mail. It is being sent to a@example.com." in words(
        chief, page, **{"Accept-Language": "en"}
    )


def test_mails_and_notifications_are_in_the_language_of_the_installation(dutch_house: Flask) -> None:
    with dutch_house.test_request_context(headers=[("Accept-Language", "en")]):
        dutch_house.preprocess_request()
        assert language() == "en"
        jobs._tell_people("host:mail", ValueError("secret"))
        told = [Notification(title=f"Eén {number}", body="") for number in range(2)]
        sent = mail.compose(
            MailServer("mail", 25, "none", "wms@example.com", "", ""), ["a@example.com"], told
        )
        with reading() as session:
            kept = session.query(Notification).one()
    assert kept.title == "Achtergrondwerk mislukt: host:mail"
    assert sent["Subject"] == "Magazijn: 2 nieuwe meldingen"


def test_plugins_are_spoken_to_in_the_language_of_whoever_looks(
    dutch_house: Flask, listener: Listener
) -> None:
    person = logged_in(dutch_house, "chief")
    person.post("/admin/account/", "/admin/account/", language="en")
    listener.heard.clear()

    words(person)
    assert listener.heard == ["en"]


def test_questions_and_jobs_hear_the_language_they_are_asked_in(
    dutch_house: Flask, listener: Listener
) -> None:
    with dutch_house.app_context():
        assert host_port().language == language() == "nl"
        questions.questions().ask("picklist_closing", picklist_id=1)
        with speaking("en"):
            questions.questions().ask("picklist_closing", picklist_id=1)
    assert listener.heard == ["nl", "en"]
    # Outside, nobody speaks.
    assert language() == "en"


def test_refusals_are_told_to_whoever_is_refused(dutch_house: Flask) -> None:
    with dutch_house.app_context():
        with pytest.raises(HostError, match="Deze bestelling bestaat niet."), transaction():
            orders.cancel_order(77, "")
        with transaction(), pytest.raises(HostError, match="Vul een wijziging of een geteld aantal in."):
            stock.adjust_stock(1, 1, reason="", who="")


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("nl", ["€ 1.234,56", "12.345", "5 mrt 2026 14:30"]),
        ("en", ["€1,234.56", "12,345", "5 Mar 2026 14:30"]),
    ],
)
def test_amounts_numbers_and_moments_are_written_as_the_language_does(
    site: Flask, spoken: str, written: list[str]
) -> None:
    with site.test_request_context(), addressing(spoken):
        assert plain(filters.money(Decimal("1234.56"))) == written[0]
        assert plain(filters.number(12345)) == written[1]
        assert plain(filters.change(12345)) == f"+{written[1]}"
        assert plain(filters.change(-12345)) == f"-{written[1]}"
        assert plain(filters.moment(datetime(2026, 3, 5, 13, 30, tzinfo=UTC))) == written[2]


def test_the_words_of_flask_admin_are_dutch_too(site: Flask) -> None:
    with site.test_request_context(), addressing("nl"):
        assert flask_admin.babel.gettext("Delete") == "Verwijderen"


def plain(text: Any) -> str:
    """Return a text with ordinary spaces; languages put others between a sign and its number."""
    return str(text).replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_countries_are_named_in_the_language_of_the_page(site: Flask, chief: Person) -> None:
    with site.app_context():
        factories.add_warehouse()
        factories.accept("R-1", (factories.add_product("A1"), 1))
        db.session.remove()

    assert "Netherlands<br>" in words(chief, "/admin/orders/1")
    assert "Nederland<br>" in words(chief, "/admin/orders/1", **DUTCH)
    with site.test_request_context():
        for told in ("Netherlands", "XX", ""):
            assert filters.address_lines({"city": "Utrecht", "country": told}) == [
                "Utrecht",
                *filter(None, [told]),
            ]

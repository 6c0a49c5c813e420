"""Who gets in, and who may do what."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from host_app import web
from host_app.db import db, transaction
from host_app.models import User
from host_app.plugin_api import Level, Notice
from host_app.port import host_port
from host_app.services import users
from tests.conftest import AppFactory
from tests.host_app import factories
from tests.host_app.admin.conftest import HASH, PASSWORD, Person, logged_in

POLICY = "Content-Security-Policy"


def admin_paths(site: Flask, method: str) -> list[str]:
    """Return every path of a view or plugin route behind the login, ids filled in."""
    rules = [
        rule
        for rule in site.url_map.iter_rules()
        if method in rule.methods
        and rule.rule.startswith(("/admin", "/probe-elsewhere"))
        and not rule.endpoint.endswith("static")
    ]
    values: dict[str, Any] = {"order_id": 1, "picklist_id": 1, "product_id": 1, "shipment_id": 1}
    return [rule.build({name: values.get(name, 1) for name in rule.arguments})[1] for rule in rules]


def test_anonymous_visitors_are_sent_to_the_login_from_every_page(site: Flask, anybody: Person) -> None:
    for method in ("GET", "POST", "HEAD", "OPTIONS"):
        paths = admin_paths(site, method)
        assert paths
        for path in paths:
            answer = anybody.client.open(path, method=method)
            assert (answer.status_code, answer.location.partition("?")[0]) == (302, "/login"), (method, path)
    assert anybody.get("/admin/no-such-page").status_code == 302


def test_styles_of_the_login_page_are_public_and_local(anybody: Person) -> None:
    page = anybody.get("/login")

    assert page.status_code == 200
    assert "//" not in page.text.replace('xmlns="http://', "")
    assert anybody.get("/admin/static/vendor/jquery.min.js").status_code == 200
    assert anybody.get("/static/host.css").status_code == 200


def test_the_root_leads_to_the_admin(anybody: Person) -> None:
    assert anybody.get("/").location == "/admin/"


def test_a_wrong_password_and_an_unknown_name_are_told_alike(anybody: Person) -> None:
    wrong, unknown = anybody.log_in("chief", "wrong"), anybody.log_in("nobody", "wrong")

    assert wrong.status_code == unknown.status_code == 401
    assert "Name or password is wrong." in wrong.text and "Name or password is wrong." in unknown.text


@pytest.mark.parametrize(
    ("target", "reached"),
    [
        ("/admin/orders/?state=paused", "/admin/orders/?state=paused"),
        ("//evil.example/", "/admin/"),
        ("https://evil.example/", "/admin/"),
        ("/\\evil.example", "/admin/"),
        ("/\t/evil.example", "/admin/"),
        ("\n//evil.example", "/admin/"),
        ("javascript:alert(1)", "/admin/"),
        ("orders", "/admin/"),
        ("", "/admin/"),
    ],
)
def test_after_login_only_pages_of_this_host_are_reached(anybody: Person, target: str, reached: str) -> None:
    assert anybody.log_in("chief", next=target).location == reached


def test_who_was_on_the_way_to_a_page_gets_there_after_login(anybody: Person) -> None:
    sent = anybody.get("/admin/orders/?q=O-00012")

    assert 'value="/admin/orders/?q=O-00012"' in anybody.get(sent.location).text


def test_logging_out_needs_a_form_and_ends_the_session(chief: Person) -> None:
    assert chief.get("/logout").status_code == 405
    assert chief.client.post("/logout").status_code == 400
    chief.post("/logout")
    assert chief.get("/admin/").status_code == 302


def test_guessing_passwords_is_limited_by_name(site: Flask, anybody: Person) -> None:
    for _ in range(10):
        assert anybody.log_in("chief", "wrong").status_code == 401
    limited = anybody.log_in("CHIEF ", PASSWORD)

    assert limited.status_code == 429
    assert "Wait a minute" in limited.text


def test_guessing_names_is_limited_by_address(anybody: Person) -> None:
    answers = [anybody.log_in(f"name{number}", "wrong").status_code for number in range(11)]

    assert answers == [401] * 10 + [429]


def test_logging_in_rightly_is_not_limited(site: Flask) -> None:
    for _ in range(12):
        logged_in(site, "packer")


def test_nothing_is_changed_without_a_token(site: Flask, chief: Person) -> None:
    for path in admin_paths(site, "POST"):
        refused = chief.client.post(path, data={"reason": "x"})
        assert refused.status_code == 400, path
        assert "This page is out of date" in refused.text
    assert Person(site).client.post("/login", data={"username": "chief"}).status_code == 400


def test_the_token_of_another_session_is_refused(site: Flask, chief: Person, packer: Person) -> None:
    token = packer.token("/admin/")

    assert chief.client.post("/admin/webshops/import", data={"csrf_token": token}).status_code == 400


def test_packers_pick_and_see_but_change_nothing_else(site: Flask, packer: Person) -> None:
    theirs = ("/admin/picklists/", "/admin/shipments/", "/admin/notifications/", "/admin/account/")
    theirs += ("/admin/probe_open/print", "/probe-elsewhere/print")
    for path in admin_paths(site, "POST"):
        status = packer.client.post(path, data={"csrf_token": packer.token("/admin/")}).status_code
        allowed = path.startswith(theirs) and not path.startswith("/admin/notifications/mail")
        assert (status == 403) == (not allowed), (path, status)


def test_settings_are_for_administrators(packer: Person, chief: Person) -> None:
    for path in ("users", "warehouses", "deliveries", "probe_chiefs", "products/new"):
        assert packer.get(f"/admin/{path}/".replace("new/", "new")).status_code == 403, path
    menu = packer.get("/admin/").text
    assert "Chiefs" not in menu and "/admin/users/" not in menu and "/admin/orders/" in menu
    assert "Chiefs" in chief.get("/admin/").text


def test_pages_of_plugins_are_guarded_by_the_host(packer: Person, chief: Person) -> None:
    assert packer.get("/admin/probe_open/").text == "probe pages"
    assert packer.get("/probe-elsewhere/").text == "probe pages"
    assert packer.post("/admin/probe_open/change").status_code == 403
    assert packer.post("/admin/probe_open/print").text == "printed"
    assert packer.post("/admin/probe-page").status_code == 403
    assert chief.post("/admin/probe_open/change").text == "changed"
    assert chief.post("/admin/probe-page").text == "guarded"


def test_public_routes_of_plugins_need_neither_login_nor_token(anybody: Person) -> None:
    assert anybody.client.post("/probe/webhook").text == "heard"


def test_views_show_their_number_in_the_menu(chief: Person) -> None:
    page = chief.get("/admin/").text

    assert page.count(">7</span>") == 2  # at the group, and at its entry


def test_a_replaced_password_logs_out_everywhere(site: Flask, packer: Person, chief: Person) -> None:
    user_id = _user_id(site, "packer")
    chief.post(f"/admin/users/{user_id}", role="warehouse", active="on", password="another password")

    assert packer.get("/admin/").status_code == 302
    assert Person(site).log_in("packer", "another password").status_code == 302


def test_who_replaces_their_own_password_stays_logged_in_here(site: Flask, chief: Person) -> None:
    other = logged_in(site, "chief")
    fields = {"role": "administrator", "active": "on", "password": "another password"}
    answer = chief.post(f"/admin/users/{_user_id(site, 'chief')}", **fields)

    assert "The user is saved." in answer.text
    assert other.get("/admin/").status_code == 302


def change_own(person: Person, current: str, new: str, again: str | None = None) -> TestResponse:
    fields = {"current": current, "new": new, "again": new if again is None else again}
    return person.post("/admin/account/password", page="/admin/account/", **fields)


@pytest.mark.parametrize("name", ["packer", "chief"])
def test_everybody_changes_their_own_password_and_is_out_everywhere_else(site: Flask, name: str) -> None:
    here, there = logged_in(site, name), logged_in(site, name)
    page = here.get("/admin/account/").text
    assert "Change your password" in page and "At least 10 characters." in page
    answer = change_own(here, PASSWORD, "another password")

    assert "Your password is changed." in answer.text
    assert here.get("/admin/").status_code == 200
    assert there.get("/admin/").status_code == 302
    assert Person(site).log_in(name).status_code == 401
    assert Person(site).log_in(name, "another password").status_code == 302


@pytest.mark.parametrize(
    ("current", "new", "again", "told"),
    [
        ("wrong", "another password", "another password", "This is not your password."),
        (PASSWORD, "short", "short", "A password needs at least 10 characters."),
        (PASSWORD, "another password", "another passwort", "This is not the same as the new password."),
        ("", "", "", "A password needs at least 10 characters."),
    ],
)
def test_a_password_that_can_not_be_changed_is_told_at_its_field(
    site: Flask, packer: Person, current: str, new: str, again: str, told: str
) -> None:
    answer = change_own(packer, current, new, again)

    assert answer.status_code == 400
    assert answer.text.count("invalid-feedback") == 1 and told in answer.text
    assert not {word for word in (current, new, again) if word and f'value="{word}"' in answer.text}
    assert Person(site).log_in("packer").status_code == 302


def test_guessing_the_password_of_an_open_session_is_limited(
    site: Flask, packer: Person, chief: Person
) -> None:
    for _ in range(10):
        assert change_own(packer, "wrong", "another password").status_code == 400
    limited = change_own(packer, PASSWORD, "another password")

    assert limited.status_code == 429
    assert "Wait a minute" in limited.text
    assert Person(site).log_in("packer").status_code == 302
    assert change_own(chief, PASSWORD, "another password").status_code == 200


def test_of_two_changes_of_a_password_at_once_one_counts(site: Flask, do: Any) -> None:
    user_id = _user_id(site, "packer")

    def change(known: str, password: str) -> str | None:
        with transaction():
            changed = users.replace_password(user_id, known, password)
            return changed.password_hash if changed else None

    first = do(change, HASH, "another password")
    assert first and do(change, HASH, "yet another one") is None
    assert Person(site).log_in("packer", "another password").status_code == 302


def test_who_was_deactivated_is_out_at_once(site: Flask, packer: Person, chief: Person) -> None:
    chief.post(f"/admin/users/{_user_id(site, 'packer')}", role="warehouse")

    assert packer.get("/admin/").status_code == 302
    assert Person(site).log_in("packer").status_code == 401


def test_the_last_administrator_stays(site: Flask, chief: Person) -> None:
    user_id = _user_id(site, "chief")
    demoted = chief.post(f"/admin/users/{user_id}", role="warehouse", active="on")
    removed = chief.post(f"/admin/users/{user_id}", role="administrator")

    assert "last active administrator" in demoted.text and "last active administrator" in removed.text
    assert chief.get("/admin/users/").status_code == 200


def test_passwords_and_their_hashes_are_never_shown(chief: Person) -> None:
    added = chief.post("/admin/users/", username="piet", password="short", role="warehouse")
    assert "at least 10 characters" in added.text
    added = chief.post("/admin/users/", username="piet", password=PASSWORD, role="warehouse")

    assert "piet" in added.text
    # Said at both fields, before anybody is refused.
    assert added.text.count("At least 10 characters.") == added.text.count('type="password"') > 1
    assert "scrypt" not in added.text and PASSWORD not in added.text


def test_a_user_with_the_name_of_another_is_refused(chief: Person) -> None:
    again = chief.post("/admin/users/", username="Packer", password=PASSWORD, role="warehouse")

    assert "There is a user named Packer already." in again.text


def test_every_page_carries_the_headers(site: Flask, chief: Person, do: Any) -> None:
    do(_fill)
    for path in admin_paths(site, "GET"):
        answer = chief.get(path)
        assert answer.status_code in (200, 404) or (
            path.endswith(("/close", "/next", "/correct")) and answer.status_code == 302
        ), path
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "script-src 'self';" in answer.headers[POLICY]
        assert "http" not in answer.headers[POLICY]
        assert answer.headers["Cache-Control"] == "no-store"
        assert (
            "<script>" not in answer.text and " style=" not in answer.text and " onclick=" not in answer.text
        )


def test_unknown_pages_are_told_in_the_same_look(chief: Person) -> None:
    answer = chief.get("/admin/orders/999")

    assert answer.status_code == 404
    assert "This page does not exist" in answer.text and "host-nav" in answer.text


def test_a_crash_is_told_without_its_details(
    site: Flask, chief: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("host_app.services.notifications.unread", crash)
    site.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    answer = chief.get("/admin/notifications/")

    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text and "secret detail" not in answer.text
    # Reading may be tried once more; what was sent leads back to where it was sent from.
    assert 'href="/admin/notifications/">Try once more</a>' in answer.text
    monkeypatch.setattr("host_app.services.notifications.mark_read", crash)
    sent = {"csrf_token": chief.token("/admin/account/"), "id": "1"}
    page = {"Referer": "http://localhost/admin/orders/?q=x"}
    answer = chief.client.post("/admin/notifications/read", data=sent, headers=page)
    assert answer.status_code == 500 and "Try once more" not in answer.text
    assert 'href="/admin/orders/?q=x">Back to the page before</a>' in answer.text
    dutch = chief.get("/admin/notifications/", headers={"Accept-Language": "nl"})
    assert "Er ging hier iets mis" in dutch.text and ">Probeer het nog eens</a>" in dutch.text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("This is too large", "send less at once", "Back to the page before", "Go to the home page")),
        ("nl", ("Dit is te groot", "minder tegelijk", "Terug naar de vorige pagina", "Naar de startpagina")),
    ],
)
def test_what_is_too_large_is_refused_in_words_with_a_way_back(
    site: Flask, chief: Person, language: str, words: tuple[str, ...]
) -> None:
    """As it comes through the server that people reach, which refuses by itself only what is much larger."""
    headers = {"Accept-Language": language, "Referer": "http://localhost/admin/products/1/edit"}
    answer = chief.client.post("/admin/products/1/edit", data={"name": "x" * 3_000_000}, headers=headers)

    assert answer.status_code == 413 and "host-nav" in answer.text
    assert all(word in answer.text for word in words) and 'href="/admin/products/1/edit">' in answer.text
    assert web.options(site, "here", 0)["max_request_body_size"] > 3_000_000


@pytest.mark.parametrize(
    "came_from",
    [
        "http://evil.example/admin/orders/",
        "http://localhost/login",
        "javascript:alert(1)",
        "http://localhost//evil",
    ],
)
def test_the_way_back_leads_to_pages_of_this_host_only(packer: Person, came_from: str) -> None:
    answer = packer.get("/admin/users/", headers={"Referer": came_from})

    assert answer.status_code == 403 and "Back to the page before" not in answer.text


def test_who_may_not_is_told_who_may(packer: Person, site: Flask) -> None:
    with site.app_context():
        with transaction() as session:
            session.add(User(username="gone", role="administrator", active=False, password_hash=HASH))
        db.session.remove()
    page = packer.get("/admin/users/", headers={"Referer": "http://localhost/admin/picklists/"}).text

    assert "Not for your role" in page and "Administrators here: <strong>chief</strong>" in page
    assert 'href="/admin/picklists/">Back to the page before</a>' in page


def test_only_administrators_have_settings_in_their_menu(packer: Person, chief: Person) -> None:
    assert "Integrations › Webshops" in chief.get("/admin/").text
    page = packer.get("/admin/").text
    assert "Settings" not in page and "Integrations" not in page and "dropdown-toggle" in page
    assert 'title="Your account and language">packer</a>' in page


def test_nobody_is_led_to_a_page_that_refuses_them(site: Flask, packer: Person, chief: Person) -> None:
    with site.app_context():
        with transaction():
            for number, url in enumerate(
                ("/admin/probe_chiefs/", "/admin/orders/", "https://shop.example/x")
            ):
                host_port().notify(Notice(f"probe:{number}", "probe", Level.INFO, "Title", "Body", url))
        db.session.remove()
    page = packer.get("/admin/notifications/").text
    assert re.findall(r'href="([^"]*)">Go there', page) == ["https://shop.example/x", "/admin/orders/"]
    assert page.count("for an administrator") == 1
    assert chief.get("/admin/notifications/").text.count("Go there") == 3


def _fill() -> None:
    factories.add_warehouse()
    factories.accept("R-1", (factories.add_product("A1", 10), 2))


def _user_id(site: Flask, username: str) -> int:
    with site.app_context(), transaction() as session:
        return next(user.id for user in session.query(User) if user.username == username)


def test_an_administrator_may_go_when_another_is_there(site: Flask, chief: Person, do: Any) -> None:
    def add() -> None:
        with transaction():
            users.add_user("second", PASSWORD, role="administrator")

    do(add)
    chief.post(f"/admin/users/{_user_id(site, 'chief')}", role="administrator")

    assert chief.get("/admin/").status_code == 302


@pytest.mark.parametrize("secure", [False, True])
def test_the_session_is_kept_from_scripts_other_sites_and_where_it_can_be_from_the_open_line(
    make_app: AppFactory, secure: bool
) -> None:
    app = make_app(blocked_plugins=("bol",), secure_cookies=secure)
    answer = Person(app).get("/login", base_url="https://localhost")
    (cookie,) = answer.headers.getlist("Set-Cookie")
    flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= flags
    assert ("secure" in flags) == secure


@pytest.mark.parametrize("number", [2**31, 2**63])
def test_an_id_that_there_can_not_be_is_not_found(make_any_app: AppFactory, number: int) -> None:
    app = make_any_app(blocked_plugins=("bol",))
    with app.app_context():
        with transaction() as session:
            session.add(User(username="chief", role="administrator", active=True, password_hash=HASH))
        db.session.remove()
    assert logged_in(app, "chief").get(f"/admin/orders/{number}").status_code == 404


@pytest.mark.parametrize("where", ["address", "form"])
def test_a_character_that_no_text_has_is_refused(site: Flask, chief: Person, where: str) -> None:
    if where == "address":
        assert chief.get("/admin/orders/?q=a%00b").status_code == 400
    else:
        data = {"name": "a\0b", "csrf_token": chief.token("/admin/")}
        assert chief.client.post("/admin/warehouses/", data=data).status_code == 400

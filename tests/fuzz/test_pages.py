"""Whatever is asked of a page, it answers; and nothing is changed by those who may not."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from sqlalchemy import inspect, text, update
from werkzeug.test import TestResponse

import host_app.admin
import plugin.views
from host_app.db import db, transaction
from host_app.models import User
from tests.e2e.visitor import Form, Page
from tests.fuzz.values import MARKER, NASTY, fuzz, ids, texts
from tests.host_app.admin.conftest import HASH, Person, logged_in
from tests.plugin.conftest import KETTLE, TOASTER
from tests.plugin.views.conftest import Site
from tests.plugin.views.test_roles import ADMINISTRATORS, EVERYONE, PUBLIC, lines

pytestmark = pytest.mark.long

#: Names of fields, as the code asks for them.
NAMES = sorted(
    {
        name
        for package in (host_app.admin, plugin.views)
        for file in Path(package.__path__[0]).glob("*.py")
        for name in re.findall(r"(?:form|args|values)(?:\.get|\.getlist)?[(\[]\"([\w-]+)\"", file.read_text())
    }
)
#: A login is asked for so often only; and who logs out sees nothing any more.
LEFT_OUT = {"/login", "/logout"}
#: Not well-formed, not allowed, or an id that there can't be.
REFUSED = (400, 403, 404)


@dataclass
class Request:
    """One request, with numbers and words of a stranger's choice."""

    method: str
    path: str
    fields: dict[str, str] = field(default_factory=dict)

    def send(self, person: Person, token: str = "") -> TestResponse:
        if self.method == "GET":
            return person.get(self.path, query_string=self.fields)
        data = self.fields | ({"csrf_token": token} if token else {})
        return person.client.post(self.path, data=data)


def requests_of(site: Site, routes: Iterable[str], choose: random.Random) -> Iterator[Request]:
    """Yield a request of each route."""
    wanted = set(routes)
    for rule in site.app.url_map.iter_rules():
        for method in ("GET", "POST"):
            if f"{method} {rule.rule}" not in wanted or rule.rule in LEFT_OUT:
                continue
            values: dict[str, Any] = {
                name: "host.css" if name in ("filename", "key") else choose.choice((0, 1, 1, 2, 2**31, 2**63))
                for name in rule.arguments
            }
            names = choose.sample(NAMES, 6)
            fields = {name: choose.choice(NASTY) for name in names}
            yield Request(method, str(rule.build(values)[1]), fields)  # type: ignore[index]


def contents(site: Site) -> dict[str, str]:
    """Return what stands in each table, as one number."""
    with site.app.app_context(), db.engine.connect() as connection:
        return {
            table: str(
                connection.scalar(
                    text(
                        f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
                    )
                )
            )
            for table in inspect(connection).get_table_names()
        }


def give_work(site: Site, store: int) -> None:
    """Have something of everything: an order to pick, one that waits, one that was shipped, and a check."""
    with site.shop() as shop:
        shop.settings(send_shipments=True, send_stock=True)
        shipped = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.order((TOASTER, 1))
        shop.order((KETTLE, 60), force=True)
        shop.import_orders()
        shop.close(shipped)
        shop.work()
        shop.runtime.check_stock(store, True, "chief")
        shop.work()


def test_whatever_is_asked_is_answered(site: Site, store: int) -> None:
    give_work(site, store)
    chief = logged_in(site.app, "chief")
    token = chief.token("/admin/")
    routes = lines(PUBLIC) | lines(EVERYONE) | lines(ADMINISTRATORS)

    def all_routes(seed: int) -> None:
        nonlocal chief, token
        for request in requests_of(site, routes, random.Random(seed)):
            answer = request.send(chief, token)
            assert answer.status_code < 500, (request, answer.text[-2000:])
            assert MARKER not in answer.text, request
            if answer.status_code == 302 and answer.location.startswith("/login"):
                chief = _back(site)
                token = chief.token("/admin/")

    fuzz(st.integers(0, 2**32), all_routes, 1)


def test_those_who_may_not_change_nothing_whatever_they_send(site: Site, store: int, packer: Person) -> None:
    anybody, chief = Person(site.app), logged_in(site.app, "chief")
    token = packer.token("/admin/")
    before = contents(site)

    def all_routes(seed: int) -> None:
        choose = random.Random(seed)
        for request in requests_of(site, lines(ADMINISTRATORS), choose):
            assert request.send(packer, token).status_code in REFUSED, request
        changing = {route for route in lines(EVERYONE) | lines(ADMINISTRATORS) if route.startswith("POST")}
        for request in requests_of(site, changing, choose):
            request.fields["csrf_token"] = choose.choice(NASTY)
            assert request.send(chief).status_code in REFUSED, request
            assert request.send(anybody).status_code in (302, *REFUSED), request

    fuzz(st.integers(0, 2**32), all_routes, 1)
    assert contents(site) == before


def test_no_form_breaks_whatever_is_written_into_it(site: Site, store: int) -> None:
    give_work(site, store)
    with site.app.app_context():
        rules = [
            rule for rule in site.app.url_map.iter_rules() if f"GET {rule.rule}" in _pages() and rule.rule
        ]
    chief = logged_in(site.app, "chief")
    forms: dict[tuple[str, tuple[str, ...]], Form] = {}
    for rule in rules:
        for number in (1, 2, 3) if rule.arguments else (1,):
            path = str(rule.build(dict.fromkeys(rule.arguments, number))[1])  # type: ignore[index]
            for form in Page(path, chief.get(path).text).forms:
                if form.action.rpartition("/")[2] not in ("logout", "login"):
                    forms.setdefault((re.sub(r"\d+", "1", form.action), tuple(sorted(form.fields))), form)
    assert len(forms) > 30
    token = chief.token("/admin/")

    def all_forms(seed: int) -> None:
        nonlocal chief, token
        choose = random.Random(seed)
        for form in forms.values():
            names = [name for name in form.fields if name not in ("csrf_token", "")]
            fields = dict(form.fields)
            for name in choose.sample(names, min(len(names), choose.randint(1, 3))):
                fields[name] = choose.choice(NASTY)
            if "csrf_token" in fields:
                answer = chief.client.post(form.action, data=fields | {"csrf_token": token})
            else:
                answer = chief.get(form.action, query_string=fields)
            assert answer.status_code < 500, (form.action, fields, answer.text[-2000:])
            if answer.status_code == 302 and answer.location.startswith("/login"):
                chief = _back(site)
                token = chief.token("/admin/")

    fuzz(st.integers(0, 2**32), all_forms, 1)


def test_nothing_that_comes_back_from_the_login_page_breaks_it_or_connects(
    site: Site, store: int, chief: Person
) -> None:
    before = contents(site)["bol_store"]
    names = st.sampled_from(("state", "code", "error", "error_description", "scope", "x"))

    def come_back(query: dict[str, str]) -> None:
        answer = chief.get("/admin/bol/connect/return", query_string=query)
        assert answer.status_code == 400, (query, answer.status_code)
        assert MARKER not in answer.text, query

    fuzz(st.dictionaries(names, texts), come_back, 40)
    assert contents(site)["bol_store"] == before


def test_every_list_can_be_searched_for_anything(site: Site, store: int, chief: Person) -> None:
    """Each field of each form that only looks, one value for all of them."""
    give_work(site, store)
    searches = []
    for route in sorted(_pages()):
        if route.count("<") <= 1 and "login" not in route:
            path = re.sub(r"<[^>]+>", "1", route.partition(" ")[2])
            page = Page(path, chief.get(path).text)
            searches += [form for form in page.forms if "csrf_token" not in form.fields and form.fields]
    assert len(searches) >= 5

    def search(asked: tuple[str, int]) -> None:
        for form in searches:
            fields = dict.fromkeys(form.fields, asked[0]) | {"page": str(asked[1])}
            answer = chief.get(form.action, query_string=fields)
            assert answer.status_code < 500, (form.action, fields)
            assert MARKER not in answer.text, (form.action, fields)

    fuzz(st.tuples(texts, ids), search, 6)


def _pages() -> set[str]:
    shown = (lines(EVERYONE) | lines(ADMINISTRATORS)) - lines(PUBLIC)
    return {route for route in shown if route.startswith("GET") and not route.endswith((".pdf", ".csv"))}


def _back(site: Site) -> Person:
    """Let the administrator in again, whatever became of the account."""
    with site.app.app_context():
        with transaction() as session:
            session.execute(
                update(User)
                .where(User.id == 1)
                .values(username="chief", active=True, role="administrator", password_hash=HASH)
            )
        db.session.remove()
    return logged_in(site.app, "chief")

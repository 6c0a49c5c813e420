"""What plugins have for people to do, in the menu and on the home page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from host_app.db import db, transaction
from host_app.models import User
from host_app.models.people import Role
from host_app.plugin_api import Attention, HostPort
from tests.conftest import AppFactory
from tests.host_app.admin.conftest import HASH, Person, logged_in
from tests.host_app.admin.probe import Probe


def numbers(page: str) -> list[str]:
    """Return what the links to the plugin's tasks say."""
    links = re.findall(r'<a[^>]*href="/admin/probe_open/"[^>]*>(.*?)</a>', page, re.DOTALL)
    texts = (re.sub(r"<[^>]+>", " ", link).split() for link in links)
    return [" ".join(words) for words in texts if "Waiting" in words]


def test_what_waits_is_told_in_the_menu_and_on_the_home_page(packer: Person, probe: Probe) -> None:
    probe.waiting = Attention("Waiting for you", 3, "/admin/probe_open/")

    assert set(numbers(packer.get("/admin/orders/").text)) == {"Waiting for you 3"}
    assert "3 Waiting for you" in numbers(packer.get("/admin/").text)


@pytest.mark.parametrize(
    "nothing",
    [None, "Waiting", Attention("Waiting", 1, "//evil")],
)
def test_nothing_to_do_is_not_told(packer: Person, probe: Probe, nothing: Any) -> None:
    probe.waiting = nothing

    assert "Waiting" not in packer.get("/admin/").text


def test_that_nothing_waits_is_told_at_the_place_where_it_would_be_told(packer: Person, probe: Probe) -> None:
    probe.waiting = Attention("Waiting for you", 0, "/admin/probe_open/")

    menu, page = packer.get("/admin/").text.split("<main")
    assert set(numbers(menu)) == {"Waiting for you 0"}
    assert "host-none" in menu and "badge-danger" not in menu.split("Waiting for you")[1].split("</a>")[0]
    assert numbers(page) == ["0 Waiting for you"]
    assert '<strong class="text-success">0</strong>Waiting for you' in page


def test_it_is_asked_once_for_a_page(packer: Person, probe: Probe) -> None:
    asked: list[HostPort] = []

    def answer(host: HostPort) -> Attention:
        asked.append(host)
        return Attention("Waiting", 1, "/admin/probe_open/")

    probe.waiting = answer
    packer.get("/admin/")

    assert len(asked) == 1


@pytest.fixture
def any_site(make_any_app: AppFactory, probe: Probe) -> Flask:
    app = make_any_app(blocked_plugins=("bol",), extra_plugins={"probe": probe})
    with app.app_context():
        with transaction() as session:
            session.add(User(username="packer", role=Role.WAREHOUSE, active=True, password_hash=HASH))
        db.session.remove()
    return app


def test_a_plugin_that_fails_in_the_database_takes_no_page_with_it(any_site: Flask, probe: Probe) -> None:
    def fail(host: HostPort) -> Attention:
        host.session.execute(text("SELECT nothing FROM nowhere"))
        raise AssertionError("no such table")

    probe.waiting = fail
    packer = logged_in(any_site, "packer")

    for path in ("/admin/", "/admin/orders/", "/admin/notifications/"):
        assert packer.get(path).status_code == 200, path

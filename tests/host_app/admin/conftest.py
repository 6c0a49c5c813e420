"""Applications with a probe plugin, and people who click through their pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from host_app.db import db, transaction
from host_app.models import User
from host_app.models.people import Role
from tests.conftest import AppFactory
from tests.host_app.admin.probe import Probe

PASSWORD = "a long password"
# As weak as can be, to be quick.
HASH = generate_password_hash(PASSWORD, "pbkdf2:sha256:1")


class Person:
    """Somebody with a browser: takes tokens from the pages seen, as a browser does."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, path: str, **arguments: Any) -> TestResponse:
        return self.client.get(path, **arguments)

    def token(self, path: str = "/login") -> str:
        found = re.search(r'name="csrf-?_?token" (?:value|content)="([^"]+)"', self.get(path).text)
        assert found, f"no token on {path}"
        return found[1]

    def post(self, path: str, page: str = "/admin/", **fields: Any) -> TestResponse:
        """Send a form as found on ``page`` and return what is shown after it."""
        fields = {name.replace("__", "-"): value for name, value in fields.items()}
        return self.client.post(path, data={"csrf_token": self.token(page), **fields}, follow_redirects=True)

    def log_in(self, username: str, password: str = PASSWORD, **fields: str) -> TestResponse:
        data = {"username": username, "password": password, "csrf_token": self.token(), **fields}
        return self.client.post("/login", data=data)


@pytest.fixture
def probe() -> Probe:
    return Probe()


def add_people(app: Flask) -> None:
    """Let a chief (administrator) and a packer work here."""
    with app.app_context():
        with transaction() as session:
            for name, role in (("chief", Role.ADMINISTRATOR), ("packer", Role.WAREHOUSE)):
                session.add(User(username=name, role=role, active=True, password_hash=HASH))
        db.session.remove()


@pytest.fixture
def site(make_app: AppFactory, probe: Probe) -> Iterator[Flask]:
    """An application with the probe plugin, a chief (administrator) and a packer; its context is not open."""
    app = make_app(blocked_plugins=("bol",), extra_plugins={"probe": probe})
    add_people(app)
    yield app


@pytest.fixture
def do(site: Flask) -> Callable[..., Any]:
    """Does something in the application's context."""

    def run(action: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with site.app_context():
            try:
                return action(*arguments, **named)
            finally:
                db.session.remove()

    return run


def logged_in(site: Flask, username: str) -> Person:
    """Return somebody who is logged in."""
    person = Person(site)
    assert person.log_in(username).status_code == 302
    return person


@pytest.fixture
def anybody(site: Flask) -> Person:
    return Person(site)


@pytest.fixture
def chief(site: Flask) -> Person:
    return logged_in(site, "chief")


@pytest.fixture
def packer(site: Flask) -> Person:
    return logged_in(site, "packer")

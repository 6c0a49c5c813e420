"""A warehouse with the connector and a sandbox, and people who click through the connector's pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from flask import Flask

from bol_sandbox.testing import SandboxControls
from host_app.db import db, transaction
from host_app.models import User
from host_app.models.people import Role
from tests.conftest import AppFactory
from tests.host_app.admin.conftest import HASH, Person, logged_in
from tests.plugin.conftest import Clock, Shop

SECRET = "a-secret-that-no-page-shows"


@dataclass
class Site:
    """The application, and its shop for what happens behind the pages."""

    app: Flask
    _shop: Shop

    @contextmanager
    def shop(self) -> Iterator[Shop]:
        """Open the application's context, in which a shop works; pages are asked for outside of it."""
        with self.app.app_context():
            yield self._shop
            db.session.remove()


@pytest.fixture
def site(
    make_app: AppFactory, bol_sandbox: SandboxControls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """The seller "keeper" has a secret that is easy to find; an administrator and a packer work here."""
    bol_sandbox.add_seller("keeper", SECRET)
    app = make_app()
    clock = Clock()
    monkeypatch.setattr("host_app.db.utcnow", clock.now)
    with app.app_context():
        shop = Shop(app, bol_sandbox, clock)
        with transaction() as session:
            for name, role in (("chief", Role.ADMINISTRATOR), ("packer", Role.WAREHOUSE)):
                session.add(User(username=name, role=role, active=True, password_hash=HASH))
        db.session.remove()
    yield Site(app, shop)


@pytest.fixture
def chief(site: Site) -> Person:
    return logged_in(site.app, "chief")


@pytest.fixture
def packer(site: Site) -> Person:
    return logged_in(site.app, "packer")


@pytest.fixture
def store(site: Site) -> int:
    """An active store with the default settings, its offers read and its products made."""
    with site.shop() as shop:
        store_id = shop.connect()
        shop.work()
    return store_id

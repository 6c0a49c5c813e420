"""A warehouse with the connector on PostgreSQL, which is strict about lengths, numbers and characters, for strangers to try."""

from __future__ import annotations

import pytest

from tests.conftest import AppFactory
from tests.plugin.conftest import bol_sandbox, running_bol
from tests.plugin.views.conftest import chief, packer, site, store

__all__ = ["bol_sandbox", "chief", "packer", "running_bol", "site", "store"]


@pytest.fixture
def make_app(make_postgres_app: AppFactory) -> AppFactory:
    return make_postgres_app

"""Pages find what they show by an index, on both databases: with many offers they have no time for more."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from host_app.db import db
from plugin.models import Offer
from plugin.sync import ean_doctor
from plugin.views.offers import called
from tests.conftest import AppFactory

DIALECTS = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}
OFFER_ID = "0b7e5c3a-1111-2222-3333-444455556666"


@pytest.fixture
def app(make_any_app: AppFactory) -> Flask:
    return make_any_app()


def plan(statement: Any) -> str:
    """Return how the database finds the answer, at least where it is told that walks are dear."""
    name = db.engine.dialect.name
    compiled = statement.compile(
        dialect=DIALECTS[name](paramstyle="named"), compile_kwargs={"literal_binds": True}
    )
    with db.engine.connect() as connection:
        if name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if name == "sqlite" else "EXPLAIN"
        rows = connection.exec_driver_sql(
            f"{explain} {compiled}".replace("%", "%%") if name == "postgresql" else f"{explain} {compiled}"
        )
        return "\n".join(" ".join(map(str, row)) for row in rows)


def test_what_ails_offers_is_found_by_its_index(app: Flask) -> None:
    with app.app_context():
        for kind, condition in ean_doctor.ailments(1).items():
            counted = plan(select(func.count()).select_from(Offer).where(condition))
            assert "ix_bol_offer_ailing" in counted, (kind, counted)
        listed = plan(ean_doctor.ailing(1, ean_doctor.conditions(db.session, 1)).limit(50))
        assert "ix_bol_offer_ailing" in listed


@pytest.mark.parametrize(
    ("sought", "indexes"),
    [
        ("871000000", ("ix_bol_offer_ean", "ix_bol_offer_reference")),
        ("REF-1", ("ix_bol_offer_store",)),
        (OFFER_ID, ("bol_offer_",)),
    ],
)
def test_offers_are_looked_for_by_indexes(app: Flask, sought: str, indexes: tuple[str, ...]) -> None:
    with app.app_context():
        found = plan(select(Offer.id).where(called(1, sought)))
    assert "SCAN bol_offer" not in found
    assert "Seq Scan" not in found
    for index in indexes:
        assert index in found

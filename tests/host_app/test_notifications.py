"""A fact is told once, whatever the length of its key, and is over with all that belongs to it, on both databases."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from host_app.db import reading, transaction
from host_app.models import Notification
from host_app.plugin_api import Level, Notice
from host_app.services import notifications
from tests.conftest import AppFactory


def tell(key: str) -> bool:
    with transaction():
        return notifications.notify(Notice(key, "order", Level.WARNING, "Told", ""))


def settle(key: str) -> int:
    """Settle a key; return how many are still to be read."""
    with transaction():
        notifications.settle(key)
    with reading() as session:
        unread = session.scalars(select(Notification.id).where(Notification.read_at.is_(None)))
        return len(unread.all())


@pytest.fixture
def any_app(make_any_app: AppFactory) -> Flask:
    return make_any_app(blocked_plugins=("bol",))


def test_facts_with_long_keys_are_told_once_each_and_settled_by_their_beginning(any_app: Flask) -> None:
    items = ",".join(f"item-{number:03}" for number in range(40))
    keys = [
        f"asked:order:{items}",
        f"asked:order:{items}:1",
        f"asked:order:{items}:2",
        f"asked:other:{items}",
    ]
    with any_app.app_context():
        assert [tell(key) for key in keys] == [True] * 4
        assert [tell(key) for key in keys] == [False] * 4
        assert settle(keys[1]) == 3
        assert settle("asked:ord") == 3
        assert settle("asked:order") == 1


def test_a_key_that_just_fits_is_kept_as_it_is(any_app: Flask) -> None:
    with any_app.app_context():
        assert tell("k" * 200)
        assert tell("k" * 201)
        with reading() as session:
            kept = session.scalars(select(Notification.key).order_by(Notification.id)).all()
    assert kept[0] == "k" * 200
    assert [len(key) for key in kept] == [200, 200]
    assert kept[0] != kept[1]

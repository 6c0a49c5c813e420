"""Telling people something, once."""

from __future__ import annotations

import hashlib

from flask import current_app
from sqlalchemy import func, or_, select, update

from host_app.db import current_session, insert_if_absent, utcnow
from host_app.models import Notification
from host_app.plugin_api import Notice
from host_app.plugins import plugins

#: So long a key is kept; of a longer one its beginning, by which it is still settled, and a hash that tells it from others.
LONGEST_KEY, HASH_BYTES = 200, 16


def _kept_key(key: str) -> str:
    if len(key) <= LONGEST_KEY:
        return key
    mark = f":{hashlib.blake2b(key.encode(), digest_size=HASH_BYTES).hexdigest()}"
    return key[: LONGEST_KEY - len(mark)] + mark


def notify(notice: Notice) -> bool:
    """Write a notification unless the same fact was told before; tell if it was written."""
    session, key = current_session(), _kept_key(notice.key)
    if session.scalar(select(Notification.id).where(Notification.key == key)) is not None:
        return False
    values = {
        "key": key,
        "kind": notice.kind,
        "level": notice.level.value,
        "title": notice.title[:200],
        "body": notice.body,
        "url": notice.url,
        "at": utcnow(),
        "read_by": "",
        "mail_to": _mail_to(notice),
    }
    return insert_if_absent(session, Notification, values, ["key"])


def _mail_to(notice: Notice) -> str | None:
    """Ask plugins whom they want told by e-mail; the host port is what they are asked with."""
    host = current_app.extensions["host_port"]
    wanted = [
        addresses
        for _name, addresses in plugins().call_each("mail_addresses", host=host, notice=notice)
        if addresses is not None
    ]
    return (
        " ".join(dict.fromkeys(address for addresses in wanted for address in addresses)) if wanted else None
    )


def unread() -> int:
    """Return how many notifications nobody has read yet."""
    return current_session().scalar(select(func.count()).where(Notification.read_at.is_(None))) or 0


def settle(key: str) -> None:
    """Mark unread notifications of this key, or of ``key:...``, as read by nobody: what they tell is over."""
    same = or_(Notification.key == _kept_key(key), Notification.key.startswith(f"{key}:", autoescape=True))
    current_session().execute(
        update(Notification).where(Notification.read_at.is_(None), same).values(read_at=utcnow())
    )


def mark_read(notification_ids: list[int] | None, who: str) -> None:
    """Mark notifications (None: all) as read by somebody."""
    statement = update(Notification).where(Notification.read_at.is_(None))
    if notification_ids is not None:
        statement = statement.where(Notification.id.in_(notification_ids))
    current_session().execute(statement.values(read_at=utcnow(), read_by=who))

"""What happened to an order, line by line, for people who ask what became of it."""

from __future__ import annotations

from sqlalchemy import select

from host_app.plugin_api import HostPort
from plugin.models import BolOrderEvent


def note(host: HostPort, order_row_id: int, text: str) -> None:
    """Add a line to an order's timeline. In a transaction. ``text`` holds no personal data."""
    host.session.add(BolOrderEvent(order_id=order_row_id, at=host.now(), text=text[:500]))


def note_once(host: HostPort, order_row_id: int, text: str) -> None:
    """Add a line unless the same one stands there. In a transaction."""
    known = host.session.scalar(
        select(BolOrderEvent.id)
        .where(BolOrderEvent.order_id == order_row_id, BolOrderEvent.text == text[:500])
        .limit(1)
    )
    if known is None:
        note(host, order_row_id, text)

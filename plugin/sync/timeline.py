"""What happened to an order, line by line, for people who ask what became of it."""

from __future__ import annotations

from collections.abc import Iterable

from host_app.plugin_api import HostPort
from plugin.models import BolOrderEvent


def note(host: HostPort, order_row_id: int, text: str) -> None:
    """Add a line to an order's timeline. In a transaction. ``text`` holds no personal data."""
    host.session.add(BolOrderEvent(order_id=order_row_id, at=host.now(), text=text[:500]))


def note_each(host: HostPort, order_row_ids: Iterable[int], text: str) -> None:
    """Add the same line to several timelines. In a transaction."""
    for order_row_id in order_row_ids:
        note(host, order_row_id, text)

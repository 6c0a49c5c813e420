"""What happened to an order, line by line, for people who ask what became of it."""

from __future__ import annotations

from sqlalchemy import func, select

from host_app.plugin_api import HostPort
from plugin.models import BolOrderEvent


def note(host: HostPort, order_row_id: int, text: str, fact: str = "") -> None:
    """Add a line to an order's timeline. In a transaction.

    :param text: in the installation's language, as it is kept; it holds no personal data.
    :param fact: a code for what it tells, where it matters if it was told.
    """
    host.session.add(BolOrderEvent(order_id=order_row_id, at=host.now(), text=text[:500], fact=fact))


def is_noted(host: HostPort, order_row_id: int, fact: str) -> bool:
    """Tell if an order's timeline tells a fact. In a transaction."""
    known = host.session.scalar(
        select(BolOrderEvent.id)
        .where(BolOrderEvent.order_id == order_row_id, BolOrderEvent.fact == fact)
        .limit(1)
    )
    return known is not None


def times_noted(host: HostPort, order_row_id: int, fact: str) -> int:
    """Return how often an order's timeline tells a fact. In a transaction."""
    count: int = host.session.scalar(
        select(func.count()).where(BolOrderEvent.order_id == order_row_id, BolOrderEvent.fact == fact)
    )
    return count


def note_once(host: HostPort, order_row_id: int, fact: str, text: str) -> None:
    """Add a line unless the fact was told before, in whatever words. In a transaction."""
    if not is_noted(host, order_row_id, fact):
        note(host, order_row_id, text, fact)

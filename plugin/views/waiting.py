"""What a person must do, found once in a request: the menu bar and the page below it ask for the same."""

from __future__ import annotations

from flask import has_request_context, request
from sqlalchemy import select

from host_app.plugin_api import HostPort
from plugin.models import Store, StoreState
from plugin.sync import attention
from plugin.sync.attention import Task

KEPT = "bol.tasks"


def tasks(host: HostPort, store_id: int | None = None) -> list[Task]:
    """Return what :func:`plugin.sync.attention.tasks` returns, of one store or of all. In a transaction."""
    if not has_request_context():
        return attention.tasks(host, store_id)
    kept: dict[int | None, list[Task]] = request.environ.setdefault(KEPT, {})
    if store_id is not None and _is_the_only_one(host, store_id):
        store_id = None
    if store_id not in kept:
        kept[store_id] = attention.tasks(host, store_id)
    return kept[store_id]


def number(host: HostPort) -> int:
    """Return how many decisions wait for a person. In a transaction."""
    return sum(task.decisions for task in tasks(host))


def _is_the_only_one(host: HostPort, store_id: int) -> bool:
    others = select(Store.id).where(Store.state != StoreState.DISCONNECTED, Store.id != store_id)
    return host.session.scalar(others.limit(1)) is None

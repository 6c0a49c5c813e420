"""Puts the connector's pages together."""

from __future__ import annotations

from typing import Any

from host_app.plugin_api import HostPort
from plugin.views.actions import Actions


def views(host: HostPort, actions: Actions) -> list[Any]:
    """Return the views to add to the admin."""
    return []

"""What is due, as wakes; the host's scheduler asks each second."""

from __future__ import annotations

from datetime import datetime

from host_app.plugin_api import HostPort, Wake
from plugin.jobs.wakes import wake_for
from plugin.sync.due import due


def due_wakes(host: HostPort, now: datetime) -> list[Wake]:
    """Return a wake for all work that is due."""
    return [wake_for(work.kind, work.store_id) for work in due(host, now)]

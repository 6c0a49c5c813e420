"""Which notifications a store wants told by e-mail, and whom."""

from __future__ import annotations

import re

from host_app.plugin_api import HostPort, Notice
from plugin.models import Store
from plugin.settings import StoreSettings

#: The key of a notification about a store begins with it, and its kind is one of the settings' behind this word.
STORE = re.compile(r"bol:(\d+):")
PREFIX = "bol."


def addresses(host: HostPort, notice: Notice) -> list[str] | None:
    """Return whom to tell of a notification by e-mail, none for the host's own addresses; None where its store does not
    want that. In a transaction."""
    about = STORE.match(notice.key)
    if about is None or not notice.kind.startswith(PREFIX):
        return None
    store = host.session.get(Store, int(about[1]))
    settings = StoreSettings() if store is None else StoreSettings.load(store.settings)
    return settings.mail_to.split() if notice.kind.removeprefix(PREFIX) in settings.mail_kinds else None

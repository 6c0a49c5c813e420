"""How the connector shows under Settings > Integrations > Webshops."""

from __future__ import annotations

from sqlalchemy import select

from host_app.plugin_api import HostPort, Integration, Level, StoreSummary
from plugin.models import Store, StoreState
from plugin.sync.context import store_url
from plugin.texts import gettext as _

KEY = "bol"
TITLE = "Bol.com Retailer"
CONNECT_URL = "/admin/bol/connect"


def integration(host: HostPort) -> Integration:
    """Return the kind of webshop this is, with the stores that are connected."""
    with host.reading() as session:
        stores = session.scalars(select(Store).order_by(Store.name)).all()
    return Integration(
        key=KEY,
        title=TITLE,
        description=_("Orders, shipments, products and stock of a seller's account at bol.com."),
        connect_url=CONNECT_URL,
        stores=tuple(StoreSummary(store.name, *state_of(store), store_url(store.id)) for store in stores),
    )


def state_of(store: Store) -> tuple[str, Level]:
    """Return a store's state in words, and how to colour it."""
    if store.problem:
        return _("needs attention"), Level.DANGER
    if store.state == StoreState.ACTIVE:
        return _("active"), Level.SUCCESS
    if store.state == StoreState.PAUSED:
        return _("paused"), Level.WARNING
    if store.state == StoreState.DISCONNECTING:
        return _("being disconnected"), Level.WARNING
    if store.state == StoreState.DISCONNECTED:
        return _("disconnected"), Level.INFO
    return _("not active yet"), Level.WARNING

"""How the connector shows under Settings > Integrations > Webshops."""

from __future__ import annotations

from sqlalchemy import select

from host_app.plugin_api import HostPort, Integration, Level, StoreSummary
from plugin.models import Store, StoreState
from plugin.sync.context import store_url

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
        description="Orders, shipments, products and stock of a seller's account at bol.com.",
        connect_url=CONNECT_URL,
        stores=tuple(StoreSummary(store.name, *state_of(store), store_url(store.id)) for store in stores),
    )


def state_of(store: Store) -> tuple[str, Level]:
    """Return a store's state in words, and how to colour it."""
    if store.problem:
        return "needs attention", Level.DANGER
    if store.state == StoreState.ACTIVE:
        return "active", Level.SUCCESS
    if store.state == StoreState.PAUSED:
        return "paused", Level.WARNING
    if store.state == StoreState.DISCONNECTING:
        return "being disconnected", Level.WARNING
    if store.state == StoreState.DISCONNECTED:
        return "disconnected", Level.INFO
    return "not active yet", Level.WARNING

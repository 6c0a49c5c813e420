"""How the connector shows under Settings > Integrations > Webshops."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, select

from host_app.plugin_api import HostPort, Integration, Level, StoreSummary
from plugin.models import BolOrder, Store, StoreState
from plugin.settings import StoreSettings
from plugin.sync.attention import KEPT, Task
from plugin.sync.context import store_url
from plugin.texts import gettext as _
from plugin.texts import ngettext
from plugin.views import waiting, words

KEY = "bol"
TITLE = "Bol.com Retailer"
CONNECT_URL = "/admin/bol/connect"


def integration(host: HostPort) -> Integration:
    """Return the kind of webshop this is, with the stores that are connected."""
    with host.reading() as session:
        stores = session.scalars(select(Store).order_by(Store.name)).all()
        known = set(session.scalars(select(Store.id).where(exists().where(BolOrder.store_id == Store.id))))
        found = waiting.tasks(host)
    return Integration(
        key=KEY,
        title=TITLE,
        description=_("Orders, shipments, products and stock of a seller's account at bol.com."),
        connect_url=CONNECT_URL,
        stores=tuple(
            StoreSummary(
                store.name,
                *state_of(store),
                store_url(store.id),
                doing(store, found, had_orders=store.id in known),
            )
            for store in stores
        ),
    )


def doing(store: Store, found: Sequence[Task], *, had_orders: bool) -> str:
    """Return in one sentence how a store is doing."""
    mine = [task for task in found if task.store_id == store.id]
    decisions = sum(task.decisions for task in mine)
    if store.state == StoreState.CONNECTED:
        return _("Nothing is imported or sent yet: go on with the set-up.")
    if store.state in (StoreState.DISCONNECTED, StoreState.DISCONNECTING):
        return _("No new orders come in.")
    if store.problem:
        since = _("Problem since %(since)s.", since=words.when(store.problem_at))
        return since if store.problem_kind else f"{since} {_('It is tried again by itself.')}"
    if store.state == StoreState.PAUSED:
        return _("No orders come in, and nothing is sent to bol.")
    if mine and mine[0].kind == KEPT:
        # Nothing more urgent stands before it.
        return ngettext(
            "bol goes on selling %(num)s offer that has no stock here.",
            "bol goes on selling %(num)s offers that have no stock here.",
            mine[0].number,
        )
    if decisions:
        return ngettext("%(num)s thing needs you.", "%(num)s things need you.", decisions)
    if not had_orders and StoreSettings.load(store.settings).import_orders:
        return _("Set up, waiting for the first order.")
    if store.orders_imported_at is not None:
        return _("All is well. Orders were read %(ago)s.", ago=words.ago(store.orders_imported_at))
    return _("All is well.")


def state_of(store: Store) -> tuple[str, Level]:
    """Return a store's state in words, and how to colour it."""
    if store.state == StoreState.DISCONNECTED:
        return _("disconnected"), Level.INFO
    if store.problem:
        # What passes by itself is none of the things that need somebody.
        return (
            (_("needs attention"), Level.DANGER)
            if store.problem_kind
            else (_("problem at bol"), Level.WARNING)
        )
    if store.state == StoreState.ACTIVE:
        return _("active"), Level.SUCCESS
    if store.state == StoreState.PAUSED:
        return _("paused"), Level.WARNING
    if store.state == StoreState.DISCONNECTING:
        return _("being disconnected"), Level.WARNING
    return _("not active yet"), Level.WARNING

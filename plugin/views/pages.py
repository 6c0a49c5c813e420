"""Puts the connector's pages together."""

from __future__ import annotations

from typing import Any

from host_app.plugin_api import HostPort
from plugin.views.actions import Actions
from plugin.views.attention import AttentionPages
from plugin.views.calls import CallPages
from plugin.views.checks import CheckPages
from plugin.views.connect import ConnectPages
from plugin.views.labels import LabelPages
from plugin.views.offers import OfferPages
from plugin.views.order import OrderPage
from plugin.views.orders import OrderPages
from plugin.views.plan import PlanPages
from plugin.views.shipments import ShipmentPages
from plugin.views.stores import StorePages


class Pages(
    AttentionPages,
    StorePages,
    ConnectPages,
    OrderPages,
    OrderPage,
    OfferPages,
    ShipmentPages,
    LabelPages,
    CheckPages,
    PlanPages,
    CallPages,
):
    """Everything under ``/admin/bol/``: one view, so that the menu shows where one is."""


def views(host: HostPort, actions: Actions) -> list[Any]:
    """Return the views to add to the admin."""
    return [Pages(host, actions)]

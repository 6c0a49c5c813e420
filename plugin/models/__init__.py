"""What the connector remembers: the ``bol_*`` tables."""

from plugin.models.base import PREFIX, Base
from plugin.models.offers import Offer, OfferState
from plugin.models.orders import BolOrder, BolOrderItem, BolOrderState
from plugin.models.runs import Run, RunState
from plugin.models.shipments import EffectState, ProcessStatusRow, ShipmentEffect
from plugin.models.stores import Store, StoreState

__all__ = [
    "PREFIX",
    "Base",
    "BolOrder",
    "BolOrderItem",
    "BolOrderState",
    "EffectState",
    "Offer",
    "OfferState",
    "ProcessStatusRow",
    "Run",
    "RunState",
    "ShipmentEffect",
    "Store",
    "StoreState",
]

"""What the connector remembers: the ``bol_*`` tables."""

from plugin.models.base import PREFIX, Base
from plugin.models.calls import ApiCall
from plugin.models.cancellations import CancellationEffect
from plugin.models.changes import SettingChange
from plugin.models.counters import HourlyCount
from plugin.models.effects import EffectState, ProcessStatusRow
from plugin.models.labels import LabelEffect
from plugin.models.offers import AILING, EanLink, Offer, OfferLink, OfferState, ProductRule
from plugin.models.orders import BolOrder, BolOrderEvent, BolOrderItem, BolOrderState
from plugin.models.runs import Discrepancy, Run, RunState
from plugin.models.shipments import ShipmentEffect
from plugin.models.stores import SignInWay, Store, StoreState
from plugin.models.transports import TransportEffect
from plugin.models.webhooks import SignatureKey, Webhook, WebhookEvent

__all__ = [
    "AILING",
    "PREFIX",
    "ApiCall",
    "Base",
    "BolOrder",
    "BolOrderEvent",
    "BolOrderItem",
    "BolOrderState",
    "CancellationEffect",
    "Discrepancy",
    "EanLink",
    "EffectState",
    "HourlyCount",
    "LabelEffect",
    "Offer",
    "OfferLink",
    "OfferState",
    "ProcessStatusRow",
    "ProductRule",
    "Run",
    "RunState",
    "SettingChange",
    "ShipmentEffect",
    "SignInWay",
    "SignatureKey",
    "Store",
    "StoreState",
    "TransportEffect",
    "Webhook",
    "WebhookEvent",
]

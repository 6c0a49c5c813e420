"""Every hook implementation of the connector: a few lines each, which translate and delegate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from host_app.plugin_api import (
    Attention,
    ClosingAnswer,
    HostPort,
    Integration,
    Metric,
    Notice,
    OrderCancelled,
    OrderImport,
    OrderNote,
    OrderPutBack,
    OrderReduced,
    Panel,
    PicklistClosed,
    PluginInfo,
    ProductChanged,
    ShipmentChanged,
    ShippingOptions,
    StockChange,
    Wake,
    hookimpl,
)
from plugin import __version__
from plugin.commands import commands as command_group
from plugin.demo import DEMO_SELLER
from plugin.jobs.schedule import due_wakes
from plugin.jobs.wakes import QUEUES, wake_for
from plugin.models import PREFIX, Base
from plugin.retelling import retold
from plugin.runtime import Runtime
from plugin.sync import (
    bought_labels,
    cancel_decisions,
    corrections,
    left_labels,
    links,
    mailing,
    order_decisions,
    orders,
    panels,
    shipments,
)
from plugin.sync.context import ATTENTION_URL
from plugin.sync.due import ORDERS, SHIPMENTS, STOCK
from plugin.sync.metrics import metrics as measure
from plugin.sync.names import store_of
from plugin.texts import gettext as _
from plugin.views import pages, waiting, webhooks
from plugin.views.base import may_decide
from plugin.views.integration import integration


@hookimpl
def plugin_info() -> PluginInfo:
    return PluginInfo(
        name="bol",
        title="Bol.com Retailer",
        version=__version__,
        package="plugin",
        table_prefix=PREFIX,
        metadata=Base.metadata,
        migrations=str(Path(__file__).parent / "migrations"),
        queues=QUEUES,
    )


@hookimpl
def stock_changed(host: HostPort, changes: Sequence[StockChange]) -> list[Wake]:
    return [wake_for(STOCK, store_id) for store_id in sorted(links.mark(host, changes))]


@hookimpl
def product_changed(host: HostPort, event: ProductChanged) -> list[Wake]:
    waiting = orders.retry_waiting(host, event.product_id)
    stores = links.mark_product(host, event.product_id, event.lost)
    return [wake_for(STOCK, store) for store in sorted(stores)] + [
        wake_for(ORDERS, store) for store in waiting
    ]


@hookimpl
def picklist_closed(host: HostPort, event: PicklistClosed) -> list[Wake]:
    store_id = shipments.owe(host, event)
    left_labels.look(host, event.order_id)
    return [] if store_id is None else [wake_for(SHIPMENTS, store_id), wake_for(ORDERS, store_id)]


@hookimpl
def shipment_changed(host: HostPort, event: ShipmentChanged) -> list[Wake]:
    store_id = corrections.change(host, event)
    left_labels.look_at_parcel(host, event.shipment_id)
    return [] if store_id is None else [wake_for(SHIPMENTS, store_id)]


@hookimpl
def order_cancelled(host: HostPort, event: OrderCancelled) -> list[Wake]:
    store_id = store_of(event.source)
    if store_id is not None:
        cancel_decisions.offer_to_cancel(host, store_id, event.reference, event.order_id)
        left_labels.look(host, event.order_id)
    return []


@hookimpl
def order_reduced(host: HostPort, event: OrderReduced) -> list[Wake]:
    store_id = store_of(event.source)
    if store_id is None or not order_decisions.reduced(host, store_id, event.reference, event.order_id):
        return []
    left_labels.look(host, event.order_id)
    return [wake_for(ORDERS, store_id)]


@hookimpl
def order_put_back(host: HostPort, event: OrderPutBack) -> list[Wake]:
    store_id = store_of(event.source)
    if store_id is None or not order_decisions.put_back(host, store_id, event.reference):
        return []
    return [wake_for(SHIPMENTS, store_id), wake_for(ORDERS, store_id)]


@hookimpl
def order_import(host: HostPort, event: OrderImport) -> list[Wake]:
    only = None if event.source is None else store_of(event.source)
    return [wake_for(ORDERS, store_id) for store_id in orders.due_stores(host, only, forced=event.forced)]


@hookimpl
def picklist_closing(host: HostPort, picklist_id: int, seconds: float) -> ClosingAnswer | None:
    return Runtime(host).closing_answer(picklist_id, seconds)


@hookimpl
def shipping_options(
    host: HostPort, picklist_id: int, pieces: Mapping[int, int], seconds: float
) -> ShippingOptions | None:
    return Runtime(host).shipping_options(picklist_id, pieces, seconds)


@hookimpl
def request_label(
    host: HostPort, picklist_id: int, pieces: Mapping[int, int], option_key: str, who: str
) -> list[Wake]:
    return [wake_for(SHIPMENTS, bought_labels.request(host, picklist_id, pieces, option_key, who))]


@hookimpl
def due(host: HostPort, now: datetime) -> list[Wake]:
    return due_wakes(host, now)


@hookimpl
def attention(host: HostPort) -> Attention:
    return Attention(_("Needs attention"), waiting.number(host), ATTENTION_URL)


@hookimpl
def order_panels(host: HostPort, order_id: int) -> list[Panel]:
    return panels.order_panels(host, order_id, may_decide=may_decide())


@hookimpl
def picklist_panels(host: HostPort, picklist_id: int) -> list[Panel]:
    return panels.picklist_panels(host, picklist_id, may_decide=may_decide())


@hookimpl
def product_panels(host: HostPort, product_id: int) -> list[Panel]:
    return panels.product_panels(host, product_id)


@hookimpl
def order_notes(host: HostPort, order_ids: Sequence[int]) -> Mapping[int, OrderNote]:
    return panels.order_notes(host, order_ids, may_decide=may_decide())


@hookimpl
def retell(texts: Sequence[str]) -> Mapping[str, str]:
    return {text: retold(text) for text in texts}


@hookimpl
def integrations(host: HostPort) -> list[Integration]:
    return [integration(host)]


@hookimpl
def admin_views(host: HostPort) -> list[Any]:
    return pages.views(host, Runtime(host))


@hookimpl
def blueprints(host: HostPort) -> list[Any]:
    return [
        webhooks.blueprint(host, lambda work: host.wake(*(wake_for(due.kind, due.store_id) for due in work)))
    ]


@hookimpl
def commands(host: HostPort) -> list[Any]:
    return [command_group(host)]


@hookimpl
def metrics(host: HostPort) -> list[Metric]:
    return measure(host)


@hookimpl
def mail_addresses(host: HostPort, notice: Notice) -> list[str] | None:
    return mailing.addresses(host, notice)


@hookimpl
def demo(host: HostPort) -> None:
    Runtime(host).set_up_demo(*DEMO_SELLER)

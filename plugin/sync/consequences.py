"""What changing settings of an active store will do that can't be taken back, or that people would not expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plugin.models import BolOrderState
from plugin.settings import StoreSettings
from plugin.sync.overview import Overview
from plugin.sync.transporters import doubt
from plugin.texts import gettext as _
from plugin.texts import ngettext, number

#: Settings from which the amount of every offer follows.
AMOUNTS = ("safety_stock", "max_stock", "stock_warehouses")


def consequences(
    it: Overview, after: StoreSettings, carriers: Mapping[str, str], moved: int = 0
) -> list[str]:
    """Return sentences for people, with real numbers; none where nothing needs a second look.

    :param carriers: the host's, with their titles.
    :param moved: how many open orders get another day to leave.
    """
    doubts = list(_doubts(it.settings, after))
    if not it.active:
        # Nothing happens before the store is activated, and its summary is shown before that; but it does not know
        # a slip of the pen from a code that is new at bol.
        return doubts
    return [
        *doubts,
        *_orders(it, after),
        *_stock(it, after),
        *_shipments(it, after, moved),
        *_carriers(it.settings, after, carriers),
        *_data(it.settings, after),
    ]


def _doubts(before: StoreSettings, after: StoreSettings) -> Iterator[str]:
    known = {*before.carriers.values(), *before.tracking_patterns.values()}
    for code in dict.fromkeys((*after.carriers.values(), *after.tracking_patterns.values())):
        if code not in known and (doubted := doubt(code)):
            yield doubted


def _orders(it: Overview, after: StoreSettings) -> Iterator[str]:
    before, old = it.settings, it.orders[BolOrderState.TOO_OLD]
    if before.import_orders and not after.import_orders:
        yield _(
            "No orders come in any more, while bol goes on selling. bol cancels what is not shipped in time."
        )
    earlier = after.orders_from is None or (
        before.orders_from is not None and after.orders_from < before.orders_from
    )
    if before.orders_from != after.orders_from and earlier and old:
        yield _(
            "Older orders that are looked at again: %(count)s. Those that are open at bol come in and reserve stock.",
            count=number(old),
        )
    waiting = it.orders[BolOrderState.WAITING_FOR_PRODUCT]
    if after.import_products and not before.import_products and waiting:
        yield _(
            "Orders that wait for a product: %(count)s. Products are made for them, from your offers at bol.",
            count=number(waiting),
        )
    if after.accept_requests and not before.accept_requests:
        yield _(
            "Customers' requests to cancel are accepted at bol without anybody being asked, while nothing is picked."
        )


def _stock(it: Overview, after: StoreSettings) -> Iterator[str]:
    before = it.settings
    if not before.send_stock:
        # Turning it on has a plan of its own.
        return
    if not after.send_stock:
        yield _("Changes of stock are not sent any more: bol goes on selling what it was told last.")
        return
    if before.managed_by_retailer != after.managed_by_retailer:
        yield _(
            "The stock of all %(count)s linked offers is sent anew, with the other way to count open orders.",
            count=number(it.linked),
        )
    elif any(getattr(before, name) != getattr(after, name) for name in AMOUNTS):
        yield _(
            "The stock of all %(count)s linked offers is worked out anew, and sent where it changes.",
            count=number(it.linked),
        )
    if after.max_stock == 0 and before.max_stock:
        yield _("bol stops selling all of them: “Show at most” is 0.")


def _shipments(it: Overview, after: StoreSettings, moved: int) -> Iterator[str]:
    before, waiting = it.settings, it.parcels["wanted"]
    if moved:
        yield ngettext(
            "%(num)s open order gets another day to leave.",
            "%(num)s open orders get another day to leave.",
            moved,
        )
    if after.send_shipments and not before.send_shipments and waiting:
        yield _(
            "Parcels that are reported to bol at once: %(count)s. bol tells the customers.",
            count=number(waiting),
        )
    if before.send_shipments and not after.send_shipments:
        yield _(
            "bol and your customers are not told that parcels left. bol cancels orders that are not confirmed in time."
        )


def _carriers(before: StoreSettings, after: StoreSettings, titles: Mapping[str, str]) -> Iterator[str]:
    for carrier, code in before.carriers.items():
        if code.strip() and not after.carriers.get(carrier, "").strip():
            yield _(
                "Parcels of %(carrier)s wait from now on and are not reported to bol, until the carrier has a code again.",
                carrier=titles.get(carrier, carrier),
            )


def _data(before: StoreSettings, after: StoreSettings) -> Iterator[str]:
    if after.address_days < before.address_days:
        yield ngettext(
            "Names and addresses of orders that were done more than %(num)s day ago are erased within the hour, for good.",
            "Names and addresses of orders that were done more than %(num)s days ago are erased within the hour, for good.",
            after.address_days,
        )
    if after.call_log_days < before.call_log_days:
        yield ngettext(
            "Calls that are older than %(num)s day are deleted within the hour.",
            "Calls that are older than %(num)s days are deleted within the hour.",
            after.call_log_days,
        )

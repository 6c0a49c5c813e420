"""The groups of a store's settings, and in one line for each what is set: for whoever looks at them folded up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from host_app.plugin_api import Choice
from plugin.settings import CODE_FIRST, MAX_AMOUNT, StoreSettings
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.texts import ngettext
from plugin.views import words

#: Group -> what it is called, and the settings in it, in the order of the page.
GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "orders": (
        _l("Orders"),
        ("import_orders", "import_minutes", "orders_from", "process_orders", "warehouse_id"),
    ),
    "products": (_l("Products"), ("import_products", "lookup")),
    "stock": (
        _l("Stock"),
        (
            "send_stock",
            "stock_warehouses",
            "safety_stock",
            "max_stock",
            "managed_by_retailer",
            "guard_least",
            "guard_share",
            "check_time",
        ),
    ),
    "shipments": (
        _l("Shipments and carriers"),
        (
            "send_shipments",
            "confirm_after_minutes",
            "tracking_wait_minutes",
            "carrier_days",
            "carriers",
            "tracking_patterns",
        ),
    ),
    "labels": (_l("Shipping via bol"), ("labels_for_all", "label_automatic")),
    "cancellations": (
        _l("Cancellations"),
        ("accept_requests", "check_at_closing", "overrule_at_closing"),
    ),
    "notifications": (_l("Notifications"), ("mail_kinds", "mail_to")),
    "data": (_l("Data"), ("address_days", "call_log_days")),
}


def unfolded(before: StoreSettings, now: StoreSettings, wrong: Collection[str]) -> set[str]:
    """Return the groups to look at: something in them is wrong, or was changed and is not saved yet.

    :param wrong: names of fields, of carriers ``carrier:<key>``.
    """
    names = {"carriers" if name.startswith("carrier:") else name for name in wrong}
    return {
        group
        for group, (_title, mine) in GROUPS.items()
        if names & set(mine) or any(getattr(before, name) != getattr(now, name) for name in mine)
    }


def told(settings: StoreSettings, warehouses: Sequence[Choice], carriers: Sequence[Choice]) -> dict[str, str]:
    """Return what is set, by group."""
    titles = {int(choice.key): choice.title for choice in warehouses}
    without = sum(not settings.carriers.get(choice.key, "").strip() for choice in carriers)
    lines = {
        "orders": _orders(settings, titles),
        "products": _products(settings),
        "stock": _stock(settings, titles),
        "shipments": _shipments(settings, without),
        "labels": _labels(settings),
        "cancellations": _cancellations(settings),
        "notifications": _notifications(settings),
        "data": _data(settings),
    }
    return {group: " · ".join(line) for group, line in lines.items()}


def _orders(settings: StoreSettings, titles: Mapping[int, str]) -> Iterator[str]:
    if not settings.import_orders:
        yield _("not imported")
        return
    minutes = settings.import_minutes
    yield ngettext("imported each minute", "imported every %(num)s minutes", minutes)
    if settings.orders_from is not None:
        yield _("placed from %(day)s", day=words.day(settings.orders_from))
    yield _("processed at once") if settings.process_orders else _("a concept first")
    if settings.warehouse_id is not None and settings.warehouse_id in titles:
        yield _("delivered from %(warehouse)s", warehouse=titles[settings.warehouse_id])


def _products(settings: StoreSettings) -> Iterator[str]:
    yield _("made from offers that are not here yet") if settings.import_products else _("not imported")
    yield _("found by code first") if settings.lookup == CODE_FIRST else _("found by barcode first")


def _stock(settings: StoreSettings, titles: Mapping[int, str]) -> Iterator[str]:
    yield _("sent to bol") if settings.send_stock else _("not sent to bol")
    if chosen := [titles[key] for key in settings.stock_warehouses if key in titles]:
        yield _("of %(warehouses)s", warehouses=", ".join(chosen))
    if settings.safety_stock:
        yield _("%(count)s kept back", count=words.number(settings.safety_stock))
    if settings.max_stock < MAX_AMOUNT:
        yield _("at most %(count)s shown", count=words.number(settings.max_stock))
    if settings.check_time is not None:
        yield _("compared each night at %(time)s", time=f"{settings.check_time:%H:%M}")


def _shipments(settings: StoreSettings, without: int) -> Iterator[str]:
    yield _("told to bol") if settings.send_shipments else _("not told to bol")
    if settings.confirm_after_minutes:
        minutes = settings.confirm_after_minutes
        yield ngettext("after %(num)s minute", "after %(num)s minutes", minutes)
    days = settings.carrier_days
    yield ngettext("carriers take %(num)s day", "carriers take %(num)s days", days)
    if without:
        yield ngettext("%(num)s carrier without a code", "%(num)s carriers without a code", without)


def _labels(settings: StoreSettings) -> Iterator[str]:
    yield _("for every order") if settings.labels_for_all else _("for orders that were sold with it")
    yield _("the recommended one at once") if settings.label_automatic else _("the packer chooses")


def _cancellations(settings: StoreSettings) -> Iterator[str]:
    yield (
        _("requests are accepted by themselves") if settings.accept_requests else _("you decide on requests")
    )
    yield (
        _("bol is asked before closing")
        if settings.check_at_closing
        else _("bol is not asked before closing")
    )
    if settings.overrule_at_closing:
        yield _("packers may ship all the same")


def _notifications(settings: StoreSettings) -> Iterator[str]:
    kinds = len(settings.mail_kinds)
    yield (
        ngettext("%(num)s kind is mailed", "%(num)s kinds are mailed", kinds)
        if kinds
        else _("none is mailed")
    )


def _data(settings: StoreSettings) -> Iterator[str]:
    days = settings.address_days
    yield ngettext("addresses kept for %(num)s day", "addresses kept for %(num)s days", days)
    days = settings.call_log_days
    yield ngettext("calls kept for %(num)s day", "calls kept for %(num)s days", days)

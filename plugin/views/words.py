"""How pages write states, moments and environments."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from babel import Locale
from flask_babel import (  # type: ignore[import-untyped]
    format_currency,
    format_date,
    format_datetime,
    format_decimal,
    format_timedelta,
    to_user_timezone,
)

from host_app.plugin_api import Level, language
from plugin.models import (
    BolOrderItem,
    BolOrderState,
    CancellationEffect,
    EffectState,
    OfferLink,
    Run,
    RunState,
    SettingChange,
    ShipmentEffect,
    StoreState,
    TransportEffect,
)
from plugin.retelling import retold
from plugin.settings import BARCODE_FIRST, CODE_FIRST, DEFAULT_CARRIERS
from plugin.sync import due, eans, left_labels, offer_states, overview, panels, settling
from plugin.sync.call_log import PACKING
from plugin.sync.charts import DAY
from plugin.sync.failures import tried_again, without_reference
from plugin.sync.findings import (
    BEFORE_ACTIVATION,
    BEFORE_SENDING,
    NIGHT,
    OCCASION,
    SENDING_BEGAN,
    SETTING_UP,
    Action,
    Cause,
    Skipped,
)
from plugin.sync.runs import COMMAND_LINE
from plugin.sync.transporters import TRANSPORTER_CODES, doubt
from plugin.texts import gettext as _
from plugin.texts import lazy as _l

#: The pages of a store.
TABS: Mapping[str, str] = {
    "overview": _l("Overview"),
    "orders": _l("Orders"),
    "offers": _l("Offers"),
    "eans": _l("EAN doctor"),
    "checks": _l("Stock checks"),
    "shipments": _l("Shipments"),
    "labels": _l("Labels"),
    "settings": _l("Settings"),
    "technical": _l("For technicians"),
    "connection": _l("Connection"),
    "calls": _l("Calls"),
}
#: What a filter of the offers shows, where its name does not say it.
OFFER_FILTERS: Mapping[str, str] = {
    "failed": _l("bol was told an amount and did not take it. It is tried again by itself."),
    "held": _l(
        "They are about to go to 0 at bol all at once: nothing is sent for them until somebody decides."
    ),
    "kept on sale": _l("Somebody chose to keep them on sale at bol although nothing of them is free here."),
    "no product": _l("Nothing here has their EAN: their stock is not sent."),
    "waiting": _l("Their stock changed, and bol is told as fast as it allows."),
    "up to date": _l("bol has the amount that it should."),
    "excluded": _l("The settings keep them out: bol is told nothing of their stock."),
    "bol ships": _l("bol has them in its own warehouse (LVB/FBB), counts them and ships them itself."),
    "gone": _l("bol does not list them any more. If they come back, they are linked and sent again."),
}
#: Environment of a store -> how a person chooses it, and what it means.
ENVIRONMENTS: Mapping[str, tuple[str, str]] = {
    "production": (_l("bol.com"), _l("Your real seller account: real orders, real customers.")),
    "demo": (_l("bol's demo"), _l("bol's own practice environment with a few made-up orders and offers.")),
    "sandbox": (_l("Sandbox"), _l("The stand-in for bol that runs beside this installation, for practice.")),
}

EFFECTS: Mapping[str, tuple[str, Level]] = {state.value: word for state, word in panels.WORDS.items()}

label_standing = panels.label_standing
is_left_over = left_labels.is_left_over
sum_of = offer_states.sum_of
waits_for_code = panels.waits_for_code
reason = panels.reason
IN_PLACE = panels.IN_PLACE
PACK_ANEW, SENT_ANEW = panels.PACK_ANEW, panels.SENT_ANEW
NOTHING_OPEN = settling.NOTHING_OPEN
#: What is said of a shipment that waits for that: in short, to those who may fill it in, and to others.
CODE_WAITS: tuple[str, Level] = (panels.CARRIER_BADGE, Level.WARNING)
CODE_WANTED, CODE_ASKED = panels.CARRIER_WAITS, panels.CARRIER_ASKED

CORRECTIONS: Mapping[str, tuple[str, Level]] = {
    EffectState.WANTED: (_l("correction being sent"), Level.INFO),
    EffectState.SENT: (_l("correction being sent"), Level.INFO),
    EffectState.CONFIRMED: (_l("bol has the new code"), Level.SUCCESS),
    EffectState.REFUSED: (_l("bol did not take the correction"), Level.DANGER),
}

ORDERS: Mapping[str, tuple[str, Level]] = {
    BolOrderState.FOUND: (_l("being read"), Level.INFO),
    BolOrderState.WAITING_FOR_PRODUCT: (_l("waiting for a product"), Level.WARNING),
    BolOrderState.IMPORTED: (_l("imported"), Level.SUCCESS),
    BolOrderState.NOTHING_TO_SHIP: (_l("nothing to ship"), Level.INFO),
    BolOrderState.TOO_OLD: (_l("older than the start date"), Level.INFO),
    offer_states.FAILED: (_l("with an error"), Level.DANGER),
}

OFFERS = offer_states.WORDS

#: How an offer came to its product.
LINKS: Mapping[str, str] = {
    OfferLink.AUTO: _l("found by its EAN"),
    OfferLink.CREATED: _l("made from this offer"),
    OfferLink.HAND: _l("linked by hand"),
    OfferLink.UNLINKED: _l("unlinked by hand"),
}

#: What is wrong with an EAN -> in words, and what to do about it.
EAN_PROBLEMS: Mapping[str, tuple[str, str]] = {
    eans.MISSING: (_l("bol shows no EAN for this offer"), _l("Look at the offer in bol's seller portal.")),
    eans.NOT_DIGITS: (
        _l("there are other signs than digits in it"),
        _l("Look at the offer in bol's seller portal; compare it with the number on the article."),
    ),
    eans.LENGTH: (
        _l("an EAN has 8, 12, 13 or 14 digits"),
        _l("Compare it with the number on the article: digits were lost or added."),
    ),
    eans.ZEROS: (_l("it is all zeros"), _l("Give the offer its real EAN in bol's seller portal.")),
    eans.CHECK_DIGIT: (
        _l("its last digit does not fit the others"),
        _l("Compare it with the number on the article: a digit is wrong, or two changed places."),
    ),
}
RUNS: Mapping[str, tuple[str, Level]] = {
    RunState.RUNNING: (_l("running"), Level.INFO),
    RunState.DONE: (_l("done"), Level.SUCCESS),
    RunState.STOPPED: (_l("stopped"), Level.WARNING),
    RunState.FAILED: (_l("failed"), Level.DANGER),
}

#: A kind of work that waits.
WORK: Mapping[str, str] = {
    overview.ORDERS_WAIT: _l("Orders to read"),
    overview.SHIPMENTS_WAIT: _l("Shipments to confirm"),
    overview.STOCK_WAITS: _l("Stock updates to send"),
    overview.COMPARING: _l("Offers being compared with bol"),
    overview.CANCELLATIONS_WAIT: _l("Cancellations at bol"),
    overview.CORRECTIONS_WAIT: _l("Corrected tracking codes"),
    overview.LABELS_WAIT: _l("Labels to buy"),
}

#: A flow whose last good run is told.
FLOWS: Mapping[str, str] = {
    "orders": _l("Import of orders"),
    "products": _l("Import of products"),
    "stock": _l("Stock update"),
    "shipments": _l("Shipment confirmed by bol"),
    "sweep": _l("Daily check of orders"),
    "stock check": _l("Stock check"),
}

TRANSPORTERS = tuple(TRANSPORTER_CODES.items())
USUAL_CODES = DEFAULT_CARRIERS
code_doubt = doubt

#: A setting, as its page calls it; and the state of the store, whose changes are noted beside.
SETTINGS: Mapping[str, str] = {
    "state": _l("Store"),
    "import_orders": _l("Import orders"),
    "import_minutes": _l("Look for new orders every ... minutes"),
    "orders_from": _l("Import orders placed from"),
    "process_orders": _l("Process orders at once"),
    "warehouse_id": _l("Deliver from"),
    "import_products": _l("Import products"),
    "lookup": _l("Find products by"),
    "send_stock": _l("Send stock updates"),
    "stock_warehouses": _l("Offer the stock of"),
    "safety_stock": _l("Keep back"),
    "max_stock": _l("Show at most"),
    "managed_by_retailer": _l("Orders that are open at bol are subtracted by this warehouse"),
    "guard_least": _l("Stop when products sell out: at least"),
    "guard_share": _l("Stop when products sell out: more than ... percent"),
    "check_time": _l("Compare with bol each night at"),
    "send_shipments": _l("Send shipments and update status"),
    "confirm_after_minutes": _l("Wait before confirming"),
    "tracking_wait_minutes": _l("Wait for a missing tracking code"),
    "carrier_days": _l("Carriers take"),
    "carriers": _l("bol's code for each carrier"),
    "tracking_patterns": _l("Codes by tracking code"),
    "labels_for_all": _l("Labels of bol for every order"),
    "label_automatic": _l("Take the label that bol recommends"),
    "accept_requests": _l("Accept requests to cancel"),
    "check_at_closing": _l("Ask bol before a picklist is closed"),
    "overrule_at_closing": _l("Packers may ship all the same"),
    "address_days": _l("Keep names and addresses for ... days"),
    "call_log_days": _l("Keep the log of calls for ... days"),
    "mail_kinds": _l("Told by e-mail"),
    "mail_to": _l("To these addresses"),
}
#: Kinds of notifications, as the settings call them.
MAIL_KINDS: Mapping[str, str] = {
    "connection": _l("Connection: bol does not accept the sign-in any more, or the permission ends soon"),
    "order": _l("Orders: one waits for a product, or can't be taken over"),
    "cancellation": _l("Cancellations: bol or a customer cancels, and a person must look"),
    "deadline": _l("Deadlines: bol will cancel an order because it is not shipped"),
    "shipment": _l("Shipments: bol refuses one, or nobody can tell what became of it"),
    "label": _l("Labels: buying one failed, or bol may have charged it"),
    "stock": _l("Stock: the guard has stopped, or a check found differences"),
}

#: Cause of a difference -> how people call it, and what it means.
CAUSES: Mapping[str, tuple[str, str]] = {
    Cause.CHANGED_AT_BOL: (_l("changed at bol"), _l("A person or another program set this amount at bol.")),
    Cause.LOST: (_l("change that did not arrive"), _l("A change here did not arrive at bol.")),
    Cause.ORDER: (_l("ordered meanwhile"), _l("It was ordered at bol since the last update.")),
    Cause.NEW: (_l("new at bol"), _l("This offer was not known here yet.")),
    Cause.LINK: (_l("newly linked"), _l("The offer had no product here; now one has its EAN.")),
    Cause.ON_ITS_WAY: (_l("on its way"), _l("The right amount waits to be sent already.")),
    Cause.NOT_SENT: (_l("not sent yet"), _l("The stock here was not sent to bol so far.")),
    Cause.CUT_OFF: (
        _l("orders subtracted by the other"),
        _l("The amount is right, but who subtracts open orders is not."),
    ),
    Cause.DISCARDED: (
        _l("kept on sale"),
        _l("The guard held a 0 back, and somebody pressed “Keep selling at bol”."),
    ),
    Cause.GONE: (_l("gone at bol"), _l("bol does not know this offer any more.")),
}

ACTIONS: Mapping[str, tuple[str, Level]] = {
    Action.MARKED: (_l("sent anew"), Level.SUCCESS),
    Action.LINKED: (_l("linked"), Level.SUCCESS),
    Action.MARKED_GONE: (_l("marked as gone"), Level.INFO),
    Action.REPORTED: (_l("reported only"), Level.INFO),
    Action.WILL_BE_SENT: (_l("will be sent"), Level.INFO),
    Action.HELD: (_l("held by the guard"), Level.WARNING),
}

#: What brought a stock check about, where it was no wish of a person's.
OCCASIONS: Mapping[str, str] = {
    BEFORE_ACTIVATION: _l("Before the store was activated: nothing sent"),
    BEFORE_SENDING: _l("Before stock was sent: only compared"),
    SENDING_BEGAN: _l("When sending stock began"),
    NIGHT: _l("Each night"),
}

SKIPPED: Mapping[str, str] = {
    Skipped.BOL_SHIPS: _l("shipped by bol"),
    Skipped.NO_PRODUCT: _l("without a product here"),
    Skipped.EXCLUDED: _l("kept out of stock updates"),
    Skipped.UNKNOWN_STOCK: _l("of a product whose stock nobody has set yet"),
    Skipped.MEANWHILE: _l("that changed while bol was asked"),
}
#: What the doctor has looked at.
CHECKS: Mapping[str, str] = {
    "answers": _l("answers"),
    "bol": "bol",
    "clock": _l("clock"),
    "keys": _l("keys"),
    "offers": _l("offers"),
    "orders": _l("orders"),
    "shipments": _l("shipments"),
    "token": _l("sign-in"),
}

#: A state of a store, in the list of what was changed.
STORES: Mapping[str, str] = {
    StoreState.CONNECTED: _l("not active yet"),
    StoreState.ACTIVE: _l("active"),
    StoreState.PAUSED: _l("paused"),
    StoreState.DISCONNECTING: _l("being disconnected"),
    StoreState.DISCONNECTED: _l("disconnected"),
}

LOOKUPS: Mapping[str, str] = {
    CODE_FIRST: _l("Product code first, then barcode"),
    BARCODE_FIRST: _l("Barcode first, then product code"),
}

#: Background work that calls of bol are made for.
JOBS: Mapping[str, str] = {
    due.ORDERS: _l("orders"),
    due.STOCK: _l("stock"),
    due.SHIPMENTS: _l("shipments"),
    due.PRODUCTS: _l("products"),
    due.CHECK: _l("stock check"),
    due.NAMES: _l("names of products"),
    due.UPKEEP: _l("upkeep"),
    PACKING: _l("packing table"),
}

#: What a call of bol was about, before its number.
SUBJECTS: Mapping[str, str] = {
    "order": _l("order"),
    "order item": _l("order item"),
    "offer": _l("offer"),
    "ean": "EAN",
    "shipment": _l("shipment"),
    "shipping label": _l("label"),
    "transport": _l("transport"),
    "process status": _l("process status"),
    "subscription": _l("subscription"),
}

#: The tone of states without words.
UNKNOWN = Level.INFO


def environment(name: str) -> str:
    """Return what people call an environment."""
    return ENVIRONMENTS.get(name, (name, ""))[0]


def other_language(kept: str) -> str:
    """Return the name of the language of what is kept, as whoever looks calls it; "" where it is their own."""
    return "" if kept == language() else str(Locale.parse(kept).get_language_name(language()))


def problem(text: str) -> str:
    """Write a problem that was kept; bol's number of a call stands in the list of calls, for whoever asks bol about it."""
    return retold(without_reference(text))


def subject(told: str) -> str:
    """Write what a call was about: "order A000X, order item 1"."""
    parts = (part.strip().rpartition(" ") for part in told.split(","))
    return ", ".join(f"{SUBJECTS.get(kind, kind)} {number}".strip() for kind, _space, number in parts)


def brought_about(run: Run) -> str:
    """Tell what kind of stock check it was, and who asked for it."""
    occasion = run.counts.get(OCCASION, "")
    if occasion in OCCASIONS:
        return str(OCCASIONS[occasion])
    if not run.asked_by:
        # Only setting a store up has offers compared by itself without sending anything.
        return _("Setting up the store: nothing sent") if run.dry else _("By itself")
    person = _("a command") if run.asked_by == COMMAND_LINE else run.asked_by
    if run.dry:
        return _("Only compared, asked for by %(who)s: nothing sent", who=person)
    return _("Asked for by %(who)s", who=person)


def is_of_set_up(run: Run) -> bool:
    """Tell if a stock check only looked, before the store sent stock at all."""
    return run.dry and (run.counts.get(OCCASION) in SETTING_UP or not run.asked_by)


def shipped(row: ShipmentEffect, instead: Iterable[int], taken_back: Mapping[int, str]) -> tuple[str, Level]:
    """Tell where a shipment stands: of a parcel that went in the place of another, and of one that was withdrawn, too."""
    if row.host_shipment_id in instead:
        return IN_PLACE
    if row.state == EffectState.CONFIRMED and row.host_shipment_id in taken_back:
        return taken_back[row.host_shipment_id], Level.INFO
    return EFFECTS[row.state]


def with_articles(text: str, items: Iterable[BolOrderItem]) -> str:
    """Write a line about an order with what its articles are called, where it names them by bol's numbers.

    The first time only: what bol itself says of them comes after that, and speaks of numbers.
    """
    for item in items:
        if name := item.title or item.ean:
            text = re.sub(rf"\b{re.escape(item.order_item_id)}\b", name.replace("\\", r"\\"), text, count=1)
    return text


def when(value: datetime | None) -> str:
    """Write a moment without doubt about which number is the month."""
    if value is None:
        return ""
    today = to_user_timezone(datetime.now(UTC)).date()
    if to_user_timezone(value).date() == today:
        return _("today %(time)s", time=format_datetime(value, "HH:mm"))
    return str(format_datetime(value, "d MMM yyyy HH:mm"))


def moment(value: datetime) -> str:
    """Write a moment to the second."""
    return str(format_datetime(value, "d MMM HH:mm:ss"))


def ago(value: datetime | None) -> str:
    """Write how long ago a moment was."""
    if value is None:
        return ""
    passed = datetime.now(UTC) - value
    if passed < timedelta(minutes=1):
        return _("just now")
    return str(format_timedelta(-passed, granularity="minute", add_direction=True))


def goes_on(effect: ShipmentEffect | TransportEffect | CancellationEffect) -> str:
    """Write how what is being checked at bol goes on."""
    return panels.goes_on(effect, datetime.now(UTC))


def lasting(value: timedelta) -> str:
    """Write how long something takes."""
    if value < timedelta(minutes=1):
        return _("less than a minute")
    return str(format_timedelta(value, granularity="minute"))


def took(seconds: float) -> str:
    """Write how long something took, to the second where it was short."""
    return str(format_timedelta(timedelta(seconds=max(1, math.ceil(seconds))), threshold=2))


def day(value: date) -> str:
    """Write a day."""
    return str(format_date(value, "d MMM yyyy"))


def local_day(value: datetime) -> str:
    """Write the day of a moment, where whoever looks is."""
    return day(to_user_timezone(value).date())


def not_yet(it: overview.Overview, flow: str) -> str:
    """Tell why a flow was never done: it is off, or its time has yet to come."""
    settings = it.settings
    wanted = {
        "orders": settings.import_orders,
        "products": settings.import_products,
        "sweep": settings.import_orders,
        "stock": settings.send_stock,
        "stock check": settings.send_stock and settings.check_time is not None,
        "shipments": settings.send_shipments,
    }
    if not wanted[flow]:
        return _("off in the settings")
    first = {"sweep": it.store.next_sweep_at, "stock check": it.store.next_check_at}.get(flow)
    if first is not None and it.active and first > it.at:
        return _("not yet: first %(moment)s", moment=when(first))
    return _("nothing so far") if flow in ("stock", "shipments") else _("not yet")


def changed(change: SettingChange) -> tuple[str, str]:
    """Write what a setting was before and after a change; of lists with names, only what differs."""
    before, after = json.loads(change.before), json.loads(change.after)
    if change.name == "state":
        return str(STORES.get(before, before)), str(STORES.get(after, after))
    if change.name == "lookup":
        return str(LOOKUPS.get(before, before)), str(LOOKUPS.get(after, after))
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        before, after = ({name: given.get(name, "") for name in names} for given in (before, after))
    return _value(before), _value(after)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or _("empty")
    return _("empty") if value in (None, "") else str(value)


def money(value: Decimal | None) -> str:
    """Write an amount in euro."""
    return "" if value is None else str(format_currency(value, "EUR"))


def number(value: float) -> str:
    """Write a number as the language does."""
    return str(format_decimal(value))


def slot(value: datetime, period: str) -> str:
    """Write the hour or the day that a chart's slot begins at."""
    return str(format_datetime(value, "HH:mm" if period == DAY else "d MMM"))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "bol_when": when,
    "bol_ago": ago,
    "bol_moment": moment,
    "bol_day": day,
    "bol_local_day": local_day,
    "bol_slot": slot,
    "bol_lasting": lasting,
    "bol_took": took,
    "bol_told": problem,
    "bol_tried_again": tried_again,
    "bol_retold": retold,
    "bol_environment": environment,
    "bol_money": money,
    "bol_subject": subject,
    "bol_number": number,
}

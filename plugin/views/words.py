"""How pages write states, moments and environments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask_babel import format_date, format_datetime, format_timedelta, to_user_timezone  # type: ignore[import-untyped]

from host_app.plugin_api import Level
from plugin.models import BolOrderState, EffectState, OfferLink, RunState, SettingChange
from plugin.sync import eans, offer_states, overview, panels
from plugin.sync.charts import DAY
from plugin.sync.findings import Action, Cause, Skipped
from plugin.sync.transporters import TRANSPORTER_CODES

#: Environment of a store -> how a person chooses it, and what it means.
ENVIRONMENTS: Mapping[str, tuple[str, str]] = {
    "production": ("bol.com", "Your real seller account: real orders, real customers."),
    "demo": ("bol's demo", "bol's own practice environment with a few made-up orders and offers."),
    "sandbox": ("Sandbox", "The stand-in for bol that runs beside this installation, for practice."),
}

EFFECTS: Mapping[str, tuple[str, Level]] = {state.value: word for state, word in panels.WORDS.items()}

LABELS: Mapping[str, tuple[str, Level]] = {state.value: word for state, word in panels.LABEL_WORDS.items()}

CORRECTIONS: Mapping[str, tuple[str, Level]] = {
    EffectState.WANTED: ("correction being sent", Level.INFO),
    EffectState.SENT: ("correction being sent", Level.INFO),
    EffectState.CONFIRMED: ("bol has the new code", Level.SUCCESS),
    EffectState.REFUSED: ("bol did not take the correction", Level.DANGER),
}

ORDERS: Mapping[str, tuple[str, Level]] = {
    BolOrderState.FOUND: ("being read", Level.INFO),
    BolOrderState.WAITING_FOR_PRODUCT: ("waiting for a product", Level.WARNING),
    BolOrderState.IMPORTED: ("imported", Level.SUCCESS),
    BolOrderState.NOTHING_TO_SHIP: ("nothing to ship", Level.INFO),
    BolOrderState.TOO_OLD: ("older than the start date", Level.INFO),
    offer_states.FAILED: ("with an error", Level.DANGER),
}

#: Instead of "imported", where bol has cancelled the whole order.
DEAD: tuple[str, Level] = ("cancelled at bol", Level.WARNING)

OFFERS: Mapping[str, tuple[str, Level]] = {
    offer_states.UP_TO_DATE: ("up to date", Level.SUCCESS),
    offer_states.WAITING: ("waiting to be sent", Level.INFO),
    offer_states.FAILED: ("failed", Level.DANGER),
    offer_states.HELD: ("held by the guard", Level.WARNING),
    offer_states.EXCLUDED: ("kept out", Level.INFO),
    offer_states.NO_PRODUCT: ("no product", Level.WARNING),
    offer_states.UNLINKED: ("unlinked by hand", Level.INFO),
    offer_states.BOL_SHIPS: ("bol ships it", Level.INFO),
    offer_states.GONE: ("gone at bol", Level.INFO),
}

#: How an offer came to its product.
LINKS: Mapping[str, str] = {
    OfferLink.AUTO: "found by its EAN",
    OfferLink.CREATED: "made from this offer by an import",
    OfferLink.HAND: "linked by hand",
    OfferLink.UNLINKED: "unlinked by hand",
}

#: What is wrong with an EAN -> in words, and what to do about it.
EAN_PROBLEMS: Mapping[str, tuple[str, str]] = {
    eans.MISSING: ("bol shows no EAN for this offer", "Look at the offer in bol's seller portal."),
    eans.NOT_DIGITS: (
        "there are other signs than digits in it",
        "Look at the offer in bol's seller portal; compare it with the number on the article.",
    ),
    eans.LENGTH: (
        "an EAN has 8, 12, 13 or 14 digits",
        "Compare it with the number on the article: digits were lost or added.",
    ),
    eans.ZEROS: ("it is all zeros", "Give the offer its real EAN in bol's seller portal."),
    eans.CHECK_DIGIT: (
        "its last digit does not fit the others",
        "Compare it with the number on the article: a digit is wrong, or two changed places.",
    ),
}
RUNS: Mapping[str, tuple[str, Level]] = {
    RunState.RUNNING: ("running", Level.INFO),
    RunState.DONE: ("done", Level.SUCCESS),
    RunState.STOPPED: ("stopped", Level.WARNING),
    RunState.FAILED: ("failed", Level.DANGER),
}

#: A kind of work that waits.
WORK: Mapping[str, str] = {
    overview.ORDERS_WAIT: "Orders to read",
    overview.SHIPMENTS_WAIT: "Shipments to confirm",
    overview.STOCK_WAITS: "Stock updates to send",
    overview.CANCELLATIONS_WAIT: "Cancellations at bol",
    overview.CORRECTIONS_WAIT: "Corrected tracking codes",
    overview.LABELS_WAIT: "Labels to buy",
}

#: A flow whose last good run is told.
FLOWS: Mapping[str, str] = {
    "orders": "Import of orders",
    "products": "Import of products",
    "stock": "Stock update",
    "shipments": "Shipment confirmed by bol",
    "sweep": "Daily sweep of orders",
    "stock check": "Stock check",
}

TRANSPORTERS = tuple(TRANSPORTER_CODES.items())

#: A setting, as its page calls it; and the state of the store, whose changes are noted beside.
SETTINGS: Mapping[str, str] = {
    "state": "Store",
    "import_orders": "Import orders",
    "import_minutes": "Look for new orders every ... minutes",
    "orders_from": "Import orders placed from",
    "process_orders": "Process orders at once",
    "warehouse_id": "Deliver from",
    "import_products": "Import products",
    "lookup": "Find products by",
    "send_stock": "Send stock updates",
    "stock_warehouses": "Offer the stock of",
    "safety_stock": "Keep back",
    "max_stock": "Show at most",
    "managed_by_retailer": "Orders that are open at bol are subtracted by this warehouse",
    "guard_least": "Stop when products sell out: at least",
    "guard_share": "Stop when products sell out: more than ... percent",
    "check_time": "Compare with bol each night at",
    "send_shipments": "Send shipments and update status",
    "confirm_after_minutes": "Wait before confirming",
    "tracking_wait_minutes": "Wait for a missing tracking code",
    "carriers": "bol's code for each carrier",
    "tracking_patterns": "Codes by tracking code",
    "labels_for_all": "Labels of bol for every order",
    "label_automatic": "Take the label that bol recommends",
    "accept_requests": "Accept requests to cancel",
    "check_at_closing": "Ask bol before a picklist is closed",
    "overrule_at_closing": "Packers may ship all the same",
    "address_days": "Keep names and addresses for ... days",
    "call_log_days": "Keep the log of calls for ... days",
}

#: Cause of a difference -> how people call it, and what it means.
CAUSES: Mapping[str, tuple[str, str]] = {
    Cause.CHANGED_AT_BOL: ("changed at bol", "A person or another program set this amount at bol."),
    Cause.LOST: ("lost update", "A change here did not arrive at bol."),
    Cause.ORDER: ("order in flight", "It was ordered at bol since the last update."),
    Cause.NEW: ("new at bol", "This offer was not known here yet."),
    Cause.LINK: ("newly linked", "The offer had no product here; now one has its EAN."),
    Cause.ON_ITS_WAY: ("on its way", "The right amount waits to be sent already."),
    Cause.NOT_SENT: ("not sent yet", "The stock here was not sent to bol so far."),
    Cause.CUT_OFF: ("cut-off switched", "The amount is right, but who subtracts open orders is not."),
    Cause.DISCARDED: ("discarded", "The guard held a 0 back, and somebody pressed “Discard”."),
    Cause.GONE: ("gone at bol", "bol does not know this offer any more."),
}

ACTIONS: Mapping[str, tuple[str, Level]] = {
    Action.MARKED: ("sent anew", Level.SUCCESS),
    Action.LINKED: ("linked", Level.SUCCESS),
    Action.MARKED_GONE: ("marked as gone", Level.INFO),
    Action.REPORTED: ("reported only", Level.INFO),
    Action.WILL_BE_SENT: ("will be sent", Level.INFO),
    Action.HELD: ("held by the guard", Level.WARNING),
}

SKIPPED: Mapping[str, str] = {
    Skipped.BOL_SHIPS: "shipped by bol",
    Skipped.NO_PRODUCT: "without a product here",
    Skipped.EXCLUDED: "kept out of stock updates",
    Skipped.UNKNOWN_STOCK: "of a product whose stock nobody has set yet",
    Skipped.MEANWHILE: "that changed while bol was asked",
}
#: The tone of states without words.
UNKNOWN = Level.INFO


def environment(name: str) -> str:
    """Return what people call an environment."""
    return ENVIRONMENTS.get(name, (name, ""))[0]


def when(value: datetime | None) -> str:
    """Write a moment without doubt about which number is the month."""
    if value is None:
        return ""
    today = to_user_timezone(datetime.now(UTC)).date()
    pattern = "'today' HH:mm" if to_user_timezone(value).date() == today else "d MMM yyyy HH:mm"
    return str(format_datetime(value, pattern))


def moment(value: datetime) -> str:
    """Write a moment to the second."""
    return str(format_datetime(value, "d MMM HH:mm:ss"))


def ago(value: datetime | None) -> str:
    """Write how long ago a moment was."""
    if value is None:
        return ""
    passed = datetime.now(UTC) - value
    if passed < timedelta(minutes=1):
        return "just now"
    return str(format_timedelta(-passed, granularity="minute", add_direction=True))


def lasting(value: timedelta) -> str:
    """Write how long something takes."""
    if value < timedelta(minutes=1):
        return "less than a minute"
    return str(format_timedelta(value, granularity="minute"))


def day(value: date) -> str:
    """Write a day."""
    return str(format_date(value, "d MMM yyyy"))


def changed(change: SettingChange) -> tuple[str, str]:
    """Write what a setting was before and after a change; of lists with names, only what differs."""
    before, after = json.loads(change.before), json.loads(change.after)
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        before, after = ({name: given.get(name, "") for name in names} for given in (before, after))
    return _value(before), _value(after)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "empty"
    return "empty" if value in (None, "") else str(value)


def slot(value: datetime, period: str) -> str:
    """Write the hour or the day that a chart's slot begins at."""
    return str(format_datetime(value, "HH:mm" if period == DAY else "d MMM"))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "bol_when": when,
    "bol_ago": ago,
    "bol_moment": moment,
    "bol_day": day,
    "bol_slot": slot,
    "bol_lasting": lasting,
    "bol_environment": environment,
}

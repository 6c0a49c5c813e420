"""How pages write states, moments and environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask_babel import format_date, format_datetime, format_timedelta, to_user_timezone  # type: ignore[import-untyped]

from host_app.plugin_api import Level
from plugin.models import BolOrderState, EffectState
from plugin.sync import overview, panels

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
    overview.FAILED: ("with an error", Level.DANGER),
}

OFFERS: Mapping[str, tuple[str, Level]] = {
    overview.UP_TO_DATE: ("up to date", Level.SUCCESS),
    overview.WAITING: ("waiting to be sent", Level.INFO),
    overview.FAILED: ("failed", Level.DANGER),
    overview.NO_PRODUCT: ("no product", Level.WARNING),
    overview.BOL_SHIPS: ("bol ships it", Level.INFO),
    overview.GONE: ("gone at bol", Level.INFO),
}
#: The tone of states without words.
UNKNOWN = Level.INFO


def environment(name: str) -> str:
    """Return what people call an environment."""
    return ENVIRONMENTS.get(name, (name, ""))[0]


def when(value: datetime | None) -> str:
    """Write a moment: today's by its time only, all others without doubt about which number is the month."""
    if value is None:
        return ""
    today = to_user_timezone(datetime.now(UTC)).date()
    pattern = "HH:mm" if to_user_timezone(value).date() == today else "d MMM yyyy HH:mm"
    return str(format_datetime(value, pattern))


def ago(value: datetime | None) -> str:
    """Write how long ago a moment was."""
    if value is None:
        return ""
    passed = datetime.now(UTC) - value
    if passed < timedelta(minutes=1):
        return "just now"
    return str(format_timedelta(-passed, granularity="minute", add_direction=True))


def day(value: date) -> str:
    """Write a day."""
    return str(format_date(value, "d MMM yyyy"))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "bol_when": when,
    "bol_ago": ago,
    "bol_day": day,
    "bol_environment": environment,
}

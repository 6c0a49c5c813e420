"""bol's published rate limits."""

from __future__ import annotations

from plugin.connector.models.limits import LimitRule
from plugin.connector.parsing import Fields, ShapeError

SECONDS = {"SECONDS": 1, "MINUTES": 60, "HOURS": 3600}


def read_rules(data: object) -> tuple[LimitRule, ...]:
    """The rules of a list, or of an object that holds one list; entries that make no sense are left out."""
    entries = data
    if isinstance(data, dict):
        entries = next((value for value in data.values() if isinstance(value, list)), [])
    if not isinstance(entries, list):
        return ()
    return tuple(rule for entry in entries if (rule := _rule(entry)) is not None)


def _rule(entry: object) -> LimitRule | None:
    try:
        fields = Fields(entry)
    except ShapeError:
        return None
    path, capacity, units = fields.text("path"), fields.count("maxCapacity"), fields.count("timeToLive")
    seconds = SECONDS.get((fields.text("timeUnit") or "").upper())
    methods = _methods(entry)
    if not path or not methods or not seconds or not capacity or not units or min(capacity, units) < 1:
        return None
    return LimitRule(path, methods, capacity, units * seconds)


def _methods(entry: object) -> tuple[str, ...]:
    given = entry.get("methods", entry.get("method")) if isinstance(entry, dict) else None
    names = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    return tuple(name.strip().upper() for name in names if isinstance(name, str) and name.strip())

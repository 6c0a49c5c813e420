"""How a store is named on the host's orders."""

from __future__ import annotations

PREFIX = "bol:"


def store_of(source: str) -> int | None:
    """Return the store id in an order's source, or None for orders of others."""
    number = source.removeprefix(PREFIX)
    return int(number) if source.startswith(PREFIX) and number.isdigit() else None

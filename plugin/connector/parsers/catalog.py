"""Catalogue products, of which only the title is used."""

from __future__ import annotations

from plugin.connector.parsing import Fields


def read_title(fields: Fields) -> str | None:
    for attribute in fields.parts("attributes"):
        if attribute.text("id") == "Name":
            return next((text for value in attribute.parts("values") if (text := value.text("value"))), None)
    return None

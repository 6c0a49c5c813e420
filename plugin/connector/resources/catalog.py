"""The catalogue: what bol calls a product (v10, product content)."""

from __future__ import annotations

from plugin.connector import routes
from plugin.connector.deadline import Deadline
from plugin.connector.errors import NotFound
from plugin.connector.parsers.catalog import read_title
from plugin.connector.resources.caller import Caller

LANGUAGES = ("nl", "nl-BE", "fr", "fr-BE")


class Catalog:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def title(self, ean: str, language: str = "nl", *, deadline: Deadline | None = None) -> str | None:
        """GET /retailer/content/catalog-products/{ean}: the product's title (attribute "Name").

        None if bol does not know the product or gives it no title. `language` is one of LANGUAGES.
        """
        if language not in LANGUAGES:
            raise ValueError(f"bol's catalogue speaks {', '.join(LANGUAGES)}")
        headers = {"Accept-Language": language}
        try:
            answer = self._caller.call(
                routes.CATALOG_PRODUCT, values={"ean": ean}, headers=headers, deadline=deadline
            )
        except NotFound:
            return None
        return answer.read(read_title)

"""Which product of the host an EAN belongs to, as a store's settings say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from host_app.plugin_api import HostPort
from plugin.settings import BARCODE_FIRST, StoreSettings
from plugin.sync.eans import look_alikes, other_forms


@dataclass(frozen=True, slots=True)
class Match:
    """The products that have an EAN as code or barcode; the first one is the one that the lookup chooses."""

    products: tuple[int, ...] = ()

    @property
    def product(self) -> int | None:
        return self.products[0] if self.products else None

    @property
    def candidates(self) -> int:
        return len(self.products)


def find_matches(host: HostPort, lookup: str, eans: Iterable[str]) -> dict[str, Match]:
    """Return what there is for each of these EANs; by barcode the first found comes first. In a transaction.

    Where nothing has a number as it is written, the same number with other zeros in front counts: it is the same
    article.
    """
    wanted = list(dict.fromkeys(ean for ean in eans if ean))
    matches = _exact(host, lookup, wanted)
    forms = {ean: other_forms(ean) for ean in wanted if not matches[ean].products}
    if any(forms.values()):
        others = _exact(host, lookup, [form for of_ean in forms.values() for form in of_ean])
        for ean, of_ean in forms.items():
            found = dict.fromkeys(product for form in of_ean for product in others[form].products)
            matches[ean] = Match(tuple(found))
    return matches


def find_products(host: HostPort, settings: StoreSettings, eans: Iterable[str]) -> dict[str, int]:
    """Return the product of each EAN that has one. In a transaction."""
    matches = find_matches(host, settings.lookup, eans)
    return {ean: match.product for ean, match in matches.items() if match.product is not None}


def find_look_alikes(host: HostPort, eans: Iterable[str]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Return, by EAN, the numbers of products that look like it, each with its product. In a transaction."""
    numbers = {ean: look_alikes(ean) for ean in dict.fromkeys(eans)}
    every = list(dict.fromkeys(number for of_ean in numbers.values() for number in of_ean))
    known = {number: (product,) for number, product in host.products_by_code(every).items()}
    for number, products in host.products_by_barcode(every).items():
        known[number] = tuple(dict.fromkeys((*known.get(number, ()), *products)))
    return {
        ean: found
        for ean, of_ean in numbers.items()
        if (found := tuple((number, product) for number in of_ean for product in known.get(number, ())))
    }


def _exact(host: HostPort, lookup: str, eans: list[str]) -> dict[str, Match]:
    by_code = host.products_by_code(eans)
    by_barcode = host.products_by_barcode(eans)
    matches = {}
    for ean in eans:
        coded = (by_code[ean],) if ean in by_code else ()
        scanned = by_barcode.get(ean, ())
        in_order = (*scanned, *coded) if lookup == BARCODE_FIRST else (*coded, *scanned)
        matches[ean] = Match(tuple(dict.fromkeys(in_order)))
    return matches

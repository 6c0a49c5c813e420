"""A seller's offers, indexed for every filter of the offers list."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from bol_sandbox.model import Offer


class OfferBook:
    """Offers by id, EAN and reference, and in the order of their last modification."""

    def __init__(self) -> None:
        self.by_id: dict[str, Offer] = {}
        self._by_ean: dict[str, dict[str, Offer]] = {}
        self._by_reference: dict[str, dict[str, Offer]] = {}
        # Every modification appends; an entry whose sequence is no longer the offer's is stale.
        self._log: list[tuple[int, Offer]] = []

    def __len__(self) -> int:
        return len(self.by_id)

    def add(self, offer: Offer) -> None:
        self.by_id[offer.offer_id] = offer
        self._by_ean.setdefault(offer.ean, {})[offer.offer_id] = offer
        self._index_reference(offer)
        self._log.append((offer.sequence, offer))

    def fill(self, offers: Iterable[Offer]) -> None:
        """Take in offers with a past, in the order of their making."""
        for offer in offers:
            self.add(offer)
        self._log.sort(key=lambda entry: entry[0])

    def remove(self, offer: Offer) -> None:
        del self.by_id[offer.offer_id]
        del self._by_ean[offer.ean][offer.offer_id]
        self._forget_reference(offer)
        offer.sequence = -1

    def touch(self, offer: Offer, *, at: float, sequence: int, reference: str | None) -> None:
        """Record a modification by the seller: correctedStock counts orders from here on."""
        self._forget_reference(offer)
        offer.reference = reference
        self._index_reference(offer)
        offer.modified_at = at
        offer.sequence = sequence
        offer.sold_since_update = 0
        self._log.append((sequence, offer))
        if len(self._log) > 2 * len(self.by_id) + 1000:
            self._log = [entry for entry in self._log if entry[1].sequence == entry[0]]

    def with_ean(self, ean: str) -> list[Offer]:
        return list(self._by_ean.get(ean, {}).values())

    def with_reference(self, reference: str) -> list[Offer]:
        return list(self._by_reference.get(reference, {}).values())

    def modified_since(self, sequence: int, at: float) -> Iterator[Offer]:
        """Walk the offers after a cursor and a moment, oldest modification first."""
        start = bisect_left(self._log, sequence + 1, key=lambda entry: entry[0])
        if at > 0:
            # A stale entry carries its offer's newer time, so time is compared per offer, not bisected.
            return (o for s, o in self._log[start:] if o.sequence == s and o.modified_at >= at)
        return self._walk(start)

    def _walk(self, start: int) -> Iterator[Offer]:
        log = self._log
        for index in range(start, len(log)):
            sequence, offer = log[index]
            if offer.sequence == sequence:
                yield offer

    def _index_reference(self, offer: Offer) -> None:
        if offer.reference is not None:
            self._by_reference.setdefault(offer.reference, {})[offer.offer_id] = offer

    def _forget_reference(self, offer: Offer) -> None:
        if offer.reference is not None:
            self._by_reference[offer.reference].pop(offer.offer_id, None)

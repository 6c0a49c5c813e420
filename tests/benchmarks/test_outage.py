"""The benchmark of an outage measures the real thing, also in the small."""

from __future__ import annotations

import pytest

from benchmarks.outage import Pile, measure


@pytest.mark.long
@pytest.mark.timeout(300)
def test_after_an_outage_all_is_done_once() -> None:
    # It raises where something is missing, or was done twice. How fast it is tells a pile of some size only.
    rows = {row.name: row for row in measure(Pile(shipments=10, changes=120, orders=6))}
    assert list(rows) == ["outage-orders", "outage-shipments", "outage"]
    assert rows["outage"].floor == pytest.approx(2.64)
    assert all(row.value > 0 for row in rows.values())

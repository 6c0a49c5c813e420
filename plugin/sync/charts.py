"""The charts of a store: what was counted in each hour, over 24 hours or 30 days."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import mean, median

from sqlalchemy import select

from host_app.plugin_api import HostPort
from plugin.connector import PUBLISHED_LIMITS
from plugin.models import EffectState, HourlyCount, ShipmentEffect
from plugin.sync.counters import CALLS, FAILED_CALLS, LIMIT, ORDERS, SHIPMENTS, STOCK, STOCK_DELAY
from plugin.sync.mapping import AMSTERDAM
from plugin.texts import lazy as _l

DAY, MONTH = "24h", "30d"
#: Period -> how many slots it has, and how many hours each is long.
PERIODS: Mapping[str, tuple[int, int]] = {DAY: (24, 1), MONTH: (30, 24)}
HOUR = timedelta(hours=1)
#: Units of a time that something took, with their seconds; each is used up to twice the next one.
SECONDS = _l("seconds")
UNITS: Sequence[tuple[str, float]] = ((SECONDS, 1.0), (_l("minutes"), 60.0), (_l("hours"), 3600.0))
#: Of so many parcels at most the middle one is looked for: more don't move it, and a page has no time for them.
MOST_PARCELS = 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """How many seconds it took from closing a picklist until bol confirmed its parcel, of so many parcels.

    middle: half of them were quicker; None where only the mean is known.
    """

    parcels: int
    mean: float
    slowest: float
    middle: float | None = None


@dataclass(slots=True)
class Counted:
    """How often something happened in a slot, the sum of what it took, in seconds, and the longest that it took."""

    count: int = 0
    total: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, slots=True)
class Slot:
    """An hour or a day of Amsterdam, by its beginning, with what was counted in it."""

    begin: datetime
    hours: int
    counted: dict[str, Counted]

    def count(self, name: str) -> int:
        return self.counted[name].count if name in self.counted else 0

    def mean(self, name: str) -> float | None:
        """Return the mean of what it took, in seconds; None where nothing happened."""
        found = self.counted.get(name)
        return found.total / found.count if found is not None and found.count else None

    def budget(self) -> float:
        """Return the use of that of bol's limits which was used most, in percent of what it allows in this time."""
        return (
            max((self.count(f"{LIMIT}{name}") / (most * self.hours) for name, most in ALLOWED.items())) * 100
        )


#: Name of a limit -> calls that it allows in an hour.
ALLOWED: Mapping[str, float] = {rule.name: rule.capacity * 3600 / rule.seconds for rule in PUBLISHED_LIMITS}


@dataclass(frozen=True, slots=True)
class Series:
    """One row of numbers on a chart, with the unit it is in; "" for a count, which is drawn as bars."""

    title: str
    unit: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: its series over the same slots. total: of the first series; peak: its highest slot, None where it is empty.

    pace: how long what is counted took, to be said in words.
    """

    key: str
    title: str
    slots: Sequence[Slot]
    series: Sequence[Series]
    pace: Pace | None = None

    @property
    def total(self) -> float:
        return sum(value or 0 for value in self.series[0].values)

    @property
    def peak(self) -> int | None:
        values = [value or 0 for value in self.series[0].values]
        return values.index(max(values)) if any(values) else None


Measure = Callable[[Slot], float | None]
_CHARTS: Sequence[tuple[str, str, Sequence[tuple[str, str, Measure]]]] = (
    ("orders", _l("Orders in"), [(_l("orders"), "", lambda slot: slot.count(ORDERS))]),
    (
        "shipments",
        _l("Shipments confirmed by bol"),
        [
            (_l("parcels"), "", lambda slot: slot.count(SHIPMENTS)),
            (
                _l("time from closing the picklist, on average"),
                SECONDS,
                lambda slot: slot.mean(SHIPMENTS),
            ),
        ],
    ),
    (
        "stock",
        _l("Stock updates"),
        [
            (_l("updates"), "", lambda slot: slot.count(STOCK)),
            (
                _l("time from the change to bol, on average"),
                SECONDS,
                lambda slot: slot.mean(STOCK_DELAY),
            ),
        ],
    ),
    (
        "calls",
        _l("Calls to bol"),
        [
            (_l("calls"), "", lambda slot: slot.count(CALLS)),
            (_l("failed"), "", lambda slot: slot.count(FAILED_CALLS)),
            (_l("use of the busiest of bol's limits"), _l("percent"), Slot.budget),
        ],
    ),
)

#: What the line to bol does, for technicians; and what the warehouse has of it.
TECHNICAL = ("calls",)
WAREHOUSE = tuple(key for key, *_drawn in _CHARTS if key not in TECHNICAL)
ALL = (*WAREHOUSE, *TECHNICAL)


def charts(host: HostPort, store_id: int, period: str, keys: Sequence[str] = ALL) -> list[Chart]:
    """Return these charts of a store over a period that ends now. In a transaction."""
    slots = _slots(host.now(), period)
    first = slots[0].begin.astimezone(UTC)
    rows = host.session.execute(
        select(
            HourlyCount.name, HourlyCount.hour, HourlyCount.count, HourlyCount.total, HourlyCount.most
        ).where(HourlyCount.store_id == store_id, HourlyCount.hour >= first)
    )
    by_begin = {slot.begin: slot for slot in slots}
    for name, hour, count, total, most in rows:
        slot = by_begin.get(_begin(hour, period))
        if slot is not None:
            counted = slot.counted.setdefault(name, Counted())
            counted.count += count
            counted.total += total
            counted.most = max(counted.most, most)
    paces = {}
    if "shipments" in keys:
        paces["shipments"] = _newest_pace(host, store_id, first) if period == DAY else _counted_pace(slots)
    return [
        Chart(
            key,
            title,
            slots,
            [_series(name, unit, [measure(slot) for slot in slots]) for name, unit, measure in series],
            paces.get(key),
        )
        for key, title, series in _CHARTS
        if key in keys
    ]


def _series(title: str, unit: str, values: Sequence[float | None]) -> Series:
    """Return a series in the unit that fits its numbers."""
    if unit is not SECONDS:
        return Series(title, unit, values)
    longest = max((value for value in values if value is not None), default=0.0)
    name, length = next((this for this, longer in pairwise(UNITS) if longest < 2 * longer[1]), UNITS[-1])
    return Series(title, name, [None if value is None else value / length for value in values])


def _newest_pace(host: HostPort, store_id: int, since: datetime) -> Pace | None:
    """Return how long the parcels that bol confirmed since then took, the newest ones where they are very many."""
    rows = host.session.execute(
        select(ShipmentEffect.host_shipment_id, ShipmentEffect.created_at, ShipmentEffect.settled_at)
        .where(
            ShipmentEffect.store_id == store_id,
            ShipmentEffect.settled_at >= since,
            ShipmentEffect.state == EffectState.CONFIRMED,
        )
        .order_by(ShipmentEffect.settled_at.desc())
        .limit(MOST_PARCELS)
    )
    # A parcel is confirmed with the last of its items, which comes first here.
    took: dict[int, float] = {}
    for parcel_id, closed_at, settled_at in rows:
        took.setdefault(parcel_id, max(0.0, (settled_at - closed_at).total_seconds()))
    if not took:
        return None
    return Pace(len(took), mean(took.values()), max(took.values()), median(took.values()))


def _counted_pace(slots: Sequence[Slot]) -> Pace | None:
    """Return how long the parcels took that were counted: of those of weeks each by itself is not looked at."""
    found = [slot.counted[SHIPMENTS] for slot in slots if slot.count(SHIPMENTS)]
    number = sum(counted.count for counted in found)
    if not number:
        return None
    return Pace(
        number, sum(counted.total for counted in found) / number, max(counted.most for counted in found)
    )


def _slots(now: datetime, period: str) -> list[Slot]:
    number, hours = PERIODS[period]
    if period == DAY:
        return [Slot(_begin(now - HOUR * back, period), hours, {}) for back in range(number - 1, -1, -1)]
    # Days by the calendar: two of them are longer or shorter by an hour.
    today = _begin(now, period).replace(hour=12)
    return [
        Slot(_begin(today - timedelta(days=back), period), hours, {}) for back in range(number - 1, -1, -1)
    ]


def _begin(moment: datetime, period: str) -> datetime:
    """Return the beginning of the slot that a moment lies in, in Amsterdam's time; of an hour that comes twice, each."""
    local = moment.astimezone(AMSTERDAM)
    if period == DAY:
        return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)

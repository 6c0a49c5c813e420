"""What monitoring reads of the connector: what is owed, calls, limits, and when flows last went well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from host_app.plugin_api import HostPort, Metric
from plugin.connector.budget import PUBLISHED_LIMITS, rule_for
from plugin.models import (
    ApiCall,
    BolOrder,
    BolOrderState,
    EffectState,
    HourlyCount,
    Offer,
    Store,
    StoreState,
)
from plugin.sync.counters import SHIPMENTS
from plugin.sync.dirty import held, in_need, kept_on_sale
from plugin.sync.flows import last_good_runs
from plugin.sync.owed import EFFECTS, find_owed

RECENT = timedelta(minutes=5)
#: No store makes more calls in that time; older ones are not looked at.
MOST_CALLS = 20_000
#: States in which an effect is not done with.
OPEN = (
    EffectState.WANTED,
    EffectState.SENT,
    EffectState.UNKNOWN,
    EffectState.DECISION,
    EffectState.REFUSED,
)


@dataclass(slots=True)
class _Gauge:
    help: str
    labels: tuple[str, ...]
    samples: dict[tuple[str, ...], float] = field(default_factory=dict)


def metrics(host: HostPort) -> list[Metric]:
    """Measure every store. In a transaction; the number of queries grows with stores, not with their rows."""
    gauges = _gauges()
    for store in host.session.scalars(select(Store).order_by(Store.id)):
        for name, labels, value in _of_store(host, store):
            gauges[name].samples[(str(store.id), *labels)] = value
    return [
        Metric(f"bol_{name}", gauge.help, ("store", *gauge.labels), gauge.samples)
        for name, gauge in gauges.items()
    ]


def _gauges() -> dict[str, _Gauge]:
    return {
        "store_info": _Gauge("1; names the store", ("name", "environment")),
        "store_active": _Gauge("1 where the store is active", ()),
        "store_problem": _Gauge("1 where its page shows a problem with bol", ()),
        "owed": _Gauge("Work that is due now, by kind", ("kind",)),
        "owed_oldest_seconds": _Gauge("Age of the oldest work that is due, by kind", ("kind",)),
        "effects_open": _Gauge("Effects on bol that are not done with, by kind and state", ("kind", "state")),
        "orders_not_here": _Gauge("Orders of bol that the warehouse does not have yet, by state", ("state",)),
        "offers_waiting": _Gauge("Offers whose stock is to be sent", ()),
        "offers_held": _Gauge("Offers that the guard keeps from going to zero", ()),
        "offers_kept_on_sale": _Gauge("Offers that a person keeps on sale at bol without stock here", ()),
        "calls_recent": _Gauge(
            "Calls to bol in the last five minutes, by route and status; status 0 is no answer",
            ("route", "status"),
        ),
        "calls_limited_recent": _Gauge(
            "Calls that bol refused as too many (429) in the last five minutes", ()
        ),
        "budget_used_ratio": _Gauge("Share of a limit of bol that was used in the last minutes", ("limit",)),
        "confirmation_seconds_mean": _Gauge(
            "From closing to bol's confirmation, in this hour and the last", ()
        ),
        "confirmation_seconds_max": _Gauge("The longest of these", ()),
        "last_good_run_timestamp_seconds": _Gauge("When a flow last came to its end; 0 is never", ("flow",)),
    }


_Sample = tuple[str, tuple[str, ...], float]


def _of_store(host: HostPort, store: Store) -> Iterator[_Sample]:
    session, now = host.session, host.now()
    yield "store_info", (store.name, store.environment), 1
    yield "store_active", (), store.state == StoreState.ACTIVE
    yield "store_problem", (), bool(store.problem)
    for work in find_owed(host, store):
        yield "owed", (work.kind,), work.count
        yield "owed_oldest_seconds", (work.kind,), (now - work.oldest).total_seconds()
    for kind, model in EFFECTS.items():
        for state in OPEN:
            count = session.scalar(
                select(func.count()).where(model.store_id == store.id, model.state == state)
            )
            yield "effects_open", (kind, state.value), count
    for waiting in (BolOrderState.FOUND, BolOrderState.WAITING_FOR_PRODUCT):
        count = session.scalar(
            select(func.count()).where(BolOrder.store_id == store.id, BolOrder.state == waiting)
        )
        yield "orders_not_here", (waiting.value,), count
    mine = Offer.store_id == store.id
    yield "offers_waiting", (), session.scalar(select(func.count()).where(mine, in_need(Offer)))
    yield "offers_held", (), session.scalar(select(func.count()).where(mine, held(Offer)))
    yield "offers_kept_on_sale", (), session.scalar(select(func.count()).where(mine, kept_on_sale(Offer)))
    yield from _calls(session, store.id, now)
    yield from _confirmations(session, store.id, now)
    for flow, moment in last_good_runs(session, store).items():
        yield "last_good_run_timestamp_seconds", (flow,), moment.timestamp() if moment else 0


def _calls(session: Any, store_id: int, now: datetime) -> Iterator[_Sample]:
    newest = (
        select(ApiCall.method, ApiCall.route, ApiCall.status, ApiCall.at)
        .where(ApiCall.store_id == store_id)
        .order_by(ApiCall.id.desc())
        .limit(MOST_CALLS)
        .subquery()
    )
    rows: Sequence[Any] = session.execute(
        select(newest.c.method, newest.c.route, newest.c.status, func.count().label("count"))
        .where(newest.c.at >= now - RECENT)
        .group_by(newest.c.method, newest.c.route, newest.c.status)
    ).all()
    by_limit: Counter[str] = Counter()
    limited = 0
    for method, route, status, count in rows:
        yield "calls_recent", (f"{method} {route}", str(status or 0)), count
        by_limit[rule_for(PUBLISHED_LIMITS, method, route).name] += count
        limited += count if status == 429 else 0
    yield "calls_limited_recent", (), limited
    for rule in PUBLISHED_LIMITS:
        if rule.name in by_limit:
            allowed = rule.capacity * max(1.0, RECENT.total_seconds() / rule.seconds)
            yield "budget_used_ratio", (rule.name,), by_limit[rule.name] / allowed


def _confirmations(session: Any, store_id: int, now: datetime) -> Iterator[_Sample]:
    """Yield what this hour and the one before it counted."""
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    count, total, most = session.execute(
        select(func.sum(HourlyCount.count), func.sum(HourlyCount.total), func.max(HourlyCount.most)).where(
            HourlyCount.store_id == store_id, HourlyCount.name == SHIPMENTS, HourlyCount.hour >= hour
        )
    ).one()
    if count:
        yield "confirmation_seconds_mean", (), total / count
        yield "confirmation_seconds_max", (), most

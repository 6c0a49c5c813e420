"""What monitoring reads at ``/metrics``: gauges over the database and Redis, of the platform and of its plugins."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime

import redis
from flask import current_app
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import func, select

from host_app import plugin_api
from host_app.db import reading, utcnow
from host_app.health import platform_health
from host_app.models import EventDelivery, Notification
from host_app.plugin_api import PlatformHealth
from host_app.plugins import plugins
from host_app.port import host_port


def exposition() -> bytes:
    """Return all metrics in the text format of Prometheus. What is away is told by a 0, not by an error."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return generate_latest(registry)


class _Collector:
    """Looks anew each time: nothing is kept in processes, so any number of them tell the same."""

    def collect(self) -> Iterable[Metric]:
        health = platform_health()
        yield from _platform(health)
        if not health.redis:
            yield _queue_ages()
        if health.database:
            return
        yield from _events()
        yield _notifications()
        yield from _of_plugins()


def _gauge(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, value=value)


def _platform(health: PlatformHealth) -> Iterator[Metric]:
    yield _gauge("host_database_up", "1 where the database answers and is up to date", not health.database)
    yield _gauge("host_redis_up", "1 where Redis answers", not health.redis)
    if health.redis:
        return
    yield _gauge("host_workers", "Workers that are alive", health.workers or 0)
    yield _gauge("host_schedulers", "Schedulers that are alive", health.schedulers or 0)
    jobs = GaugeMetricFamily("host_queue_jobs", "Jobs that wait, by queue", labels=["queue"])
    for queue, count in health.queued.items():
        jobs.add_metric([queue], count)
    yield jobs


def _queue_ages() -> Metric:
    ages = GaugeMetricFamily(
        "host_queue_oldest_seconds",
        "Age of the job that waits longest, by queue; 0 where none does",
        labels=["queue"],
    )
    url = current_app.extensions["host_config"].redis_url
    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            for name in plugins().queues:
                queue = Queue(name, connection=client, serializer=JSONSerializer)
                first = queue.get_jobs(0, 1)
                waits = (utcnow() - _aware(first[0].enqueued_at)).total_seconds() if first else 0.0
                ages.add_metric([name], max(0.0, waits))
    except redis.RedisError:
        # It went away since it was asked; the next reading says so.
        pass
    return ages


def _aware(moment: datetime | None) -> datetime:
    if moment is None:
        return utcnow()
    return moment if moment.tzinfo else moment.replace(tzinfo=utcnow().tzinfo)


def _events() -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "host_events_waiting", "Events that a plugin has still to be told", labels=["plugin"]
    )
    oldest = GaugeMetricFamily(
        "host_events_oldest_seconds",
        "Age of the oldest event that a plugin has still to be told",
        labels=["plugin"],
    )
    parked = GaugeMetricFamily(
        "host_events_parked", "Events that could not be told and wait for a person", labels=["plugin"]
    )
    now = utcnow()
    with reading() as session:
        for plugin in plugins().names:
            mine = EventDelivery.plugin == plugin
            count, since = session.execute(
                select(func.count(), func.min(EventDelivery.created_at)).where(
                    mine, EventDelivery.parked_at.is_(None)
                )
            ).one()
            waiting.add_metric([plugin], count)
            oldest.add_metric([plugin], (now - since).total_seconds() if since else 0.0)
            parked.add_metric(
                [plugin],
                session.scalar(select(func.count()).where(mine, EventDelivery.parked_at.is_not(None))) or 0,
            )
    yield waiting
    yield oldest
    yield parked


def _notifications() -> Metric:
    unread = GaugeMetricFamily(
        "host_notifications_unread", "Notifications that nobody has read", labels=["level"]
    )
    with reading() as session:
        rows = session.execute(
            select(Notification.level, func.count())
            .where(Notification.read_at.is_(None))
            .group_by(Notification.level)
        )
        for level, count in rows:
            unread.add_metric([level], count)
    return unread


def _of_plugins() -> Iterator[Metric]:
    """Yield what plugins measure; one that fails is logged and left out, and so is a name that is not its own."""
    took = GaugeMetricFamily(
        "host_plugin_metrics_seconds", "How long a plugin took to tell its metrics", labels=["plugin"]
    )
    for name in plugins().names:
        began = time.monotonic()
        for found in _of_plugin(name):
            family = GaugeMetricFamily(found.name, found.help, labels=list(found.labels))
            for labels, value in found.samples.items():
                family.add_metric(list(labels), value)
            yield family
        took.add_metric([name], time.monotonic() - began)
    yield took


def _of_plugin(name: str) -> list[plugin_api.Metric]:
    prefix = plugins().infos[name].table_prefix
    try:
        with reading():
            answer = plugins().call(name, "metrics", host=host_port()) or []
    except Exception:
        current_app.logger.exception("plugin %s failed in metrics", name)
        return []
    return [metric for metric in answer if metric.name.startswith(prefix)]

"""What monitoring is told, and who may be told it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import MetaData

from host_app import create_app, events
from host_app.db import transaction
from host_app.metrics import exposition
from host_app.plugin_api import HostPort, Metric, OrderCancelled, PluginInfo, Wake, hookimpl
from host_app.wakes import waker
from tests.conftest import AppFactory, settings_for
from tests.host_app.probe import Probe

LOCAL = {"REMOTE_ADDR": "127.0.0.1"}
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


def values(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(app: Flask, name: str, **labels: str) -> float | None:
    with app.app_context():
        return values(exposition().decode()).get((name, frozenset(labels.items())))


def test_the_platform_is_measured(make_any_app: AppFactory) -> None:
    app = make_any_app()
    assert value(app, "host_database_up") == 1
    assert value(app, "host_redis_up") == 1
    assert value(app, "host_events_waiting", plugin="bol") == 0
    with app.app_context():
        with transaction():
            events.emit(OrderCancelled(1, "shop:1", "A", "why"), "order:A")
        waker().send([Wake("host:other", "bol-stock", "host_app.events:dispatch", ("bol",))])
    assert value(app, "host_events_waiting", plugin="bol") == 1
    assert value(app, "host_queue_jobs", queue="bol-stock") == 1
    assert (value(app, "host_queue_oldest_seconds", queue="bol-stock") or 0) > 0
    assert value(app, "host_queue_oldest_seconds", queue="bol-bulk") == 0


def test_what_is_away_is_told_and_breaks_nothing(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "warehouse.sqlite")
    app = create_app(settings_for(tmp_path, "redis://127.0.0.1:1/0"))
    assert value(app, "host_redis_up") == 0
    assert value(app, "host_events_parked", plugin="bol") == 0
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready: redis\n")
    assert app.test_client().get("/healthz").status_code == 200


def test_a_database_without_tables_is_not_ready(tmp_path: Path, redis_url: str) -> None:
    app = create_app(settings_for(tmp_path, redis_url))
    assert value(app, "host_database_up") == 0
    assert app.test_client().get("/readyz").text == "not ready: database\n"


def test_one_that_is_ready_says_so(make_any_app: AppFactory) -> None:
    assert make_any_app().test_client().get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("token", "headers", "caller", "status"),
    [
        ("", {}, LOCAL, 200),
        ("", {}, {"REMOTE_ADDR": "::1"}, 200),
        ("", {}, ELSEWHERE, 404),
        ("", {"X-Forwarded-For": "192.0.2.7"}, LOCAL, 404),
        ("", {"Authorization": "Bearer "}, ELSEWHERE, 404),
        ("secret", {}, LOCAL, 404),
        ("secret", {"Authorization": "Bearer wrong"}, LOCAL, 404),
        ("secret", {"Authorization": "Bearer secret"}, ELSEWHERE, 200),
    ],
)
def test_metrics_are_for_this_machine_or_for_who_has_the_token(
    make_app: AppFactory, token: str, headers: dict[str, str], caller: dict[str, str], status: int
) -> None:
    client = make_app(metrics_token=token).test_client()
    answer = client.get("/metrics", headers=headers, environ_base=caller)
    assert answer.status_code == status
    assert ("host_database_up" in answer.text) == (status == 200)


def test_a_plugin_that_fails_or_uses_names_of_others_harms_no_other_metric(
    make_app: AppFactory, tmp_path: Path
) -> None:
    (tmp_path / "odd" / "versions").mkdir(parents=True)

    class Odd(Probe):
        fails = False

        @hookimpl
        def plugin_info(self) -> PluginInfo:
            return replace(
                super().plugin_info(),
                name="odd",
                table_prefix="odd_",
                metadata=MetaData(),
                migrations=str(tmp_path / "odd"),
            )

        @hookimpl
        def metrics(self, host: HostPort) -> list[Metric]:
            if self.fails:
                raise RuntimeError("no")
            return [Metric(name, "odd", ("a",), {("b",): 3}) for name in ("odd_things", "host_workers")]

    plugin = Odd()
    app = make_app(extra_plugins={"odd": plugin})
    assert value(app, "odd_things", a="b") == 3
    assert value(app, "host_workers", a="b") is None
    plugin.fails = True
    assert value(app, "odd_things", a="b") is None
    assert value(app, "host_database_up") == 1


def test_the_token_is_not_shown_by_accident(tmp_path: Any) -> None:
    assert "hidden" not in repr(settings_for(tmp_path, "redis://x", metrics_token="hidden"))

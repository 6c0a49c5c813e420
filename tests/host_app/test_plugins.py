"""Plugins are found, checked, and kept from each other's failures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from host_app.plugin_api import HookSpecs, PluginInfo, ProductChanged, hookimpl
from host_app.plugins import PluginError, Plugins, plugins
from tests.conftest import AppFactory
from tests.host_app import probe as probes
from tests.host_app.probe import Probe, running

ADVICE = "HOST_BLOCKED_PLUGINS=probe"


class Other(Probe):
    """A second plugin."""

    @hookimpl
    def plugin_info(self) -> PluginInfo:
        return replace(super().plugin_info(), name="other", table_prefix="other_", metadata=MetaData())


def with_info(**changes: Any) -> Probe:
    class Changed(Probe):
        @hookimpl
        def plugin_info(self) -> PluginInfo:
            return replace(super().plugin_info(), **changes)

    return Changed()


def metadata_with(table: str) -> MetaData:
    metadata = MetaData()
    Table(table, metadata, Column("id", Integer, primary_key=True))
    return metadata


class Misspelt(Probe):
    @hookimpl
    def stock_chnaged(self) -> None:
        pass


class WrongArguments(Probe):
    @hookimpl
    def due(self, host: Any, when: Any) -> list[Any]:  # type: ignore[override]
        return []


class Nobody:
    @hookimpl
    def due(self, host: Any) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (Misspelt, "stock_chnaged"),
        (WrongArguments, "when"),
        (Nobody, "PluginInfo"),
        (lambda: with_info(name="somebody"), "name of the entry point"),
        (lambda: with_info(metadata=metadata_with("product_extra")), "does not begin with its prefix"),
        (lambda: with_info(table_prefix="probe", metadata=metadata_with("probe_x")), "prefix"),
        (lambda: with_info(table_prefix="stock_", metadata=MetaData()), "stock_history"),
        (lambda: with_info(table_prefix="", metadata=MetaData()), "prefix"),
        (lambda: with_info(queues=("host",)), "host's own"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_refused_with_advice(
    plugin: Callable[[], object], reason: str
) -> None:
    with pytest.raises(PluginError) as refused:
        Plugins().register("probe", plugin())
    assert reason in str(refused.value)
    assert ADVICE in str(refused.value)


def test_two_plugins_may_not_share_a_table_prefix() -> None:
    loaded = Plugins()
    loaded.register("probe", Probe())

    class Twin(Probe):
        @hookimpl
        def plugin_info(self) -> PluginInfo:
            return replace(super().plugin_info(), name="twin")

    with pytest.raises(PluginError, match="plugin probe"):
        loaded.register("twin", Twin())


def test_one_plugin_that_raises_does_not_stop_the_others(make_app: AppFactory) -> None:
    class Raising(Probe):
        @hookimpl
        def due(self, host: Any) -> list[Any]:  # type: ignore[override]
            raise ValueError

    app = make_app(extra_plugins={"probe": Raising(), "other": Other()}, blocked_plugins=("bol",))
    with app.app_context():
        assert [name for name, _ in plugins().call_each("due", host=None, now=None)] == ["other"]


def test_each_plugin_is_called_for_itself(make_app: AppFactory) -> None:
    one, two = Probe(), Other()
    app = make_app(extra_plugins={"probe": one, "other": two}, blocked_plugins=("bol",))
    one.due_wakes, two.due_wakes = [1], [2]  # type: ignore[list-item]
    with app.app_context():
        assert plugins().names == ("probe", "other")
        assert plugins().call("other", "due", host=None, now=None) == [2]
        assert plugins().call("probe", "due", host=None, now=None) == [1]
        assert plugins().call("probe", "order_panels", host=None, order_id=1) is None
        assert plugins().interested(ProductChanged) == ()


def test_a_plugin_that_fails_while_loading_stops_the_start_with_advice(make_app: AppFactory) -> None:
    class Failing(Probe):
        @hookimpl
        def plugin_loaded(self, host: Any) -> None:
            raise OSError("no key")

    with pytest.raises(PluginError, match="no key.*HOST_BLOCKED_PLUGINS=probe"), running(make_app, Failing()):
        pass


def test_installed_plugins_are_found_and_can_be_blocked(tmp_path: Path) -> None:
    environment = probes.environment(tmp_path, "redis://127.0.0.1:1/0", "")
    assert _names(environment) == ["probe"]
    assert _names(environment | {"HOST_BLOCKED_PLUGINS": "bol, probe"}) == []


def test_a_plugin_that_cant_be_imported_stops_the_start_with_advice(tmp_path: Path) -> None:
    environment = probes.environment(tmp_path, "redis://127.0.0.1:1/0", "")
    entry_points = tmp_path / "installed" / "probe-1.dist-info" / "entry_points.txt"
    entry_points.write_text("[host_app.plugins]\nprobe = not_there.at_all\n")
    done = _run(environment, *probes.command("routes"))
    assert done.returncode != 0
    assert "not_there" in done.stdout and ADVICE in done.stdout
    assert _names(environment | {"HOST_BLOCKED_PLUGINS": "bol,probe"}) == []


def test_every_hook_says_what_it_is_for() -> None:
    undocumented = [
        name for name, hook in vars(HookSpecs).items() if not name.startswith("_") and not hook.__doc__
    ]
    assert undocumented == []


def _names(environment: dict[str, str]) -> list[str]:
    code = "from host_app import create_app; print(*create_app().extensions['host_plugins'].names)"
    done = _run(environment, probes.command()[0], "-c", code)
    assert done.returncode == 0, done.stdout
    return done.stdout.split()


def _run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd=environment["HOST_INSTANCE"], text=True, timeout=60, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_the_probe_is_not_installed_here() -> None:
    """The tests above must not find it by accident."""
    assert "probe" not in os.environ.get("PYTHONPATH", "")
    loaded = Plugins(("bol",))
    loaded.load_entry_points()
    assert loaded.names == ()

"""Finding plugins, checking what they bring, and calling them one at a time."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import pluggy
from flask import Flask, current_app

from host_app.db import Base
from host_app.plugin_api import ENTRY_POINT_GROUP, EVENT_HOOKS, PROJECT, HookSpecs, PluginInfo

HOST_QUEUE = "host"


class PluginError(Exception):
    """A plugin can't be used; the message says why and how to start without it."""


class Plugins:
    """The loaded plugins.

    pluggy stops at the first implementation that raises, so each plugin is called through a caller of its own:
    a failing one can't keep the others, or the host, from their work.
    """

    def __init__(self, blocked: tuple[str, ...] = ()) -> None:
        self.manager = pluggy.PluginManager(PROJECT)
        self.manager.add_hookspecs(HookSpecs)
        self.infos: dict[str, PluginInfo] = {}
        self._callers: dict[tuple[str, str], Any] = {}
        for name in blocked:
            self.manager.set_blocked(name)

    def load_entry_points(self) -> None:
        """Load every installed plugin that is not blocked.

        :raises PluginError: one can't be imported or breaks a rule of the contract.
        """
        for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
            if self.manager.is_blocked(entry_point.name) or self.manager.has_plugin(entry_point.name):
                continue
            try:
                plugin = entry_point.load()
            except Exception as error:
                raise _unusable(entry_point.name, f"can't be imported: {error!r}") from error
            self.register(entry_point.name, plugin)

    def register(self, name: str, plugin: object) -> None:
        """Register one plugin and check it.

        :raises PluginError: it implements an unknown hook, does not say who it is, or claims tables or queues
            that are not its own.
        """
        try:
            self.manager.register(plugin, name=name)
            self.manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            raise _unusable(name, str(error)) from error
        # Callers leave out the plugins that were known when they were made.
        self._callers.clear()
        info = self.call(name, "plugin_info")
        if not isinstance(info, PluginInfo) or info.name != name:
            raise _unusable(name, "plugin_info must return a PluginInfo with the name of the entry point")
        self._check_prefix(info)
        for table in info.metadata.tables:
            if not table.startswith(info.table_prefix) or not info.table_prefix.endswith("_"):
                raise _unusable(
                    name, f"its table {table!r} does not begin with its prefix {info.table_prefix!r}"
                )
        if HOST_QUEUE in info.queues:
            raise _unusable(name, f"the queue {HOST_QUEUE!r} is the host's own")
        self.infos[name] = info

    def _check_prefix(self, info: PluginInfo) -> None:
        """Refuse a prefix under which tables of the host, or of another plugin, are kept already."""
        taken = {table: "the host" for table in Base.metadata.tables}
        taken |= {other.table_prefix: f"the plugin {other.name}" for other in self.infos.values()}
        for name, owner in taken.items():
            if (
                name.startswith(info.table_prefix)
                or info.table_prefix.startswith(name)
                and name.endswith("_")
            ):
                raise _unusable(
                    info.name, f"its table prefix {info.table_prefix!r} would take in {name!r} of {owner}"
                )

    def load(self, host: Any) -> None:
        """Tell every plugin that the application is built.

        :raises PluginError: one can't work.
        """
        for name in self.infos:
            try:
                self.call(name, "plugin_loaded", host=host)
            except Exception as error:
                raise _unusable(name, f"can't be loaded: {error!r}") from error

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.infos)

    @property
    def queues(self) -> tuple[str, ...]:
        """All queues that workers serve, most urgent first."""
        return (HOST_QUEUE, *(queue for info in self.infos.values() for queue in info.queues))

    def implements(self, name: str, hook: str) -> bool:
        """Tell if a plugin implements a hook."""
        return any(
            implementation.plugin_name == name
            for implementation in getattr(self.manager.hook, hook).get_hookimpls()
        )

    def interested(self, event: type) -> tuple[str, ...]:
        """Return the plugins that want to be told of this kind of event."""
        return tuple(name for name in self.infos if self.implements(name, EVENT_HOOKS[event]))

    def call(self, name: str, hook: str, **arguments: Any) -> Any:
        """Call one hook of one plugin and return its answer, or None (an empty list) where it has none."""
        caller = self._callers.get((name, hook))
        if caller is None:
            others = [plugin for other, plugin in self.manager.list_name_plugin() if other != name and plugin]
            caller = self._callers[name, hook] = self.manager.subset_hook_caller(hook, remove_plugins=others)
        answer = caller(**arguments)
        if hook == "plugin_info":
            return answer
        return answer[0] if answer else None

    def call_each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Call a hook of each plugin that implements it; who raises is logged and left out."""
        for name in self.infos:
            if not self.implements(name, hook):
                continue
            try:
                yield name, self.call(name, hook, **arguments)
            except Exception:
                current_app.logger.exception("plugin %s failed in %s", name, hook)

    def owns_job(self, job: str) -> bool:
        """Tell if ``package.module:function`` lies in the host or in a loaded plugin's package."""
        packages = ("host_app", *(info.package for info in self.infos.values()))
        return any(job.startswith(f"{package}.") for package in packages)


def _unusable(name: str, reason: str) -> PluginError:
    return PluginError(f"Plugin {name!r}: {reason}. To start without it, set HOST_BLOCKED_PLUGINS={name}.")


def plugins(app: Flask | None = None) -> Plugins:
    """Return the plugins of an application (default: the current one)."""
    found: Plugins = (app or current_app).extensions["host_plugins"]
    return found

"""Every hook implementation of the connector: a few lines each, which translate and delegate."""

from __future__ import annotations

from pathlib import Path

from host_app.plugin_api import PluginInfo, hookimpl
from plugin import __version__
from plugin.models.base import PREFIX, Base


@hookimpl
def plugin_info() -> PluginInfo:
    return PluginInfo(
        name="bol",
        title="Bol.com Retailer",
        version=__version__,
        package="plugin",
        table_prefix=PREFIX,
        metadata=Base.metadata,
        migrations=str(Path(__file__).parent / "migrations"),
        queues=("bol-shipments", "bol-orders", "bol-stock", "bol-bulk"),
    )

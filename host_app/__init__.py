"""The warehouse platform: a small, real WMS that plugins are installed into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from host_app.config import Config

__all__ = ["create_app"]


def create_app(settings: Config | None = None, *, extra_plugins: Mapping[str, object] | None = None) -> Flask:
    """Build the application, see :func:`host_app.app.create_app`."""
    # Only here: plugins, and other hosts that run them, import the contract below and must not get this host with it.
    from host_app.app import create_app as build

    return build(settings, extra_plugins=extra_plugins)

"""The warehouse platform: a small, real WMS that plugins are installed into."""

from host_app.app import create_app

__all__ = ["create_app"]

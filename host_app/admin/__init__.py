"""The pages of the platform, on Flask-Admin."""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Add the pages."""

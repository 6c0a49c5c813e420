"""Serves the pages with waitress."""

from __future__ import annotations

import signal
import sys

import waitress
from flask import Flask

THREADS = 8


def run(app: Flask) -> None:
    """Serve until SIGTERM or SIGINT; requests at hand are answered first."""
    settings = app.extensions["host_config"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    waitress.serve(app, host=settings.host, port=settings.port, threads=THREADS, ident=None)

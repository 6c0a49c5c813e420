"""Serves the pages with waitress."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from typing import Any

import waitress
from flask import Flask

THREADS = 8


def run(app: Flask) -> None:
    """Serve until SIGTERM or SIGINT; requests at hand are answered first."""
    settings = app.extensions["host_config"]
    # A busy minute is nothing to warn of, request by request.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The collector need not go through all that was imported, over and over: somebody would wait for it.
    gc.collect()
    gc.freeze()
    waitress.serve(app, **options(app, settings.host, settings.port))


def options(app: Flask, host: str, port: int) -> dict[str, Any]:
    """Return how to serve. waitress keeps a whole body before the application sees it: too large a one is refused.

    What is a little too large gets through to the application, which refuses it in words.
    """
    largest = 4 * app.config["MAX_CONTENT_LENGTH"]
    return {"host": host, "port": port, "threads": THREADS, "ident": None, "max_request_body_size": largest}

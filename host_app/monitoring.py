"""Addresses for machines that look after this one: ``/healthz``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from flask import Blueprint, Flask, abort, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.wrappers import Response

from host_app.health import platform_health
from host_app.metrics import exposition

#: A server in front of this one adds one of these: then who calls is not on this machine.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


def init_app(app: Flask) -> None:
    """Add the addresses. They need no login, and change nothing."""
    blueprint = Blueprint("monitoring", __name__)
    blueprint.add_url_rule("/healthz", "healthz", healthz)
    blueprint.add_url_rule("/readyz", "readyz", readyz)
    blueprint.add_url_rule("/metrics", "metrics", metrics)
    app.register_blueprint(blueprint)


def healthz() -> Response:
    """Say that this process answers; whoever starts processes restarts one that does not."""
    return _plain("ok")


def readyz() -> Response:
    """Say if people can work here: database, its migrations, and Redis. 503 tells to send them elsewhere."""
    health = platform_health()
    troubles = [name for name, trouble in (("database", health.database), ("redis", health.redis)) if trouble]
    return _plain(f"not ready: {', '.join(troubles)}", 503) if troubles else _plain("ready")


def metrics() -> Response:
    """Show the metrics to who may see them."""
    if not _may_read():
        abort(404)
    return Response(exposition(), content_type=CONTENT_TYPE_LATEST)


def _may_read() -> bool:
    """With METRICS_TOKEN who sends it; without, programs on this machine, and nobody through a server in front."""
    token = current_app.extensions["host_config"].metrics_token
    if token:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(sent.encode(), token.encode())
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _plain(text: str, status: int = 200) -> Response:
    return Response(f"{text}\n", status, content_type="text/plain; charset=utf-8")

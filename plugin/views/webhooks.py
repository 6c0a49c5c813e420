"""Where bol sends its messages: open to the world, and deaf to whatever bol did not sign."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from host_app.plugin_api import HostPort
from plugin.sync.due import Due
from plugin.sync.subscriptions import PATH
from plugin.sync.webhooks import LARGEST, receive

#: Told to wait so many seconds where our keys are out of date.
RETRY_SECONDS = "60"


def blueprint(host: HostPort, wake: Callable[[Iterable[Due]], None]) -> Blueprint:
    """Return the route.

    :param wake: starts work that is due.
    """
    routes = Blueprint("bol_webhooks", __name__)

    @routes.get(f"{PATH}<key>")
    def show(key: str) -> Response:
        """Answer whoever checks that this address can be reached; says nothing about the key."""
        return Response("bol's messages come in here by POST.\n", mimetype="text/plain")

    @routes.post(f"{PATH}<key>")
    def take(key: str) -> Response:
        request.max_content_length = LARGEST
        body: bytes | None
        try:
            body = request.get_data(cache=False)
        except RequestEntityTooLarge:
            body = None
        reply = receive(host, key, request.headers.get("Signature"), body)
        if reply.work:
            wake(reply.work)
        response = Response(status=reply.status)
        if reply.status == 503:
            response.headers["Retry-After"] = RETRY_SECONDS
        return response

    return routes

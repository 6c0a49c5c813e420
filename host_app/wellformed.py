"""Refuses what no page can mean and not every database takes: the character NUL, and ids larger than there can be."""

from __future__ import annotations

from typing import Any

from flask import Flask, abort, request
from werkzeug.datastructures import MultiDict
from werkzeug.routing import IntegerConverter, Map

#: PostgreSQL's integer.
LARGEST_ID = 2**31 - 1
#: Pages that read forms. A webhook reads its own body, and no more of it than it wants.
WITH_FORMS = ("/admin", "/login", "/logout", "/language")


class Id(IntegerConverter):
    """A number in an address; a larger one names nothing, so its page is not found."""

    def __init__(self, map: Map, *arguments: Any, **named: Any) -> None:
        super().__init__(map, *arguments, **{"max": LARGEST_ID, **named})


def init_app(app: Flask) -> None:
    """Check each request. Before any page is registered."""
    app.url_map.converters["int"] = Id
    app.before_request(_refuse_nul)


def _refuse_nul() -> None:
    if "\0" in request.path or _has_nul(request.args):
        abort(400)
    if request.path.startswith(WITH_FORMS) and _has_nul(request.form):
        abort(400)


def _has_nul(fields: MultiDict[str, str]) -> bool:
    return any("\0" in name or "\0" in value for name, value in fields.items(multi=True))

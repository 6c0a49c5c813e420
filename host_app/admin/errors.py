"""Pages for what went wrong, in words that say what to do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, current_app, render_template, request
from flask_admin import Admin
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from host_app.admin.security import begin_reading, safe_path, under_admin
from host_app.db import db
from host_app.services import users

Answer = tuple[str, int] | HTTPException


def init_app(app: Flask, admin: Admin, *, public: Collection[str]) -> None:
    """Show errors as pages; routes of plugins outside of ``/admin`` answer as they like."""

    def page(error: HTTPException) -> Answer:
        if request.blueprint in public and not under_admin():
            return error
        status = error.code or 500
        title, text = _words(error)
        shown: dict[str, Any] = {"title": title, "text": text, "back": _back()}
        if status < 500 and current_user.is_authenticated:
            begin_reading()
            if status == 403:
                shown["can"] = users.administrators()
            return admin.index_view.render("host/error.html", **shown), status
        # Once more is safe for what only reads.
        again = request.full_path.removesuffix("?") if request.method == "GET" and status >= 500 else ""
        return render_template("host/plain_error.html", **shown, again=again), status

    def crashed(error: InternalServerError) -> Answer:
        db.session.rollback()
        return page(error)

    app.register_error_handler(HTTPException, page)
    app.register_error_handler(InternalServerError, crashed)


def _back() -> str:
    """Return the page of this host that led here; "" for none, or where it is the one that can't be shown."""
    came_from = urlsplit(request.referrer or "")
    path = safe_path(came_from.path + (f"?{came_from.query}" if came_from.query else ""))
    here = came_from.netloc == request.host and under_admin(came_from.path)
    return path if here and (request.method == "POST" or came_from.path != request.path) else ""


def _words(error: HTTPException) -> tuple[str, str]:
    if isinstance(error, CSRFError):
        return (
            _("This page is out of date"),
            _(
                "Nothing was changed. Go back, reload the page and try once more; log in again if you are asked."
            ),
        )
    words = {
        400: (_("This could not be read"), _("Nothing was changed. Go back, check what you entered and try again.")),
        403: (_("Not for your role"), _("Nothing was changed. An administrator can do this.")),
        404: (_("This page does not exist"), _("It may have been removed, or the address holds a mistake.")),
        405: (_("This can't be opened by its address"), _("Go back and use the button on the page.")),
        413: (_("This is too large"), _("Nothing was changed. Go back and send less at once: a shorter text, or a smaller file.")),
        429: (_("Too many tries"), _("Wait a minute, then try again.")),
        500: (
            _("Something went wrong here"),
            _("What was saved before is safe; go back and look if your last step counted. If it happens again, tell an administrator: what went wrong is in the log."),
        ),
    }  # fmt: skip
    known = words.get(error.code or 500)
    if known is None:
        current_app.logger.info("no words for status %s", error.code)
    return known or words[400 if (error.code or 500) < 500 else 500]

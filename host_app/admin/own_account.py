"""The page on which everybody looks after their own account: the language of their pages, and their password."""

from __future__ import annotations

from collections.abc import Mapping

from flask import current_app, flash, redirect, request, session, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from host_app.admin.base import HostView, who
from host_app.admin.security import EVERYONE, begin_reading, log_in
from host_app.db import transaction
from host_app.languages import LANGUAGES, SESSION_KEY, addressing
from host_app.services import users


class OwnAccountView(HostView):
    """One's own account. The menu bar leads here by the name of who is logged in."""

    roles = EVERYONE

    def is_visible(self) -> bool:
        return False

    @expose("/")
    def index(self) -> str:
        """Show the account."""
        return self._page()

    @expose("/", methods=("POST",))
    def save(self) -> Response:
        """Keep the language."""
        chosen = request.form.get("language", "")
        if chosen in ("", *LANGUAGES):
            with transaction():
                users.choose_language(int(current_user.id), chosen)
            session.pop(SESSION_KEY, None)
            begin_reading()
            with addressing(chosen):
                flash(_("Saved."), "success")
        return redirect(url_for("own_account.index"))

    @expose("/password", methods=("POST",))
    def password(self) -> Response | tuple[str, int]:
        """Replace one's own password. Who is in by a session that was left open must know it, as at the login."""
        current, new = request.form.get("current", ""), request.form.get("new", "")
        problems = {}
        if problem := users.password_problem(new):
            problems["new"] = problem
        elif new != request.form.get("again", ""):
            problems["again"] = _("This is not the same as the new password.")
        # Both take a while: no transaction is open meanwhile.
        elif not current_user.check_password(current):
            current_app.logger.warning("wrong password of %r from %s", who(), request.remote_addr)
            problems["current"] = _("This is not your password.")
        if problems:
            return self._page(problems), 400
        with transaction():
            changed = users.replace_password(int(current_user.id), current_user.password_hash, new)
        begin_reading()
        if changed is not None:
            # The others are logged out by it.
            log_in(changed)
            flash(
                _("Your password is changed. Wherever else you were logged in, you are logged out."),
                "success",
            )
        return redirect(url_for("own_account.index"))

    def _page(self, problems: Mapping[str, str] | None = None) -> str:
        page = self.render(
            "host/own_account.html",
            languages=LANGUAGES,
            shortest=users.SHORTEST,
            problems=problems or {},
        )
        return str(page)

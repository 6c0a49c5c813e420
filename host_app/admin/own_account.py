"""The page on which everybody looks after their own account: the language of their pages."""

from __future__ import annotations

from flask import flash, redirect, request, session, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from host_app.admin.base import HostView
from host_app.admin.security import EVERYONE, begin_reading
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
        return str(self.render("host/own_account.html", languages=LANGUAGES))

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

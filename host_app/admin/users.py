"""Users: who may log in, and as what."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.wrappers import Response

from host_app.admin.base import HostView, changing, who
from host_app.admin.security import ADMINISTRATORS, log_in
from host_app.db import db
from host_app.models import User
from host_app.models.people import Role
from host_app.services import users


class UsersView(HostView):
    """Users."""

    roles = ADMINISTRATORS

    @expose("/")
    def index(self) -> str:
        """List users; passwords can be replaced, never read."""
        rows = db.session.scalars(select(User).order_by(User.username)).all()
        return str(self.render("host/users.html", rows=rows, choices=list(Role), shortest=users.SHORTEST))

    @expose("/", methods=["POST"])
    def add(self) -> Response:
        """Add a user."""
        with changing(_("The user is added.")):
            users.add_user(
                request.form.get("username", ""),
                request.form.get("password", ""),
                role=request.form.get("role", ""),
            )
        return redirect(url_for("users.index"))

    @expose("/<int:user_id>", methods=["POST"])
    def change(self, user_id: int) -> Response:
        """Change role, password, or whether somebody may log in."""
        with changing(_("The user is saved.")):
            changed = users.change_user(
                user_id,
                role=request.form.get("role", ""),
                active="active" in request.form,
                password=request.form.get("password", ""),
            )
            if changed.username == who() and changed.active:
                # A replaced password logs out everywhere but here.
                log_in(changed)
        return redirect(url_for("users.index"))

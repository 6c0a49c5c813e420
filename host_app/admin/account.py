"""Logging in and out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user, logout_user
from flask_wtf import FlaskForm
from sqlalchemy import select
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired

from host_app.admin.security import limiter, log_in, safe_path
from host_app.db import db
from host_app.models import User

LIMIT = "10 per minute"

blueprint = Blueprint("account", __name__)
# Checked in place of a user that does not exist, so that the time taken does not tell which names do.
_NOBODY = generate_password_hash("nobody")


class LoginForm(FlaskForm):
    """Name and password."""

    username = StringField(validators=[InputRequired()])
    password = PasswordField(validators=[InputRequired()])


def _by_username() -> str:
    return f"username:{request.form.get('username', '').strip().lower()[:80]}"


def _failed(response: Any) -> bool:
    return response.status_code != 302


@blueprint.get("/login")
def login() -> Response | str:
    """Ask who is there."""
    if current_user.is_authenticated:
        return redirect(safe_path(request.args.get("next")))
    return render_template("host/login.html", form=LoginForm(), next=request.args.get("next"))


# A warehouse shares one address: only failed tries count.
@blueprint.post("/login", endpoint="check_login")
@limiter.limit(LIMIT, deduct_when=_failed)
@limiter.limit(LIMIT, key_func=_by_username, deduct_when=_failed)
def check_login() -> Response | tuple[str, int]:
    """Check name and password."""
    form = LoginForm()
    wanted = request.form.get("next")
    if form.validate_on_submit():
        name = (form.username.data or "").strip()
        user = db.session.scalar(select(User).where(User.username == name))
        known = check_password_hash(user.password_hash if user else _NOBODY, form.password.data or "")
        if user is not None and known and user.active:
            log_in(user)
            return redirect(safe_path(wanted))
        current_app.logger.warning("login refused for %r from %s", name[:80], request.remote_addr)
    flash(_("Name or password is wrong."), "danger")
    return render_template("host/login.html", form=form, next=wanted), 401


@blueprint.post("/logout")
def logout() -> Response:
    """End the session."""
    logout_user()
    return redirect(url_for("account.login"))

"""Logging in and out."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext as _
from flask_limiter import Limiter
from flask_login import current_user, logout_user
from flask_wtf import FlaskForm
from sqlalchemy import select
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired

from host_app.admin.security import log_in, safe_path
from host_app.db import db
from host_app.languages import LANGUAGES, SESSION_KEY
from host_app.models import User

LIMIT = "10 per minute"


class LoginForm(FlaskForm):
    """Name and password."""

    username = StringField(validators=[InputRequired()])
    password = PasswordField(validators=[InputRequired()])


def init_app(app: Flask, limiter: Limiter) -> None:
    """Add the pages to log in and out."""
    # A warehouse shares one address: only failed tries count.
    limited = limiter.limit(LIMIT, deduct_when=_failed)(
        limiter.limit(LIMIT, key_func=_by_username, deduct_when=_failed)(check_login)
    )
    blueprint = Blueprint("account", __name__)
    blueprint.add_url_rule("/login", "login", login)
    blueprint.add_url_rule("/login", "check_login", limited, methods=["POST"])
    blueprint.add_url_rule("/language", "choose_language", choose_language, methods=["POST"])
    blueprint.add_url_rule("/logout", "logout", logout, methods=["POST"])
    app.register_blueprint(blueprint)
    # Nor may who finds somebody's session open try one password after another.
    change = app.view_functions["own_account.password"]
    app.view_functions["own_account.password"] = limiter.limit(LIMIT, key_func=_by_user, deduct_when=_failed)(
        change
    )


@cache
def _nobody() -> str:
    return generate_password_hash("nobody")


def _by_username() -> str:
    return f"username:{request.form.get('username', '').strip().lower()[:80]}"


def _by_user() -> str:
    return f"user:{current_user.get_id()}"


def _failed(response: Any) -> bool:
    return response.status_code != 302


def login() -> Response | str:
    """Ask who is there."""
    if current_user.is_authenticated:
        return redirect(safe_path(request.args.get("next")))
    return _page(LoginForm(), request.args.get("next"))


def check_login() -> Response | tuple[str, int]:
    """Check name and password."""
    form = LoginForm()
    wanted = request.form.get("next")
    if form.validate_on_submit():
        name = (form.username.data or "").strip()
        user = db.session.scalar(select(User).where(User.username == name))
        # Where there is no such user the same work is done, so that the time taken does not tell which names exist.
        known = check_password_hash(user.password_hash if user else _nobody(), form.password.data or "")
        if user is not None and known and user.active:
            log_in(user)
            return redirect(safe_path(wanted))
        current_app.logger.warning("login refused for %r from %s", name[:80], request.remote_addr)
    flash(_("Name or password is wrong."), "danger")
    return _page(form, wanted), 401


def choose_language() -> Response:
    """Speak another language at this login. It is kept in nobody's account: a packing table is shared."""
    chosen = request.form.get("language")
    if chosen not in LANGUAGES:
        abort(400)
    session[SESSION_KEY] = chosen
    return redirect(url_for("account.login", next=request.form.get("next")))


def _page(form: LoginForm, wanted: str | None) -> str:
    return render_template("host/login.html", form=form, next=wanted, languages=LANGUAGES)


def logout() -> Response:
    """End the session; the next one at this table begins anew, in the browser's language."""
    logout_user()
    session.clear()
    return redirect(url_for("account.login"))

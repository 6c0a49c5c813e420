"""Who may do what: login, roles, CSRF, limits and headers, for the host's pages and those of plugins alike."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, redirect, request, session, url_for
from flask_admin import Admin
from flask_admin.model import BaseModelView
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, current_user, login_user
from flask_wtf import CSRFProtect
from redis.backoff import NoBackoff
from redis.retry import Retry
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from host_app.config import Config
from host_app.db import db
from host_app.languages import SESSION_KEY
from host_app.models import User
from host_app.models.people import Role

EVERYONE = frozenset(Role)
ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
READING = ("GET", "HEAD", "OPTIONS")
#: Redis must not make people wait to log in.
REDIS_SECONDS = 0.25
#: Where the session keeps which password its user logged in with.
PASSWORD_KEY = "password"

POLICY = (
    "default-src 'self'; script-src 'self'{scripts}; style-src 'self'{styles}; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
STRICT_POLICY = POLICY.format(scripts="", styles="")
#: The templates of Flask-Admin's own model views hold inline handlers.
MODEL_VIEW_POLICY = POLICY.format(scripts=" 'unsafe-inline'", styles=" 'unsafe-inline'")
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

csrf = CSRFProtect()


class Guard:
    """Lets requests through: login for everything under ``/admin``, roles by view, CSRF for all but public routes.

    :param public: blueprints of plugins; outside of ``/admin`` they are open to the world and prove by themselves
        who calls them.
    """

    def __init__(self, admin: Admin, public: Collection[str]) -> None:
        self._views = {view.endpoint: view for view in admin._views}
        self._public = public

    def __call__(self) -> Response | None:
        if request.endpoint is None and not under_admin():
            return None
        view = self._views.get(request.blueprint or "")
        if view is not None and request.endpoint == f"{view.endpoint}.static":
            return None
        if view is None and not under_admin():
            if request.blueprint not in self._public:
                csrf.protect()
            return None
        if not current_user.is_authenticated:
            return redirect(url_for("account.login", next=_wanted()))
        if not may(view, (request.endpoint or "").rpartition(".")[2], request.method):
            abort(403)
        csrf.protect()
        # Services read in the transaction that is open; this one ends with the request, unless a change is made.
        begin_reading()
        return None


def may(view: Any, handler: str = "", method: str = "GET") -> bool:
    """Tell if the current user may use a view: by ``roles`` of its handler, else of the view, else by the method."""
    roles = getattr(getattr(view, handler, None), "roles", None) or getattr(view, "roles", None)
    if roles is None:
        roles = EVERYONE if method in READING else ADMINISTRATORS
    return current_user.is_authenticated and current_user.role in roles


def may_open(url: str) -> bool:
    """Tell if the current user may open a link; what is no page of this host is everybody's."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc or not parts.path.startswith("/"):
        return True
    try:
        endpoint, _values = current_app.url_map.bind("").match(parts.path)
    except HTTPException:
        return True
    blueprint, _dot, handler = str(endpoint).rpartition(".")
    admin: Admin = current_app.extensions["admin"][0]
    view = next((view for view in admin._views if view.endpoint == blueprint), None)
    return view is None or may(view, handler)


def begin_reading() -> None:
    """Begin a fresh read transaction, ending the one that may be open."""
    db.session.rollback()
    db.session.begin()


def log_in(user: User) -> None:
    """Begin a new session for a user. What language was chosen at the login holds for it, unless the user has an own one."""
    chosen = session.get(SESSION_KEY)
    session.clear()
    if chosen and not user.language:
        session[SESSION_KEY] = chosen
    login_user(user)
    session[PASSWORD_KEY] = _password_mark(user)


def safe_path(target: str | None) -> str:
    """Return a path on this host to go on to; the home page in place of anything else."""
    if not target or any(ord(letter) <= 32 for letter in target) or "\\" in target:
        return "/admin/"
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not target.startswith("/") or target.startswith("//"):
        return "/admin/"
    return target


def init_app(app: Flask, admin: Admin, *, public: Collection[str]) -> Limiter:
    """Set up login, CSRF, limits and headers, and the guard in front of every page."""
    config: Config = app.extensions["host_config"]
    app.config.update(
        # The guard checks it, after login and role, so that people read the right message.
        WTF_CSRF_CHECK_DEFAULT=False,
        # Packing pages stay open for hours: a token lasts as long as its session.
        WTF_CSRF_TIME_LIMIT=None,
        RATELIMIT_STORAGE_URI=config.redis_url.replace("unix://", "redis+unix://", 1)
        if config.redis_url.startswith("unix://")
        else config.redis_url,
        RATELIMIT_STORAGE_OPTIONS={
            "socket_timeout": REDIS_SECONDS,
            "socket_connect_timeout": REDIS_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        },
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
    )
    csrf.init_app(app)
    limiter = Limiter(get_remote_address, app=app, strategy="fixed-window")
    logins = LoginManager(app)
    logins.user_loader(_load_user)
    app.before_request(Guard(admin, public))
    app.after_request(_add_headers)
    return limiter


def _load_user(user_id: str) -> User | None:
    user = db.session.get(User, int(user_id)) if user_id.isdigit() else None
    if user is None or not user.active:
        return None
    if not hmac.compare_digest(_password_mark(user), str(session.get(PASSWORD_KEY, ""))):
        return None
    # Detached, so that the end of a transaction does not take away the name of who is logged in.
    db.session.expunge(user)
    return user


def _password_mark(user: User) -> str:
    """Return what a session must carry, so that a replaced password logs out everywhere."""
    key = str(current_app.secret_key).encode()
    return hmac.new(key, user.password_hash.encode(), hashlib.sha256).hexdigest()[:32]


def under_admin(path: str | None = None) -> bool:
    """Tell if a path, or that of the request, is of a page behind the login."""
    path = request.path if path is None else path
    return path == "/admin" or path.startswith("/admin/")


def _wanted() -> str | None:
    if request.method not in READING:
        return None
    return request.full_path.removesuffix("?")


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    admin: Admin = current_app.extensions["admin"][0]
    view = next((view for view in admin._views if view.endpoint == request.blueprint), None)
    policy = MODEL_VIEW_POLICY if isinstance(view, BaseModelView) else STRICT_POLICY
    response.headers.setdefault("Content-Security-Policy", policy)
    if response.mimetype == "text/html":
        # Going back shows the picklist as it is now, and nothing after logging out.
        response.headers.setdefault("Cache-Control", "no-store")
    return response

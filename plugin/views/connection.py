"""Signing in at bol's login page, and the page about a store's connection."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from flask import flash, make_response, redirect, request, session, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from host_app.plugin_api import HostError
from plugin.models import ApiCall, StoreState
from plugin.settings import StoreSettings
from plugin.sync.leaving import unfinished
from plugin.sync.preview import is_ahead
from plugin.sync.sign_in import days_left, reason, tried_again_at
from plugin.sync.subscriptions import address_of, why_not
from plugin.texts import gettext as _
from plugin.texts import lazy as _l
from plugin.views.base import ADMINISTRATORS, Answer, BolView, does, shows, telling, who

#: What the browser keeps between leaving for bol's login page and coming back.
KEPT = "bol_login"
#: How long a person may take at bol.
LOGIN_SECONDS = 15 * 60
LAST_CALLS = 10
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self' {login}; frame-ancestors 'none'"
)
REFUSED = _l("You refused at bol, or closed its page.")
NOT_BEGUN_HERE = _l(
    "This return from bol does not belong to a login that was begun here, or it was begun more than a quarter of an hour "
    "ago, or in another browser."
)


class ConnectionPages(BolView):
    """The way to bol's login page and back, and what an administrator can do about a connection."""

    def redirect_address(self) -> str:
        """Return where bol's login page sends people back to: the same address must be registered with bol.

        bol takes https only. Without a public address of that kind it is the one that this browser uses.
        """
        public = self.host.public_url
        base = public if public.startswith("https://") else request.host_url.rstrip("/")
        return f"{base}{url_for('bol.returned')}"

    def to_login(self, *, environment: str, name: str | None = None, store_id: int | None = None) -> Answer:
        """Send the browser to bol's login page. :raises HostError: that can't be done."""
        state = secrets.token_urlsafe(32)
        address = self.redirect_address()
        page = self.actions.login_page(environment=environment, redirect_uri=address, state=state, name=name)
        session[KEPT] = {
            "state": state,
            "environment": environment,
            "name": name,
            "store_id": store_id,
            "address": address,
            "at": int(time.time()),
        }
        return redirect(page)

    @shows("/connect/return", roles=ADMINISTRATORS)
    def returned(self) -> Answer:
        """Take in what bol's login page sent back. It changes something although it is read: `state` proves that a person
        of this browser asked for it, and each counts once."""
        kept = session.pop(KEPT, None)
        if not _belongs(kept, request.args.get("state", "")):
            return self._not_connected(str(NOT_BEGUN_HERE), kept=None)
        error = request.args.get("error", "")
        if error:
            reports = _("bol's login page reports: %(problem)s.", problem=error[:60])
            return self._not_connected(str(REFUSED) if error == "access_denied" else reports, kept)
        code = request.args.get("code", "")
        if not code:
            return self._not_connected(_("bol's login page sent nothing back."), kept)
        store_id = kept["store_id"]
        try:
            if store_id is None:
                store_id = self.actions.connect_by_login(
                    name=kept["name"],
                    environment=kept["environment"],
                    code=code,
                    redirect_uri=kept["address"],
                )
                flash(_("%(store)s is connected: bol accepts the login.", store=kept["name"]), "success")
                return redirect(url_for("bol.settings", store_id=store_id))
            self.actions.login_again(store_id, code=code, redirect_uri=kept["address"])
        except HostError as problem:
            return self._not_connected(str(problem), kept)
        return self._signed_in_again(store_id, _("You are signed in again."))

    def _not_connected(self, problem: str, kept: dict[str, Any] | None) -> Answer:
        store_id = (kept or {}).get("store_id")
        again = url_for("bol.connection", store_id=store_id) if store_id else url_for("bol.connect")
        page = self.page(
            "login_failed",
            problem=problem,
            again=again,
            address=self.redirect_address(),
            changed=_("The store is as it was.") if store_id else _("No store was connected."),
        )
        return Response(page, status=400, mimetype="text/html")

    def may_leave_for_login(self, page: str) -> Answer:
        """Let a form of this page lead to bol's login page: browsers hold redirects to the policy of the form's page."""
        answer = make_response(page)
        addresses = {_origin(url) for url in self.actions.login_addresses()}
        answer.headers["Content-Security-Policy"] = POLICY.format(login=" ".join(sorted(addresses)))
        return answer

    @shows("/<int:store_id>/connection", roles=ADMINISTRATORS)
    def connection(self, store_id: int) -> Answer:
        """Show how a store is connected, and how that goes."""
        return self._connection(store_id)

    @does("/<int:store_id>/connection/test")
    def test_connection(self, store_id: int) -> Answer:
        """Call bol now, and tell what came of it."""
        self.store(store_id)
        return self._connection(store_id, findings=self.actions.test_connection(store_id))

    @does("/<int:store_id>/connection/sign-in")
    def sign_in_again(self, store_id: int) -> Answer:
        """Use other credentials of the same account."""
        self.store(store_id)
        try:
            self.actions.sign_in_again(
                store_id,
                client_id=request.form.get("client_id", ""),
                client_secret=request.form.get("client_secret", ""),
            )
        except HostError as error:
            flash(str(error), "danger")
            return redirect(url_for("bol.connection", store_id=store_id))
        return self._signed_in_again(
            store_id, _("bol accepts the credentials: the store is signed in again.")
        )

    def _signed_in_again(self, store_id: int, told: str) -> Answer:
        """A paused store does nothing yet: its overview has the button for that; what comes back has a summary first."""
        store = self.store(store_id)
        if store.state != StoreState.PAUSED:
            flash(told, "success")
            return redirect(url_for("bol.connection", store_id=store_id))
        with self.host.reading():
            ahead = is_ahead(self.host, store)
        if ahead:
            reading = _(
                "Your offers and open orders at bol are being read: see here what happens, then activate it."
            )
            flash(f"{told} {reading}", "success")
            return redirect(url_for("bol.summary", store_id=store_id))
        paused = _("It is paused: press “Activate” when it should work again.")
        flash(f"{told} {paused}", "success")
        return redirect(url_for("bol.show", store_id=store_id))

    @does("/<int:store_id>/connection/login")
    def login_again(self, store_id: int) -> Answer:
        """Go to bol's login page."""
        store = self.store(store_id)
        try:
            return self.to_login(environment=store.environment, store_id=store_id)
        except HostError as error:
            flash(str(error), "danger")
            return redirect(url_for("bol.connection", store_id=store_id))

    @does("/<int:store_id>/connection/disconnect")
    def disconnect(self, store_id: int) -> Answer:
        """Finish what was begun, or go at once."""
        self.store(store_id)
        at_once = request.form.get("when") == "now"
        done = (
            _("The store is being disconnected: its secret is erased within seconds.")
            if at_once
            else _(
                "The store begins nothing new. It is disconnected, and its secret erased, when its orders are done."
            )
        )
        with telling(done):
            self.actions.disconnect(store_id, at_once=at_once, who=who())
        return redirect(url_for("bol.connection", store_id=store_id))

    @does("/<int:store_id>/connection/stay")
    def stay(self, store_id: int) -> Answer:
        """Keep a store that is being disconnected."""
        self.store(store_id)
        with telling(_("The store stays connected. It is paused: activate it on its overview.")):
            self.actions.stay_connected(store_id, who())
        return redirect(url_for("bol.connection", store_id=store_id))

    def _connection(self, store_id: int, **more: Any) -> Answer:
        store = self.store(store_id)
        with self.host.reading() as database:
            webhook = self.webhook(store_id)
            calls = database.scalars(
                select(ApiCall)
                .where(ApiCall.store_id == store_id)
                .order_by(ApiCall.id.desc())
                .limit(LAST_CALLS)
            ).all()
            left = unfinished(self.host, store_id)
        page = self.page(
            "connection",
            store=store,
            settings=StoreSettings.load(store.settings),
            line=self.actions.line_state(store_id),
            can_login=store.environment in self.actions.login_environments(),
            address=self.redirect_address(),
            days_left=days_left(store, self.host.now()),
            refusal=reason(store) if store.refused_at else "",
            tried_again=tried_again_at(store),
            webhook=webhook,
            webhook_address=address_of(self.host, webhook) if webhook else "",
            no_webhook=why_not(self.host, store),
            calls=calls,
            left=left,
            tab="connection",
            **more,
        )
        return self.may_leave_for_login(page)


def _belongs(kept: Any, state: str) -> bool:
    """Tell if a return belongs to the login that this browser left for."""
    if not isinstance(kept, dict) or not state:
        return False
    fresh = 0 <= time.time() - float(kept.get("at", 0)) <= LOGIN_SECONDS
    return fresh and hmac.compare_digest(str(kept.get("state", "")), state)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

"""Connecting a store: sign in, settings, summary, activate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flask import flash, redirect, request, url_for
from sqlalchemy import select

from host_app.plugin_api import HostError
from plugin.models import RunState, SettingChange, Store, StoreState
from plugin.settings import StoreSettings
from plugin.sync.consequences import consequences
from plugin.sync.deadlines import count_moved
from plugin.sync.preview import forecast, is_ahead
from plugin.sync.stock_check import rules_of
from plugin.sync.stock_plan import made_of, newest_plan
from plugin.sync.stores import why_not_active
from plugin.sync.subscriptions import why_not
from plugin.texts import gettext as _
from plugin.views import settings_groups, words
from plugin.views.base import ADMINISTRATORS, Answer, does, form, shows, telling, who
from plugin.views.checks import progress
from plugin.views.connection import ConnectionPages
from plugin.views.plan import start_plan
from plugin.views.settings_form import SettingsForm

#: So many changes of settings are shown.
CHANGES = 50
#: So many changes of stock stand in the summary.
SAMPLE = 5


@dataclass(frozen=True, slots=True)
class SignIn:
    """What was typed to connect a store. The secret is not kept: it never goes back to the page."""

    name: str = ""
    environment: str = "production"
    client_id: str = ""


def _mark(texts: Sequence[str]) -> str:
    """Return what tells texts apart from any others."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _saved(before: StoreSettings, after: StoreSettings) -> str:
    """Tell which settings were changed."""
    old, new = before.dump(), after.dump()
    names = [str(words.SETTINGS.get(name, name)) for name in new if new[name] != old.get(name)]
    if not names:
        return _("The settings are saved. Nothing was changed.")
    saved = _("The settings are saved. Changed: %(names)s.", names=", ".join(names))
    if after.mail_kinds != before.mail_kinds and after.mail_kinds:
        # Only the host knows if it can mail.
        mailed = _("Mails are sent only if there is a mail server: the page Notifications tells.")
        return f"{saved} {mailed}"
    return saved


class ConnectPages(ConnectionPages):
    """The steps from nothing to an active store. Each can be left and taken up again."""

    @form("/connect")
    def connect(self) -> Answer:
        """Ask for the credentials of a bol account, and keep them if bol accepts them."""
        if request.method == "GET":
            # Where there is a sandbox, a secret typed in a hurry must not go to the real bol.
            practising = "sandbox" in self.actions.environments()
            return self._sign_in(SignIn(environment="sandbox") if practising else SignIn())
        typed = _typed()
        try:
            store_id = self.actions.connect_store(
                name=typed.name,
                environment=typed.environment,
                client_id=typed.client_id,
                client_secret=request.form.get("client_secret", ""),
            )
        except HostError as error:
            return self._sign_in(typed, str(error))
        flash(_("%(store)s is connected: bol accepts the credentials.", store=typed.name), "success")
        return redirect(url_for("bol.settings", store_id=store_id))

    @does("/connect/login")
    def login(self) -> Answer:
        """Go to bol's login page with the name of a store that is to be connected."""
        typed = _typed()
        try:
            return self.to_login(environment=typed.environment, name=typed.name)
        except HostError as error:
            return self._sign_in(typed, str(error))

    @form("/<int:store_id>/settings")
    def settings(self, store_id: int) -> Answer:
        """Show a store's settings, and save them."""
        found = self.overview(store_id)
        with self.host.reading():
            warehouses, carriers = self.host.warehouses(), self.host.carriers()
        settings = SettingsForm(found.settings, warehouses, carriers)
        warned: list[str] = []
        opened = _mark([json.dumps(found.settings.dump(), sort_keys=True)])
        # The form holds every setting: saved as it stands it would undo what somebody else saved meanwhile.
        stale = request.form.get("opened", opened) != opened
        if request.method == "POST" and settings.read(request.form) and not stale:
            titles = {choice.key: choice.title for choice in carriers}
            days = found.settings.carrier_days, settings.settings.carrier_days
            with self.host.reading():
                moved = count_moved(self.host, store_id, *days)
            warned = consequences(found, settings.settings, titles, moved)
        if request.method == "POST" and not (settings.errors or stale) and self._accepted(warned):
            # Before stock is sent for the first time, people see what that would change at bol.
            planned = settings.settings.send_stock and not found.settings.send_stock
            # Before the store is active its summary tells what that would be, whether it is turned on or not.
            outdated = not found.active and rules_of(settings.settings) != rules_of(found.settings)
            kept = replace(settings.settings, send_stock=False) if planned else settings.settings
            try:
                self.actions.save_settings(store_id, kept, who())
            except HostError as error:
                flash(str(error), "danger")
            else:
                if planned or outdated:
                    start_plan(self.host, self.actions, store_id)
                if planned:
                    told = _("Saved, all but “Send stock updates”: see first what that would change at bol.")
                    flash(told, "success")
                    return redirect(url_for("bol.stock_plan", store_id=store_id))
                # What is being set up goes on to its summary; whoever changes a store that works stays where they are.
                with self.host.reading():
                    ahead = is_ahead(self.host, found.store)
                flash(_("The settings are saved.") if ahead else _saved(found.settings, kept), "success")
                return redirect(url_for("bol.summary" if ahead else "bol.settings", store_id=store_id))
        with self.host.reading() as session:
            changes = session.scalars(
                select(SettingChange)
                .where(SettingChange.store_id == store_id)
                .order_by(SettingChange.id.desc())
                .limit(CHANGES)
            ).all()
        return self.page(
            "settings",
            it=found,
            store=found.store,
            form=settings,
            groups=settings_groups.GROUPS,
            told=settings_groups.told(found.settings, warehouses, carriers),
            unfolded=settings_groups.unfolded(found.settings, settings.settings, settings.errors),
            opened=opened,
            stale=stale,
            consequences=warned,
            confirmation=_mark(warned),
            # Who pressed the button beside the tick without it is told so there.
            unticked=bool(warned) and request.form.get("asked") == _mark(warned),
            changes=changes,
            tab="settings",
            step=2,
        )

    def _accepted(self, warned: Sequence[str]) -> bool:
        """Tell if these consequences, and no others, were shown and accepted."""
        return not warned or request.form.get("confirmed") == _mark(warned)

    @shows("/<int:store_id>/summary", roles=ADMINISTRATORS)
    def summary(self, store_id: int) -> Answer:
        """Tell what a store will do with its settings, before it is activated."""
        found = self.overview(store_id)
        plan = newest_plan(self.host, store_id, found.settings)
        running = plan.run if plan is not None and plan.run.state == RunState.RUNNING else None
        with self.host.reading():
            titles = {choice.key: choice.title for choice in self.host.warehouses()}
            missing = why_not_active(self.host, found.settings)
            unmapped = [
                choice.title
                for choice in self.host.carriers()
                if not found.settings.carriers.get(choice.key, "").strip()
            ]
            rows = plan.rows[:SAMPLE] if plan else ()
            products = self.host.products({row.product_id for row in rows if row.product_id is not None})
            made = made_of(self.host, store_id, found.settings, rows)
        return self.page(
            "summary",
            it=found,
            store=found.store,
            foretold=forecast(self.host, store_id, found.settings),
            missing=missing,
            plan=plan,
            products=products,
            made=made,
            progress=progress(running, self.host.now()),
            sample=SAMPLE,
            warehouses=titles,
            unmapped=unmapped,
            tells_events="" if why_not(self.host, found.store) else self.host.public_url,
            step=3,
        )

    @does("/<int:store_id>/summary/read-again")
    def preview_again(self, store_id: int) -> Answer:
        """Find out anew what activating the store will do."""
        with telling(_("Your offers and open orders at bol are being read again.")):
            self.actions.preview_again(store_id)
        return redirect(url_for("bol.summary", store_id=store_id))

    def _sign_in(self, typed: SignIn, problem: str = "") -> Answer:
        known = self.actions.environments()
        with self.host.reading() as session:
            unfinished = session.scalars(
                select(Store).where(Store.state == StoreState.CONNECTED).order_by(Store.name)
            ).all()
        environments = [(key, *text) for key, text in words.ENVIRONMENTS.items() if key in known]
        page = self.page(
            "connect",
            typed=typed,
            environments=environments,
            problem=problem,
            unfinished=unfinished,
            logins=self.actions.login_environments(),
            address=self.redirect_address(),
        )
        return self.may_leave_for_login(page)


def _typed() -> SignIn:
    return SignIn(
        name=request.form.get("name", "").strip(),
        environment=request.form.get("environment", ""),
        client_id=request.form.get("client_id", "").strip(),
    )

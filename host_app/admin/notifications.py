"""Notifications: what people must know, and that somebody has read it."""

from __future__ import annotations

import re
from datetime import timedelta

from flask import flash, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.wrappers import Response

from host_app import mail
from host_app.admin.base import HostView, changing, paged, who
from host_app.admin.security import ADMINISTRATORS, EVERYONE
from host_app.db import db, utcnow
from host_app.models import MailSetting, Notification
from host_app.plugin_api import Level
from host_app.services import notifications

#: As much as tells a slip of the pen from an address; whether it exists only the mail server knows.
ADDRESS = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+", re.ASCII)
#: A test e-mail of which nothing was told by then.
LOST = timedelta(minutes=2)


class NotificationsView(HostView):
    """Notifications."""

    roles = EVERYONE

    def badge(self) -> int:
        """Return how many are unread."""
        return notifications.unread()

    @expose("/")
    def index(self) -> str:
        """List notifications, unread ones first, then the newest."""
        # What became of a test e-mail is told beside its button.
        listed = select(Notification).where(Notification.kind != mail.TEST_KIND)
        statement = listed.order_by(Notification.read_at.is_not(None), Notification.id.desc())
        return str(
            self.render(
                "host/notifications.html",
                page=paged(statement),
                unread=self.badge(),
                mails=mail.server() is not None,
                mail_setting=db.session.get(MailSetting, 1),
                mail_open="mail" in request.args,
                test=(test := mail.newest_test()),
                test_lost=test is not None and test.level == Level.INFO and test.at < utcnow() - LOST,
            )
        )

    @expose("/read", methods=["POST"])
    def read(self) -> Response:
        """Mark one, or every one up to the newest that was shown, as read."""
        number, newest = request.form.get("id", type=int), request.form.get("newest", type=int)
        with changing() as session:
            if number is not None:
                notifications.mark_read([number], who())
            elif newest is not None:
                # What came in after the page was shown has been read by nobody.
                shown = session.scalars(
                    select(Notification.id).where(Notification.read_at.is_(None), Notification.id <= newest)
                ).all()
                notifications.mark_read(list(shown), who())
        return redirect(url_for("notifications.index"))

    @expose("/mail", methods=["POST"])
    def save_mail(self) -> Response:
        """Choose what is told by e-mail, and to whom."""
        addresses = request.form.get("addresses", "").replace(",", " ").split()
        levels = [level for level in Level if level.value in request.form.getlist("levels")]
        wrong = [address for address in addresses if not ADDRESS.fullmatch(address)]
        if wrong:
            flash(_("Nothing was saved: %(text)s is no e-mail address.", text=wrong[0]), "danger")
        else:
            with changing(_("Saved.")) as session:
                setting = session.get(MailSetting, 1, with_for_update=True)
                if setting is None:
                    setting = MailSetting(id=1, addresses="", levels="", since=utcnow(), attempts=0, error="")
                    session.add(setting)
                if not (setting.addresses and setting.levels):
                    # What was there before mails were on is old news.
                    setting.since = utcnow()
                setting.addresses = " ".join(addresses)
                setting.levels = " ".join(level.value for level in levels)
        return redirect(url_for("notifications.index", mail=1, _anchor="mail"))

    save_mail.roles = ADMINISTRATORS  # type: ignore[attr-defined]

    @expose("/mail/test", methods=["POST"])
    def test_mail(self) -> Response:
        """Have a test e-mail sent."""
        with changing():
            mail.ask_for_test(who())
        return redirect(url_for("notifications.index", mail=1, _anchor="mail"))

    test_mail.roles = ADMINISTRATORS  # type: ignore[attr-defined]

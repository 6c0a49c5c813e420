"""Notifications: what people must know, and that somebody has read it."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask_admin import expose
from sqlalchemy import select
from werkzeug.wrappers import Response

from host_app.admin.base import HostView, changing, paged, who
from host_app.admin.security import EVERYONE
from host_app.models import Notification
from host_app.services import notifications


class NotificationsView(HostView):
    """Notifications."""

    roles = EVERYONE

    def badge(self) -> int:
        """Return how many are unread."""
        return notifications.unread()

    @expose("/")
    def index(self) -> str:
        """List notifications, unread ones first, then the newest."""
        statement = select(Notification).order_by(Notification.read_at.is_not(None), Notification.id.desc())
        return str(self.render("host/notifications.html", page=paged(statement), unread=self.badge()))

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

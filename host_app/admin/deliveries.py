"""Event deliveries: what plugins have still to be told, and trying again what failed."""

from __future__ import annotations

from flask import flash, redirect, url_for
from flask_admin import expose
from flask_babel import gettext as _
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from host_app.admin.base import HostView, paged
from host_app.admin.security import ADMINISTRATORS, begin_reading
from host_app.db import current_session, db
from host_app.events import deliver_again
from host_app.models import EventDelivery


def parked() -> int:
    """Return how many deliveries wait for a person."""
    statement = select(func.count()).where(EventDelivery.attempts > 0, EventDelivery.parked_at.is_not(None))
    return current_session().scalar(statement) or 0


class DeliveriesView(HostView):
    """Deliveries of events to plugins."""

    roles = ADMINISTRATORS

    @expose("/")
    def index(self) -> str:
        """List deliveries, parked and failed ones first."""
        statement = select(EventDelivery).order_by(
            EventDelivery.parked_at.is_(None), EventDelivery.attempts.desc(), EventDelivery.id
        )
        return str(self.render("host/deliveries.html", page=paged(statement)))

    @expose("/<int:delivery_id>/again", methods=["POST"])
    def again(self, delivery_id: int) -> Response:
        """Try a parked delivery anew."""
        if deliver_again(delivery_id):
            flash(_("It is passed on again now."), "success")
        else:
            flash(_("It does not wait for you any more."), "info")
        begin_reading()
        return redirect(url_for("deliveries.index"))

    @expose("/again", methods=["POST"])
    def all_again(self) -> Response:
        """Try every parked delivery anew."""
        ids = db.session.scalars(select(EventDelivery.id).where(EventDelivery.parked_at.is_not(None))).all()
        count = sum(deliver_again(delivery_id) for delivery_id in ids)
        begin_reading()
        flash(_("%(count)s are passed on again now.", count=count), "success")
        return redirect(url_for("deliveries.index"))

"""The home page: what needs doing, and how the webshops are doing."""

from __future__ import annotations

from flask import url_for
from flask_admin import AdminIndexView, expose
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import func, select

from host_app.admin.base import ask_plugins
from host_app.admin.deliveries import parked
from host_app.admin.navigation import attention
from host_app.admin.orders import WAITING, waits_for_stock
from host_app.admin.picklists import LATE, late_now
from host_app.db import db
from host_app.models import Order, Picklist
from host_app.models.picking import PicklistState
from host_app.plugin_api import OrderState
from host_app.services import notifications


class HomeView(AdminIndexView):
    """What needs doing."""

    @expose("/")
    def index(self) -> str:
        """Count what waits for somebody."""
        count = select(func.count())
        late = count.select_from(Picklist).join(Picklist.order).where(*late_now())
        open_picklists = count.where(Picklist.state == PicklistState.NEW)
        concepts = count.where(Order.state == OrderState.CONCEPT)
        waiting = count.select_from(waits_for_stock().subquery())
        orders, picklists = "orders.index", "picklists.index"
        tiles = [
            (_("Picklists to pick"), db.session.scalar(open_picklists), url_for(picklists), "primary"),
            (_("Late picklists"), db.session.scalar(late), url_for(picklists, show=LATE), "danger"),
            (_("Orders waiting for stock"), db.session.scalar(waiting), url_for(orders, state=WAITING), "warning"),
            (_("Orders to process (concepts)"), db.session.scalar(concepts), url_for(orders, state=OrderState.CONCEPT), "primary"),
            (_("Unread notifications"), notifications.unread(), url_for("notifications.index"), "warning"),
        ]  # fmt: skip
        # First, also where it is 0: that nothing waits is what people want to know.
        tiles = [(told.title, told.number, told.url, "danger") for told in attention()] + tiles
        stopped = parked() if current_user.is_administrator else 0
        if stopped:
            tiles.append(
                (_("Changes that were not passed on"), stopped, url_for("deliveries.index"), "danger")
            )
        shops = [shop for part in ask_plugins("integrations") for shop in part.value or []]
        return str(self.render("host/home.html", tiles=tiles, shops=shops))

"""Orders: finding them, seeing what happened to them, and moving them on."""

from __future__ import annotations

import re

from flask import redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import joinedload, selectinload
from werkzeug.wrappers import Response

from host_app.admin.base import HostView, changing, found, notes_on, paged, panels, who
from host_app.db import db
from host_app.models import Order, OrderLine, Picklist, Shipment, ShipmentLine
from host_app.models.picking import OPEN_PICKLISTS
from host_app.plugin_api import HostError, OrderState
from host_app.services import orders

WAITING = "waiting"
NUMBER = re.compile(r"o-?0*(\d{1,9})", re.IGNORECASE)


def waits_for_stock() -> Select[int]:
    """Return the ids of orders with pieces that stand on no picklist for want of stock."""
    return (
        select(OrderLine.order_id)
        .join(Order)
        .where(
            Order.state == OrderState.PROCESSING,
            OrderLine.quantity > OrderLine.shipped + OrderLine.cancelled + OrderLine.allocated,
        )
        .distinct()
    )


class OrdersView(HostView):
    """Orders."""

    @expose("/")
    def index(self) -> str:
        """List orders, the newest first."""
        text, state = request.args.get("q", "").strip(), request.args.get("state", "")
        statement = (
            select(Order)
            .options(selectinload(Order.lines), selectinload(Order.marks))
            .order_by(Order.id.desc())
        )
        if state == WAITING:
            statement = statement.where(Order.id.in_(waits_for_stock()))
        elif state in set(OrderState):
            statement = statement.where(Order.state == state)
        if text:
            number = NUMBER.fullmatch(text)
            named = or_(
                Order.reference.icontains(text, autoescape=True),
                # The customer that the list shows.
                Order.delivery["name"].as_string().icontains(text, autoescape=True),
            )
            statement = statement.where(Order.id == int(number[1]) if number else named)
        states = [
            ("", _("All")),
            (OrderState.CONCEPT, _("Concepts")),
            (OrderState.PROCESSING, _("Processing")),
            (WAITING, _("Waiting for stock")),
            (OrderState.PAUSED, _("Paused")),
            (OrderState.COMPLETED, _("Completed")),
            (OrderState.CANCELLED, _("Cancelled")),
        ]
        page = paged(statement)
        notes = notes_on(order.id for order in page.rows)
        return str(
            self.render("host/orders.html", page=page, notes=notes, q=text, state=state, states=states)
        )

    @expose("/<int:order_id>")
    def page(self, order_id: int) -> str:
        """Show one order."""
        shown, failed = panels("order_panels", order_id=order_id)
        order = found(
            db.session.scalar(
                select(Order)
                .where(Order.id == order_id)
                .options(
                    selectinload(Order.lines).joinedload(OrderLine.product),
                    selectinload(Order.marks),
                    selectinload(Order.warehouse),
                )
            )
        )
        picklists = db.session.scalars(
            select(Picklist)
            .where(Picklist.order_id == order_id)
            .options(selectinload(Picklist.lines))
            .order_by(Picklist.id)
        ).all()
        shipments = db.session.scalars(
            select(Shipment)
            .where(Shipment.order_id == order_id)
            .options(
                selectinload(Shipment.lines)
                .joinedload(ShipmentLine.order_line)
                .joinedload(OrderLine.product),
                joinedload(Shipment.label),
            )
            .order_by(Shipment.id)
        ).all()
        touched = any(line.shipped for line in order.lines) or any(
            line.picked
            for picklist in picklists
            if picklist.state in OPEN_PICKLISTS
            for line in picklist.lines
        )
        return str(
            self.render(
                "host/order.html",
                order=order,
                picklists=picklists,
                shipments=shipments,
                panels=shown,
                failed=failed,
                note=notes_on([order_id])[order_id],
                reducible=current_user.is_administrator
                and order.state not in (OrderState.COMPLETED, OrderState.CANCELLED),
                can_cancel=not touched and order.state not in (OrderState.COMPLETED, OrderState.CANCELLED),
            )
        )

    @expose("/<int:order_id>/process", methods=["POST"])
    def process(self, order_id: int) -> Response:
        """Make a picklist for what is in stock."""
        with changing(_("The order is in process.")):
            orders.process_order(order_id)
        return _back(order_id)

    @expose("/<int:order_id>/pause", methods=["POST"])
    def pause(self, order_id: int) -> Response:
        """Keep the order, and its picklists, from being picked."""
        with changing(_("The order is paused; its picklists can't be picked until it is resumed.")):
            orders.pause_order(order_id)
        return _back(order_id)

    @expose("/<int:order_id>/resume", methods=["POST"])
    def resume(self, order_id: int) -> Response:
        """Go on with a paused order."""
        with changing(_("The order goes on.")):
            orders.resume_order(order_id)
        return _back(order_id)

    @expose("/<int:order_id>/cancel", methods=["POST"])
    def cancel(self, order_id: int) -> Response:
        """Cancel the order, with a reason."""
        reason = request.form.get("reason", "").strip()
        with changing(_("The order is cancelled and its stock is free again.")):
            if not reason:
                raise HostError(_("Write down why the order is cancelled."))
            orders.cancel_order(order_id, reason, who=who())
        return _back(order_id)

    @expose("/<int:order_id>/lines/<int:line_id>/take-off", methods=["POST"])
    def take_off(self, order_id: int, line_id: int) -> Response:
        """Take pieces off a line; the rest of the order goes on."""
        settling = None
        with changing(_("Taken off. The stock is free again, and the rest of the order goes on.")):
            pieces = request.form.get("pieces", type=int)
            if pieces is None:
                raise HostError(_("Write pieces as whole numbers."))
            orders.take_off(order_id, line_id, pieces, who=who())
            settling = 1
        # Marks that asked for it are taken away by their plugins, a moment later: the page follows that.
        return redirect(url_for("orders.page", order_id=order_id, settling=settling))


def _back(order_id: int) -> Response:
    return redirect(url_for("orders.page", order_id=order_id))

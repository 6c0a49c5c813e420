"""Shipments: the parcels that left, correcting their carrier or tracking code, and those that did not leave."""

from __future__ import annotations

from collections.abc import Sequence

from flask import redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload, selectinload
from werkzeug.wrappers import Response

from host_app.admin.base import HostView, changing, found, notes_on, paged, who
from host_app.admin.closing import SameCode, same_code_as
from host_app.admin.security import EVERYONE, safe_path
from host_app.db import db
from host_app.models import Label, Order, OrderLine, Picklist, PicklistLine, Shipment, ShipmentLine
from host_app.models.picking import PicklistState
from host_app.services import picking


class ShipmentsView(HostView):
    """Shipments."""

    roles = EVERYONE

    @expose("/")
    def index(self) -> str:
        """List parcels, the newest first."""
        text = request.args.get("q", "").strip()
        statement = (
            select(Shipment)
            .join(Shipment.order)
            .options(
                contains_eager(Shipment.order),
                joinedload(Shipment.label),
                selectinload(Shipment.lines)
                .joinedload(ShipmentLine.order_line)
                .joinedload(OrderLine.product),
            )
            .order_by(Shipment.id.desc())
        )
        if text:
            statement = statement.where(
                Shipment.tracking_code.icontains(text, autoescape=True)
                | Order.reference.icontains(text, autoescape=True)
            )
        page = paged(statement)
        notes = notes_on(shipment.order_id for shipment in page.rows)
        return str(self.render("host/shipments.html", page=page, notes=notes, q=text))

    @expose("/<int:shipment_id>")
    def page(self, shipment_id: int) -> str:
        """Show one parcel."""
        return self._page(shipment_id)

    def _page(self, shipment_id: int, same: SameCode | None = None) -> str:
        shipment = found(
            db.session.scalar(
                select(Shipment)
                .where(Shipment.id == shipment_id)
                .options(
                    joinedload(Shipment.order),
                    joinedload(Shipment.picklist),
                    selectinload(Shipment.lines)
                    .joinedload(ShipmentLine.order_line)
                    .joinedload(OrderLine.product),
                )
            )
        )
        label = db.session.scalar(select(Label).where(Label.shipment_id == shipment_id))
        note = notes_on([shipment.order_id])[shipment.order_id]
        return str(
            self.render(
                "host/shipment.html",
                shipment=shipment,
                labels_of={shipment_id: label},
                note=note,
                anew=_anew(shipment),
                same=same,
            )
        )

    @expose("/<int:shipment_id>/correct")
    def corrected(self, shipment_id: int) -> Response:
        """Lead back to the shipment who loads the question about a correction anew."""
        return redirect(url_for("shipments.page", shipment_id=shipment_id))

    @expose("/<int:shipment_id>/correct", methods=["POST"])
    def correct(self, shipment_id: int) -> Response | str:
        """Correct carrier or tracking code, unless another parcel has the code and the packer was not asked yet; the webshop is
        told."""
        code = request.form.get("tracking_code", "")[:80].strip()
        if (same := same_code_as(shipment_id, code)) and not same.confirmed:
            return self._page(shipment_id, same)
        with changing(_("The shipment is corrected; its webshop is told at once.")):
            picking.correct_shipment(
                shipment_id,
                carrier=request.form.get("carrier", ""),
                tracking_code=code,
            )
        return redirect(safe_path(request.form.get("next") or f"/admin/shipments/{shipment_id}"))

    @expose("/<int:shipment_id>/withdraw", methods=["POST"])
    def withdraw(self, shipment_id: int) -> Response:
        """Take back a parcel that did not leave; the webshop is told."""
        order_id = db.session.scalar(select(Shipment.order_id).where(Shipment.id == shipment_id))
        known = order_id is not None and notes_on([order_id])[order_id].withdrawing.get(shipment_id)
        done = (
            _(
                "The shipment is withdrawn, but its shop has it as shipped. Its goods come on a new picklist, which says what to do."
            )
            if known
            else _("The shipment is withdrawn. Put its goods back on the shelf: they come on a new picklist.")
        )
        with changing(done):
            picking.withdraw_shipment(shipment_id, who=who())
        return redirect(url_for("shipments.page", shipment_id=shipment_id))


def _anew(shipment: Shipment) -> Sequence[Picklist]:
    """Return the open picklists by which the goods of a withdrawn parcel may be packed anew."""
    if shipment.withdrawn_at is None:
        return ()
    lines = [line.order_line_id for line in shipment.lines]
    return db.session.scalars(
        select(Picklist)
        .where(
            Picklist.order_id == shipment.order_id,
            Picklist.state == PicklistState.NEW,
            Picklist.id.in_(select(PicklistLine.picklist_id).where(PicklistLine.order_line_id.in_(lines))),
        )
        .order_by(Picklist.id)
    ).all()

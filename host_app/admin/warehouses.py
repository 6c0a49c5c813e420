"""Warehouses: where stock lies."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from sqlalchemy import select
from werkzeug.wrappers import Response

from host_app.admin.base import HostView, changing
from host_app.admin.security import ADMINISTRATORS
from host_app.db import db
from host_app.models import Warehouse
from host_app.services import warehouses


class WarehousesView(HostView):
    """Warehouses."""

    roles = ADMINISTRATORS

    @expose("/")
    def index(self) -> str:
        """List the warehouses; the first active one is the default."""
        rows = db.session.scalars(select(Warehouse).order_by(Warehouse.id)).all()
        return str(self.render("host/warehouses.html", rows=rows))

    @expose("/", methods=["POST"])
    def add(self) -> Response:
        """Add a warehouse."""
        with changing(_("The warehouse is added.")):
            warehouses.add_warehouse(request.form.get("name", ""))
        return redirect(url_for("warehouses.index"))

    @expose("/<int:warehouse_id>", methods=["POST"])
    def change(self, warehouse_id: int) -> Response:
        """Rename a warehouse, or take it out of use."""
        with changing(_("The warehouse is saved.")):
            warehouses.change_warehouse(
                warehouse_id, name=request.form.get("name", ""), active="active" in request.form
            )
        return redirect(url_for("warehouses.index"))

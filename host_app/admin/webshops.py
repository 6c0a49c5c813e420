"""Webshops: the stores that plugins have connected, and connecting more."""

from __future__ import annotations

from flask import redirect, url_for
from flask_admin import expose
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from host_app.admin.base import HostView, ask_plugins, changing
from host_app.events import emit
from host_app.plugin_api import OrderImport


class WebshopsView(HostView):
    """Settings > Integrations > Webshops."""

    @expose("/")
    def index(self) -> str:
        """List the stores, and the kinds of stores that can be connected."""
        parts = ask_plugins("integrations")
        integrations = [integration for part in parts for integration in part.value or []]
        failed = [part.title for part in parts if part.failed]
        return str(self.render("host/webshops.html", integrations=integrations, failed=failed))

    @expose("/import", methods=["POST"])
    def import_now(self) -> Response:
        """Ask every plugin to import orders at once."""
        with changing(_("Orders are being imported. They appear under Orders within a minute.")):
            emit(OrderImport(source=None, forced=True), "order-import")
        return redirect(url_for("webshops.index"))

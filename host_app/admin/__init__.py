"""The pages of the platform, on Flask-Admin."""

from __future__ import annotations

from flask import Flask, redirect
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from host_app.admin import account, errors, filters, navigation, security
from host_app.admin.deliveries import DeliveriesView
from host_app.admin.home import HomeView
from host_app.admin.navigation import SETTINGS
from host_app.admin.notifications import NotificationsView
from host_app.admin.orders import OrdersView
from host_app.admin.own_account import OwnAccountView
from host_app.admin.picklists import PicklistsView
from host_app.admin.products import ProductsView
from host_app.admin.shipments import ShipmentsView
from host_app.admin.users import UsersView
from host_app.admin.warehouses import WarehousesView
from host_app.admin.webshops import WebshopsView
from host_app.plugins import plugins
from host_app.port import host_port


def init_app(app: Flask) -> None:
    """Add the pages of the host and those of its plugins, and guard them all."""
    public = frozenset(app.blueprints)
    theme = Bootstrap4Theme(base_template="host/base.html")
    admin = Admin(
        app, name=_("Warehouse"), theme=theme, index_view=HomeView(name=_("Home"), endpoint="admin")
    )
    for view in (
        OrdersView(name=_("Orders"), endpoint="orders"),
        PicklistsView(name=_("Picklists"), endpoint="picklists"),
        ProductsView(name=_("Products"), endpoint="products"),
        ShipmentsView(name=_("Shipments"), endpoint="shipments"),
        NotificationsView(name=_("Notifications"), endpoint="notifications"),
        WebshopsView(name=_("Integrations › Webshops"), endpoint="webshops", category=SETTINGS),
        WarehousesView(name=_("Warehouses"), endpoint="warehouses", category=SETTINGS),
        UsersView(name=_("Users"), endpoint="users", category=SETTINGS),
        DeliveriesView(name=_("Changes to pass on"), endpoint="deliveries", category=SETTINGS),
        OwnAccountView(name=_("Your account"), endpoint="own_account", url="/admin/account"),
    ):
        admin.add_view(view)
    for _name, views in plugins().call_each("admin_views", host=host_port()):
        for view in views:
            admin.add_view(view)
    limiter = security.init_app(app, admin, public=public)
    account.init_app(app, limiter)
    filters.init_app(app)
    navigation.init_app(app, admin)
    errors.init_app(app, admin, public=public)
    app.add_url_rule("/", "root", _root)


def _root() -> Response:
    return redirect("/admin/")

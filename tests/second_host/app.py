"""A second host: a small Flask-Admin application that is not ours, and runs the connector by its contract alone.

Who logs in only says a name: it is there to be read and tested, not to be used.
"""

from __future__ import annotations

from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import pluggy
from alembic import command
from alembic.config import Config
from flask import Flask, abort, redirect, request
from flask_admin import Admin, BaseView, expose
from flask_admin.theme import Bootstrap4Theme
from flask_babel import Babel
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_wtf import CSRFProtect
from jinja2 import ChoiceLoader, DictLoader
from sqlalchemy import select
from werkzeug.wrappers import Response

from host_app.plugin_api import ENTRY_POINT_GROUP, PROJECT, HookSpecs, HostPort, OrderImport, Wake
from tests.second_host.port import Article, Base, OnlyLease, Port, Sale

READING = ("GET", "HEAD")
#: All that the pages of a plugin need of their host's templates.
TEMPLATES = {
    "second/base.html": """{% extends "admin/base.html" %}
{% block page_body %}<main class="container-fluid">
{% for message in get_flashed_messages() %}<p class="alert alert-info">{{ message }}</p>{% endfor %}
{% block page_title %}<h1>{{ admin_view.name }}</h1>{% endblock %}{% block body %}{% endblock %}</main>{% endblock %}""",
    "host/ui.html": """
{% macro token() %}<input type="hidden" name="csrf_token" value="{{ csrf_token() }}">{% endmacro %}
{% macro search(value, label, hidden={}) %}<form role="search">
{% for name, text in hidden.items() if text %}<input type="hidden" name="{{ name }}" value="{{ text }}">{% endfor %}
<input type="search" name="q" value="{{ value }}" aria-label="{{ label }}"><button>Search</button></form>{% endmacro %}""",
    "second/login.html": """{% import "host/ui.html" as ui with context %}<form method="post">{{ ui.token() }}
<input name="name"><button>Log in</button></form>""",
    "second/sales.html": """{% extends "admin/master.html" %}{% import "host/ui.html" as ui with context %}
{% block body %}
<form method="post" action="{{ url_for('sales.fetch') }}">{{ ui.token() }}<button>Import orders</button></form>
{% for article in articles %}<form method="post" action="{{ url_for('sales.move', article_id=article.id) }}">{{ ui.token() }}
{{ article.code }} {{ article.name }}: {{ article.on_shelf }}<input name="pieces"><button>Change</button></form>{% endfor %}
{% for sale, panels in sales %}<section id="{{ sale.id }}"><h2>{{ sale.reference }} {{ sale.state }}</h2>
{% for panel in panels %}<h3>{{ panel.title }}</h3>
{% for row in panel.rows %}<p>{{ row.label }}: {{ row.value }}</p>{% endfor %}{% endfor %}
<form method="post" action="{{ url_for('sales.close', sale_id=sale.id) }}">{{ ui.token() }}
<input name="tracking_code"><button>Close</button></form></section>{% endfor %}{% endblock %}""",
}


class Person(UserMixin):
    """Who works here: a role is all that plugins ask of them."""

    def __init__(self, name: str) -> None:
        self.id = self.username = name
        self.role = "administrator" if name == "chief" else "warehouse"

    @property
    def is_administrator(self) -> bool:
        return self.role == "administrator"


class SalesView(BaseView):
    """The orders, each with the button that ships it."""

    roles = frozenset({"administrator", "warehouse"})

    def __init__(self, house: House) -> None:
        super().__init__(name="Orders", endpoint="sales")
        self._house = house

    @expose("/")
    def index(self) -> str:
        port, hook = self._house.port, self._house.hook
        with port.reading() as session:
            sales = list(session.scalars(select(Sale)))
            articles = list(session.scalars(select(Article)))
        # A plugin may close the session that it finds, so that each is asked in one of its own.
        asked = []
        for sale in sales:
            with port.reading():
                asked.append(list(chain.from_iterable(hook.order_panels(host=port, order_id=sale.id))))
        return self.render("second/sales.html", sales=zip(sales, asked, strict=True), articles=articles)

    @expose("/fetch", methods=("POST",))
    def fetch(self) -> Response:
        with self._house.port.transaction():
            self._house.port.emit(OrderImport(forced=True))
        return redirect("/admin/sales/")

    @expose("/articles/<int:article_id>", methods=("POST",))
    def move(self, article_id: int) -> Response:
        with self._house.port.transaction():
            self._house.port.move(article_id, on_shelf=int(request.form["pieces"]))
        return redirect("/admin/sales/")

    @expose("/<int:sale_id>/close", methods=("POST",))
    def close(self, sale_id: int) -> Response:
        with self._house.port.transaction():
            self._house.port.close_picklist(sale_id, "postnl", request.form["tracking_code"])
        return redirect("/admin/sales/")


class House:
    """The application with its plugins, and the one process that does all their work."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.port = Port(folder, redis_url)
        plugins = pluggy.PluginManager(PROJECT)
        plugins.add_hookspecs(HookSpecs)
        plugins.load_setuptools_entrypoints(ENTRY_POINT_GROUP)
        self.hook = plugins.hook
        self._migrate([plugin for _name, plugin in plugins.list_name_plugin() if plugin])
        self.app = self._application()

    def _migrate(self, plugins: list[Any]) -> None:
        """Make the host's tables, and have each plugin make its own by its migrations."""
        Base.metadata.create_all(self.port.engine)
        for plugin in plugins:
            info = plugin.plugin_info()
            with self.port.engine.connect() as connection, connection.begin():
                config = Config()
                config.set_main_option("script_location", info.migrations)
                config.set_main_option("path_separator", "os")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")

    def _application(self) -> Flask:
        app, host = Flask("second"), self.port
        app.secret_key = "for-tests-only"
        app.config["WTF_CSRF_CHECK_DEFAULT"] = False
        app.jinja_loader = ChoiceLoader([DictLoader(TEMPLATES)])
        Babel(app)
        csrf = CSRFProtect(app)
        LoginManager(app).user_loader(Person)
        self.hook.plugin_loaded(host=host)
        for blueprints in self.hook.blueprints(host=host):
            for blueprint in blueprints:
                app.register_blueprint(blueprint)
        for commands in self.hook.commands(host=host):
            for one in commands:
                app.cli.add_command(one)
        admin = Admin(app, name="Second", theme=Bootstrap4Theme(base_template="second/base.html"))
        admin.add_view(SalesView(self))
        for views in self.hook.admin_views(host=host):
            for view in views:
                admin.add_view(view)
        by_endpoint = {view.endpoint: view for view in admin._views}

        @app.before_request
        def guard() -> Response | None:
            """Ask for login, role and CSRF token under /admin; plugins prove elsewhere by themselves who calls."""
            if not request.path.startswith("/admin") or request.endpoint in ("admin.static", "bol.static"):
                return None
            if not current_user.is_authenticated:
                return redirect("/login")
            view = by_endpoint[request.blueprint or ""]
            handler = getattr(view, (request.endpoint or "").rpartition(".")[2], None)
            roles = getattr(handler, "roles", None) or getattr(view, "roles", None)
            if current_user.role not in (roles or {"administrator"}) and (
                roles or request.method not in READING
            ):
                abort(403)
            csrf.protect()
            return None

        @app.post("/work")
        def work() -> str:
            """What a timer calls: the work is done in the request, by this one process."""
            self.work()
            return "done"

        @app.route("/login", methods=("GET", "POST"))
        def login() -> str | Response:
            if request.method in READING:
                return app.jinja_env.get_template("second/login.html").render()
            csrf.protect()
            login_user(Person(request.form["name"]))
            return redirect("/admin/")

        return app

    def work(self, rounds: int = 50) -> None:
        """Tell plugins what happened and run their jobs, until nothing is left."""
        for _ in range(rounds):
            if not self._tell() and not self._run_jobs():
                return
        raise AssertionError(f"the work never ends: {sorted(self.port.woken)}")

    def _tell(self) -> bool:
        with self.port.transaction():
            happened = self.port.happened()
            for hook, what in happened:
                told = {"changes": (what,)} if hook == "stock_changed" else {"event": what}
                for wakes in getattr(self.hook, hook)(host=self.port, **told):
                    self.port.wake(*wakes)
        return bool(happened)

    def _run_jobs(self) -> bool:
        wakes = list(self.port.woken.values())
        self.port.woken.clear()
        wakes += chain.from_iterable(self.hook.due(host=self.port, now=self.port.now()))
        for wake in dict.fromkeys(wakes):
            if self._run(self.port, wake):
                self.port.wake(wake)
        return bool(wakes)

    @staticmethod
    def _run(host: HostPort, wake: Wake) -> bool:
        module, function = wake.job.split(":")
        return bool(getattr(import_module(module), function)(host, OnlyLease(wake.name), *wake.args))

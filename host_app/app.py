"""Builds the application: settings, database, plugins, pages and commands."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask
from flask_migrate import Migrate

from host_app import admin, cli, config, languages, logs, migrate, monitoring, wellformed
from host_app.db import db
from host_app.plugins import Plugins
from host_app.port import Host
from host_app.questions import Questions
from host_app.wakes import Waker


def create_app(
    settings: config.Config | None = None, *, extra_plugins: Mapping[str, object] | None = None
) -> Flask:
    """Build the application.

    :param settings: default: read from the environment.
    :param extra_plugins: plugins by name, beside those found through entry points.
    :raises host_app.config.ConfigError: a setting can't be used.
    :raises host_app.plugins.PluginError: a plugin can't be used.
    """
    settings = settings or config.load()
    if settings.json_logs:
        logs.install()
    app = Flask("host_app", instance_path=str(settings.instance))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        # Values of a statement that failed may be personal data, and errors are logged.
        SQLALCHEMY_ENGINE_OPTIONS={"pool_pre_ping": True, "hide_parameters": True},
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        MAX_CONTENT_LENGTH=2 * 1024 * 1024,
    )
    app.extensions["host_config"] = settings
    db.init_app(app)
    Migrate(
        app,
        db,
        directory=str(migrate.HOST_FOLDER),
        include_object=migrate.is_host_table,
        render_as_batch=True,
    )
    # Who is refused is told so in their own language.
    languages.init_app(app)
    wellformed.init_app(app)
    app.extensions["host_waker"] = Waker(settings.redis_url)
    app.extensions["host_questions"] = Questions()
    port = app.extensions["host_port"] = Host(app, settings)
    plugins = app.extensions["host_plugins"] = Plugins(settings.blocked_plugins)
    plugins.load_entry_points()
    for name, plugin in (extra_plugins or {}).items():
        plugins.register(name, plugin)
    with app.app_context():
        plugins.load(port)
        for _name, blueprints in plugins.call_each("blueprints", host=port):
            for blueprint in blueprints:
                app.register_blueprint(blueprint)
        for _name, commands in plugins.call_each("commands", host=port):
            for command in commands:
                app.cli.add_command(command)
        admin.init_app(app)
        monitoring.init_app(app)
    cli.init_app(app)
    return app

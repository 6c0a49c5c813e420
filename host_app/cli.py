"""The administrator's commands: ``flask --app host_app ...``."""

from __future__ import annotations

import click
from alembic.util import CommandError
from flask import Flask, current_app
from flask.cli import with_appcontext

from host_app import demo, migrate, schedule, web, worker
from host_app.db import transaction
from host_app.models import User
from host_app.models.people import Role
from host_app.plugins import plugins
from host_app.services import users


def init_app(app: Flask) -> None:
    """Add the commands."""
    for command in (upgrade, downgrade, revise, serve, run_worker, run_scheduler, add_user, demo.prepare):
        app.cli.add_command(command)


@click.command()
@with_appcontext
def upgrade() -> None:
    """Bring the database up to date: the host's tables and those of every plugin."""
    migrate.upgrade()
    click.echo("The database is up to date.")


@click.command()
@click.argument("name")
@click.argument("revision")
@click.confirmation_option(prompt="Columns and tables that came since go, with what is in them. Go on?")
@with_appcontext
def downgrade(name: str, revision: str) -> None:
    """Take tables back to an older REVISION, before an older release is installed. NAME: host, or a plugin's."""
    if name not in {migrate.HOST, *plugins().infos}:
        raise click.ClickException(f"There are: {', '.join([migrate.HOST, *plugins().infos])}.")
    try:
        migrate.downgrade(name, revision)
    except CommandError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"The tables of {name} are those of {revision}.")


@click.command()
@click.argument("message")
@click.option("--plugin", help="Name of the plugin; default: the host.")
@with_appcontext
def revise(message: str, plugin: str | None) -> None:
    """Write a migration for changed models (developers)."""
    migrate.revise(plugins().infos[plugin].migrations if plugin else str(migrate.HOST_FOLDER), message)


@click.command()
@with_appcontext
def serve() -> None:
    """Serve the pages on HOST_ADDRESS and HOST_PORT."""
    web.run(current_app._get_current_object())  # type: ignore[attr-defined]


@click.command("worker")
@click.option("--burst", is_flag=True, help="Stop when the queues are empty.")
@with_appcontext
def run_worker(burst: bool) -> None:
    """Do background jobs. Start as many as you like, on as many machines."""
    worker.run(current_app._get_current_object(), burst=burst)  # type: ignore[attr-defined]


@click.command("scheduler")
@with_appcontext
def run_scheduler() -> None:
    """Wake what is due, once a second. Any number may run."""
    schedule.run(current_app._get_current_object())  # type: ignore[attr-defined]


@click.command()
@click.argument("username")
@click.password_option(prompt=f"Password (at least {users.SHORTEST} characters)")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.WAREHOUSE.value)
@with_appcontext
def add_user(username: str, password: str, role: str) -> None:
    """Add a user who can log in."""
    if len(password) < users.SHORTEST:
        raise click.ClickException(f"A password needs at least {users.SHORTEST} characters.")
    with transaction() as session:
        user = User(username=username, role=role, active=True)
        user.set_password(password)
        session.add(user)
    click.echo(f"{username} can log in as {role}.")

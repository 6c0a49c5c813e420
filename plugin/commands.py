"""The administrator's commands of the connector: ``flask --app host_app bol ...``."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from host_app.plugin_api import HostPort
from plugin.key_rotation import Rotation, rotate_keys
from plugin.secrets import VARIABLE, SecretUnreadable


def commands(host: HostPort) -> AppGroup:
    """Return the group ``bol``."""
    group = AppGroup("bol", help="Look after the connector for bol.")

    @group.command("rotate-keys")
    def rotate() -> None:
        """Encrypt the secrets of all stores with the newest key; makes one where the environment names none."""
        try:
            done = rotate_keys(host)
        except SecretUnreadable as error:
            raise click.ClickException(str(error)) from error
        click.echo(_told(done))
        if done.unreadable:
            raise click.ClickException(
                f"No key here can read the secret of: {', '.join(done.unreadable)}. Put the key it was written with "
                f"back, after the new one, and run this command again."
            )

    return group


def _told(done: Rotation) -> str:
    """Tell what was done, and what is left to do."""
    lines = ["A new key was put first into the key file." if done.made_key else "No new key was made."]
    lines.append(f"{len(done.rewritten)} secrets were encrypted with the newest key.")
    if done.already:
        lines.append(f"{len(done.already)} were already.")
    if done.from_environment and not done.unreadable:
        lines.append(f"Old keys can go from {VARIABLE} once every machine and process has the new one.")
    return "\n".join(lines)

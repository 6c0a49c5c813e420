"""The administrator's commands of the connector: ``flask --app host_app bol ...``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict

import click
from flask.cli import AppGroup

from host_app.plugin_api import HostPort
from plugin.key_rotation import Rotation, rotate_keys
from plugin.runtime import Runtime
from plugin.secrets import VARIABLE, SecretUnreadable
from plugin.sync.doctor import Finding


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

    @group.command("doctor")
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    def doctor(as_json: bool) -> None:
        """Check everything the connector stands on; the exit status is 1 where something is wrong."""
        with closing(Runtime(host)) as runtime:
            findings = runtime.examine()
        healthy = all(finding.ok for finding in findings)
        if as_json:
            click.echo(
                json.dumps({"healthy": healthy, "findings": [asdict(one) for one in findings]}, indent=2)
            )
        else:
            click.echo(_report(findings))
        raise SystemExit(0 if healthy else 1)

    return group


def _report(findings: Sequence[Finding]) -> str:
    """Tell each finding on a line, what to do about trouble below it, and how many troubles there are."""
    lines = []
    for finding in findings:
        about = f"{finding.store}: " if finding.store else ""
        lines.append(f"{'ok     ' if finding.ok else 'TROUBLE'}  {finding.check:10} {about}{finding.text}")
        if finding.advice:
            lines.append(f"{'':20}To do: {finding.advice}")
    troubles = sum(not finding.ok for finding in findings)
    lines += ["", f"{troubles} to look at." if troubles else "All is well."]
    return "\n".join(lines)


def _told(done: Rotation) -> str:
    """Tell what was done, and what is left to do."""
    lines = ["A new key was put first into the key file." if done.made_key else "No new key was made."]
    lines.append(f"{len(done.rewritten)} secrets were encrypted with the newest key.")
    if done.already:
        lines.append(f"{len(done.already)} were already.")
    if done.from_environment and not done.unreadable:
        lines.append(f"Old keys can go from {VARIABLE} once every machine and process has the new one.")
    return "\n".join(lines)

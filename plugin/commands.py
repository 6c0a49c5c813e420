"""The administrator's commands of the connector: ``flask --app host_app bol ...``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click
from babel.dates import format_timedelta
from flask.cli import AppGroup, with_appcontext

from host_app.plugin_api import HostError, HostPort, speaking
from plugin.jobs.wakes import wake_for
from plugin.key_rotation import Rotation, rotate_keys
from plugin.models import PREFIX, StoreState
from plugin.runtime import Runtime
from plugin.secrets import VARIABLE, SecretUnreadable
from plugin.sync import attention, orders
from plugin.sync.doctor import Finding
from plugin.sync.due import ORDERS
from plugin.sync.runs import COMMAND_LINE
from plugin.sync.status import StoreStatus, status


def _moment(text: str) -> datetime:
    """Read a moment in time; without a zone it is this machine's."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r} is no moment such as 2026-11-25T08:30") from error


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
        with closing(Runtime(host)) as runtime, speaking("en"):
            findings = runtime.examine()
        healthy = all(finding.ok for finding in findings)
        if as_json:
            click.echo(
                json.dumps({"healthy": healthy, "findings": [asdict(one) for one in findings]}, indent=2)
            )
        else:
            click.echo(_report(findings))
        raise SystemExit(0 if healthy else 1)

    @group.command("status")
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    def show_status(as_json: bool) -> None:
        """Tell what each store owes, what waits for a person, and when its flows last went well. Asks bol nothing."""
        stores = status(host)
        if as_json:
            click.echo(json.dumps([asdict(store) for store in stores], indent=2, default=datetime.isoformat))
        else:
            with host.reading():
                waiting = {store.store_id: attention.count(host, store.store_id) for store in stores}
            told = [_status(store, waiting[store.store_id], host.now()) for store in stores]
            click.echo("\n\n".join(told) or "No store is connected.")

    @group.command("replay")
    @click.option(
        "--since",
        type=_moment,
        help="As 2026-11-25T08:30, in this machine's time; +01:00 or Z at its end names another zone.",
    )
    def replay(since: datetime | None) -> None:
        """Tell the connector again what it failed at, and what happened in the warehouse since a moment.

        For when it was not loaded, or had a fault, while people worked. Nothing is done twice: what it knows it finds.
        """
        told = host.tell_again(PREFIX.rstrip("_"), since)
        if since is not None:
            # Nobody wrote down when codes and barcodes were changed.
            with host.transaction():
                host.wake(*(wake_for(ORDERS, store_id) for store_id in orders.retry_all_waiting(host)))
        if not told:
            click.echo("There was nothing to tell again.")
        for kind, count in told.items():
            click.echo(f"{kind}: {count}")

    for name, help_text, act in (
        ("import", "Import orders now.", Runtime.import_orders),
        (
            "import-products",
            "Read all offers anew, and make products that are missing.",
            Runtime.import_products,
        ),
        ("push", "Work out the stock of all offers anew, and send what bol has not.", Runtime.push_stock),
        ("catch-up", "After an outage: try at once what waits for its next try.", Runtime.catch_up),
        ("check", "Compare the stock at bol with what it should be.", _check),
    ):
        group.add_command(_store_command(host, name, help_text, act))
    return group


def _store_command(
    host: HostPort, name: str, help_text: str, act: Callable[[Runtime, int], object]
) -> click.Command:
    """Make a command that starts work on one store or on all; workers do it."""

    @click.command(name, help=f"{help_text} Workers do the work; `status` tells how far it is.")
    @click.option("--store", "only", help="Name of one store; default: every active store.")
    @with_appcontext
    def command(only: str | None) -> None:
        with closing(Runtime(host)) as runtime:
            for store in _chosen(host, only):
                try:
                    act(runtime, store.store_id)
                except HostError as error:
                    raise click.ClickException(f"{store.name}: {error}") from error
                click.echo(f"{store.name}: asked for.")

    return command


def _check(runtime: Runtime, store_id: int) -> object:
    return runtime.check_stock(store_id, False, COMMAND_LINE)


def _chosen(host: HostPort, only: str | None) -> list[StoreStatus]:
    """Return the store with this name, or every active one."""
    stores = status(host)
    if only is None:
        return [store for store in stores if store.state == StoreState.ACTIVE]
    named = [store for store in stores if store.name == only]
    if not named:
        raise click.ClickException(f"There is no store named {only}.")
    return named


def _status(store: StoreStatus, waiting: int, now: datetime) -> str:
    """Tell how a store is. waiting: how many decisions the page "Needs attention" shows of it."""
    lines = [f"{store.name} ({store.state})"]
    if store.problem:
        lines.append(f"  problem: {store.problem}")
    lines.append(f"  waits for a person: {f'{waiting}, see Needs attention' if waiting else 'nothing'}")
    lines += [f"  refused or undecided: {kind}: {count}" for kind, count in store.decisions.items()]
    lines += [f"  due: {work.kind}: {work.count}, for {_age(work.oldest, now)}" for work in store.owed]
    if store.stock_to_send:
        lines.append(f"  stock to send: {store.stock_to_send} offers")
    lines += [
        f"  last good run: {flow}: {f'{_age(at, now)} ago' if at else 'none yet'}"
        for flow, at in store.last_good_runs.items()
    ]
    return "\n".join(lines)


def _age(moment: datetime, now: datetime) -> str:
    return format_timedelta(max(timedelta(), now - moment), locale="en")


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

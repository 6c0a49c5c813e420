"""``python -m host_app``: everything on one machine, under one supervisor. What ``make run`` runs.

With the words of a command behind it, such as ``bol doctor``, that command runs in the same environment instead.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from host_app import config, preflight, redis_server
from host_app.config import Config, ConfigError
from host_app.demo_logins import logins
from host_app.instance_lock import only_one
from host_app.supervisor import Program, Stopped, Supervisor

WORKERS = 2
#: A worker finishes the job at hand; jobs work in slices of a minute at most.
WORKER_SECONDS = 75
START_SECONDS = 60


def main(command: Sequence[str] = ()) -> int:
    """Run until Ctrl-C, or run one command of ``flask``, and return the exit status."""
    try:
        settings = config.load()
        if command:
            return subprocess.run(_flask(*command), env=_environment(settings), check=False).returncode
        with only_one(settings.instance):
            preflight.check(settings)
            return _run(settings)
    except ConfigError as error:
        print(f"\nThe warehouse can't start. {error}", file=sys.stderr)
        return 1


def _environment(settings: Config) -> dict[str, str]:
    """Return the environment that each program of the demonstration has."""
    return {
        **os.environ,
        "HOST_INSTANCE": str(settings.instance),
        "BOL_SANDBOX_URL": _sandbox_url(settings),
        # The sandbox is next door, and its login page knows this installation by these.
        "BOL_SANDBOX_CLIENT_ID": "demo-intermediary",
        "BOL_SANDBOX_CLIENT_SECRET": "demo-intermediary-secret",
        "HOST_PUBLIC_URL": settings.public_url or f"http://127.0.0.1:{settings.port}",
    }


def _sandbox_url(settings: Config) -> str:
    return f"http://{preflight.LOCAL}:{settings.sandbox_port}"


def _run(settings: Config) -> int:
    supervisor = Supervisor(_environment(settings))
    supervisor.listen()
    try:
        _start(supervisor, settings)
        supervisor.say(_welcome(settings, _sandbox_url(settings)))
        supervisor.watch()
    except Stopped:
        pass
    finally:
        supervisor.say("\nStopping; Ctrl-C once more hastens it.")
        supervisor.stop()
        supervisor.say("Everything has stopped.")
    return 0


def _start(supervisor: Supervisor, settings: Config) -> None:
    """Start everything, in the order in which one needs the other.

    :raises ConfigError: something does not come up.
    """
    if settings.own_redis_port is not None:
        supervisor.start(Program("redis", redis_server.command(settings), stage=3))
        if not supervisor.wait_until(
            lambda: not redis_server.answers(settings.redis_url, 0.5), START_SECONDS
        ):
            raise ConfigError(f"Redis does not start, see {settings.instance / 'redis' / 'redis.log'}.")
    sandbox = (
        *(sys.executable, "-m", "bol_sandbox", "--port", str(settings.sandbox_port), "--seed-demo"),
        *("--keep", str(settings.instance / "sandbox.state")),
    )
    supervisor.start(Program("sandbox", sandbox, stage=2))
    if not supervisor.wait_until(lambda: _listens(preflight.LOCAL, settings.sandbox_port), START_SECONDS):
        raise ConfigError("The sandbox does not start.")
    if supervisor.run(Program("prepare", _flask("demo"))):
        raise ConfigError("The database could not be prepared, see above.")
    supervisor.start(Program("web", _flask("serve"), stage=1))
    for number in range(1, WORKERS + 1):
        supervisor.start(Program(f"worker-{number}", _flask("worker"), stage=1, patience=WORKER_SECONDS))
    supervisor.start(Program("scheduler", _flask("scheduler"), stage=0))
    if not supervisor.wait_until(lambda: _listens(settings.host, settings.port), START_SECONDS):
        raise ConfigError("The web server does not start, see above.")


def _flask(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "flask", "--app", "host_app", *arguments)


def _listens(address: str, port: int) -> bool:
    # A server on all addresses is reached on the local one.
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    try:
        with socket.create_connection((reachable, port), timeout=1):
            return True
    except OSError:
        return False


def _welcome(settings: Config, sandbox_url: str) -> str:
    address = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
    people = "".join(
        f"\n    log in as         {username} / {password}"
        for username, password in logins(Path(settings.instance)).items()
    )
    return f"""
The warehouse is open.

    pages             http://{address}:{settings.port}/admin/{people or " (log in with your own account)"}

    the shop's side   {sandbox_url}/ (place an order there and see it come in)
    a second seller   second-seller / second-secret (Settings > Integrations > Webshops > Connect store)

    data is kept in   {settings.instance}
    Ctrl-C stops everything.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

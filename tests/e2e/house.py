"""The whole demonstration as a user starts it: the supervisor and all its programs, on ports of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import requests

from bol_sandbox.testing import SandboxControls

PROJECT = Path(__file__).parents[2]
#: What a developer may have set for an installation of their own.
NOT_INHERITED = (
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "BOL_ENCRYPTION_KEYS",
    "HOST_BLOCKED_PLUGINS",
    "HOST_LANGUAGE",
    "HOST_PUBLIC_URL",
    "HOST_SMTP_URL",
)
START_SECONDS = 120
STOP_SECONDS = 30
Found = TypeVar("Found")


def eventually(what: Callable[[], Found], seconds: float = 30, *, every: float = 0.1) -> Found:
    """Ask again until the answer is true, and return it; an assertion that fails counts as not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = what()
            assert found, f"not within {seconds:g} s"
        except AssertionError:
            if time.monotonic() > end:
                raise
        else:
            return found
        time.sleep(every)


class House:
    """One installation in a folder; shows what its programs said where a test fails."""

    def __init__(self, folder: Path) -> None:
        self.instance = folder / "instance"
        self.log = folder / "output.log"
        web, sandbox, redis = free_ports(3)
        self.url = f"http://127.0.0.1:{web}"
        self.sandbox = SandboxControls(f"http://127.0.0.1:{sandbox}")
        self._environment = {
            name: value for name, value in os.environ.items() if name not in NOT_INHERITED
        } | {
            "HOST_INSTANCE": str(self.instance),
            "HOST_PORT": str(web),
            "SANDBOX_PORT": str(sandbox),
            "REDIS_PORT": str(redis),
        }
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start everything and wait for the login page."""
        with self.log.open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "host_app"],
                env=self._environment,
                cwd=PROJECT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(self._opened, START_SECONDS)

    def stop(self) -> int:
        """Press Ctrl-C and return the exit status."""
        assert self._supervisor is not None
        self._supervisor.send_signal(signal.SIGINT)
        return self._supervisor.wait(timeout=STOP_SECONDS)

    def password(self, username: str = "admin") -> str:
        return (self.instance / f"demo_password_{username}").read_text().strip()

    def program(self, *words: str) -> list[int]:
        """Return the ids of the supervisor's own children whose command has all these words."""
        assert self._supervisor is not None
        mine = str(self._supervisor.pid)
        return [pid for pid in self.processes() if _parent(pid) == mine and _says(pid, words)]

    def idle_workers(self) -> list[int]:
        """Return the workers that have no job: each job runs in a child."""
        parents = {_parent(pid) for pid in self.processes()}
        return [pid for pid in self.program("flask", " worker") if str(pid) not in parents]

    def workers_and_jobs(self) -> list[int]:
        """Return the workers, and the jobs that they run in children."""
        return [pid for pid in self.processes() if _says(pid, ("flask", " worker"))]

    def processes(self) -> list[int]:
        """Return the ids of all processes of this installation."""
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if self._is_mine(folder)]

    def _is_mine(self, process: Path) -> bool:
        """Look for the instance folder in the environment; Redis writes its title over that, and works in there."""
        # A process may end, or belong to somebody else.
        try:
            return (
                f"HOST_INSTANCE={self.instance}\0".encode() in (process / "environ").read_bytes()
                or self.instance in (process / "cwd").readlink().parents
            )
        except OSError:
            return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:
            # One that did not open in time must not stay behind, at work.
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sandbox.close()
        try:
            if self._supervisor is not None and self._supervisor.poll() is None:
                self.stop()
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            if kind is not None:
                print(f"--- what the programs said ---\n{self.log.read_text(errors='replace')}")

    def _opened(self) -> bool:
        assert self._supervisor is not None
        if self._supervisor.poll() is not None:
            raise RuntimeError(f"it ended:\n{self.log.read_text(errors='replace')}")
        try:
            return requests.get(f"{self.url}/login", timeout=5).ok
        except requests.ConnectionError:
            return False


def free_ports(count: int) -> Sequence[int]:
    """Let the system choose ports that are free now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _parent(pid: int) -> str:
    return _read(pid, "stat").rpartition(")")[2].split()[1]


def _says(pid: int, words: Sequence[str]) -> bool:
    command = _read(pid, "cmdline").replace("\0", " ")
    return all(word in command for word in words)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ") ? ?"

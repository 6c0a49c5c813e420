"""`make run`: everything comes up, what dies comes back, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_app import supervisor as supervising
from host_app.supervisor import Program, Stopped, Supervisor
from tests.host_app.probe import REPOSITORY, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
)


def python(name: str, code: str, **more: float) -> Program:
    return Program(name, (sys.executable, "-c", code), **more)  # type: ignore[arg-type]


class Said(list[str]):
    """What the supervisor said."""

    def __call__(self, line: str) -> None:
        self.append(line)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def supervisor(said: Said) -> Iterator[Supervisor]:
    made = Supervisor(os.environ, say=said)
    yield made
    made._signals = 2
    made.stop()


def test_lines_of_programs_are_shown_with_their_names(supervisor: Supervisor, said: Said) -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); print('three', end='')"
    assert supervisor.run(python("program", code)) == 0
    assert said == ["program   | one", "program   | two", "program   | three"]


def test_the_exit_status_of_a_step_is_told(supervisor: Supervisor) -> None:
    assert supervisor.run(python("step", "raise SystemExit(3)")) == 3


def test_a_program_that_dies_is_started_again_after_a_growing_while(
    supervisor: Supervisor, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "BACKOFF", (0.0, 0.05, 0.1))
    supervisor.start(python("crashing", "raise SystemExit(3)"))
    supervisor.wait_until(lambda: len(said) >= 4, 20)
    assert [line.rpartition(" in ")[2] for line in said[:4]] == ["0 s.", "0.05 s.", "0.1 s.", "0.1 s."]
    assert "exit status 3" in said[0]


def test_a_killed_program_comes_back(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(python("lasting", SLEEP))
    first = supervisor._children["lasting"].process.pid
    os.kill(first, signal.SIGKILL)
    assert supervisor.wait_until(lambda: supervisor._children["lasting"].process.pid != first, 20)
    assert "SIGKILL" in said[0]


def test_stages_are_stopped_one_after_the_other(supervisor: Supervisor, said: Said) -> None:
    slow = (
        "import signal, sys, time\n"
        "def stop(*_):\n    time.sleep({0}); print('done', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); print('ready'); time.sleep(60)"
    )
    for name, stage, seconds in (("redis", 3, 0), ("web", 1, 0.3), ("scheduler", 0, 0.1)):
        supervisor.start(python(name, slow.format(seconds), stage=stage))
    supervisor.wait_until(lambda: len(said) == 3, 20)
    said.clear()
    supervisor.stop()
    assert [line.split()[0] for line in said] == ["scheduler", "web", "redis"]


def test_who_does_not_stop_in_time_is_killed(supervisor: Supervisor, said: Said) -> None:
    supervisor.start(python("stubborn", STUBBORN, patience=0.1))
    supervisor.wait_until(lambda: bool(said), 20)
    supervisor.stop()
    assert "stubborn did not stop in time and is killed." in said


def test_a_second_signal_hastens_the_stop(
    supervisor: Supervisor, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "HURRY_SECONDS", 0.1)
    supervisor.start(python("stubborn", STUBBORN, patience=60))
    supervisor.wait_until(lambda: bool(said), 20)
    supervisor._signals = 2
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 5


def test_a_signal_ends_what_is_waited_for(supervisor: Supervisor) -> None:
    supervisor._signals = 1
    with pytest.raises(Stopped):
        supervisor.wait_until(lambda: False, 60)
    with pytest.raises(Stopped):
        supervisor.run(python("step", SLEEP))


# --- the whole house ----------------------------------------------------------------------------------------------


class House:
    """``python -m host_app`` in a process of its own, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: _free_port() for name in ("HOST_PORT", "SANDBOX_PORT", "REDIS_PORT")}
        self.process: subprocess.Popen[str] | None = None

    def environment(self, **more: str) -> dict[str, str]:
        without = ("REDIS_URL", "DATABASE_URL", "SECRET_KEY", "HOST_ADDRESS")
        inherited = {name: value for name, value in os.environ.items() if name not in without}
        ports = {name: str(port) for name, port in self.ports.items()}
        return {
            **inherited,
            "PYTHONPATH": str(REPOSITORY),
            "HOST_INSTANCE": str(self.folder),
            **ports,
            **more,
        }

    def open(self, **more: str) -> str:
        """Start it and return what it said until it was open."""
        log = self.folder.parent / f"{self.folder.name}.log"
        with log.open("w") as file:
            self.process = subprocess.Popen(
                self.command(),
                env=self.environment(**more),
                cwd=self.folder.parent,
                stdout=file,
                stderr=file,
                text=True,
            )
        eventually(
            lambda: "Ctrl-C stops everything" in log.read_text() or self.process.poll() is not None, 60
        )
        assert self.process.poll() is None, log.read_text()
        return log.read_text()

    def refuse(self, **more: str) -> str:
        """Start it where it can't run, and return what it said."""
        done = subprocess.run(
            self.command(), env=self.environment(**more), cwd=self.folder.parent, text=True, timeout=60, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stdout
        assert self.left() == []
        return done.stdout

    @staticmethod
    def command() -> list[str]:
        return [sys.executable, "-m", "host_app"]

    def left(self) -> list[str]:
        """Return the command lines of all processes that belong to this house."""
        mark = f"HOST_INSTANCE={self.folder}".encode()
        # Redis writes its title over its environment.
        title = f"127.0.0.1:{self.ports['REDIS_PORT']}"
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if mark in (process / "environ").read_bytes().split(b"\0") or title in command:
                    found.append(command)
            except OSError:
                continue
        return found

    def page(self) -> int:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.ports['HOST_PORT']}/admin/", timeout=10
        ) as answer:
            return int(answer.status)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "instance")
    house.folder.mkdir(mode=0o700)
    yield house
    if house.process:
        house.process.kill()
        house.process.wait()


def test_the_house_opens_twice_keeps_its_data_and_leaves_nothing_behind(house: House) -> None:
    first = house.open(HOST_BLOCKED_PLUGINS="bol")
    assert house.page() == 200
    commands = " ".join(house.left())
    for part in ("-server 127", "bol_sandbox", "host_app serve", "host_app worker", "host_app scheduler"):
        assert part in commands
    assert "set up" in first
    assert house.process is not None
    house.process.send_signal(signal.SIGINT)
    assert house.process.wait(60) == 0
    assert house.left() == []

    second = house.open(HOST_BLOCKED_PLUGINS="bol")
    assert "set up" not in second

    def login(text: str) -> list[str]:
        return [line for line in text.splitlines() if "log in as" in line]

    assert login(second) == login(first) != []

    again = subprocess.run(
        house.command(), env=house.environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 1 and "HOST_INSTANCE" in again.stderr

    house.process.kill()
    eventually(lambda: house.left() == [])


@pytest.mark.long
def test_a_command_behind_it_runs_in_the_environment_of_the_house(house: House) -> None:
    """What ``make doctor`` and ``make status`` run in a second terminal."""
    house.open()

    def said(*words: str) -> str:
        done = subprocess.run(
            [*house.command(), *words], env=house.environment(), cwd=house.folder.parent, text=True, timeout=60,
            check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return f"{done.stdout}exit {done.returncode}"

    eventually(lambda: "All is well." in said("bol", "doctor"), 60)
    assert said("bol", "doctor").endswith("exit 0")
    assert said("bol", "status").endswith("exit 0")
    assert said("bol", "nothing").endswith("exit 2")
    assert house.page() == 200


@pytest.mark.parametrize("name", ["HOST_PORT", "SANDBOX_PORT", "REDIS_PORT"])
def test_a_taken_port_is_named_with_the_setting_to_change(house: House, name: str) -> None:
    with socket.create_server(("127.0.0.1", house.ports[name])):
        said = house.refuse()
    assert f"Port {house.ports[name]} is taken" in said and f"{name}=" in said


def test_two_services_on_one_port_are_refused(house: House) -> None:
    assert "HOST_PORT and SANDBOX_PORT" in house.refuse(SANDBOX_PORT=str(house.ports["HOST_PORT"]))


def test_a_redis_that_does_not_answer_is_told(house: House) -> None:
    assert "REDIS_URL" in house.refuse(REDIS_URL="redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hidden@127.0.0.1:1/wms",
        "nonsense",
        "mysql://db/wms",
        "sqlite:////not/there/wms.sqlite",
    ],
)
def test_a_database_that_cant_be_reached_is_told_without_its_password(house: House, url: str) -> None:
    said = house.refuse(DATABASE_URL=url)
    assert "DATABASE_URL" in said and "hidden" not in said

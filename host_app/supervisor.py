"""Keeps a set of programs running: restarts those that die, shows what they say, and stops them in order.

It has one thread only: programs are forked from it and end with it (see :mod:`host_app.processes`).
"""

from __future__ import annotations

import io
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import IO

from host_app.processes import die_with

#: Waits before a program that died is started again, in seconds; the last one repeats.
BACKOFF = (0.5, 1, 2, 5, 10, 30)
#: A program that lived this long begins with the shortest wait again.
HEALTHY_SECONDS = 30
HURRY_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Program:
    """One program to keep running.

    :param stage: programs of a lower stage are stopped, and waited for, before those of a higher one.
    :param patience: how long it may take to stop, in seconds, before it is killed.
    """

    name: str
    command: Sequence[str]
    stage: int = 0
    patience: float = 10


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    restart_at: float | None = None


class Stopped(Exception):
    """Somebody asked to stop while something was waited for."""


class Supervisor:
    """Runs programs until SIGINT, SIGTERM or SIGHUP. A second signal hastens the stop."""

    def __init__(self, environment: Mapping[str, str], *, say: Callable[[str], None] | None = None) -> None:
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self.say = _print if say is None else say
        self._children: dict[str, _Child] = {}
        self._output = _Output(self.say)
        self._signals = 0
        self._stopping = False

    def listen(self) -> None:
        """Take over the signals that ask to stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def start(self, program: Program) -> None:
        """Start a program and keep it running."""
        self._children[program.name] = _Child(program, self._spawn(program), time.monotonic())

    def run(self, program: Program) -> int:
        """Run a program to its end and return its exit status.

        :raises Stopped: somebody asked to stop meanwhile.
        """
        child = _Child(program, self._spawn(program), time.monotonic())
        try:
            while child.process.poll() is None:
                self._turn(0.05)
                self._raise_if_asked()
        finally:
            if child.process.poll() is None:
                self._kill(child)
            self._output.finish(_stream(child.process))
        return child.process.returncode

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Wait for something while programs run; False where it took longer.

        :raises Stopped: somebody asked to stop meanwhile.
        """
        end = time.monotonic() + seconds
        while not ready():
            self._turn(0.05)
            self._raise_if_asked()
            if time.monotonic() > end:
                return False
        return True

    def watch(self) -> None:
        """Restart what dies, until somebody asks to stop."""
        while not self._signals:
            self._turn(0.2)

    def stop(self) -> None:
        """Stop all programs, stage by stage; nothing of them is left afterwards."""
        self._stopping = True
        for stage in sorted({child.program.stage for child in self._children.values()}):
            self._stop_stage([child for child in self._children.values() if child.program.stage == stage])
        self._children.clear()

    def _stop_stage(self, children: Sequence[_Child]) -> None:
        heard = self._signals
        self._terminate(children)
        patience = max(child.program.patience for child in children)
        if heard > 1:
            patience = min(patience, HURRY_SECONDS)
        end = time.monotonic() + patience
        while any(child.process.poll() is None for child in children) and time.monotonic() < end:
            self._turn(0.05)
            if self._signals > heard:
                heard = self._signals
                if heard > 1:
                    end = min(end, time.monotonic() + HURRY_SECONDS)
                    # An RQ worker takes a second request to mean: drop the job at hand.
                    self._terminate(children)
        for child in children:
            if child.process.poll() is None:
                self.say(f"{child.program.name} did not stop in time and is killed.")
                self._kill(child)
            self._output.finish(_stream(child.process))

    def _terminate(self, children: Sequence[_Child]) -> None:
        for child in children:
            if child.process.poll() is None:
                child.process.terminate()

    def _kill(self, child: _Child) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            program.command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C in the terminal reaches the supervisor only, which stops all in order.
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509 - there are no other threads
        )
        self._output.add(program.name, _stream(process))
        return process

    def _turn(self, seconds: float) -> None:
        """Pass on what programs said, and start again those whose time has come."""
        self._output.show(seconds)
        if not self._stopping:
            for child in self._children.values():
                self._revive(child, time.monotonic())

    def _raise_if_asked(self) -> None:
        if self._signals:
            raise Stopped

    def _revive(self, child: _Child, now: float) -> None:
        if child.process.poll() is None:
            return
        if child.restart_at is None:
            if now - child.started >= HEALTHY_SECONDS:
                child.failures = 0
            wait = BACKOFF[min(child.failures, len(BACKOFF) - 1)]
            child.failures += 1
            child.restart_at = now + wait
            self._output.finish(_stream(child.process))
            self.say(
                f"{child.program.name} ended ({_ending(child.process.returncode)}); "
                f"it is started again in {wait:g} s."
            )
        elif now >= child.restart_at:
            child.restart_at = None
            child.process, child.started = self._spawn(child.program), now


def _print(line: str) -> None:
    # The terminal may be gone; that is no reason to leave programs behind.
    with suppress(OSError):
        print(line, flush=True)


def _stream(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise RuntimeError("the output of a program is not read")
    return process.stdout


def _ending(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


class _Output:
    """Shows what programs write, whole lines at a time, each with the program's name before it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._selector = selectors.DefaultSelector()
        self._unfinished: dict[IO[bytes], bytes] = {}

    def add(self, name: str, stream: IO[bytes]) -> None:
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, selectors.EVENT_READ, name)

    def show(self, seconds: float) -> None:
        """Show what there is to show; wait that long for something."""
        if not self._selector.get_map():
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds):
            if isinstance(key.fileobj, io.IOBase):
                self._read(key.data, key.fileobj)

    def finish(self, stream: IO[bytes]) -> None:
        """Show the rest of what a program that ended has written."""
        if stream.closed:
            return
        name = self._selector.get_key(stream).data
        while self._read(name, stream):
            pass
        self._close(name, stream)

    def _read(self, name: str, stream: IO[bytes]) -> bool:
        try:
            data = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return False
        if not data:
            self._close(name, stream)
            return False
        *lines, rest = (self._unfinished.pop(stream, b"") + data).split(b"\n")
        for line in lines:
            self._line(name, line)
        if rest:
            self._unfinished[stream] = rest
        return True

    def _close(self, name: str, stream: IO[bytes]) -> None:
        if stream.closed:
            return
        self._selector.unregister(stream)
        stream.close()
        if rest := self._unfinished.pop(stream, b""):
            self._line(name, rest)

    def _line(self, name: str, line: bytes) -> None:
        self.say(f"{name:<10}| {line.decode(errors='replace').rstrip()}")

"""Harm: what breaks, and how it is mended after its time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bol_sandbox.testing import SandboxControls, SandboxRefused
from tests.chaos.house import House

Undo = Callable[[], None]


def _nothing() -> None:
    return None


class Harm:
    """Does harm to a house; counts what it did."""

    def __init__(self, house: House, client_id: str) -> None:
        self.house, self._client_id = house, client_id
        # Its own line: mending goes on in another thread.
        self._sandbox = SandboxControls(house.sandbox.url)
        self._lock = threading.RLock()
        self.done: Counter[str] = Counter()
        self._rules: list[dict[str, Any]] = []

    def do(self, kind: str, what: Mapping[str, Any]) -> tuple[float, Undo]:
        """Do it; return in how many seconds to mend it, and how."""
        act: Callable[[Mapping[str, Any]], Undo] = getattr(self, f"_{kind.replace('-', '_')}")
        undo = act(what)
        self.done[self._name(kind, what)] += 1
        return float(what.get("seconds", 0)), undo

    def _name(self, kind: str, what: Mapping[str, Any]) -> str:
        if kind in ("kill", "freeze"):
            return f"{kind} {what['program']}"
        if kind == "bol":
            rule = what["rule"]
            how = next(name for name in ("drop", "truncate", "body", "status", "delayMs") if name in rule)
            return f"bol {rule['when']} {rule[how] if how == 'status' else how}"
        return kind

    def _kill(self, what: Mapping[str, Any]) -> Undo:
        program = what["program"]
        if program == "job":
            self.house.kill_job()
            return _nothing
        self.house.kill(program)
        return lambda: self.house.start(program)

    def _freeze(self, what: Mapping[str, Any]) -> Undo:
        program = what["program"]
        self.house.freeze(program)
        # Not by the mender, who may be waiting for this very program.
        thaw = threading.Timer(float(what["seconds"]), self.house.thaw, (program,))
        thaw.daemon = True
        thaw.start()
        return _nothing

    def _empty_redis(self, _what: Mapping[str, Any]) -> Undo:
        self.house.empty_redis()
        return _nothing

    def _lose_redis(self, _what: Mapping[str, Any]) -> Undo:
        self.house.lose_redis()
        return lambda: self.house.start("redis")

    def _database(self, _what: Mapping[str, Any]) -> Undo:
        return self.house.harm_database()

    def _time(self, what: Mapping[str, Any]) -> Undo:
        self.house.pass_time(what["seconds"], patience=5)
        return _nothing

    def _bol_clock(self, what: Mapping[str, Any]) -> Undo:
        self._sandbox.advance(what["seconds"])
        return _nothing

    def _tokens(self, _what: Mapping[str, Any]) -> Undo:
        self._sandbox.revoke(self._client_id, "access")
        return _nothing

    def _forged(self, what: Mapping[str, Any]) -> Undo:
        """Send a message that bol did not sign; where nobody has subscribed, none is sent."""
        with suppress(SandboxRefused):
            self._sandbox.send_event(self._client_id, what["resource"], what["type"], what["id"], forged=True)
        return _nothing

    def _bol(self, what: Mapping[str, Any]) -> Undo:
        return self._fault(dict(what["rule"]))

    def _fault(self, rule: dict[str, Any]) -> Undo:
        with self._lock:
            self._rules.append(rule)
            self._sandbox.faults(self._rules)

        def mend() -> None:
            with self._lock:
                self._rules.remove(rule)
                self._sandbox.faults(self._rules)

        return mend

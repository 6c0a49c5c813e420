"""Keeps the world in a file, so that a sandbox that is started again goes on where it stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

from bol_sandbox import document
from bol_sandbox.world import World

SECONDS = 2.0
# A world that takes long to describe is kept less often: the loop stands still meanwhile.
SHARE_OF_TIME = 0.05
OWNER_ONLY = 0o600


class Damaged(Exception):
    """The file does not hold a world."""


class Keeper:
    """Saves one world to one file, whenever something changed."""

    def __init__(self, world: World, path: Path) -> None:
        self.world = world
        self.path = path
        self._kept = -1
        self._pause = SECONDS

    def load(self) -> None:
        """Read the file into the world, where there is one.

        :raises Damaged: what it holds cannot be used.
        :raises OSError: it cannot be read.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return
        try:
            document.read(self.world, json.loads(text))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise Damaged(f"{type(error).__name__}: {error}") from error

    async def run(self, stop: asyncio.Event) -> None:
        """Save what changed every two seconds, until told to stop."""
        while not stop.is_set():
            await self.save()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._pause)

    async def save(self) -> None:
        """Write the file, unless it is as the world is."""
        changes = self.world.changes
        if changes == self._kept:
            return
        begun = time.monotonic()
        text = json.dumps(document.write(self.world), separators=(",", ":")).encode()
        self._pause = max(SECONDS, (time.monotonic() - begun) / SHARE_OF_TIME)
        try:
            await asyncio.to_thread(_replace, self.path, text)
        except OSError as error:
            print(
                f"bol sandbox: {self.path} cannot be written: {error.strerror}", file=sys.stderr, flush=True
            )
        else:
            self._kept = changes


def _replace(path: Path, content: bytes) -> None:
    """Put a new file in the place of the old one: whoever looks finds one of them, whole."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)

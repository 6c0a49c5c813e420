"""Runs the application on a port until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

from aiohttp import web

from bol_sandbox.app import create_app
from bol_sandbox.courier import delivering
from bol_sandbox.keeper import Keeper
from bol_sandbox.world import World

# Whoever is still connected at the end is not waited for.
SHUTDOWN_SECONDS = 0.25


@contextlib.asynccontextmanager
async def listening(world: World, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the context lasts; yields the port, chosen by the system for port 0."""
    runner = web.AppRunner(
        create_app(world), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, keepalive_timeout=75
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        async with delivering(world):
            yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def serve_forever(world: World, host: str, port: int, keeper: Keeper | None = None) -> None:
    """Serve until SIGINT or SIGTERM, and let the keeper save what changes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with listening(world, host, port) as bound:
        print(f"bol sandbox: http://{host}:{bound}/ (Ctrl-C stops it)", flush=True)
        await (keeper.run(stop) if keeper else stop.wait())
    if keeper:
        await keeper.save()

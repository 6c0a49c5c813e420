"""`python -m bol_sandbox --port 5050`: runs the sandbox."""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import sys
from pathlib import Path

from bol_sandbox.demo import seed_demo
from bol_sandbox.keeper import Damaged, Keeper
from bol_sandbox.server import serve_forever
from bol_sandbox.world import World


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bol_sandbox", description="A stand-in for bol's APIs.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5050)
    parser.add_argument("--seed-demo", action="store_true", help="start with two sellers and their offers")
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="go on from what is in this file, and save to it"
    )
    options = parser.parse_args(arguments)
    world = World()
    keeper = Keeper(world, options.keep) if options.keep else None
    try:
        if keeper:
            keeper.load()
    except Damaged as error:
        print(f"bol sandbox: {options.keep} is damaged ({error}); delete it to begin anew", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"bol sandbox: {options.keep} cannot be read: {error.strerror}", file=sys.stderr)
        return 1
    if options.seed_demo:
        seed_demo(world)
    # With 100,000 offers in memory a full collection stops the loop for half a second, and frees nothing.
    gc.set_threshold(100_000, 50, 1000)
    try:
        asyncio.run(serve_forever(world, options.host, options.port, keeper))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "the port is already taken; choose another with --port" if taken else error.strerror
        print(f"bol sandbox: cannot listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

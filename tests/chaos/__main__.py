"""``make chaos RUNS=200 SEED=7``: run by run, harm is done to a house that works; the exit status tells if it held."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.run import Result
from tests.chaos.script import write
from tests.chaos.side_by_side import TOLD, run_all


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
    results = list(run_all(scripts, options.keep, options.houses))
    _summary(results, time.monotonic() - began)
    return 1 if any(result.problems for result in results) else 0


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

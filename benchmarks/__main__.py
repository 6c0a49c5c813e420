"""``python -m benchmarks [NAME ...]``: runs benchmarks, prints a row for each and writes ``results/NAME.json``."""

from __future__ import annotations

import sys

from benchmarks import event_delivery, order_import
from benchmarks.result import HEADER, Benchmark, write

BENCHMARKS: dict[str, Benchmark] = {
    "event-delivery": event_delivery.measure,
    "order-import": order_import.measure,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks (none named: all) and return 1 where one misses its goal."""
    if unknown := set(names) - set(BENCHMARKS):
        print(f"No benchmark is called {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}.")
        return 2
    print(HEADER)
    missed = 0
    for name in names or BENCHMARKS:
        result = BENCHMARKS[name]()
        print(result.row(), flush=True)
        write(result)
        missed += not result.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

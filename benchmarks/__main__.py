"""``python -m benchmarks [NAME ...]``: runs benchmarks, prints their rows and writes each to ``results/``."""

from __future__ import annotations

import sys

from benchmarks import (
    event_delivery,
    growth,
    host_overhead,
    order_import,
    outage,
    pages,
    product_import,
    stock_burst,
    stock_check,
    stock_latency,
    stock_throughput,
    webhook,
    workers,
)
from benchmarks.result import HEADER, Benchmark, write

BENCHMARKS: dict[str, Benchmark] = {
    "event-delivery": event_delivery.measure,
    "growth": growth.measure,
    "host-overhead": host_overhead.measure,
    "order-import": order_import.measure,
    "outage": outage.measure,
    "pages": pages.measure,
    "stock-latency": stock_latency.measure,
    "stock-burst": stock_burst.measure,
    "stock-throughput": stock_throughput.measure,
    "product-import": product_import.measure,
    "stock-check": stock_check.measure,
    "webhook": webhook.measure,
    "workers": workers.measure,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks (none named: all) and return 1 where a goal is missed."""
    if unknown := set(names) - set(BENCHMARKS):
        print(f"No benchmark is called {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}.")
        return 2
    print(HEADER)
    missed = 0
    for name in names or BENCHMARKS:
        for result in BENCHMARKS[name]():
            print(result.row(), flush=True)
            write(result)
            missed += not result.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

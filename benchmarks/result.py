"""What a benchmark tells."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
HEADER = (
    f"{'benchmark':<30} {'value':>10} {'floor':>10} {'ratio':>7} {'goal':>7} {'limit':>9}  unit"
    "\n(ratio: value to floor; goal: the ratio that is aimed at; limit: what the value itself must keep to)"
)


@dataclass(frozen=True, slots=True)
class Result:
    """One measured value.

    :param floor: the same unit, for the least that could do the job, measured in the same run or given by bol's limits.
    :param goal: the ratio of value to floor that is aimed at, at least or (``higher_is_better`` False) at most.
    :param limit: what the value itself must reach, or (``higher_is_better`` False) may not go beyond.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    goal: float | None = None
    limit: float | None = None
    higher_is_better: bool = True

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None

    @property
    def met(self) -> bool:
        return self._keeps(self.ratio, self.goal) and self._keeps(self.value, self.limit)

    def _keeps(self, value: float | None, bound: float | None) -> bool:
        if value is None or bound is None:
            return True
        return value >= bound if self.higher_is_better else value <= bound

    def row(self) -> str:
        """Return the line that is printed."""
        return (
            f"{self.name:<30} {self.value:>10,.1f} {_text(self.floor, 1):>10} {_text(self.ratio, 2):>7}"
            f" {_text(self.goal, 2):>7} {_text(self.limit, 1):>9}  {self.unit}"
            f"{'' if self.met else '  GOAL MISSED'}"
        )


#: Yields its results as they are known.
Benchmark = Callable[[], Iterable[Result]]


def write(result: Result) -> None:
    """Keep the newest result of this name."""
    FOLDER.mkdir(exist_ok=True)
    told = asdict(result) | {
        "ratio": None if result.ratio is None else round(result.ratio, 4),
        "met": result.met,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (FOLDER / f"{result.name}.json").write_text(json.dumps(told, indent=2) + "\n")


def p95(times: Sequence[float]) -> float:
    """Return what 95 of 100 keep within."""
    return statistics.quantiles(times, n=20)[-1]


def _text(number: float | None, places: int) -> str:
    return "" if number is None else f"{number:,.{places}f}"

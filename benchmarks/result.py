"""What a benchmark tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent / "results"
HEADER = f"{'benchmark':<24} {'value':>12} {'floor':>12} {'ratio':>8} {'goal':>8}  unit"


@dataclass(frozen=True, slots=True)
class Result:
    """One measured value.

    :param floor: the same unit, for the least that could do the job.
    :param goal: the ratio of value to floor that is aimed at, at least or (``higher_is_better`` False) at most.
    """

    name: str
    value: float
    unit: str
    floor: float
    goal: float
    higher_is_better: bool = True

    @property
    def ratio(self) -> float:
        return self.value / self.floor

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.higher_is_better else self.ratio <= self.goal

    def row(self) -> str:
        """Return the line that is printed."""
        verdict = "" if self.met else "  GOAL MISSED"
        return (
            f"{self.name:<24} {self.value:>12,.1f} {self.floor:>12,.1f} {self.ratio:>8.2f} {self.goal:>8.2f}"
            f"  {self.unit}{verdict}"
        )


Benchmark = Callable[[], Result]


def write(result: Result) -> None:
    """Keep the newest result of a benchmark."""
    FOLDER.mkdir(exist_ok=True)
    told = asdict(result) | {
        "ratio": round(result.ratio, 4),
        "met": result.met,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (FOLDER / f"{result.name}.json").write_text(json.dumps(told, indent=2) + "\n")

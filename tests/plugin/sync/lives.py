"""Tests that live a life at random, one or more times: one life in each run, and more by ``make long``."""

from __future__ import annotations

import inspect
import os
import random
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

#: A long run is started by hand: RANDOM_EXAMPLES=500 make test ARGS="-k at_random".
FEW, MANY = (int(os.environ.get("RANDOM_EXAMPLES", usual)) for usual in ("1", "8"))
#: What happens in one life.
STEPS = int(os.environ.get("RANDOM_STEPS", "25"))
#: The seed that a failure has told, to live that life again: RANDOM_SEED=... make test ARGS="-k at_random".
SEED = os.environ.get("RANDOM_SEED")


class Died(BaseException):
    """Stands for kill -9."""


def at_random(lives: int, *, derandomize: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a test so many seeds, one after the other; new ones in each run, unless ``derandomize``."""

    def with_seeds(test: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(test)
        def live(**fixtures: Any) -> None:
            dice = random.Random(test.__name__ if derandomize else None)
            for seed in [int(SEED)] if SEED else [dice.randrange(2**32) for _ in range(lives)]:
                try:
                    test(**fixtures, seed=seed)
                except BaseException as error:
                    error.add_note(f"RANDOM_SEED={seed}")
                    raise

        # pytest looks for fixtures by the names of what a test takes, and the seed is none.
        taken = inspect.signature(test)
        live.__signature__ = taken.replace(  # type: ignore[attr-defined]
            parameters=[parameter for name, parameter in taken.parameters.items() if name != "seed"]
        )
        return pytest.mark.timeout(7200)(live)

    return with_seeds

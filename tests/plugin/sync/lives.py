"""Tests that live a life at random several times: a few lives in each run, and more by ``make long``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

#: A long run is started by hand: RANDOM_EXAMPLES=500 make test ARGS="-k at_random".
FEW, MANY = (int(os.environ.get("RANDOM_EXAMPLES", usual)) for usual in ("2", "8"))
#: What happens in one life.
STEPS = int(os.environ.get("RANDOM_STEPS", "25"))


class Died(BaseException):
    """Stands for kill -9."""


def at_random(lives: int, *, derandomize: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a test so many seeds, one after the other; new ones in each run, unless ``derandomize``."""

    def with_seeds(test: Callable[..., Any]) -> Callable[..., Any]:
        chosen = settings(
            max_examples=lives,
            deadline=None,
            database=None,
            derandomize=derandomize,
            # A smaller seed is no simpler life.
            phases=(Phase.generate,),
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        )
        return pytest.mark.timeout(7200)(chosen(given(seed=st.integers(0, 2**32))(test)))

    return with_seeds

"""What strangers write into fields, addresses and headers; ``FUZZ=1000`` in the environment tries so many times more of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

MORE = int(os.environ.get("FUZZ", "1"))
#: What no page may hold as it is.
MARKER = '<script>alert("bol")</script>\'"><img src=x onerror=alert(1)>'
NASTY = (
    "", " ", "\x00", "a\x00b", "0", "-1", "1", "007", "9" * 40, "1e999", "-0.0", "NaN", "inf", "1,5", "٣", "²",
    "2026-02-30", "0000-00-00", "25:61", "9999-12-31T23:59:59", "..", "../../etc/passwd", "//evil.example/", "\\\\evil",
    "javascript:alert(1)", "http://169.254.169.254/", "%", "_", "%s%n", "{{7*7}}", "{0.__class__}", "${7*7}", "'", '"',
    "'; DROP TABLE product; --", "a" * 5000, "🙂" * 90, "\u202egnp", "e\u0301", "\r\nSet-Cookie: a=b", "null", "true",
    "[]", "{}", MARKER,
)  # fmt: skip

characters = st.characters(exclude_categories=["Cs"])
texts = st.one_of(st.sampled_from(NASTY), st.text(characters, max_size=60))
ids = st.sampled_from((0, 1, 1, 1, 2, 3, 2**31, 2**63, 10**30))


def fuzz(values: st.SearchStrategy[Any], check: Callable[[Any], None], examples: int) -> None:
    """Try so many values, the same in each run; with ``FUZZ`` set so many times more, and others each time."""

    @settings(
        max_examples=examples * MORE,
        deadline=None,
        database=None,
        derandomize=MORE == 1,
        # What fails is told whole; making it smaller would take longer than finding it.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(values)
    def run(value: Any) -> None:
        check(value)

    run()

"""What no template may use."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEMPLATES = sorted(path for package in ("host_app", "plugin") for path in (ROOT / package).rglob("*.html"))
#: Bootstrap 4 takes addresses of these from the page unchecked (CVE-2024-6531), and is not mended any more.
WEAK = re.compile(r"""carousel|data-slide|data-ride|data-toggle=["'](?:tooltip|popover)""")


def test_no_page_uses_the_parts_of_bootstrap_with_a_known_weakness() -> None:
    assert TEMPLATES
    assert [path.name for path in TEMPLATES if WEAK.search(path.read_text(encoding="utf-8"))] == []

"""What the browser tests cannot do without: where it is missing they are skipped, but never on a build machine."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest


def needs(found: object, otherwise: str) -> None:
    """Skip the test or the module, or fail, with the reason."""
    if found:
        return
    reason = f"NO BROWSER TESTS: {otherwise}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def playwright() -> ModuleType:
    """Return Playwright's module."""
    try:
        return importlib.import_module("playwright.sync_api")
    except ImportError:
        needs(None, "playwright is not installed")
        raise

"""One running demonstration and one browser for all tests here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import House

playwright = pytest.importorskip(
    "playwright.sync_api", reason="NO BROWSER TESTS: playwright is not installed"
)

from tests.browser.window import ARGUMENTS, DESK, Window, find_program

OpenWindow = Callable[..., Window]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The machine's Chromium; where there is none the tests are skipped, but never on a build machine."""
    program = find_program()
    if program is None:
        reason = "NO BROWSER TESTS: there is no chromium, chromium-browser or google-chrome on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def house(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A demonstration; started only where there is a browser to see it."""
    with House(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def open_window(browser: Any, house: House, tmp_path: Path) -> Iterator[OpenWindow]:
    """Opens windows, whose pictures are in ``tmp_path``; anything that went wrong in them fails the test."""
    windows: list[Window] = []

    def open_one(size: tuple[int, int] = DESK) -> Window:
        windows.append(Window(browser, house.url, tmp_path, size))
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()
    assert [trouble for window in windows for trouble in window.troubles] == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show what the programs said where a test fails."""
    report = yield
    house = getattr(item, "funcargs", {}).get("house")
    if report.failed and house is not None:
        report.sections.append(("what the programs said", house.log.read_text(errors="replace")))
    return report

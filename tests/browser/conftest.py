"""One running demonstration and one browser for all tests here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.needs import needs, playwright
from tests.browser.window import ARGUMENTS, DESK, PROGRAMS, Window, find_program
from tests.e2e.house import House

OpenWindow = Callable[..., Window]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The machine's Chromium."""
    program = find_program()
    needs(program, f"there is none of {', '.join(PROGRAMS)} on the PATH")
    with playwright().sync_playwright() as started:
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

    def open_one(size: tuple[int, int] = DESK, locale: str = "en-GB") -> Window:
        windows.append(Window(browser, house.url, tmp_path, size, locale))
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()
    assert [trouble for window in windows for trouble in window.troubles] == []


@pytest.fixture
def chief(house: House, open_window: OpenWindow) -> Window:
    """The window of an administrator who is logged in."""
    window = open_window()
    window.log_in("admin", house.password())
    return window


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show what the programs said where a test fails."""
    report = yield
    house = getattr(item, "funcargs", {}).get("house")
    if report.failed and house is not None:
        report.sections.append(("what the programs said", house.log.read_text(errors="replace")))
    return report

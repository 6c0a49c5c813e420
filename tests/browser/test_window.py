"""The window notices what it is there to notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.browser.window import Window

POLICY = '<meta http-equiv="Content-Security-Policy" content="script-src \'none\'">'
TROUBLES = {
    "wide at 1280": '<div style="width: 2000px">wide</div>',
    "wide at 390": '<div style="width: 600px">wide</div>',
    "policy": f"{POLICY}<script>1</script>",
    "console": "<script>console.error('broken')</script>",
    "nothing is defined": "<script>throw new Error('nothing is defined')</script>",
    "foreign request": '<img src="http://localhost:9/picture.png">',
    "404": '<script src="/missing.js"></script>',
}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_is_noticed(browser: Any, tmp_path: Path, trouble: str) -> None:
    assert trouble in "\n".join(troubles_of(browser, tmp_path, TROUBLES[trouble]))


def test_a_table_that_scrolls_in_its_box_is_no_trouble(browser: Any, tmp_path: Path) -> None:
    table = '<div style="overflow-x: auto"><div style="width: 2000px">wide</div></div>'
    assert troubles_of(browser, tmp_path, table) == []


def troubles_of(browser: Any, folder: Path, body: str) -> list[str]:
    head = '<!doctype html><link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">'
    (folder / "page.html").write_text(head + body)
    with served(folder) as url:
        window = Window(browser, url, folder)
        window.open("/page.html")
        window.look("wide")
        window.close()
    return window.troubles

"""Starting, stopping, and the page."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest
import requests

from bol_sandbox.ean import is_ean13
from bol_sandbox.testing import SandboxControls, running_sandbox

COMMAND = [sys.executable, "-m", "bol_sandbox"]


def test_the_demo_has_two_sellers_with_believable_offers() -> None:
    process = subprocess.Popen([*COMMAND, "--port", "0", "--seed-demo"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+?:\d+", process.stdout.readline())
        assert found
        state = SandboxControls(found.group()).state()
        login = requests.post(
            found.group() + "/token",
            auth=("demo-seller", "demo-secret"),
            data={"grant_type": "client_credentials"},
            timeout=10,
        )
        assert login.status_code == 200
    finally:
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        assert time.monotonic() - begun < 3
    assert [seller["clientId"] for seller in state["sellers"]] == ["demo-seller", "second-seller"]
    assert all(is_ean13(offer["ean"]) for offer in state["offers"])
    assert [
        sum(o["method"] == "FBB" for o in state["offers"] if o["clientId"] == c)
        for c in ("demo-seller", "second-seller")
    ] == [1, 1]


def test_a_taken_port_is_said_plainly() -> None:
    with running_sandbox() as sandbox:
        port = sandbox.url.rsplit(":", 1)[1]
        ended = subprocess.run(
            [*COMMAND, "--port", port], check=False, capture_output=True, text=True, timeout=20
        )
        assert ended.returncode == 1
        assert "the port is already taken" in ended.stderr
        assert "Traceback" not in ended.stderr
        with pytest.raises(OSError), running_sandbox(port=int(port)):
            pass


def test_the_page_and_its_parts_are_served_from_here(sandbox: SandboxControls) -> None:
    page = requests.get(sandbox.url + "/", timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    parts = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert {requests.get(sandbox.url + part, timeout=10).status_code for part in parts} == {200}
    assert "//" not in re.sub(r"<!doctype[^>]*>", "", page.text)

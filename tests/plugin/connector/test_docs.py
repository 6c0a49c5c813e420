"""The page about the connector tells the truth: its samples run, and it names every call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin.connector import BolClient, sandbox_environment
from tests.plugin.connector.conftest import make_client
from tests.plugin.connector.rogue import Rogue, answers

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "connector.md").read_text(encoding="utf-8")
STATUS = {"processStatusId": "1", "status": "PENDING"}


@pytest.fixture
def local_bol(rogue: Rogue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rogue]:
    monkeypatch.setattr("plugin.connector.PRODUCTION", sandbox_environment(rogue.url))
    yield rogue


def test_every_sample_runs(local_bol: Rogue, redis_url: str) -> None:
    order = {"orderId": "1", "orderItems": []}
    local_bol.plays(
        answers(200, {"orders": [order]}),
        answers(200, order),
        answers(202, STATUS),
        answers(200, {"deliveryOptions": [{"shippingLabelOfferId": "1", "recommended": True}]}),
        answers(202, STATUS),
        answers(200, {"signatureKeys": [{"id": "0", "type": "RSA", "publicKey": "x"}]}),
        answers(200, {}),
        answers(204),
    )
    samples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(samples) == 7
    names: dict[str, object] = {}
    for sample in samples:
        exec(sample.replace("redis://127.0.0.1:6379", redis_url), names)  # noqa: S102 - our own page
    on_message = names["on_message"]
    assert callable(on_message)
    assert (on_message(b"{}", None), on_message(b"{}", "keyId=1, signature=AAAA")) == (401, 503)
    client = names["client"]
    assert isinstance(client, BolClient)
    assert client.orders.page is not None
    assert len(local_bol.received) == 8


def test_every_call_is_named() -> None:
    client = make_client(sandbox_environment("http://127.0.0.1:1"))
    resources = {name: value for name, value in vars(client).items() if not name.startswith("_")}
    for name, resource in resources.items():
        for method, _ in inspect.getmembers(type(resource), inspect.isfunction):
            if not method.startswith("_"):
                assert f"`client.{name}.{method}(" in PAGE

"""A client at a sandbox of bol, a client at a server that misbehaves, and a Redis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from bol_sandbox.testing import SandboxControls, running_sandbox
from plugin.connector import (
    BolClient,
    CallRecord,
    ClientCredentialsTokens,
    Credentials,
    Environment,
    MemoryTokenStore,
    UnlimitedBudget,
    sandbox_environment,
)
from tests.plugin.connector.rogue import Rogue, running_rogue

CREDENTIALS = Credentials("seller", "very-secret")
EAN = "8712626055143"
OTHER_EAN = "8804269223123"


@dataclass
class Bol:
    """A sandbox with one seller of two products, and a client of that seller."""

    sandbox: SandboxControls
    client: BolClient
    offers: dict[str, str]
    calls: list[CallRecord]


def make_client(environment: Environment, calls: list[CallRecord] | None = None) -> BolClient:
    tokens = ClientCredentialsTokens(environment, CREDENTIALS, MemoryTokenStore(), "store-1")
    return BolClient(environment, tokens, UnlimitedBudget(), on_call=None if calls is None else calls.append)


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxControls]:
    with running_sandbox() as controls:
        yield controls


@pytest.fixture
def sandbox(running: SandboxControls) -> SandboxControls:
    running.reset()
    running.limits([])
    return running


@pytest.fixture
def bol(sandbox: SandboxControls) -> Iterator[Bol]:
    offers = [
        {"ean": EAN, "title": "A kettle", "price": 12.99, "stock": 20, "reference": "KETTLE-1"},
        {"ean": OTHER_EAN, "title": "A lid", "price": 3.5, "stock": 5},
    ]
    made = sandbox.add_seller(CREDENTIALS.client_id, CREDENTIALS.client_secret, offers)
    calls: list[CallRecord] = []
    client = make_client(sandbox_environment(sandbox.url), calls)
    yield Bol(sandbox, client, {offer["ean"]: offer["offerId"] for offer in made["offers"]}, calls)
    client.close()


@pytest.fixture
def rogue() -> Iterator[Rogue]:
    with running_rogue() as server:
        yield server


@pytest.fixture
def rogue_calls() -> list[CallRecord]:
    return []


@pytest.fixture
def client(rogue: Rogue, rogue_calls: list[CallRecord]) -> Iterator[BolClient]:
    """A client of the server that misbehaves."""
    made = make_client(sandbox_environment(rogue.url), rogue_calls)
    yield made
    made.close()


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    made = redis.Redis.from_url(redis_url, socket_timeout=2)
    yield made
    made.close()

"""``python -m tests.plugin.connector.machine URL REDIS OFFER FROM UNTIL``: one machine that sends stock as fast as it may."""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import redis

from plugin.connector import BolClient, ClientCredentialsTokens, MemoryTokenStore, sandbox_environment
from plugin.connector.redis_budget import RedisBudget
from tests.plugin.connector.conftest import CREDENTIALS

THREADS = 8


def main(url: str, redis_url: str, offer_id: str, begins: str, ends: str) -> None:
    statuses: Counter[int | None] = Counter()
    environment = sandbox_environment(url)
    tokens = ClientCredentialsTokens(environment, CREDENTIALS, MemoryTokenStore(), "k")
    budget = RedisBudget(redis.Redis.from_url(redis_url))
    client = BolClient(environment, tokens, budget, on_call=lambda call: statuses.update([call.status]))

    def push(number: int) -> None:
        while time.time() < float(ends):
            client.offers.set_stock(offer_id, number, False)

    time.sleep(max(0.0, float(begins) - time.time()))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(push, range(THREADS)))
    client.close()
    print(dict(statuses))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""``python -m tests.plugin.connector.machine URL REDIS OFFER SECONDS``: one machine that sends stock as fast as it may.

It says when it is ready, and begins when it is told to by a line.
"""

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


def main(url: str, redis_url: str, offer_id: str, seconds: str) -> None:
    statuses: Counter[int | None] = Counter()
    environment = sandbox_environment(url)
    tokens = ClientCredentialsTokens(environment, CREDENTIALS, MemoryTokenStore(), "k")
    budget = RedisBudget(redis.Redis.from_url(redis_url))
    client = BolClient(environment, tokens, budget, on_call=lambda call: statuses.update([call.status]))

    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + float(seconds)

    def push(number: int) -> None:
        while time.monotonic() < end:
            client.offers.set_stock(offer_id, number, False)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(push, range(THREADS)))
    client.close()
    print(dict(statuses))


if __name__ == "__main__":
    main(*sys.argv[1:])

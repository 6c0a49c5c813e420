"""Delivers push messages as bol does: five seconds for an answer, ten tries, then the subscription is disabled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp

from bol_sandbox.push import TRIES, Delivery, option, wait_before
from bol_sandbox.signing import forger
from bol_sandbox.world import World

# While somebody has subscribed, it is looked this often whether something ended or fell due.
TICK_SECONDS = 0.02
AT_ONCE = 16


@contextlib.asynccontextmanager
async def delivering(world: World) -> AsyncIterator[None]:
    """Deliver while the context lasts."""
    courier = Courier(world)
    task = asyncio.create_task(courier.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await courier.close()


class Courier:
    """Takes what is due out of the outbox, and brings it away, many at once and in no order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._room = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        world, outbox = self.world, self.world.outbox
        while True:
            idle = not (world.subscriptions or outbox.waiting)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(outbox.stirred.wait(), None if idle else TICK_SECONDS)
            outbox.stirred.clear()
            # What ends by itself is otherwise noticed when the next request comes in.
            world.settle()
            for delivery in outbox.take(world.now()):
                self._begin(delivery)

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        async with self._room:
            if not self._wanted(delivery):
                self.world.outbox.end(delivery, "lost")
                return
            at = self.world.now()
            outcome = await self._try(delivery)
        delivery.outcomes.append((at, outcome))
        outbox = self.world.outbox
        if outcome.startswith("2"):
            outbox.end(delivery, "delivered")
        elif delivery.forged:
            # Whoever forges does not come again, and bol hears nothing of it.
            outbox.end(delivery, "refused")
        elif not self._wanted(delivery):
            outbox.end(delivery, "lost")
        elif len(delivery.outcomes) < TRIES:
            outbox.again(delivery, self.world.now() + wait_before(self.world, len(delivery.outcomes)))
        else:
            outbox.end(delivery, "failed")
            delivery.subscription.enabled = False
            self.world.changes += 1

    def _wanted(self, delivery: Delivery) -> bool:
        """Whether the subscription is still there and enabled; what is missed meanwhile is lost."""
        mine = delivery.subscription
        return mine.enabled and self.world.subscriptions.get(mine.subscription_id) is mine

    async def _try(self, delivery: Delivery) -> str:
        """Send it once; the outcome is a status or the name of what went wrong."""
        key = self.world.keys.current
        if delivery.forged:
            key = forger(key.key_id)
        headers = {"Content-Type": "application/json", "Signature": key.header(delivery.body)}
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE))
        try:
            async with self._session.post(
                delivery.subscription.url,
                data=delivery.body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=option(self.world, "timeoutMs") / 1000),
            ) as answer:
                return str(answer.status)
        except TimeoutError:
            return "no answer in time"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return type(error).__name__

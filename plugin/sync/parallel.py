"""Several calls to bol in flight, while what came back is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_flight(
    at_once: int, items: Iterable[Item], call: Callable[[Item], Result], before: Callable[[], None]
) -> Iterator[list[tuple[Item, Result]]]:
    """Yield what has come back, as it comes, and keep ``at_once`` calls in flight meanwhile.

    :param items: asked for one by one, so that a generator can end the work early; what is in flight then still
        comes back and is yielded.
    :param call: runs in a thread without a database session.
    :param before: called in this thread before each call; what it raises ends the work.
    """
    source = iter(items)
    running: dict[Future[Result], Item] = {}

    def fill(pool: ThreadPoolExecutor) -> None:
        while len(running) < at_once:
            try:
                item = next(source)
            except StopIteration:
                return
            before()
            running[pool.submit(call, item)] = item

    with ThreadPoolExecutor(at_once) as pool:
        fill(pool)
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            yield [(running.pop(future), future.result()) for future in done]
            fill(pool)

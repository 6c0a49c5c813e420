"""Two chained jobs that do nothing, and a request: what a change of stock at least has to go through."""

from __future__ import annotations

import http.client

from rq import Queue, get_current_job
from rq.serializers import JSONSerializer

#: The queues of the dispatcher and of the pump.
FIRST, SECOND = "host", "bol-stock"


def enqueue_first(queue: Queue, host: str, number: int) -> None:
    """Start the chain; ``number`` is found again in the sandbox's log."""
    queue.enqueue_call("benchmarks.noop.first", args=(host, number), result_ttl=0)


def first(host: str, number: int) -> None:
    """Start the second job."""
    job = get_current_job()
    assert job is not None
    queue = Queue(SECOND, connection=job.connection, serializer=JSONSerializer)
    queue.enqueue_call("benchmarks.noop.second", args=(host, number), result_ttl=0)


def second(host: str, number: int) -> None:
    """Make one request."""
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/retailer/public/ratelimits?number={number}")
    connection.getresponse().read()
    connection.close()

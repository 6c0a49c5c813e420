"""bol's front door: faults, token, rate limit and media type, around every API call."""

from __future__ import annotations

import asyncio
import uuid

from aiohttp import web

from bol_sandbox.answers import JSON, V10, V11, Answer
from bol_sandbox.call import Call
from bol_sandbox.calls import LoggedCall
from bol_sandbox.faults import FaultRule
from bol_sandbox.problems import Problem, bad_request, not_acceptable, not_found
from bol_sandbox.routes import Route, Router
from bol_sandbox.tokens import authenticate, claimed_client
from bol_sandbox.world import World

BODY_METHODS = ("POST", "PUT", "PATCH")


class Gateway:
    """Serves `/token`, `/retailer` and `/shared`; the controls do not pass here."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._router = Router()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        world = self.world
        arrived = world.now()
        body = await request.read() if request.can_read_body else b""
        call = Call(world, request.method, request.path, request.query, request.headers, body)
        call.client_id = claimed_client(call)
        fault = world.faults.pick(call.method, call.path)
        delay = world.settings.latency_ms + (fault.delay_ms if fault and fault.when == "before" else 0)
        if delay:
            await asyncio.sleep(delay / 1000)
        world.settle()
        route, call.values = self._router.find(call.method, call.path)
        media_type = route.media_type if route else V10
        if fault and fault.when == "before" and fault.answers:
            answer = fault.replace(None, media_type)
        else:
            answer = self._work(call, route, media_type)
            if fault and fault.when == "after":
                if fault.delay_ms:
                    await asyncio.sleep(fault.delay_ms / 1000)
                answer = fault.replace(answer, media_type)
        dropped = fault is not None and fault.drop
        world.calls.add(
            LoggedCall(
                arrived, call.method, call.path, request.query_string,
                0 if dropped else answer.status, call.client_id, len(answer.body),
            )
        )  # fmt: skip
        return await _send(request, answer, fault)

    def _work(self, call: Call, route: Route | None, media_type: str) -> Answer:
        """Do what was asked, behind the checks that bol makes first: token, then limit, then media type."""
        allowance: dict[str, str] = {}
        try:
            if route is None or route.needs_token:
                call.seller = authenticate(call)
            allowance, refusal = self.world.limits.take(
                call.method, call.path, call.client_id, self.world.now()
            )
            if refusal is not None:
                raise refusal
            if route is None:
                raise self._no_route(call)
            if route.needs_token:
                _check_media_types(call, route.media_type)
            answer = route.handler(call)
        except Problem as problem:
            answer = problem.answer(media_type, call.path)
        answer.headers.update(allowance)
        return answer

    def _no_route(self, call: Call) -> Problem:
        if self._router.knows(call.path):
            return Problem(405, "Method Not Allowed", f"Method {call.method} is not allowed here.")
        return not_found()


def _check_media_types(call: Call, media_type: str) -> None:
    """A body needs the vendor type (400), and so does Accept unless it takes anything (406).

    v10 of the offers is deprecated and not built: it is refused here like any other foreign type.
    """
    accept = call.header("Accept").lower()
    if accept and media_type not in accept and "*/*" not in accept and "application/*" not in accept:
        hint = " Offers are served in version 11 only." if media_type == V11 and V10 in accept else ""
        raise not_acceptable(f"Acceptable representations: [{media_type}].{hint}")
    if call.method in BODY_METHODS and call.body and call.media_type != media_type:
        raise bad_request(
            [("Content-Type", f"Content type '{call.media_type}' not supported, use {media_type}.")]
        )


async def _send(request: web.Request, answer: Answer, fault: FaultRule | None) -> web.StreamResponse:
    transport = request.transport
    headers = {"X-Request-ID": str(uuid.uuid4()), "X-Content-Type-Options": "nosniff", **answer.headers}
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    elif answer.status != 204:
        headers["Content-Type"] = JSON
    if fault is not None and fault.drop:
        if transport is not None:
            transport.abort()
        return web.Response(status=answer.status)
    if fault is not None and fault.truncate and answer.body:
        cut = web.StreamResponse(status=answer.status, headers=headers)
        cut.content_length = len(answer.body)
        await cut.prepare(request)
        await cut.write(answer.body[: len(answer.body) // 2])
        # Closing flushes what was written; the client then misses the other half.
        if transport is not None:
            transport.close()
        return cut
    return web.Response(status=answer.status, body=answer.body or None, headers=headers)

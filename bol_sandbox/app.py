"""Puts the sandbox together: one aiohttp application over one world."""

from __future__ import annotations

from aiohttp import web

from bol_sandbox.controls import Controls, Handler, explain_errors
from bol_sandbox.gateway import Gateway
from bol_sandbox.login import LoginPage
from bol_sandbox.login_controls import LoginControls
from bol_sandbox.page import page_routes
from bol_sandbox.push_controls import PushControls
from bol_sandbox.world import World

# A seller may be made with very many offers at once.
LARGEST_BODY = 256 * 1024 * 1024


def create_app(world: World) -> web.Application:
    gateway = Gateway(world)

    @web.middleware
    async def count_changes(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            if request.method not in ("GET", "HEAD"):
                world.changes += 1

    app = web.Application(middlewares=[count_changes, explain_errors], client_max_size=LARGEST_BODY)
    app.add_routes(Controls(world).routes())
    app.add_routes(LoginControls(world).routes())
    app.add_routes(PushControls(world).routes())
    app.add_routes(LoginPage(world).routes())
    app.add_routes(page_routes())
    for path in ("/token", "/retailer{rest:/.*}", "/shared{rest:/.*}"):
        app.router.add_route("*", path, gateway.serve)
    return app

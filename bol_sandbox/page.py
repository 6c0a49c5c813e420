"""The page where a person plays the customer and bol."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"


async def _index(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(STATIC / "index.html")


def page_routes() -> list[web.AbstractRouteDef]:
    return [web.get("/", _index), web.static("/static", STATIC)]

"""The JSON controls of the login: intermediaries, and sellers who take back what they allowed."""

from __future__ import annotations

from aiohttp import web

from bol_sandbox import consents, tokens
from bol_sandbox.controls import ControlError, answer, read_json
from bol_sandbox.model import Intermediary
from bol_sandbox.world import World

REVOKED = ("access", "refresh", "all")


class LoginControls:
    """The handlers of `/sandbox/intermediaries` and of what is revoked."""

    def __init__(self, world: World) -> None:
        self.world = world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sandbox/intermediaries", self.add_intermediary),
            web.post("/sandbox/sellers/{client_id}/revoke", self.revoke),
        ]

    async def add_intermediary(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        client_id, secret = str(body["clientId"]), str(body["clientSecret"])
        if client_id in self.world.intermediaries or client_id in self.world.sellers:
            raise ControlError(f"there is already a client {client_id}", 409)
        rotates, addresses = body.get("rotateRefreshTokens"), body.get("redirectUris") or []
        if rotates not in (None, True, False) or not isinstance(addresses, list):
            raise ControlError("rotateRefreshTokens is true or false, and redirectUris a list")
        made = Intermediary(
            client_id, secret, str(body.get("name") or client_id), tuple(map(str, addresses)), rotates
        )
        self.world.intermediaries[client_id] = made
        return answer({"clientId": client_id})

    async def revoke(self, request: web.Request) -> web.Response:
        """End a seller's access tokens, refresh tokens, or both (`tokens`: access, refresh, all)."""
        self.world.settle()
        seller = self.world.sellers.get(request.match_info["client_id"])
        if seller is None:
            raise ControlError(f"there is no seller {request.match_info['client_id']}", 404)
        what = (await read_json(request)).get("tokens", "all")
        if what not in REVOKED:
            raise ControlError(f"tokens is one of {', '.join(REVOKED)}")
        return answer(
            {
                "accessTokens": tokens.forget(self.world, seller) if what != "refresh" else 0,
                "refreshTokens": consents.withdraw(self.world, seller) if what != "access" else 0,
            }
        )

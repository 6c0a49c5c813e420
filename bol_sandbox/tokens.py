"""bol's login: client credentials for an access token (https://login.bol.com/token)."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import uuid
from typing import Any
from urllib.parse import parse_qs

from bol_sandbox.answers import JSON, Answer, reply
from bol_sandbox.call import Call
from bol_sandbox.clock import utc_stamp
from bol_sandbox.problems import unauthorized
from bol_sandbox.world import Seller, World

# bol's front door lets a token live one second longer than it says.
CLOCK_SKEW_SECONDS = 1.0
SECRETS = ("client_id", "client_secret", "access_token", "refresh_token", "code")


def basic_credentials(header: str) -> tuple[str, str]:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, secret


def token(call: Call) -> Answer:
    """Answer `POST /token`; secrets belong in header and body, never in the address."""
    if any(name in call.query for name in SECRETS):
        return _refuse(400, "invalid_request", "Secrets and tokens are not accepted in the query")
    client_id, secret = basic_credentials(call.header("Authorization"))
    seller = call.world.sellers.get(client_id)
    if seller is None or not secrets.compare_digest(seller.client_secret.encode(), secret.encode()):
        return _refuse(401, "invalid_client", "Bad client credentials")
    if call.media_type != "application/x-www-form-urlencoded":
        return _refuse(400, "invalid_request", "The body must be a form")
    grants = parse_qs(call.body.decode("utf-8", "replace")).get("grant_type", [])
    if not grants:
        return _refuse(400, "invalid_request", "Missing grant type")
    if grants != ["client_credentials"]:
        return _refuse(400, "unsupported_grant_type", f"Unsupported grant type: {grants[0]}")
    seconds = call.world.settings.token_seconds
    access_token = issue(call.world, seller, seconds)
    return reply(
        {"access_token": access_token, "token_type": "Bearer", "expires_in": seconds, "scope": "RETAILER"},
        JSON,
    )


def issue(world: World, seller: Seller, seconds: int) -> str:
    """Make a token in the shape of bol's JWT; it is looked up, not verified, so its signature is noise."""
    now = world.clock.now()
    claims = {
        "sub": seller.seller_id,
        "aid": seller.seller_id,
        "azp": seller.client_id,
        "clientname": seller.name,
        "scopes": ["RETAILER"],
        "iss": "https://login.bol.com",
        "iat": int(now),
        "exp": int(now + seconds),
        "jti": str(uuid.uuid4()),
    }
    parts = [_part({"kid": "rsa", "typ": "JWT", "alg": "RS256"}), _part(claims)]
    made = ".".join([*parts, _encode(secrets.token_bytes(64))])
    remember(world, made, seller, now + seconds)
    return made


def remember(world: World, token: str, seller: Seller, expires: float) -> None:
    """Take in a token; long after its end it is forgotten, which reads the same to whoever still sends it."""
    world.tokens[token] = (seller, expires)
    world.timers.schedule(expires + 3600, lambda _: world.tokens.pop(token, None) and None)


def claimed_client(call: Call) -> str:
    """Say for the log who seems to call, whether or not the call will be accepted."""
    header = call.header("Authorization")
    if header[:6].lower() == "basic ":
        return basic_credentials(header)[0]
    known = call.world.tokens.get(header.partition(" ")[2])
    return known[0].client_id if known else ""


def authenticate(call: Call) -> Seller:
    """Find whose token the call bears, or refuse as bol's front door does."""
    kind, _, bearer = call.header("Authorization").partition(" ")
    if kind.lower() != "bearer" or not bearer:
        raise unauthorized("Unauthorized", "Authentication failed: a bearer token is required in the header.")
    now = call.world.clock.now()
    seller, expires = call.world.tokens.get(bearer, (None, now))
    if seller is None or now > expires + CLOCK_SKEW_SECONDS:
        late = int((now - expires) * 1000)
        raise unauthorized(
            "Expired JWT",
            f"JWT expired at {utc_stamp(expires)}. Current time: {utc_stamp(now)}, a difference of {late} "
            "milliseconds.  Allowed clock skew: 1000 milliseconds.",
        )
    return seller


def _refuse(status: int, error: str, description: str) -> Answer:
    return reply({"error": error, "error_description": description}, JSON, status)


def _part(value: dict[str, Any]) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

"""bol's login for programs: tokens for client credentials, login codes and refresh tokens (`POST /token`)."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import uuid
from typing import Any
from urllib.parse import parse_qs

from bol_sandbox import consents
from bol_sandbox.answers import JSON, Answer, reply
from bol_sandbox.call import Call
from bol_sandbox.clock import utc_stamp
from bol_sandbox.model import Consent, Intermediary
from bol_sandbox.problems import Problem, unauthorized
from bol_sandbox.world import Seller, World

# bol's front door lets a token live one second longer than it says.
CLOCK_SKEW_SECONDS = 1.0
SECRETS = ("client_id", "client_secret", "access_token", "refresh_token", "code")
OWN, CODE, REFRESH = "client_credentials", "authorization_code", "refresh_token"


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
        return _refuse("invalid_request", "Secrets and tokens are not accepted in the query")
    world = call.world
    client_id, secret = basic_credentials(call.header("Authorization"))
    client = world.sellers.get(client_id) or world.intermediaries.get(client_id)
    if client is None or not secrets.compare_digest(client.client_secret.encode(), secret.encode()):
        return _refuse("invalid_client", "Bad client credentials", 401)
    if call.media_type != "application/x-www-form-urlencoded":
        return _refuse("invalid_request", "The body must be a form")
    form = {name: values[0] for name, values in parse_qs(call.body.decode("utf-8", "replace")).items()}
    grant = form.get("grant_type")
    if grant is None:
        return _refuse("invalid_request", "Missing grant type")
    if grant not in (OWN, CODE, REFRESH):
        return _refuse("unsupported_grant_type", f"Unsupported grant type: {grant}")
    if isinstance(client, Seller) != (grant == OWN):
        return _refuse("unauthorized_client", f"This client cannot use the grant type {grant}")
    if isinstance(client, Seller):
        return _tokens(world, client, client, "RETAILER")
    return _consented(world, client, grant, form)


def _consented(world: World, client: Intermediary, grant: str, form: dict[str, str]) -> Answer:
    """Exchange a code or a refresh token of this intermediary."""
    what = "code" if grant == CODE else REFRESH
    given = form.get(what)
    if given is None:
        return _refuse("invalid_request", f"Missing parameter: {what}")
    if grant == CODE:
        consent = consents.redeem(world, client, given, form.get("redirect_uri", ""))
    else:
        consent = consents.renew(world, client, given)
    if consent is None:
        kind = "authorization code" if grant == CODE else "refresh token"
        return _refuse("invalid_grant", f"Invalid {kind}")
    return _tokens(world, world.sellers[consent.client_id], client, "offline_access", consent)


def _tokens(
    world: World, seller: Seller, client: Seller | Intermediary, scope: str, consent: Consent | None = None
) -> Answer:
    seconds = world.settings.token_seconds
    access_token = issue(world, seller, client, seconds, scope)
    body = {"access_token": access_token, "token_type": "Bearer", "expires_in": seconds, "scope": scope}
    if consent is not None:
        body["refresh_token"] = consent.refresh_token
    return reply(body, JSON)


def issue(world: World, seller: Seller, client: Seller | Intermediary, seconds: int, scope: str) -> str:
    """Make a token in the shape of bol's JWT; it is looked up, not verified, so its signature is noise.

    `aid` is the seller's account, whoever asked; `azp` is the client that did.
    """
    now = world.clock.now()
    claims = {
        "sub": seller.seller_id,
        "aid": seller.seller_id,
        "azp": client.client_id,
        "clientname": client.name,
        "scopes": [scope],
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


def forget(world: World, seller: Seller) -> int:
    """Refuse all access tokens of a seller from now on; says how many there were."""
    given = [token for token, (whose, _) in world.tokens.items() if whose is seller]
    for token in given:
        del world.tokens[token]
    return len(given)


def claimed_client(call: Call) -> str:
    """Say for the log who seems to call, whether or not the call will be accepted."""
    header = call.header("Authorization")
    if header[:6].lower() == "basic ":
        return basic_credentials(header)[0]
    known = call.world.tokens.get(header.partition(" ")[2])
    return known[0].client_id if known else ""


def authenticate(call: Call) -> Seller:
    """Find whose token the call bears, or refuse as bol's front door does."""
    if "access_token" in call.query:
        raise Problem(400, "Bad Request", "Tokens are not accepted in the query.", bare=True)
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


def _refuse(error: str, description: str, status: int = 400) -> Answer:
    return reply({"error": error, "error_description": description}, JSON, status)


def _part(value: dict[str, Any]) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

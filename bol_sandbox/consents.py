"""What sellers allow intermediaries: codes of the login page, and the refresh tokens that they are exchanged for."""

from __future__ import annotations

import secrets
from dataclasses import replace

from bol_sandbox.model import Consent, Intermediary, LoginCode
from bol_sandbox.world import Seller, World

# bol asks sellers again after a year, leap year or not; refreshing does not prolong it.
CONSENT_SECONDS = 365 * 24 * 3600


def give_code(world: World, intermediary: Intermediary, seller: Seller, redirect_uri: str) -> str:
    """Note that the seller allowed it, and make the code that the browser carries back."""
    expires = world.now() + world.settings.code_seconds
    code = LoginCode(
        secrets.token_urlsafe(24), intermediary.client_id, seller.client_id, redirect_uri, expires
    )
    remember_code(world, code)
    return code.code


def remember_code(world: World, code: LoginCode) -> None:
    world.codes[code.code] = code

    def end(_: float) -> None:
        world.codes.pop(code.code, None)

    world.timers.schedule(code.expires_at, end)


def redeem(world: World, intermediary: Intermediary, code: str, redirect_uri: str) -> Consent | None:
    """Exchange a code, once; with a wrong address it is lost, too."""
    found = world.codes.get(code)
    if found is None or found.intermediary != intermediary.client_id:
        return None
    del world.codes[code]
    if redirect_uri != found.redirect_uri:
        return None
    expires = world.now() + CONSENT_SECONDS
    consent = Consent(_refresh_token(), found.intermediary, found.client_id, expires)
    remember(world, consent)
    return consent


def remember(world: World, consent: Consent) -> None:
    world.consents[consent.refresh_token] = consent

    def end(_: float) -> None:
        world.consents.pop(consent.refresh_token, None)

    world.timers.schedule(consent.expires_at, end)


def renew(world: World, intermediary: Intermediary, refresh_token: str) -> Consent | None:
    """Use a refresh token; where they rotate, another takes its place and it is worth nothing any more."""
    consent = world.consents.get(refresh_token)
    if consent is None or consent.intermediary != intermediary.client_id:
        return None
    rotates = intermediary.rotates
    if world.settings.rotate_refresh_tokens if rotates is None else rotates:
        del world.consents[refresh_token]
        consent = replace(consent, refresh_token=_refresh_token())
        remember(world, consent)
    return consent


def withdraw(world: World, seller: Seller) -> int:
    """Let the seller take back what it allowed; says how many refresh tokens that ends."""
    ended = [token for token, consent in world.consents.items() if consent.client_id == seller.client_id]
    for token in ended:
        del world.consents[token]
    return len(ended)


def _refresh_token() -> str:
    return ".".join(secrets.token_urlsafe(size) for size in (24, 96, 48))

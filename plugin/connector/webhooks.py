"""Push messages of bol: check who signed them, and read what they say.

    WebhookRefused
    ├── Unsigned          no signature, or one that is not of the form that bol uses
    ├── UnknownKey        signed with a key that is not at hand: read the keys anew, at most ten times an hour
    ├── WrongSignature    the body is not what the owner of that key signed
    └── MalformedEvent    truly signed by bol, but without what an event needs

A message is a hint: it may come twice, late, in any order or never, so fetch what it names. What is not answered with 2xx
within five seconds comes again, and after ten tries bol disables the subscription; a signed message that says nothing
useful is therefore best accepted.

Reference: https://api.bol.com/retailer/public/Retailer-API/v10/functional/retailer-api/subscriptions.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import ClassVar

import requests
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from plugin.connector.parsing import Fields, ShapeError, parse_json

ALGORITHM = "rsa-sha256"
LONGEST_HEADER = 4096
LONGEST_ID = 100
LONGEST_KEY = 20_000
_PARAMETER = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^",\s]+))\s*(?:,|$)')
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class WebhookRefused(Exception):
    """A message that is no event of bol. `signed`: whether it was bol who sent it, all the same."""

    signed: ClassVar[bool] = False


class Unsigned(WebhookRefused):
    """There is no signature that could be checked."""


class UnknownKey(WebhookRefused):
    """The key that it names is not at hand, or is not one that can be read."""

    def __init__(self, key_id: str, problem: str = "is not at hand") -> None:
        super().__init__(f"the key {key_id!r} {problem}")
        self.key_id = key_id


class WrongSignature(WebhookRefused):
    """The signature does not belong to this body and key."""


class MalformedEvent(WebhookRefused):
    """bol signed it, and it cannot be read as an event."""

    signed = True


@dataclass(frozen=True)
class Signature:
    """What the header `Signature` says."""

    key_id: str
    value: bytes = field(repr=False)


@dataclass(frozen=True)
class WebhookEvent:
    """Something that happened: PROCESS_STATUS (SUCCESS, FAILURE, TIMEOUT), SHIPMENT (UPDATE_TRANSPORT_EVENT), ORDER
    (ORDER_CREATED, ORDER_ITEM_CANCELLATION_REQUEST), or a word that is new; `type` is "" where it is missing.

    `resource_id` is the id of the process status or the shipment; for ORDER bol does not say whether it is that of the
    order or of the item. `retailer_id` is the account, as `retailers.current` names it. `at` is in UTC.
    """

    retailer_id: str
    resource: str
    type: str
    resource_id: str
    at: datetime | None


def unreachable(address: str, seconds: float) -> str:
    """Say why our own address can't be reached from here, the way bol would come; "" where it can.

    What a machine reaches of itself bol may not: it proves name, certificate and path, not the way from outside.
    """
    try:
        answer = requests.get(address, timeout=seconds, allow_redirects=False)
    except requests.RequestException as error:
        return type(error).__name__
    return "" if answer.status_code == 200 else f"it answers {answer.status_code}"


def receive(body: bytes, header: str | None, keys: Mapping[str, str]) -> WebhookEvent:
    """The event that bol sent. `body` is what came in, byte by byte; how much of it to take in is the caller's limit.

    header: the value of `Signature`.
    keys: texts of public keys by id, as `subscriptions.signature_keys` gives them.
    Raises a WebhookRefused.
    """
    verify(body, header, keys)
    return read_event(body)


def verify(body: bytes, header: str | None, keys: Mapping[str, str]) -> None:
    """Raises Unsigned, UnknownKey or WrongSignature unless the owner of one of the keys signed this body."""
    signature = read_signature(header)
    text = keys.get(signature.key_id)
    if text is None:
        raise UnknownKey(signature.key_id)
    try:
        key = read_public_key(text)
    except ValueError as error:
        raise UnknownKey(signature.key_id, f"cannot be used: {error}") from None
    try:
        key.verify(signature.value, body, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise WrongSignature("the signature does not fit the message") from None


def read_signature(header: str | None) -> Signature:
    """Read `keyId=0, algorithm="rsa-sha256", signature=...`, in any order and with or without quotes. Or Unsigned."""
    if header is None or not header.strip():
        raise Unsigned("there is no signature")
    if len(header) > LONGEST_HEADER:
        raise Unsigned("the signature is too long")
    given: dict[str, str] = {}
    rest = header
    while rest.strip():
        found = _PARAMETER.match(rest)
        if found is None or found[1].lower() in given:
            raise Unsigned("the signature is not in the form that bol uses")
        given[found[1].lower()] = found[3] if found[2] is None else found[2]
        rest = rest[found.end() :]
    if not given.get("keyid") or not given.get("signature"):
        raise Unsigned("the signature lacks its key or its value")
    if len(given["keyid"]) > LONGEST_ID:
        raise Unsigned("the signature names a key that cannot be bol's")
    # An algorithm is never taken from the message: it may only say the one that is used anyway.
    if given.get("algorithm", ALGORITHM).lower() != ALGORITHM:
        raise Unsigned(f"the signature is not {ALGORITHM}")
    try:
        value = base64.b64decode(given["signature"], validate=True)
    except (binascii.Error, ValueError):
        raise Unsigned("the signature is not base64") from None
    return Signature(given["keyid"], value)


def read_event(body: bytes) -> WebhookEvent:
    """Read a message whose signature was checked. Raises MalformedEvent."""
    try:
        fields = Fields(parse_json(body), "message")
        event = fields.part_or_empty("event")
        resource_id = event.essential_text("resourceId")
        if not _ID.fullmatch(resource_id):
            raise ShapeError("message.event.resourceId is no id")
        return WebhookEvent(
            retailer_id=fields.essential_text("retailerId"),
            resource=event.essential_text("resource"),
            type=event.text("type") or "",
            resource_id=resource_id,
            at=fields.moment("timestamp"),
        )
    except ShapeError as error:
        raise MalformedEvent(str(error)) from None


# A few keys at most; reading one takes longer than checking a signature with it.
@lru_cache(maxsize=32)
def read_public_key(text: str) -> RSAPublicKey:
    """Read an RSA key from base64 of DER (X.509 or PKCS#1) or from PEM. Raises ValueError.

    The example in bol's description has the form of a private key; of such a one the public part is taken.
    """
    if len(text) > LONGEST_KEY:
        raise ValueError("it is too long for a key")
    if "-----BEGIN" in text:
        return _read(text.strip().encode(), pem=True)
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is neither PEM nor base64") from None
    return _read(raw, pem=raw.lstrip().startswith(b"-----BEGIN"))


def _read(raw: bytes, *, pem: bool) -> RSAPublicKey:
    key: object
    try:
        key = load_pem_public_key(raw) if pem else load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        key = _public_part(raw, pem=pem)
    if not isinstance(key, RSAPublicKey):
        raise ValueError("it is no RSA key")  # noqa: TRY004 - of the text, not of a type
    return key


def _public_part(raw: bytes, *, pem: bool) -> object:
    try:
        key = load_pem_private_key(raw, None) if pem else load_der_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("it is no key") from None
    return key.public_key() if isinstance(key, RSAPrivateKey) else None

"""Push messages: only what bol signed is read, whatever form the header and the key have."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from plugin.connector.webhooks import (
    MalformedEvent,
    UnknownKey,
    Unsigned,
    WebhookEvent,
    WebhookRefused,
    WrongSignature,
    read_event,
    read_public_key,
    read_signature,
    receive,
)

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OLD_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BODY = (
    b'{"retailerId": "1234567", "timestamp": "2020-02-02T23:23:23+01:00",\n'
    b' "event": {"resource": "PROCESS_STATUS", "type": "SUCCESS", "resourceId": "98765"}, "new": 1}'
)
SPKI, PKCS8 = PublicFormat.SubjectPublicKeyInfo, PrivateFormat.PKCS8
NONE = NoEncryption()


def der(key: rsa.RSAPrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, SPKI)).decode()


KEYS = {"0": der(OLD_KEY), "1": der(KEY)}


def sign(body: bytes = BODY, key: rsa.RSAPrivateKey = KEY, algorithm: HashAlgorithm | None = None) -> str:
    return base64.b64encode(key.sign(body, PKCS1v15(), algorithm or SHA256())).decode()


def header(
    signature: str | None = None,
    key_id: str = "1",
    form: str = 'keyId={}, algorithm="rsa-sha256", signature={}',
) -> str:
    return form.format(key_id, sign() if signature is None else signature)


def test_a_signed_message_is_read() -> None:
    assert receive(BODY, header(), KEYS) == WebhookEvent(
        "1234567", "PROCESS_STATUS", "SUCCESS", "98765", datetime(2020, 2, 2, 22, 23, 23, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    "form",
    [
        'keyId="{}",algorithm="rsa-sha256",signature="{}"',
        "  KeyID = {} ,Algorithm=RSA-SHA256,   Signature={}  ",
        "keyId={}, signature={}",
        'keyId={}, headers="(request-target) date", signature={},',
    ],
)
def test_order_spacing_quotes_and_capitals_of_the_header_do_not_matter(form: str) -> None:
    assert receive(BODY, header(form=form), KEYS).resource_id == "98765"
    assert receive(BODY, f'signature={sign()}, algorithm="rsa-sha256", keyId=1', KEYS)


def test_the_message_of_an_old_key_that_is_still_known_is_read() -> None:
    assert receive(BODY, header(sign(key=OLD_KEY), "0"), KEYS)


@pytest.mark.parametrize(
    "tampered",
    [BODY.replace(b"98765", b"98766"), BODY + b" ", BODY[:-1], b"", BODY.replace(b"\n", b"\r\n")],
)
def test_a_tampered_body_is_refused(tampered: bytes) -> None:
    with pytest.raises(WrongSignature):
        receive(tampered, header(), KEYS)


@pytest.mark.parametrize(
    "signature",
    [
        sign(key=OLD_KEY),
        sign(algorithm=SHA1()),
        base64.b64encode(KEY.sign(BODY, PSS(MGF1(SHA256()), 32), SHA256())).decode(),
        sign(b"another"),
        sign()[:-4],
        base64.b64encode(b"x").decode(),
        base64.b64encode(bytes(256)).decode(),
    ],
    ids=[
        "another key",
        "another hash",
        "another padding",
        "another message",
        "cut short",
        "too short",
        "zeros",
    ],
)
def test_a_wrong_signature_is_refused(signature: str) -> None:
    with pytest.raises(WrongSignature):
        receive(BODY, header(signature), KEYS)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "  ",
        "hello",
        "keyId=1",
        'keyId=1, algorithm="rsa-sha256"',
        f"signature={sign()}",
        f"keyId=, signature={sign()}",
        f"keyId=1, keyId=0, signature={sign()}",
        f"keyId=1, signature={sign()[:-3]}",
        "keyId=1, signature=a*b=",
        f"keyId=1, signature={sign()[:9]}*{sign()[9:]}",
        "keyId=1, signature=é",
        f"keyId=1, signature={sign()} and more",
        f'keyId=1, algorithm="rsa-sha512", signature={sign()}',
        f'keyId=1, algorithm="none", signature={sign()}',
        f'keyId=1, algorithm="hmac-sha256", signature={sign()}',
        f"keyId=1, signature={'A' * 5000}",
        f"keyId={'1' * 101}, signature={sign()}",
    ],
)
def test_without_a_signature_of_bols_form_a_message_is_refused(given: str | None) -> None:
    with pytest.raises(Unsigned):
        receive(BODY, given, KEYS)


@given(st.text(max_size=300))
def test_any_header_is_read_or_refused(text: str) -> None:
    try:
        assert read_signature(text).key_id
    except Unsigned:
        pass


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(UnknownKey) as caught:
        receive(BODY, header(key_id="2"), KEYS)
    assert caught.value.key_id == "2"
    assert not caught.value.signed


def forms_of(key: rsa.RSAPrivateKey) -> dict[str, str]:
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, SPKI).decode()
    return {
        "X.509": der(key),
        "X.509 in lines": "\n".join(der(key)[i : i + 64] for i in range(0, 400, 64)),
        "PKCS#1": base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode(),
        "PEM": pem,
        "PEM of PKCS#1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode(),
        "base64 of PEM": base64.b64encode(pem.encode()).decode(),
        "private": base64.b64encode(key.private_bytes(Encoding.DER, PKCS8, NONE)).decode(),
        "private PEM": key.private_bytes(Encoding.PEM, PKCS8, NONE).decode(),
    }


@pytest.mark.parametrize("form", forms_of(KEY))
def test_a_key_is_read_in_every_form_that_it_may_have(form: str) -> None:
    keys = {"1": forms_of(KEY)[form]}
    assert receive(BODY, header(), keys)
    with pytest.raises(WrongSignature):
        receive(BODY, header(sign(key=OLD_KEY)), keys)


CURVE = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a key",
        "MIIB",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "A" * 30_000,
        CURVE.public_key().public_bytes(Encoding.PEM, SPKI).decode(),
        CURVE.private_bytes(Encoding.PEM, PKCS8, NONE).decode(),
        base64.b64encode(CURVE.public_key().public_bytes(Encoding.DER, SPKI)).decode(),
    ],
    ids=[
        "nothing",
        "words",
        "cut short",
        "PEM cut short",
        "too long",
        "a curve",
        "a private curve",
        "a curve in DER",
    ],
)
def test_a_key_that_cannot_be_read_is_as_good_as_none(text: str) -> None:
    with pytest.raises(ValueError):
        read_public_key(text)
    with pytest.raises(UnknownKey):
        receive(BODY, header(), {"1": text})


def message(**changes: Any) -> bytes:
    event = {"resource": "ORDER", "type": "ORDER_CREATED", "resourceId": "A2K8290LP8"}
    body = {"retailerId": "1", "timestamp": "2020-02-02T23:23:23+01:00", "event": event, **changes}
    return json.dumps(body).encode()


def test_what_is_not_essential_may_be_missing_or_odd() -> None:
    event = read_event(
        message(retailerId=1234567, timestamp="soon", event={"resource": "NEW", "resourceId": 7})
    )
    assert event == WebhookEvent("1234567", "NEW", "", "7", None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        message(event=None),
        message(event=["ORDER"]),
        message(event={"resource": "ORDER"}),
        message(event={"resourceId": "1"}),
        message(event={"resource": "ORDER", "resourceId": "../../offers"}),
        message(event={"resource": "ORDER", "resourceId": "1" * 101}),
        message(retailerId=None),
        message(retailerId=""),
    ],
)
def test_a_signed_message_that_is_no_event_is_told_from_a_forged_one(body: bytes) -> None:
    with pytest.raises(MalformedEvent) as caught:
        receive(body, header(sign(body)), KEYS)
    assert caught.value.signed
    with pytest.raises(WrongSignature):
        receive(body, header(), KEYS)


def test_a_refusal_shows_nothing_of_the_message_or_the_signature() -> None:
    body = message(event={"resource": "secret-word"})
    right = header(sign(body))
    for said, keys in ((right, KEYS), (right, {}), (header(), KEYS), (None, KEYS)):
        with pytest.raises(WebhookRefused) as caught:
            receive(body, said, keys)
        assert "secret-word" not in str(caught.value)
        assert sign(body)[:20] not in str(caught.value)

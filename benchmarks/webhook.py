"""How long bol waits for our answer to a message: one after the other, and many senders at once. bol gives up after 5 s."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import func, select

from benchmarks.host_overhead import server
from benchmarks.result import Result, p95
from benchmarks.shop import Shop, shop
from host_app.db import reading, transaction
from plugin.models import SignatureKey, Store, Webhook, WebhookEvent

MESSAGES = 500
FIRST_MESSAGES = 20
AT_ONCE = 16
#: p95, in milliseconds: bol's 5 s with room for a machine that is busy.
LIMIT = 100.0
LIMIT_AT_ONCE = 1000.0
KEY_ID, KEY = "bench", "bench-address"


def measure() -> Iterator[Result]:
    """Send what bol would send, signed, about orders that are not known yet; the floor is a request that asks nothing."""
    with shop(offers=1) as running:
        running.connect()
        running.work_all()
        private = listen(running)
        with server(running.environment) as url:
            address = f"{url}/bol/webhooks/{KEY}"
            with requests.Session() as session:
                session.trust_env = False
                for _ in range(FIRST_MESSAGES):
                    timed(session, "GET", address)
                floor = p95([timed(session, "GET", address) for _ in range(MESSAGES)])
                alone = [message(running, private, f"A{number}") for number in range(MESSAGES)]
                taken = [timed(session, "POST", address, *sent) for sent in alone]
            yield Result("webhook-answer", p95(taken), "ms", floor, limit=LIMIT, higher_is_better=False)
            burst = [message(running, private, f"B{number}") for number in range(MESSAGES)]
            taken = at_once(address, burst)
            yield Result(
                "webhook-at-once", p95(taken), "ms", floor, limit=LIMIT_AT_ONCE, higher_is_better=False
            )
        check(2 * MESSAGES)


def listen(running: Shop) -> rsa.RSAPrivateKey:
    """Give the store an address for messages, and a key that this benchmark can sign with."""
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with transaction() as session:
        session.add(Webhook(store_id=running.store_id, key=KEY))
        session.add(
            SignatureKey(
                environment="sandbox",
                key_id=KEY_ID,
                public_key=base64.b64encode(public).decode(),
                read_at=datetime.now(UTC),
            )
        )
    return private


def message(running: Shop, private: rsa.RSAPrivateKey, order_id: str) -> tuple[bytes, str]:
    """Return the body and the signature of a message that tells of a new order."""
    with reading() as session:
        account = session.get_one(Store, running.store_id).account
    event = {"resource": "ORDER", "type": "ORDER_CREATED", "resourceId": order_id}
    body = json.dumps(
        {"retailerId": account, "timestamp": datetime.now(UTC).isoformat(), "event": event}
    ).encode()
    signature = base64.b64encode(private.sign(body, PKCS1v15(), SHA256())).decode()
    return body, f'keyId={KEY_ID}, algorithm="rsa-sha256", signature={signature}'


def timed(
    session: requests.Session, method: str, address: str, body: bytes = b"", signature: str = ""
) -> float:
    """Send one request; return the milliseconds until its answer."""
    began = time.perf_counter()
    answer = session.request(method, address, data=body, headers={"Signature": signature}, timeout=30)
    taken = (time.perf_counter() - began) * 1000
    if not answer.ok:
        raise RuntimeError(f"the message was answered {answer.status_code}")
    return taken


def at_once(address: str, messages: Sequence[tuple[bytes, str]]) -> list[float]:
    """Send them by several senders at once, as bol does when orders come in together."""

    def send(sent: tuple[bytes, str]) -> float:
        with requests.Session() as session:
            session.trust_env = False
            return timed(session, "POST", address, *sent)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(send, messages))


def check(sent: int) -> None:
    """Each message was taken in, once."""
    with reading() as session:
        received, kept = (
            session.scalar(select(Webhook.received)),
            session.scalar(select(func.count()).select_from(WebhookEvent)),
        )
    if (received, kept) != (sent, sent):
        raise RuntimeError(f"{sent} messages were sent, {received} taken in and {kept} kept")

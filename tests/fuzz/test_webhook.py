"""The door that is open to the world: whatever comes in is answered, and only what bol signed does anything."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import select

from host_app.db import reading
from plugin.models import BolOrder, ProcessStatusRow, Store, Webhook, WebhookEvent
from tests.fuzz.values import characters, fuzz, texts
from tests.plugin.sync.test_webhooks import Bol, bol, hooked

__all__ = ["bol", "hooked"]

ANSWERS = {204, 401, 403, 404, 410, 413, 503}
headers = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200),
    st.builds(
        'keyId={}, algorithm="{}", signature={}'.format,
        st.sampled_from(("7", "8", '"7"', "", "-", "9" * 70)),
        st.sampled_from(("rsa-sha256", "none", "hmac-sha256", "RSA-SHA256")),
        st.sampled_from(("", "AAAA", "====", "A" * 342 + "==", "é")),
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(characters, max_size=8), inside, max_size=4),
    max_leaves=12,
)  # fmt: skip
#: Messages that bol signed, with anything in their parts.
messages = st.fixed_dictionaries(
    {"event": st.one_of(json_values, st.fixed_dictionaries({
        "resource": st.one_of(st.sampled_from(("ORDER", "PROCESS_STATUS", "SHIPMENT")), json_values),
        "type": json_values,
        "resourceId": st.one_of(st.sampled_from(("1", "A" * 40, "a/b", "../x")), json_values),
    }))},
    optional={"retailerId": st.one_of(st.just("own"), json_values), "timestamp": json_values},
)  # fmt: skip


def state(bol: Bol) -> list[Any]:
    """Return what a message could make due, or make up."""
    with reading() as session:
        store = session.scalars(select(Store)).one()
        return [
            store.state,
            store.import_wanted_at,
            store.next_upkeep_at,
            session.scalars(select(BolOrder.read_due_at)).all(),
            session.scalars(select(ProcessStatusRow.next_poll_at)).all(),
            session.scalars(select(WebhookEvent.id)).all(),
            session.scalars(select(Webhook.enabled)).all(),
        ]


def test_what_bol_did_not_sign_does_nothing_whatever_it_says(bol: Bol) -> None:
    client, path, before = bol.shop.app.test_client(), bol.path, state(bol)
    paths = st.one_of(st.just(path), st.just(path), texts.map(lambda text: f"/bol/webhooks/{text}"))
    bodies = st.one_of(st.binary(max_size=300), json_values.map(lambda value: json.dumps(value).encode()))
    types = st.sampled_from(
        (None, "application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    )

    def send(sent: tuple[str, bytes, str, str | None]) -> None:
        address, body, header, kind = sent
        answer = client.post(address, data=body, headers={"Signature": header}, content_type=kind)
        # Some of the addresses are those of no page.
        assert answer.status_code in ANSWERS - {204} | {308, 400, 405}, (sent, answer.status_code)

    fuzz(st.tuples(paths, bodies, headers, types), send, 60)
    after = state(bol)
    # A key that is not known here may have bol's keys read again.
    assert after[:2] + after[3:] == before[:2] + before[3:]


def test_what_bol_did_sign_is_answered_and_believed_in_its_ids_only(bol: Bol) -> None:
    client, path, account = bol.shop.app.test_client(), bol.path, bol.shop.store().account

    def send(message: dict[str, Any]) -> None:
        if message.get("retailerId") == "own":
            message = message | {"retailerId": account}
        body = json.dumps(message).encode()
        answer = client.post(path, data=body, headers={"Signature": bol.signed(body)})
        assert answer.status_code in (204, 403), (message, answer.status_code)

    fuzz(messages, send, 60)
    with reading() as session:
        assert session.scalars(select(BolOrder.id)).all() == []
        assert session.scalars(select(ProcessStatusRow.id)).all() == []

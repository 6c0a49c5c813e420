"""Runs a sandbox in a test, and works its controls over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import requests

from bol_sandbox.server import listening
from bol_sandbox.world import World

Json = dict[str, Any]
TIMEOUT_SECONDS = 120


class SandboxControls:
    """The JSON controls of a sandbox, in this process or another."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        # Never through a proxy: the sandbox is next door.
        self._session.trust_env = False

    def reset(self) -> None:
        self._send("POST", "/sandbox/reset")

    def add_seller(
        self,
        client_id: str = "seller",
        client_secret: str = "secret",
        offers: Sequence[Json] = (),
        **more: Any,
    ) -> Json:
        """Make a seller; returns {sellerId, offers: [{offerId, ean}]}."""
        body = {"clientId": client_id, "clientSecret": client_secret, "offers": list(offers), **more}
        return self._send("POST", "/sandbox/sellers", body)

    def add_intermediary(
        self, client_id: str = "intermediary", client_secret: str = "intermediary-secret", **more: Any
    ) -> None:
        """Make a client for the login page; `redirectUris` and `rotateRefreshTokens` as the control has them."""
        body = {"clientId": client_id, "clientSecret": client_secret, **more}
        self._send("POST", "/sandbox/intermediaries", body)

    def log_in(self, address: str, client_id: str = "seller", *, allow: bool = True) -> str:
        """Open bol's login page at `address`, answer as this seller, and return where the browser is sent."""
        shown = self._session.get(address, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        form = {"seller": client_id, "decision": "allow" if allow else "refuse"}
        if shown.status_code == 200:
            shown = self._session.post(address, data=form, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        if shown.status_code != 303:
            raise SandboxRefused(f"the login page: {shown.status_code} {shown.text}")
        return str(shown.headers["Location"])

    def revoke(self, client_id: str = "seller", tokens: str = "all") -> Json:
        """End a seller's access tokens ("access"), refresh tokens ("refresh") or both; returns how many."""
        return self._send("POST", f"/sandbox/sellers/{client_id}/revoke", {"tokens": tokens})

    def deliveries(self, since: int = 0) -> list[Json]:
        """The push messages after this index, each with its `state` and `tries`."""
        return list(self._send("GET", "/sandbox/deliveries", params={"since": since})["deliveries"])

    def undelivered(self) -> int:
        """How many push messages are still on their way, or will be tried again."""
        return int(self._send("GET", "/sandbox/deliveries", params={"since": 2**31})["waiting"])

    def send_event(
        self, client_id: str, resource: str, kind: str, resource_id: str, *, forged: bool = False
    ) -> int:
        """Send any message to a seller's webhooks; returns to how many."""
        body = {
            "clientId": client_id, "resource": resource, "type": kind, "resourceId": resource_id,
            "forged": forged,
        }  # fmt: skip
        return int(self._send("POST", "/sandbox/events", body)["sent"])

    def rotate_key(self, *, keep_old: bool = True) -> str:
        """Sign push messages with a new key; returns its id."""
        return str(self._send("POST", "/sandbox/signature-keys/rotate", {"keepOld": keep_old})["keyId"])

    def transport_event(self, shipment_id: str, code: str) -> None:
        """Let the carrier say where a parcel is, such as DELIVERED_AT_CUSTOMER."""
        self._send("POST", f"/sandbox/shipments/{shipment_id}/transport-event", {"eventCode": code})

    def generate_offers(
        self, client_id: str, count: int, seed: int = 0, stock: int | None = None
    ) -> list[Json]:
        body = {"clientId": client_id, "count": count, "seed": seed, "stock": stock}
        return list(self._send("POST", "/sandbox/offers/generate", body)["offers"])

    def change_amount(self, client_id: str, ean: str, amount: int) -> list[Json]:
        """Change what the offers of an EAN have, as somebody in the seller portal would."""
        body = {"clientId": client_id, "ean": ean, "amount": amount}
        return list(self._send("POST", "/sandbox/offers/amount", body)["offers"])

    def place_order(self, client_id: str, items: Sequence[Json], **more: Any) -> Json:
        """Place an order of [{ean, quantity, method?, distributionParty?}]; `force=True` ignores the stock."""
        return self._send("POST", "/sandbox/orders", {"clientId": client_id, "items": list(items), **more})

    def generate_orders(self, client_id: str, count: int, seed: int = 0) -> list[str]:
        body = {"clientId": client_id, "count": count, "seed": seed}
        return list(self._send("POST", "/sandbox/orders/generate", body)["orders"])

    def cancel(
        self, order_id: str, order_item_ids: Sequence[str] | None = None, quantity: int | None = None
    ) -> Json:
        """Let bol cancel what is open, or so many of each item."""
        body = _chosen(order_item_ids) | ({} if quantity is None else {"quantity": quantity})
        return self._send("POST", f"/sandbox/orders/{order_id}/cancel", body)

    def request_cancellation(self, order_id: str, order_item_ids: Sequence[str] | None = None) -> Json:
        """Let the customer ask for cancellation."""
        return self._send("POST", f"/sandbox/orders/{order_id}/request-cancellation", _chosen(order_item_ids))

    def withdraw_cancellation_request(
        self, order_id: str, order_item_ids: Sequence[str] | None = None
    ) -> Json:
        """Let the customer want it after all."""
        path = f"/sandbox/orders/{order_id}/withdraw-cancellation-request"
        return self._send("POST", path, _chosen(order_item_ids))

    def faults(self, rules: Sequence[Json], seed: int | None = None) -> None:
        """Replace the fault rules; an empty list heals everything."""
        self._send("PUT", "/sandbox/faults", {"rules": list(rules), "seed": seed})

    def limits(self, rules: Sequence[Json] | None = None) -> list[Json]:
        """Replace the rate limits (an empty list: none at all); without rules the published ones return."""
        body = {} if rules is None else {"rules": list(rules)}
        return list(self._send("PUT", "/sandbox/limits", body)["rules"])

    def settings(self, **values: Any) -> Json:
        """Change settings by their JSON names, as `processStatusDelayMs=500`; returns all of them."""
        return self._send("PUT", "/sandbox/settings", values)

    def advance(self, seconds: float) -> None:
        self._send("POST", "/sandbox/clock", {"advanceSeconds": seconds})

    def state(self, client_id: str | None = None, latest: int | None = None) -> Json:
        query = {"clientId": client_id, "latest": latest}
        return self._send("GET", "/sandbox/state", params={k: v for k, v in query.items() if v is not None})

    def calls(self, since: int = 0) -> list[Json]:
        """The API calls after this index; each has its own `index` to go on from."""
        return list(self._send("GET", "/sandbox/calls", params={"since": since})["calls"])

    def offer(self, client_id: str, ean: str) -> Json:
        """The state of one offer, found by its EAN."""
        return next(o for o in self.state(client_id)["offers"] if o["ean"] == ean)

    def close(self) -> None:
        self._session.close()

    def _send(self, method: str, path: str, body: Json | None = None, params: Json | None = None) -> Json:
        answer = self._session.request(
            method, self.url + path, json=body, params=params, timeout=TIMEOUT_SECONDS
        )
        if answer.status_code >= 400:
            raise SandboxRefused(f"{method} {path}: {answer.status_code} {answer.text}")
        value: Json = answer.json()
        return value


class SandboxRefused(Exception):
    """The sandbox did not do what a control asked."""


def _chosen(order_item_ids: Sequence[str] | None) -> Json:
    return {} if order_item_ids is None else {"orderItemIds": list(order_item_ids)}


@contextlib.contextmanager
def running_sandbox(
    port: int = 0, host: str = "127.0.0.1", prepare: Callable[[World], None] | None = None
) -> Iterator[SandboxControls]:
    """Run a sandbox in a background thread; port 0 takes a free one."""
    world = World()
    if prepare is not None:
        prepare(world)
    ready: list[int] = []
    failed: list[BaseException] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        try:
            async with listening(world, host, port) as bound:
                ready.append(bound)
                started.set()
                await stop.wait()
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            started.set()

    def run() -> None:
        with contextlib.suppress(OSError):
            loop.run_until_complete(main())
        loop.close()

    thread = threading.Thread(target=run, name="bol-sandbox", daemon=True)
    thread.start()
    started.wait()
    if not ready:
        thread.join()
        raise failed[0]
    controls = SandboxControls(f"http://{host}:{ready[0]}")
    try:
        yield controls
    finally:
        controls.close()
        loop.call_soon_threadsafe(stop.set)
        thread.join()

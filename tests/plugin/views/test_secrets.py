"""A secret of a store is readable nowhere: not in files, Redis, logs, pages or what a command says."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redis

from plugin.connector import SignIn, TokenAnswer
from plugin.runtime import Runtime
from plugin.secrets import FILE
from tests.host_app.admin.conftest import Person
from tests.plugin.views.conftest import SECRET, Site


def test_a_secret_is_nowhere_to_be_found(
    site: Site, chief: Person, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with site.shop() as shop:
        store_id = shop.runtime.connect_store(
            name="Keeper", environment="sandbox", client_id="keeper", client_secret=SECRET
        )
        shop.runtime.activate(store_id)
        shop.work()
        output = shop.app.test_cli_runner().invoke(args=["bol", "rotate-keys"]).output
        shop.runtime.import_orders(store_id)
        shop.work()
        stored = everything_in(redis.Redis.from_url(shop.host.redis_url))
    assert b"bol:token:" in stored
    pages = [
        chief.client.get(f"/admin/bol/{store_id}/{page}") for page in ("", "settings", "offers", "orders")
    ]
    assert [page.status_code for page in pages] == [200] * 4
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != FILE]
    assert any(path.name == "warehouse.sqlite" for path in files)
    keys = (tmp_path / FILE).read_bytes().split()
    for secret in (SECRET.encode(), *keys):
        assert secret not in stored
        assert secret not in output.encode()
        assert secret not in caplog.text.encode()
        assert [page.request.path for page in pages if secret in page.data] == []
        assert [path.name for path in files if secret in path.read_bytes()] == []


def test_what_a_login_brings_is_nowhere_to_be_found(
    site: Site,
    chief: Person,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refresh tokens, access tokens, the code and the installation's own secret, as bol's side knows them."""
    caplog.set_level(logging.DEBUG)
    own = "the-installations-own-secret"
    monkeypatch.setenv("BOL_SANDBOX_CLIENT_ID", "wms")
    monkeypatch.setenv("BOL_SANDBOX_CLIENT_SECRET", own)
    handed_out: set[str] = {own}
    ask = SignIn.ask

    def listening(*arguments: Any, **named: Any) -> TokenAnswer:
        answer = ask(*arguments, **named)
        handed_out.update({answer.access_token, answer.refresh_token or own})
        return answer

    monkeypatch.setattr(SignIn, "ask", listening)
    with site.shop() as shop:
        shop.sandbox.add_intermediary("wms", own, rotateRefreshTokens=True)
        runtime = Runtime(shop.host)
        back = "https://wms.example/admin/bol/connect/return"
        page = runtime.login_page(environment="sandbox", redirect_uri=back, state="s")
        code = parse_qs(urlsplit(shop.sandbox.log_in(page, "seller")).query)["code"][0]
        handed_out.add(code)
        store_id = runtime.connect_by_login(name="Login", environment="sandbox", code=code, redirect_uri=back)
        runtime.activate(store_id)
        shop.work()
        for key in redis.Redis.from_url(shop.host.redis_url).keys("bol:token:*"):
            redis.Redis.from_url(shop.host.redis_url).delete(key)
        # A refresh that works, one that bol refuses, and one whose answer is lost: what errors say counts, too.
        runtime.import_orders(store_id)
        shop.work()
        shop.sandbox.revoke("seller", "access")
        shop.sandbox.faults([{"path": "/token", "when": "after", "truncate": True, "times": 1}])
        runtime.import_orders(store_id)
        shop.pass_time(120)
        output = shop.app.test_cli_runner().invoke(args=["bol", "doctor"]).output
        stored = everything_in(redis.Redis.from_url(shop.host.redis_url))
    paths = ("", "connection", "calls", "settings")
    pages = [chief.client.get(f"/admin/bol/{store_id}/{path}") for path in paths]
    pages += [chief.client.get("/admin/notifications/"), chief.client.get("/admin/bol/attention")]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != FILE]
    assert len(handed_out) >= 5
    for secret in map(str.encode, handed_out):
        assert secret not in stored
        assert secret not in output.encode()
        assert secret not in caplog.text.encode()
        assert [page.request.path for page in pages if secret in page.data] == []
        assert [path.name for path in files if secret in path.read_bytes()] == []


def everything_in(client: Any) -> bytes:
    """Return the names and values of all keys of a Redis."""
    readers = {
        b"string": lambda key: [client.get(key)],
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": lambda key: list(client.smembers(key)),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": lambda key: [repr(client.xrange(key)).encode()],
    }
    parts = [part for key in client.scan_iter() for part in [key, *readers[client.type(key)](key)]]
    return b"\n".join(parts)

"""A store's sign-in on its row: one process asks at a time, nothing is lost, and people are told what they must do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from flask import Flask
from sqlalchemy import update

from bol_sandbox.testing import SandboxControls
from host_app.db import db, transaction
from host_app.models import Notification
from host_app.plugin_api import HostError
from host_app.port import host_port
from host_app.services import stock
from plugin.connector import AddressBlocked, Deadline, SignIn, SignInRefused, sandbox_environment
from plugin.line import Line
from plugin.models import SignInWay, Store, StoreState
from plugin.runtime import Runtime
from plugin.secrets import load_secrets
from plugin.settings import StoreSettings
from plugin.sync.sign_in import StoreLedger
from tests.conftest import AppFactory
from tests.plugin.another_process import Asker
from tests.plugin.conftest import KETTLE, TOASTER, Clock, Shop

WMS, WMS_SECRET = "wms", "wms-secret"
BACK = "https://wms.example/admin/bol/connect/return"


@pytest.fixture
def intermediary(bol_sandbox: SandboxControls, monkeypatch: pytest.MonkeyPatch) -> None:
    """This installation may use bol's login page; each refresh gives a new refresh token and ends the old one."""
    bol_sandbox.add_intermediary(WMS, WMS_SECRET, rotateRefreshTokens=True)
    monkeypatch.setenv("BOL_SANDBOX_CLIENT_ID", WMS)
    monkeypatch.setenv("BOL_SANDBOX_CLIENT_SECRET", WMS_SECRET)


@pytest.fixture
def login_shop(intermediary: None, shop: Shop) -> Shop:
    """A shop whose store signed in at bol's login page."""
    shop.runtime = Runtime(shop.host)
    shop.store_id = log_in(shop)
    return shop


def code_of(shop: Shop, seller: str = "seller") -> str:
    page = shop.runtime.login_page(environment="sandbox", redirect_uri=BACK, state="s")
    return parse_qs(urlsplit(shop.sandbox.log_in(page, seller)).query)["code"][0]


def log_in(shop: Shop, name: str = "Shop", seller: str = "seller") -> int:
    code = code_of(shop, seller)
    return shop.runtime.connect_by_login(name=name, environment="sandbox", code=code, redirect_uri=BACK)


def account_at_bol(shop: Shop, seller: str = "seller") -> str:
    (found,) = shop.sandbox.state(seller)["sellers"]
    return str(found["sellerId"])


def asked(shop: Shop) -> int:
    return sum(call["path"] == "/token" for call in shop.sandbox.calls())


def token(shop: Shop) -> str:
    """Get a token as a new process would."""
    with closing(Line(shop.host)) as line:
        client = line.client(shop.store())
        try:
            return client._tokens.token(Deadline.after(10))
        finally:
            client.close()


def forget_tokens(shop: Shop) -> None:
    redis.Redis.from_url(shop.host.redis_url).flushall()


def ledger(shop: Shop) -> StoreLedger:
    line = Line(shop.host)
    return StoreLedger(
        shop.host, load_secrets(shop.host.secret_folder), shop.store_id, line.installation("sandbox")
    )


def test_a_login_is_kept_with_its_account_and_asks_for_no_second_token(login_shop: Shop) -> None:
    store = login_shop.store()
    assert (store.sign_in, store.client_id, store.state) == (SignInWay.LOGIN, WMS, StoreState.CONNECTED)
    assert store.account == account_at_bol(login_shop)
    assert store.consent_until is not None
    assert timedelta(days=364) < store.consent_until - login_shop.host.now() <= timedelta(days=365)
    before = asked(login_shop)
    assert token(login_shop)
    assert asked(login_shop) == before


def test_a_store_goes_on_with_a_new_refresh_token_each_time(login_shop: Shop) -> None:
    shop = login_shop
    secrets = [shop.store().secret]
    for _ in range(3):
        forget_tokens(shop)
        token(shop)
        secrets.append(shop.store().secret)
    assert len(set(secrets)) == 4
    assert shop.store().claim is None
    shop.runtime.activate(shop.store_id)
    shop.order((KETTLE, 1))
    shop.work()
    assert len(shop.host_orders()) == 1


def test_one_401_leads_to_one_refresh_and_one_repeat(login_shop: Shop) -> None:
    shop = login_shop
    shop.sandbox.revoke("seller", "access")
    before = asked(shop)
    with closing(Line(shop.host)) as line:
        line.client(shop.store()).orders.page()
    assert asked(shop) == before + 1


def test_threads_that_call_bol_sign_in_again_by_themselves(login_shop: Shop) -> None:
    """The pump calls from threads that have no database session until they need one."""
    shop = login_shop
    shop.runtime.save_settings(shop.store_id, StoreSettings(send_stock=True))
    shop.runtime.activate(shop.store_id)
    shop.work()
    before = asked(shop)
    for ean, pieces in ((KETTLE, 3), (TOASTER, 4)):
        product_id = shop.offer(ean).product_id
        assert product_id is not None
        with transaction():
            stock.adjust_stock(product_id, shop.warehouse, set_to=pieces, reason="counted", who="ann")
    shop.sandbox.revoke("seller", "access")
    shop.work()
    assert (shop.amount_at_bol(KETTLE), shop.amount_at_bol(TOASTER)) == (3, 4)
    assert asked(shop) == before + 1


def test_a_process_held_up_for_longer_than_its_claim_loses_nothing(login_shop: Shop) -> None:
    """The slow one has bol's new refresh token in hand while another one is refused with the old: it comes back."""
    shop, slow = login_shop, ledger(login_shop)
    forget_tokens(shop)
    held = slow.claim(45)
    assert held is not None and held.refresh_token is not None
    form = {"grant_type": "refresh_token", "refresh_token": held.refresh_token}
    environment = sandbox_environment(shop.sandbox.url)
    answer = SignIn(environment).ask(held.credentials, form, Deadline.after(5))
    shop.clock.ahead += timedelta(seconds=46)
    with pytest.raises(SignInRefused):
        token(shop)
    assert shop.store().refused_at is not None
    assert any("does not accept the sign-in" in title for title in shop.notices())

    assert slow.keep(held, answer.refresh_token)
    assert shop.store().refused_at is None
    assert token(shop)


def test_a_slow_process_does_not_undo_a_new_sign_in(login_shop: Shop) -> None:
    shop, slow = login_shop, ledger(login_shop)
    held = slow.claim(45)
    assert held is not None
    shop.runtime.login_again(shop.store_id, code=code_of(shop), redirect_uri=BACK)
    mended = shop.store().secret
    assert not slow.keep(held, "a token of the sign-in before")
    assert shop.store().secret == mended
    assert token(shop)


def test_a_lost_successor_is_said_at_once_and_bol_is_not_asked_again(login_shop: Shop) -> None:
    """bol has replaced the refresh token, and its answer never arrived."""
    shop = login_shop
    forget_tokens(shop)
    shop.sandbox.faults([{"path": "/token", "when": "after", "drop": True, "times": 1}])
    with pytest.raises(Exception, match="SignInUnavailable"):
        token(shop)
    with pytest.raises(SignInRefused):
        token(shop)
    told = [body for body in shop.notice_bodies() if "Sign in again" in body]
    assert len(told) == 1 and "was lost" in told[0]
    before = asked(shop)
    shop.clock.ahead += timedelta(hours=3)
    for _ in range(3):
        with pytest.raises(SignInRefused):
            token(shop)
    assert asked(shop) == before

    shop.runtime.login_again(shop.store_id, code=code_of(shop), redirect_uri=BACK)
    assert token(shop)
    store = shop.store()
    assert (store.refused_at, store.problem) == (None, "")
    assert shop.all(Notification, Notification.read_at.is_(None)) == []


def test_own_credentials_that_were_refused_are_tried_again_after_a_rest(shop: Shop) -> None:
    shop.connect()
    forget_tokens(shop)
    shop.sandbox.faults([{"path": "/token", "status": 401, "body": {"error": "invalid_client"}, "times": 1}])
    with pytest.raises(SignInRefused):
        token(shop)
    before = asked(shop)
    with pytest.raises(SignInRefused):
        token(shop)
    assert asked(shop) == before
    shop.clock.ahead += timedelta(minutes=16)
    assert token(shop)
    assert shop.store().refused_at is None


def test_each_time_that_bol_refuses_a_sign_in_is_told_once(shop: Shop) -> None:
    """bol takes the same credentials again, and refuses them again a month later."""
    shop.connect()
    shop.work()

    def told() -> int:
        return sum("does not accept the sign-in" in title for title in shop.notices())

    for number in (1, 2):
        for _ in range(3):
            forget_tokens(shop)
            shop.clock.ahead += timedelta(minutes=16)
            shop.sandbox.faults([{"path": "/token", "status": 401, "body": {"error": "invalid_client"}}])
            with pytest.raises(SignInRefused):
                token(shop)
        assert told() == number
        shop.sandbox.faults([])
        shop.clock.ahead += timedelta(days=30)
        assert token(shop)


def test_a_blocked_address_stops_all_stores_with_one_alarm(shop: Shop) -> None:
    shop.sandbox.add_seller("other", "secret")
    shop.connect()
    shop.runtime.connect_store(name="Other", environment="sandbox", client_id="other", client_secret="secret")
    shop.work()
    forget_tokens(shop)
    shop.order((KETTLE, 1))
    shop.sandbox.faults([{"path": "/token", "status": 404}])
    for _ in range(2):
        with closing(Line(shop.host)) as line, pytest.raises(AddressBlocked):
            line.client(shop.all(Store)[0]).orders.page()
    count = len(shop.sandbox.calls())
    shop.runtime.import_orders(shop.store_id)
    shop.work()
    assert len(shop.sandbox.calls()) == count, "no store makes a call"
    assert all("blocks the internet address" in store.problem for store in shop.all(Store))
    assert sum("blocks the internet address" in title for title in shop.notices()) == 1

    shop.sandbox.faults([])
    shop.clock.ahead += timedelta(minutes=16)
    forget_tokens(shop)
    shop.work()
    assert len(shop.host_orders()) == 1
    assert [store.problem for store in shop.all(Store)] == ["", ""]


def test_an_address_that_stays_blocked_is_told_once_and_one_that_is_blocked_again_once_more(
    shop: Shop,
) -> None:
    shop.connect()
    for told in (1, 2):
        shop.sandbox.faults([{"path": "/token", "status": 404}])
        for _ in range(3):
            forget_tokens(shop)  # and with them that we are blocked: it is asked once more
            with closing(Line(shop.host)) as line, pytest.raises(AddressBlocked):
                line.client(shop.store()).orders.page()
            shop.clock.ahead += timedelta(minutes=16)
        assert sum("blocks the internet address" in title for title in shop.notices()) == told
        assert shop.store().problem_at < shop.host.now() - timedelta(minutes=45), "since the first one"
        shop.sandbox.faults([])
        forget_tokens(shop)
        assert token(shop)
        assert shop.store().problem == ""


def test_another_account_is_refused_with_both_named(login_shop: Shop) -> None:
    shop = login_shop
    shop.sandbox.add_seller("other", "secret")
    mine, other = account_at_bol(shop), account_at_bol(shop, "other")
    before = shop.store()
    with pytest.raises(HostError) as caught:
        shop.runtime.login_again(shop.store_id, code=code_of(shop, "other"), redirect_uri=BACK)
    assert mine in str(caught.value) and other in str(caught.value)
    with pytest.raises(HostError) as caught:
        shop.runtime.sign_in_again(shop.store_id, client_id="other", client_secret="secret")
    assert mine in str(caught.value) and other in str(caught.value)
    after = shop.store()
    assert (after.secret, after.secret_version, after.account) == (
        before.secret,
        before.secret_version,
        before.account,
    )


def test_the_same_account_in_two_stores_is_refused_whichever_way_it_comes(login_shop: Shop) -> None:
    shop = login_shop
    with pytest.raises(HostError, match="connected already, as Shop"):
        shop.runtime.connect_store(
            name="Twice", environment="sandbox", client_id="seller", client_secret="secret"
        )
    with pytest.raises(HostError, match="connected already, as Shop"):
        log_in(shop, "Thrice")
    assert len(shop.all(Store)) == 1


def test_a_store_changes_from_one_way_of_signing_in_to_the_other(login_shop: Shop) -> None:
    shop = login_shop
    shop.runtime.sign_in_again(shop.store_id, client_id="seller", client_secret="secret")
    store = shop.store()
    assert (store.sign_in, store.client_id, store.consent_until) == ("credentials", "seller", None)
    assert token(shop)
    shop.runtime.login_again(shop.store_id, code=code_of(shop), redirect_uri=BACK)
    assert shop.store().sign_in == "login"
    assert token(shop)


def test_an_account_that_bol_does_not_tell_is_known_by_its_offers(shop: Shop) -> None:
    shop.sandbox.add_seller("other", "secret")
    shop.sandbox.faults([{"path": "/retailer/retailers/*", "status": 404}])
    shop.connect()
    shop.work()
    assert shop.store().account == ""
    with pytest.raises(HostError, match="does not have the offers of Shop"):
        shop.runtime.sign_in_again(shop.store_id, client_id="other", client_secret="secret")
    shop.runtime.sign_in_again(shop.store_id, client_id="seller", client_secret="secret")
    assert token(shop)


def test_each_warning_comes_once_and_a_new_login_begins_anew(login_shop: Shop) -> None:
    shop = login_shop

    def pass_days(days: float) -> int:
        shop.clock.ahead += timedelta(days=days)
        with transaction() as session:
            session.execute(update(Store).values(next_upkeep_at=shop.host.now()))
        shop.work()
        return sum("the permission at bol" in title for title in shop.notices())

    assert [pass_days(days) for days in (334, 1.5, 1, 16, 7, 6)] == [0, 1, 1, 2, 3, 4]
    shop.runtime.login_again(shop.store_id, code=code_of(shop), redirect_uri=BACK)
    assert pass_days(1) == 4


def test_bols_limits_are_read_daily_and_used(shop: Shop) -> None:
    shop.connect()
    shop.sandbox.limits([{"method": "GET", "path": "/retailer/orders", "capacity": 7, "seconds": 60}])
    with transaction() as session:
        session.execute(update(Store).values(next_upkeep_at=shop.host.now()))
    shop.work()
    limits = {use.rule.name: use.limit for use in shop.runtime.line_state(shop.store_id).uses}
    assert limits["GET /retailer/orders"] == 7
    assert limits["GET /retailer/orders/*"] == 25, "what bol's list leaves out is as in our copy"
    upkeep = shop.store().next_upkeep_at
    assert upkeep is not None and upkeep > shop.host.now() + timedelta(hours=23)


# several processes


@pytest.fixture(params=["sqlite", "postgresql"])
def many(request: pytest.FixtureRequest, intermediary: None) -> Iterator[tuple[Flask, Shop]]:
    make: AppFactory = request.getfixturevalue(
        "make_app" if request.param == "sqlite" else "make_postgres_app"
    )
    app = make()
    with app.app_context():
        shop = Shop(app, request.getfixturevalue("bol_sandbox"), Clock())
        yield app, shop
        db.session.remove()


def test_eight_processes_that_need_a_token_at_once_make_one_token_call(many: tuple[Flask, Shop]) -> None:
    app, shop = many
    shop.runtime = Runtime(host_port())
    shop.store_id = log_in(shop)
    forget_tokens(shop)
    shop.sandbox.settings(latencyMs=200)
    processes = [Asker(app, shop.store_id) for _ in range(8)]
    try:
        assert all(one.ready() for one in processes)
        before = asked(shop)
        for one in processes:
            one.ask()
        tokens = {one.token() for one in processes}
    finally:
        for one in processes:
            one.kill()
        shop.sandbox.settings(latencyMs=0)
    assert len(tokens) == 1 and "" not in tokens
    assert asked(shop) == before + 1


def test_a_process_killed_in_the_middle_of_a_refresh(many: tuple[Flask, Shop]) -> None:
    """Killed before bol has done it, the next one succeeds; afterwards nothing is left but to say so."""
    app, shop = many
    shop.runtime = Runtime(host_port())
    shop.store_id = log_in(shop)
    for moment, lost in (("before", False), ("after", True)):
        forget_tokens(shop)
        shop.sandbox.faults([{"path": "/token", "when": moment, "delayMs": 15_000, "times": 1}])
        one = Asker(app, shop.store_id)
        assert one.ready()
        seen = asked(shop)
        one.ask()
        deadline = time.monotonic() + 10
        while shop.store().claim is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if lost:
            # bol has given the new one away before it keeps its answer back.
            while asked(shop) == seen and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(0.3)
        one.kill()
        assert shop.store().claim is not None, "it died with the claim in its hand"
        with transaction() as session:
            # 45 seconds later
            session.execute(update(Store).values(claim_until=shop.host.now()))
        shop.sandbox.faults([])
        if not lost:
            assert token(shop)
        else:
            with pytest.raises(SignInRefused):
                token(shop)
            assert shop.store().refused_code == "invalid_grant"
            assert sum("does not accept the sign-in" in title for title in shop.notices()) == 1


def test_an_account_that_is_another_stores_is_refused_when_a_store_signs_in_again(shop: Shop) -> None:
    """Where bol did not tell the account at first, a store has none yet, and could take that of another."""
    shop.sandbox.add_seller("other", "secret")
    shop.connect()
    shop.sandbox.faults([{"path": "/retailer/retailers/*", "status": 404}])
    second = shop.runtime.connect_store(
        name="Other", environment="sandbox", client_id="other", client_secret="secret"
    )
    with pytest.raises(HostError, match="connected already, as Shop"):
        shop.runtime.sign_in_again(second, client_id="seller", client_secret="secret")
    shop.sandbox.faults([])
    with transaction() as session:
        session.execute(update(Store).where(Store.id == shop.store_id).values(client_id="before"))
    with pytest.raises(HostError, match="connected already, as Shop"):
        shop.runtime.sign_in_again(second, client_id="seller", client_secret="secret")
    shop.runtime.sign_in_again(second, client_id="other", client_secret="secret")


def test_a_block_of_our_address_outlives_an_emptied_redis(shop: Shop) -> None:
    shop.connect()
    shop.work()
    forget_tokens(shop)
    shop.sandbox.faults([{"path": "/token", "status": 404}])
    with pytest.raises(AddressBlocked):
        token(shop)
    before = asked(shop)
    shop.sandbox.faults([])
    forget_tokens(shop)
    with pytest.raises(AddressBlocked):
        token(shop)
    assert asked(shop) == before, "every question counts against our address"
    shop.clock.ahead += timedelta(minutes=16)
    forget_tokens(shop)
    assert token(shop)


def test_missing_credentials_of_the_installation_are_named(
    login_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = login_shop
    forget_tokens(shop)
    monkeypatch.delenv("BOL_SANDBOX_CLIENT_SECRET")
    shop.work()
    assert "BOL_SANDBOX_CLIENT_SECRET" in shop.store().problem
    assert (shop.store().refused_at, shop.store().problem_kind) == (None, "setup")
    monkeypatch.setenv("BOL_SANDBOX_CLIENT_SECRET", WMS_SECRET)
    shop.clock.ahead += timedelta(days=2)
    shop.work()
    assert shop.store().problem == "", "also in a store that is not active"


def test_a_name_that_is_too_long_is_refused(shop: Shop) -> None:
    with pytest.raises(HostError, match="120"):
        shop.runtime.connect_store(
            name="n" * 121, environment="sandbox", client_id="seller", client_secret="secret"
        )

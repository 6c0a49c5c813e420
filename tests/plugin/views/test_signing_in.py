"""bol's login page and back, and the page about a connection, as an administrator goes through them."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import redis

from bol_sandbox.testing import SandboxRefused
from plugin.models import Run, Store
from plugin.sync.mapping import AMSTERDAM
from plugin.sync.sign_in import REFUSED_REST
from tests.host_app.admin.conftest import Person, logged_in
from tests.plugin.conftest import KETTLE
from tests.plugin.views.conftest import SECRET, Site

WMS, WMS_SECRET = "wms", "the-installations-own-secret"
RETURN = "/admin/bol/connect/return"


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """This installation may use bol's login page."""
    monkeypatch.setenv("BOL_SANDBOX_CLIENT_ID", WMS)
    monkeypatch.setenv("BOL_SANDBOX_CLIENT_SECRET", WMS_SECRET)


@pytest.fixture(autouse=True)
def known_at_bol(installation: None, site: Site) -> None:
    """bol knows the installation, and the address that it sends people back to."""
    with site.shop() as shop:
        shop.sandbox.add_intermediary(WMS, WMS_SECRET, redirectUris=[f"http://localhost{RETURN}"])
        shop.sandbox.add_seller("other", "secret")


def leave(chief: Person, path: str = "connect/login", **fields: str) -> str:
    """Press "Log in at bol"; returns the address of bol's page."""
    form = {"name": "Shop", "environment": "sandbox", **fields}
    token = chief.token("/admin/bol/connect")
    answer = chief.client.post(f"/admin/bol/{path}", data={"csrf_token": token, **form})
    assert answer.status_code == 302, answer.text
    return str(answer.headers["Location"])


def come_back(chief: Person, address: str) -> str:
    parts = urlsplit(address)
    return html.unescape(chief.get(f"{parts.path}?{parts.query}", follow_redirects=True).text)


def at_bol(site: Site, page: str, seller: str = "seller", *, allow: bool = True) -> str:
    with site.shop() as shop:
        return shop.sandbox.log_in(page, seller, allow=allow)


def log_in(site: Site, chief: Person, path: str = "connect/login", seller: str = "seller") -> str:
    return come_back(chief, at_bol(site, leave(chief, path), seller))


def stores(site: Site) -> list[Store]:
    with site.shop() as shop:
        return shop.all(Store)


def test_where_bols_login_page_can_not_be_used_the_fields_for_a_secret_are_unfolded(
    site: Site, chief: Person
) -> None:
    page = chief.get("/admin/bol/connect").text
    folded = '<details data-bol-enter="connect">'
    assert folded in page
    token = chief.token("/admin/bol/connect")
    typed = {"csrf_token": token, "name": "Shop", "environment": "production"}
    page = html.unescape(chief.client.post("/admin/bol/connect/login", data=typed).text)
    assert "The store is not connected." in page and folded not in page
    assert '<details data-bol-enter="connect" open>' in page


def test_a_store_is_connected_at_bols_login_page(site: Site, chief: Person) -> None:
    page = html.unescape(chief.get("/admin/bol/connect").text)
    assert "Log in at bol" in page and f"http://localhost{RETURN}" in page
    assert "You have nothing to do with it while logging in at bol works." in page
    shown = log_in(site, chief)
    assert "bol accepts the login" in shown and "Settings" in shown
    (store,) = stores(site)
    assert (store.name, store.sign_in, store.state) == ("Shop", "login", "connected")
    with site.shop() as shop:
        shop.store_id = store.id
        shop.work()
        assert len(shop.all(Run, Run.kind == "product import")) == 1, "its offers are read at once"
        assert shop.writes() == []


def test_no_token_is_ever_in_an_address(site: Site, chief: Person) -> None:
    log_in(site, chief)
    with site.shop() as shop:
        for call in shop.sandbox.calls():
            assert not any(
                word in call["path"] + str(call.get("query", ""))
                for word in ("token=", "secret", "refresh_token=")
            )


def test_refusing_at_bol_connects_nothing(site: Site, chief: Person) -> None:
    shown = come_back(chief, at_bol(site, leave(chief), allow=False))
    assert "You refused at bol" in shown and "No store was connected." in shown and "Try again" in shown
    assert stores(site) == []


def test_a_return_that_was_not_begun_here_is_refused(site: Site, chief: Person) -> None:
    back = at_bol(site, leave(chief))
    state = parse_qs(urlsplit(back).query)["state"][0]
    assert "does not belong to a login that was begun here" in come_back(chief, back.replace(state, "x" * 43))
    # Each state counts once, also the right one.
    assert "does not belong to a login that was begun here" in come_back(chief, back)
    another = logged_in(site.app, "chief")
    assert "does not belong to a login that was begun here" in come_back(another, back)
    assert stores(site) == []


def test_a_code_that_is_too_old_or_used_connects_nothing(site: Site, chief: Person) -> None:
    back = at_bol(site, leave(chief))
    with site.shop() as shop:
        shop.sandbox.advance(600)
    assert "valid for a short time only" in come_back(chief, back)
    assert stores(site) == []


def test_an_address_that_is_not_registered_is_told_by_bol_and_named_here(site: Site, chief: Person) -> None:
    page = leave(chief).replace("localhost", "elsewhere.example")
    with pytest.raises(SandboxRefused, match="redirect"):
        at_bol(site, page)
    assert f"http://localhost{RETURN}" in chief.get("/admin/bol/connect").text
    assert stores(site) == []


def test_a_name_that_is_taken_is_told_before_one_leaves(site: Site, chief: Person) -> None:
    log_in(site, chief)
    token = chief.token("/admin/bol/connect")
    answer = chief.client.post(
        "/admin/bol/connect/login", data={"csrf_token": token, "name": "Shop", "environment": "sandbox"}
    )
    assert "choose another name" in html.unescape(answer.text)


def test_the_same_account_twice_is_refused(site: Site, chief: Person) -> None:
    log_in(site, chief)
    shown = come_back(chief, at_bol(site, leave(chief, name="Again")))
    assert "is connected already, as Shop" in shown
    assert len(stores(site)) == 1


def test_signing_in_again_with_another_account_is_refused(site: Site, chief: Person) -> None:
    log_in(site, chief)
    (store,) = stores(site)
    shown = log_in(site, chief, f"{store.id}/connection/login", "other")
    assert "belongs to the account" in shown and store.account in shown and "The store is as it was." in shown
    assert stores(site)[0].secret == store.secret
    shown = log_in(site, chief, f"{store.id}/connection/login")
    assert "You are signed in again." in shown
    assert stores(site)[0].secret != store.secret


def test_the_form_may_lead_to_bols_login_and_nowhere_else(site: Site, chief: Person) -> None:
    policy = chief.get("/admin/bol/connect").headers["Content-Security-Policy"]
    with site.shop() as shop:
        assert f"form-action 'self' {shop.sandbox.url};" in policy
    assert "script-src 'self';" in policy


def test_where_the_installation_has_no_credentials_the_other_way_is_named(site: Site, chief: Person) -> None:
    token = chief.token("/admin/bol/connect")
    answer = chief.client.post(
        "/admin/bol/connect/login", data={"csrf_token": token, "name": "Shop", "environment": "production"}
    )
    assert "no credentials of its own" in html.unescape(answer.text)
    assert "Possible for: Sandbox." in answer.text


# the page about a connection


def test_the_page_tells_account_token_limits_and_calls(site: Site, chief: Person) -> None:
    log_in(site, chief)
    (store,) = stores(site)
    with site.shop() as shop:
        shop.work()
    shown = html.unescape(chief.get(f"/admin/bol/{store.id}/connection").text)
    for words in (
        store.account,
        "at bol's login page",
        "Allowed until",
        "365 days",
        "it is renewed by itself every few minutes, without you",
        "GET /retailer/orders/*",
        "HOST_PUBLIC_URL is not set",
        "/retailer/offers",
        "Disconnect this store",
    ):
        assert words in shown, words


def test_own_credentials_have_no_end_and_the_page_says_so(site: Site, chief: Person, store: int) -> None:
    page = f"/admin/bol/{store}/connection"
    with site.shop() as shop:
        shop.work()
    shown = html.unescape(chief.get(page).text)
    assert re.search(r"<dt>Allowed until</dt><dd>no end, until you withdraw it at bol</dd>", shown)
    assert "it is renewed by itself every few minutes, without you" in shown
    assert "valid until" not in shown


def test_testing_the_connection_calls_bol_and_tells_each_answer(
    site: Site, chief: Person, store: int
) -> None:
    page = f"/admin/bol/{store}/connection"
    shown = chief.post(f"{page}/test", page=page).text
    assert shown.count(">ok<") >= 5 and ">trouble<" not in shown
    with site.shop() as shop:
        shop.sandbox.faults([{"method": "GET", "path": "/retailer/orders", "status": 403}])
    assert ">trouble<" in chief.post(f"{page}/test", page=page).text


def test_a_refused_sign_in_says_what_to_do_and_when_bol_is_asked_again(
    site: Site, chief: Person, store: int
) -> None:
    page = f"/admin/bol/{store}/connection"
    with site.shop() as shop:
        shop.sandbox.faults(
            [
                {"path": "/token", "status": 401, "when": "before"},
                {"path": "/retailer/orders", "status": 401, "when": "before"},
            ]
        )
        shop.pass_time(600)
        again = (shop.store().refused_at + REFUSED_REST).astimezone(AMSTERDAM)
    told = html.unescape(chief.get(page).text)
    assert re.search(rf"the store's connection page\. It is tried again at [^.]*{again:%H:%M}\.", told)
    tested = html.unescape(chief.post(f"{page}/test", page=page).text)
    # What to do stands first, and what only programmers understand in small letters below it.
    assert re.search(
        r"</strong>: bol does not accept the sign-in of this store\. Check the API credentials, and sign in again\."
        r"<br><small[^>]*>SignInRefused",
        tested,
    )


def test_without_redis_the_page_says_so(
    site: Site, chief: Person, store: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(redis.Redis, "execute_command", away)
    shown = chief.get(f"/admin/bol/{store}/connection")
    assert shown.status_code == 200 and "Redis" in shown.text


def test_a_missing_key_is_an_explained_state_on_every_page(
    site: Site, chief: Person, store: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOL_ENCRYPTION_KEYS", "rubbish")
    for path in ("", f"{store}/", f"{store}/connection", f"{store}/settings", f"{store}/orders", "connect"):
        assert chief.get(f"/admin/bol/{path}").status_code == 200, path
    page = f"/admin/bol/{store}/connection"
    assert "BOL_ENCRYPTION_KEYS" in chief.get(page).text
    assert "BOL_ENCRYPTION_KEYS" in chief.post(f"{page}/test", page=page).text


def test_a_store_finishes_its_orders_before_its_secret_is_erased(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store = shop.connect(send_shipments=True, send_stock=True)
        shop.work()
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
    page = f"/admin/bol/{store}/connection"
    shown = html.unescape(chief.post(f"{page}/disconnect", page=page).text)
    assert "1 order is still to be shipped" in shown
    overview = chief.get(f"/admin/bol/{store}/").text
    assert "This store is being disconnected" in overview
    assert "All is well" not in overview and "Import products" not in overview
    with site.shop() as shop:
        shop.order((KETTLE, 2))
        shop.pass_time(600)
        assert len(shop.host_orders()) == 1, "no new order comes in"
        assert shop.store().secret
        writes = len(shop.writes("/retailer/offers"))
        shop.close(order_id)
        shop.pass_time(120)
        assert len(shop.shipments_at_bol()) == 1
        assert len(shop.writes("/retailer/offers")) == writes, "no stock is sent"
        gone = shop.store()
        assert (gone.state, gone.secret) == ("disconnected", "")
        calls = len(shop.sandbox.calls())
        shop.pass_time(3 * 86_400)
        assert len(shop.sandbox.calls()) == calls
        assert redis.Redis.from_url(shop.host.redis_url).keys("bol:token:store:*") == []
    assert "This store is disconnected" in chief.get(page).text
    assert "disconnected" in chief.get("/admin/bol/").text
    overview = chief.get(f"/admin/bol/{store}/").text
    assert "This store is disconnected" in overview and "All is well" not in overview
    assert "Import products" not in overview and "Import orders now" not in overview
    assert "being switched on again" not in chief.get(page).text

    # It can be connected again, with the same account only, and goes on where it was.
    fields = {"client_id": "other", "client_secret": "secret"}
    assert "belongs to the account" in html.unescape(chief.post(f"{page}/sign-in", page=page, **fields).text)
    fields = {"client_id": "seller", "client_secret": "secret"}
    shown = chief.post(f"{page}/sign-in", page=page, **fields).text
    assert "signed in again" in shown and "What happens when you activate this store" in shown
    with site.shop() as shop:
        assert shop.store().state == "paused"
        writes = len(shop.writes())
        shop.work()
        assert len(shop.host_orders()) == 1, "it is only looked at"
        assert len(shop.writes()) == writes
    summary = f"/admin/bol/{store}/summary"
    shown = chief.get(f"/admin/bol/{store}/").text
    assert f'href="{summary}">Go on: summary and activate' in shown
    assert f"/admin/bol/{store}/activate" not in shown
    shown = html.unescape(chief.get(summary).text)
    assert "<strong>1</strong> order will be imported" in shown and "Read everything again" in shown
    chief.post(f"/admin/bol/{store}/activate", page=summary)
    with site.shop() as shop:
        shop.work()
        assert len(shop.host_orders()) == 2


def test_a_paused_store_goes_on_at_once_or_shows_first_what_happens(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store = shop.connect()
        shop.work()
        shop.order((KETTLE, 1))
        shop.import_orders()
        shop.runtime.pause(store)
        shop.order((KETTLE, 1))
    page = f"/admin/bol/{store}/"
    shown = chief.get(page).text
    assert f"{page}activate" in shown and "See first what happens" in shown
    shown = chief.post(f"{page}summary/read-again", page=page).text
    assert "Your open orders at bol are being counted" in shown
    with site.shop() as shop:
        shop.work()
        assert len(shop.host_orders()) == 1
    shown = html.unescape(chief.get(f"{page}summary").text)
    assert "<strong>1</strong> order will be imported" in shown
    assert "1 open order is here already and goes on as it is." in shown
    chief.post(f"{page}activate", page=f"{page}summary")
    with site.shop() as shop:
        shop.work()
        assert len(shop.host_orders()) == 2
        assert shop.all(Run, Run.kind == "preview") == []
    shown = html.unescape(chief.post(f"{page}summary/read-again", page=f"{page}settings").text)
    assert "This store is active already." in shown


def test_whoever_disconnects_is_told_first_what_stops_what_stays_and_how_to_come_back(
    site: Site, chief: Person
) -> None:
    with site.shop() as shop:
        store = shop.connect(send_shipments=True)
        shop.work()
        shop.order((KETTLE, 1))
        shop.import_orders()
    shown = html.unescape(chief.get(f"/admin/bol/{store}/connection").text)
    told = shown.split('data-confirm="Disconnect Shop?')[1].split('"')[0]
    assert "no orders come in and no stock is sent, while bol goes on selling what it shows" in told
    assert "Finished first: 1 order." in told
    for said in ("What bol goes on showing:", "What stays here:", "bought labels", "How to come back:"):
        assert said in shown
    assert "report them in its seller portal" not in shown
    with site.shop() as shop:
        shop.settings(send_shipments=False)
    assert "report them in its seller portal" in html.unescape(
        chief.get(f"/admin/bol/{store}/connection").text
    )


def test_news_from_bol_is_told_in_words_and_its_address_to_technicians_only(
    site: Site, chief: Person, store: int
) -> None:
    shown = html.unescape(chief.get(f"/admin/bol/{store}/connection").text)
    words, technical = shown.split("For technicians: addresses, limits and the last calls")
    assert "bol is asked for its news: for orders every 10 seconds" in words
    assert "HOST_PUBLIC_URL" not in words and "HOST_PUBLIC_URL is not set" in technical


def test_a_store_can_go_at_once_and_can_change_its_mind(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store = shop.connect(send_shipments=True)
        shop.work()
        shop.order((KETTLE, 1))
        shop.import_orders()
    page = f"/admin/bol/{store}/connection"
    shown = chief.post(f"{page}/disconnect", page=page).text
    assert "Disconnect now, leave what waits</button>" in shown and "Go at once" not in shown
    assert "stays connected" in chief.post(f"{page}/stay", page=page).text
    assert stores(site)[0].state == "paused"
    chief.post(f"{page}/disconnect", page=page, when="now")
    with site.shop() as shop:
        shop.work()
    assert (stores(site)[0].state, stores(site)[0].secret) == ("disconnected", "")


def test_a_store_whose_secret_is_wrong_can_go_too(site: Site, chief: Person, store: int) -> None:
    page = f"/admin/bol/{store}/connection"
    with site.shop() as shop:
        redis.Redis.from_url(shop.host.redis_url).flushall()
        shop.sandbox.faults([{"path": "/token", "status": 401}])
        shop.pass_time(700)
    assert "does not accept the sign-in" in html.unescape(chief.get(page).text)
    chief.post(f"{page}/disconnect", page=page, when="now")
    with site.shop() as shop:
        shop.work()
    assert stores(site)[0].state == "disconnected"


def test_no_page_shows_a_secret(site: Site, chief: Person) -> None:
    log_in(site, chief)
    (store,) = stores(site)
    with site.shop() as shop:
        redis_client = redis.Redis.from_url(shop.host.redis_url)
        kept = b"".join(redis_client.get(key) or b"" for key in redis_client.keys("bol:token:*"))
    for path in ("connect", f"{store.id}/connection", f"{store.id}/calls", f"{store.id}/"):
        shown = chief.get(f"/admin/bol/{path}").text
        assert WMS_SECRET not in shown and store.secret not in shown and SECRET not in shown
    assert b"eyJ" not in kept


def test_names_and_addresses_are_erased_after_a_store_has_gone(site: Site, chief: Person) -> None:
    with site.shop() as shop:
        store = shop.connect(send_shipments=True, address_days=30)
        shop.work()
        order_id = shop.order((KETTLE, 1))
        shop.import_orders()
        shop.close(order_id)
        shop.work()
        shop.runtime.disconnect(store, at_once=True)
        shop.work()
        assert shop.store().state == "disconnected"
        assert shop.host_order(order_id).delivery
        shop.pass_time(31 * 86_400)
        assert not shop.host_order(order_id).delivery

"""Access tokens: asked for once, shared by all, renewed in time, and never shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from cryptography.fernet import Fernet
from redis.backoff import NoBackoff
from redis.retry import Retry

from bol_sandbox.testing import SandboxControls
from plugin.connector import (
    AddressBlocked,
    BolError,
    Claim,
    ClientCredentialsTokens,
    ConnectFailed,
    Credentials,
    Deadline,
    Forbidden,
    MemoryLedger,
    MemoryTokenStore,
    NoTimeLeft,
    RateLimited,
    SignIn,
    SignInRefused,
    SignInUnavailable,
    StoredToken,
    StoreUnavailable,
    Tokens,
    TokenStore,
    sandbox_environment,
    scopes_of,
)
from plugin.connector.redis_tokens import RedisTokenStore
from plugin.connector.sign_in import code_form, login_page
from tests.plugin.connector import rogue as scripts
from tests.plugin.connector.conftest import CREDENTIALS, make_client
from tests.plugin.connector.rogue import Rogue

INTERMEDIARY = Credentials("wms", "wms-secret")
BACK = "https://wms.example/back"

MakeStore = Callable[[], TokenStore]


@pytest.fixture(params=["memory", "redis"])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    """Makes stores that share their tokens; each Redis store stands for another process."""
    if request.param == "memory":
        store = MemoryTokenStore()
        return lambda: store
    client: redis.Redis = request.getfixturevalue("redis_client")
    cipher = Fernet(Fernet.generate_key())
    return lambda: RedisTokenStore(client, cipher)


@pytest.fixture
def store(make_store: MakeStore) -> TokenStore:
    return make_store()


@pytest.fixture
def login(sandbox: SandboxControls) -> SandboxControls:
    sandbox.add_seller(CREDENTIALS.client_id, CREDENTIALS.client_secret)
    return sandbox


def tokens_of(login: SandboxControls, store: TokenStore, **more: object) -> ClientCredentialsTokens:
    return ClientCredentialsTokens(sandbox_environment(login.url), CREDENTIALS, store, "store-1", **more)  # type: ignore[arg-type]


def shared_tokens(login: SandboxControls, ledger: MemoryLedger, store: TokenStore) -> Tokens:
    return Tokens(sandbox_environment(login.url), ledger, store, "store-1", account="seller")


def allowed(login: SandboxControls, *, rotate: bool) -> str:
    """Let the seller allow the intermediary; returns the refresh token."""
    login.add_intermediary(INTERMEDIARY.client_id, INTERMEDIARY.client_secret, rotateRefreshTokens=rotate)
    environment = sandbox_environment(login.url)
    back = login.log_in(login_page(environment, INTERMEDIARY.client_id, BACK, "s"), CREDENTIALS.client_id)
    code = parse_qs(urlsplit(back).query)["code"][0]
    answer = SignIn(environment).ask(INTERMEDIARY, code_form(code, BACK), Deadline.after(5))
    assert answer.refresh_token is not None
    return answer.refresh_token


def asked(login: SandboxControls) -> int:
    return sum(call["path"] == "/token" for call in login.calls())


def test_a_token_is_kept_and_given_again(store: TokenStore) -> None:
    token = StoredToken("abc", time.time() + 60)
    assert store.get("a") is None
    store.set("a", token)
    assert store.get("a") == token
    assert store.get("b") is None


def test_only_the_token_that_was_refused_is_forgotten(store: TokenStore) -> None:
    store.set("a", StoredToken("new", time.time() + 60))
    store.delete_if("a", "old")
    assert store.get("a") is not None
    store.delete_if("a", "new")
    assert store.get("a") is None


def test_one_holds_the_claim_and_the_other_waits_no_longer_than_its_deadline(login: SandboxControls) -> None:
    ledger = MemoryLedger(CREDENTIALS)
    held = ledger.claim(60)
    assert held is not None and ledger.claim(60) is None
    tokens = shared_tokens(login, ledger, MemoryTokenStore())
    started = time.monotonic()
    with pytest.raises(NoTimeLeft):
        tokens.token(Deadline.after(0.3))
    assert time.monotonic() - started < 0.6
    ledger.give_back(held)
    assert tokens.token(Deadline.after(5))


def test_of_many_callers_exactly_one_asks(login: SandboxControls, make_store: MakeStore) -> None:
    login.settings(latencyMs=100)
    ledger = MemoryLedger(CREDENTIALS)
    sources = [shared_tokens(login, ledger, make_store()) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        got = set(pool.map(lambda n: sources[n % 4].token(Deadline.after(10)), range(16)))
    assert len(got) == 1
    assert asked(login) == 1


def test_the_claim_of_one_that_died_is_over_after_a_while(login: SandboxControls) -> None:
    now = [0.0]
    ledger = MemoryLedger(CREDENTIALS, clock=lambda: now[0])
    assert ledger.claim(45) is not None
    now[0] = 44.0
    assert ledger.claim(45) is None
    now[0] = 45.1
    assert ledger.claim(45) is not None


def test_a_new_refresh_token_is_kept_before_its_access_token_is_used(login: SandboxControls) -> None:
    first = allowed(login, rotate=True)
    kept: list[str | None] = []

    class Watching(MemoryLedger):
        def keep(self, claim: Claim, refresh_token: str | None) -> bool:
            kept.append(refresh_token)
            assert store.get("store-1") is None
            return super().keep(claim, refresh_token)

    store, ledger = MemoryTokenStore(), Watching(INTERMEDIARY, first)
    tokens = shared_tokens(login, ledger, store)
    for _ in range(3):
        token = tokens.token(Deadline.after(5))
        tokens.refused(token)
    assert len({first, *kept}) == 4
    assert ledger.refresh_token == kept[-1]


def test_of_two_that_used_the_same_refresh_token_the_loser_takes_what_the_winner_got(
    login: SandboxControls,
) -> None:
    """The first was held up for longer than its claim; the second asks meanwhile with the same refresh token."""
    now = [time.time()]
    ledger = MemoryLedger(INTERMEDIARY, allowed(login, rotate=True), clock=lambda: now[0])
    slow = ledger.claim(45)
    assert slow is not None and slow.refresh_token is not None
    form = {"grant_type": "refresh_token", "refresh_token": slow.refresh_token}
    answer = SignIn(sandbox_environment(login.url)).ask(INTERMEDIARY, form, Deadline.after(5))
    now[0] += 46
    claim = ledger.claim(45)
    assert claim is not None and claim.version == slow.version
    # bol refuses the second now; but before it says so, the first one wakes up.
    assert ledger.keep(slow, answer.refresh_token)
    with pytest.raises(SignInRefused) as caught:
        SignIn(sandbox_environment(login.url)).ask(INTERMEDIARY, form, Deadline.after(5))
    assert caught.value.code == "invalid_grant"
    assert not ledger.refused(claim, caught.value)
    assert shared_tokens(login, ledger, MemoryTokenStore()).token(Deadline.after(5))


def test_while_bol_blocks_our_address_nothing_is_asked_by_anybody(
    login: SandboxControls, make_store: MakeStore
) -> None:
    login.faults([{"path": "/token", "status": 404, "times": 1}])
    one, other = tokens_of(login, make_store()), tokens_of(login, make_store())
    other_key = ClientCredentialsTokens(sandbox_environment(login.url), CREDENTIALS, make_store(), "another")
    with pytest.raises(AddressBlocked):
        one.token(Deadline.after(5))
    for source in (one, other, other_key):
        with pytest.raises(AddressBlocked) as caught:
            source.token(Deadline.after(5))
        assert 800 < (caught.value.retry_after or 0) <= 900
    assert asked(login) == 1


def test_the_login_page_is_asked_for_by_an_address_without_secrets(login: SandboxControls) -> None:
    login.add_intermediary(INTERMEDIARY.client_id, INTERMEDIARY.client_secret)
    address = login_page(sandbox_environment(login.url), INTERMEDIARY.client_id, BACK, "st&te=1")
    assert INTERMEDIARY.client_secret not in address
    back = parse_qs(urlsplit(login.log_in(address, CREDENTIALS.client_id)).query)
    assert back["state"] == ["st&te=1"]
    form = code_form(back["code"][0], BACK)
    sign_in = SignIn(sandbox_environment(login.url))
    answer = sign_in.ask(INTERMEDIARY, form, Deadline.after(5))
    assert answer.refresh_token
    assert scopes_of(answer.access_token)
    with pytest.raises(SignInRefused):
        sign_in.ask(INTERMEDIARY, form, Deadline.after(5))


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.bnVsbA.c", "a.W10.c"])
def test_a_token_that_tells_nothing_is_no_trouble(token: str) -> None:
    assert scopes_of(token) == ()


def test_a_refused_token_is_replaced_once_for_all(login: SandboxControls, make_store: MakeStore) -> None:
    source = tokens_of(login, make_store())
    old = source.token(Deadline.after(5))
    barrier = threading.Barrier(8)

    def replace(_: int) -> str:
        barrier.wait()
        source.refused(old)
        return source.token(Deadline.after(10))

    with ThreadPoolExecutor(8) as pool:
        new = set(pool.map(replace, range(8)))
    assert len(new) == 1 and old not in new
    assert asked(login) == 2


@pytest.mark.parametrize(("lifetime", "used_for"), [(299, 269.1), (600, 570), (10, 9)])
def test_a_token_is_renewed_shortly_before_its_end(
    login: SandboxControls, lifetime: int, used_for: float
) -> None:
    login.settings(tokenSeconds=lifetime)
    now = [1_000_000.0]
    source = tokens_of(login, MemoryTokenStore(), clock=lambda: now[0])
    first = source.token(Deadline.after(5))
    now[0] += used_for - 0.2
    assert source.token(Deadline.after(5)) == first
    now[0] += 0.4
    assert source.token(Deadline.after(5)) != first


def test_wrong_credentials_are_a_refused_sign_in(login: SandboxControls) -> None:
    environment = sandbox_environment(login.url)
    tokens = ClientCredentialsTokens(environment, Credentials("seller", "wrong"), MemoryTokenStore(), "k")
    with pytest.raises(SignInRefused) as caught:
        tokens.token(Deadline.after(5))
    assert (caught.value.code, caught.value.executed, caught.value.retry_after) == (
        "invalid_client",
        "no",
        None,
    )


def test_a_secret_with_any_characters_is_accepted(sandbox: SandboxControls) -> None:
    credentials = Credentials("other", "p:ä€ s+/=%")
    sandbox.add_seller(credentials.client_id, credentials.client_secret)
    tokens = ClientCredentialsTokens(sandbox_environment(sandbox.url), credentials, MemoryTokenStore(), "k")
    assert tokens.token(Deadline.after(5))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 400, "body": {"error": "invalid_client"}}, SignInRefused),
        ({"status": 400, "body": {"error": "invalid_grant"}}, SignInRefused),
        ({"status": 400, "body": "<html>"}, SignInUnavailable),
        ({"status": 401, "body": "<html>"}, SignInRefused),
        ({"status": 403}, Forbidden),
        ({"status": 404}, AddressBlocked),
        ({"status": 429}, RateLimited),
        ({"status": 500}, SignInUnavailable),
        ({"status": 503, "body": "<html>"}, SignInUnavailable),
        ({"drop": True}, SignInUnavailable),
        ({"when": "after", "truncate": True}, SignInUnavailable),
        ({"body": "<html>"}, SignInUnavailable),
        ({"body": {"expires_in": 299}}, SignInUnavailable),
    ],
)
def test_trouble_with_the_login_means_that_the_call_was_not_made(
    login: SandboxControls, fault: dict[str, object], error: type[BolError]
) -> None:
    login.faults([{"path": "/token", **fault}])
    client = make_client(sandbox_environment(login.url))
    with pytest.raises(error) as caught:
        client.orders.page(deadline=Deadline.after(0.5))
    assert caught.value.executed == "no"
    assert [call["path"] for call in login.calls()] == ["/token"]
    assert CREDENTIALS.client_secret not in f"{caught.value} {vars(caught.value)}"


def test_a_login_that_hangs_uses_up_the_deadline_and_no_more(rogue: Rogue) -> None:
    rogue.token_script = scripts.hangs
    client = make_client(sandbox_environment(rogue.url))
    started = time.monotonic()
    with pytest.raises(SignInUnavailable) as caught:
        client.orders.page(deadline=Deadline.after(0.3))
    assert time.monotonic() - started < 0.6
    assert (caught.value.executed, rogue.received) == ("no", [])


def test_a_login_that_cannot_be_reached_is_not_executed() -> None:
    sign_in = SignIn(sandbox_environment("http://127.0.0.1:1"))
    with pytest.raises(ConnectFailed):
        sign_in.ask(CREDENTIALS, {"grant_type": "client_credentials"}, Deadline.after(2))


def test_the_refresh_token_of_another_flow_is_handed_over(rogue: Rogue) -> None:
    answer = {"access_token": "a", "refresh_token": "r", "expires_in": 599}
    rogue.token_script = scripts.answers(200, answer)
    form = {"grant_type": "refresh_token", "refresh_token": "old"}
    got = SignIn(sandbox_environment(rogue.url)).ask(CREDENTIALS, form, Deadline.after(2))
    assert (got.access_token, got.refresh_token, got.expires_in) == ("a", "r", 599)
    assert repr(got) == "TokenAnswer(expires_in=599)"


def test_no_repr_shows_a_secret() -> None:
    assert repr(CREDENTIALS) == "Credentials(client_id='seller')"
    assert "abc" not in repr(StoredToken("abc", 1.0))


class TestInRedis:
    def test_tokens_are_encrypted_and_expire(self, redis_client: redis.Redis) -> None:
        store = RedisTokenStore(redis_client, Fernet(Fernet.generate_key()))
        store.set("a", StoredToken("plain-to-see", time.time() + 60))
        (key,) = redis_client.keys("*")
        assert "plain-to-see" not in str(redis_client.get(key))
        assert 55 < redis_client.ttl(key) <= 60

    def test_a_token_past_its_end_is_not_kept(self, redis_client: redis.Redis) -> None:
        RedisTokenStore(redis_client, Fernet(Fernet.generate_key())).set(
            "a", StoredToken("x", time.time() - 1)
        )
        assert redis_client.keys("*") == []

    def test_a_token_under_another_key_is_as_good_as_none(self, redis_client: redis.Redis) -> None:
        old = RedisTokenStore(redis_client, Fernet(Fernet.generate_key()))
        new = RedisTokenStore(redis_client, Fernet(Fernet.generate_key()))
        old.set("a", StoredToken("x", time.time() + 60))
        assert new.get("a") is None
        new.delete_if("a", "x")
        new.set("a", StoredToken("y", time.time() + 60))
        assert new.get("a") is not None

    def test_without_redis_nothing_is_called(self, login: SandboxControls) -> None:
        away = redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
        tokens = tokens_of(login, RedisTokenStore(away, Fernet(Fernet.generate_key())))
        with pytest.raises(StoreUnavailable) as caught:
            tokens.token(Deadline.after(3))
        assert (caught.value.executed, caught.value.retry_after) == ("no", 5.0)
        assert asked(login) == 0

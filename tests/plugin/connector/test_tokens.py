"""Access tokens: asked for once, shared by all, renewed in time, and never shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from cryptography.fernet import Fernet
from redis.backoff import NoBackoff
from redis.retry import Retry

from bol_sandbox.testing import SandboxControls
from plugin.connector import (
    AddressBlocked,
    BolError,
    ClientCredentialsTokens,
    ConnectFailed,
    Credentials,
    Deadline,
    Forbidden,
    MemoryTokenStore,
    NoTimeLeft,
    RateLimited,
    SignIn,
    SignInRefused,
    SignInUnavailable,
    StoredToken,
    StoreUnavailable,
    TokenStore,
    sandbox_environment,
)
from plugin.connector.redis_tokens import RedisTokenStore
from tests.plugin.connector import rogue as scripts
from tests.plugin.connector.conftest import CREDENTIALS, make_client
from tests.plugin.connector.rogue import Rogue

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


def test_one_holds_the_right_and_the_other_waits_no_longer_than_its_deadline(store: TokenStore) -> None:
    with store.exclusive("a", Deadline.after(5)):
        with store.exclusive("b", Deadline.after(1)):
            pass
        started = time.monotonic()
        with pytest.raises(NoTimeLeft), store.exclusive("a", Deadline.after(0.2)):
            pass
        assert time.monotonic() - started < 0.4
    with store.exclusive("a", Deadline.after(0.5)):
        pass


def test_of_many_callers_exactly_one_asks(login: SandboxControls, make_store: MakeStore) -> None:
    login.settings(latencyMs=100)
    sources = [tokens_of(login, make_store()) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        got = set(pool.map(lambda n: sources[n % 4].token(Deadline.after(10)), range(16)))
    assert len(got) == 1
    assert asked(login) == 1


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

    def test_a_holder_that_was_killed_holds_up_the_others_for_a_while_only(
        self, redis_client: redis.Redis
    ) -> None:
        store = RedisTokenStore(redis_client, Fernet(Fernet.generate_key()))
        killed = store.exclusive("a", Deadline.after(1))
        killed.__enter__()
        (key,) = redis_client.keys("*:lock")
        assert 0 < redis_client.pttl(key) <= 6000

    def test_a_lock_that_went_to_another_is_not_released(self, redis_client: redis.Redis) -> None:
        store = RedisTokenStore(redis_client, Fernet(Fernet.generate_key()))
        with store.exclusive("a", Deadline.after(1)):
            (key,) = redis_client.keys("*:lock")
            redis_client.set(key, "another")
        assert redis_client.get(key) == b"another"

    def test_without_redis_nothing_is_called(self, login: SandboxControls) -> None:
        away = redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
        tokens = tokens_of(login, RedisTokenStore(away, Fernet(Fernet.generate_key())))
        with pytest.raises(StoreUnavailable) as caught:
            tokens.token(Deadline.after(3))
        assert (caught.value.executed, caught.value.retry_after) == ("no", 5.0)
        assert asked(login) == 0

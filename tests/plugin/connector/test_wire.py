"""HTTP under bad conditions: deadlines, repeats, and what is known about a call that failed."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from plugin.connector import (
    BolClient,
    BolError,
    CallRecord,
    ConnectFailed,
    ConnectionLost,
    Deadline,
    MalformedAnswer,
    NotFound,
    NoTimeLeft,
    ServerError,
    TimedOut,
    UnlimitedBudget,
    sandbox_environment,
)
from tests.plugin.connector import rogue as scripts
from tests.plugin.connector.conftest import make_client
from tests.plugin.connector.rogue import Rogue, Script, answers

OFFER = "13722de8-8182-d161-5422-4a0a1caab5c8"


class FixedToken:
    account = "test"

    def token(self, deadline: Deadline) -> str:
        return "super-secret-token"

    def refused(self, token: str) -> None:
        return None


@pytest.mark.parametrize(
    "script", [scripts.drips_headers, scripts.drips_body, scripts.drips_until_closed, scripts.hangs]
)
def test_a_deadline_holds_against_a_server_that_drips_or_hangs(
    client: BolClient, rogue: Rogue, script: Script
) -> None:
    rogue.plays(script)
    started = time.monotonic()
    with pytest.raises(TimedOut) as caught:
        client.orders.page(deadline=Deadline.after(0.4))
    assert time.monotonic() - started < 0.8
    assert caught.value.executed == "unknown"
    assert caught.value.route == "/retailer/orders"


def test_a_client_works_on_after_a_call_that_was_cut_off(client: BolClient, rogue: Rogue) -> None:
    rogue.plays(scripts.drips_body, answers(200, {}))
    with pytest.raises(TimedOut):
        client.orders.page(deadline=Deadline.after(0.3))
    assert client.orders.page().orders == ()


def test_a_write_that_was_dropped_is_sent_once_and_its_outcome_is_unknown(
    client: BolClient, rogue: Rogue
) -> None:
    rogue.plays(scripts.drops)
    with pytest.raises(ConnectionLost) as caught:
        client.offers.set_stock(OFFER, 1, True)
    assert caught.value.executed == "unknown"
    assert len(rogue.received) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507])
def test_a_write_is_never_repeated_after_a_server_error(client: BolClient, rogue: Rogue, status: int) -> None:
    rogue.plays(answers(status, b"<html>Oops</html>", media="text/html"))
    with pytest.raises(ServerError) as caught:
        client.offers.set_stock(OFFER, 1, True)
    assert (caught.value.executed, caught.value.status) == ("unknown", status)
    assert len(rogue.received) == 1


def test_a_read_is_repeated_twice_and_then_given_up(client: BolClient, rogue: Rogue) -> None:
    rogue.plays(answers(502, b"<html>Bad gateway</html>", media="text/html"))
    with pytest.raises(ServerError):
        client.orders.page()
    assert len(rogue.received) == 3


@pytest.mark.parametrize("first", [scripts.drops, scripts.truncates, answers(503), answers(504)])
def test_a_read_outlives_one_broken_answer(client: BolClient, rogue: Rogue, first: Script) -> None:
    rogue.plays(first, answers(200, {}))
    assert client.orders.page().last
    assert len(rogue.received) == 2


def test_a_read_is_not_repeated_when_bol_asks_for_more_time_than_is_left(
    client: BolClient, rogue: Rogue
) -> None:
    rogue.plays(answers(503, Retry_After="30"))
    with pytest.raises(ServerError) as caught:
        client.orders.page(deadline=Deadline.after(5))
    assert caught.value.retry_after == 30
    assert len(rogue.received) == 1


def test_a_refused_connection_is_not_executed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = BolClient(sandbox_environment(f"http://127.0.0.1:{port}"), FixedToken(), UnlimitedBudget())
    with pytest.raises(ConnectFailed) as caught:
        client.offers.set_stock(OFFER, 1, True)
    assert caught.value.executed == "no"


def test_a_name_that_does_not_exist_is_not_executed() -> None:
    client = BolClient(sandbox_environment("http://nowhere.invalid"), FixedToken(), UnlimitedBudget())
    with pytest.raises(ConnectFailed):
        client.offers.set_stock(OFFER, 1, True, deadline=Deadline.after(5))


def test_nothing_is_sent_when_the_deadline_has_passed(client: BolClient, rogue: Rogue) -> None:
    rogue.plays(answers(200, {}))
    client.orders.page()
    with pytest.raises(NoTimeLeft) as caught:
        client.orders.page(deadline=Deadline.after(-1))
    assert caught.value.executed == "no"
    assert len(rogue.received) == 1


def test_an_answer_that_is_too_large_is_not_read_to_its_end(client: BolClient, rogue: Rogue) -> None:
    rogue.plays(scripts.floods)
    with pytest.raises(MalformedAnswer):
        client.orders.page()


def test_a_refusal_stays_a_refusal_when_its_body_breaks_off(client: BolClient, rogue: Rogue) -> None:
    def refuses(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 50\r\n\r\n{")
        raise ConnectionAbortedError

    rogue.plays(refuses)
    with pytest.raises(NotFound):
        client.orders.get("1")


def test_redirects_are_not_followed(client: BolClient, rogue: Rogue) -> None:
    rogue.plays(answers(302, Location=f"{rogue.url}/elsewhere"))
    with pytest.raises(ServerError) as caught:
        client.orders.page()
    assert caught.value.status == 302
    assert len(rogue.received) == 1


def test_cookies_are_not_kept(client: BolClient, rogue: Rogue) -> None:
    rogue.plays(answers(200, {}, Set_Cookie="session=1; Path=/"))
    client.orders.page()
    client.orders.page()
    assert "cookie" not in rogue.received[1].headers


def test_a_netrc_file_does_not_replace_the_token(
    rogue: Rogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client = BolClient(sandbox_environment(rogue.url), FixedToken(), UnlimitedBudget())
    rogue.plays(answers(200, {}), answers(200, []))
    client.orders.page()
    client.rate_limits.read()
    assert rogue.received[0].headers["authorization"] == "Bearer super-secret-token"
    assert "authorization" not in rogue.received[1].headers


def test_connections_are_used_again(client: BolClient, rogue: Rogue) -> None:
    rogue.plays(answers(200, {}))
    client.orders.page()
    before = rogue.connections
    for _ in range(5):
        client.orders.page()
    assert rogue.connections == before


def test_many_calls_run_at_once(client: BolClient, rogue: Rogue) -> None:
    barrier = threading.Barrier(32)

    def waits(sock: socket.socket) -> None:
        barrier.wait(timeout=10)
        answers(200, {})(sock)

    rogue.plays(waits)
    with ThreadPoolExecutor(32) as pool:
        pages = list(pool.map(lambda _: client.orders.page(), range(32)))
    assert all(page.last for page in pages)


def test_a_forked_process_gets_connections_of_its_own(client: BolClient, rogue: Rogue) -> None:
    rogue.plays(answers(200, {}))
    client.orders.page()
    before = rogue.connections
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if client.orders.page().last else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert client.orders.page().last
    assert rogue.connections == before + 1


def test_each_attempt_is_recorded_without_query_or_secrets(
    client: BolClient, rogue: Rogue, rogue_calls: list[CallRecord]
) -> None:
    rogue.plays(answers(503), answers(404, X_Request_ID="abc-1"))
    with pytest.raises(NotFound):
        client.orders.get("A2K8290LP8")
    first, second = rogue_calls
    assert (first.status, first.error) == (503, "ServerError")
    assert (second.status, second.error, second.request_id) == (404, "NotFound", "abc-1")
    assert second.route == "/retailer/orders/{order-id}"
    assert second.path == "/retailer/orders/A2K8290LP8"
    assert second.at.tzinfo is not None


def test_a_cursor_that_leads_to_its_own_page_ends_no_list_and_is_not_followed_for_ever(
    client: BolClient, rogue: Rogue
) -> None:
    rogue.plays(
        answers(
            200, {"offers": [{"offerId": OFFER, "ean": "8712345678906"}], "page": {"nextCursor": "again"}}
        )
    )
    assert client.offers.page().next_cursor == "again"
    with pytest.raises(MalformedAnswer, match="own page"):
        client.offers.page(cursor="again")


def test_a_broken_recorder_does_not_lose_the_outcome(rogue: Rogue, caplog: pytest.LogCaptureFixture) -> None:
    def fails(record: CallRecord) -> None:
        raise RuntimeError("no disk")

    rogue.plays(answers(204))
    client = BolClient(sandbox_environment(rogue.url), FixedToken(), UnlimitedBudget(), on_call=fails)
    client.offers.set_stock(OFFER, 3, False)
    assert "could not record" in caplog.text


@pytest.mark.parametrize(
    "script", [scripts.drops, scripts.hangs, answers(500, b"x"), answers(401), answers(200, b"nonsense")]
)
def test_no_error_text_log_or_repr_holds_a_token(
    rogue: Rogue, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = BolClient(sandbox_environment(rogue.url), FixedToken(), UnlimitedBudget())
    rogue.plays(script)
    with pytest.raises(BolError) as caught:
        client.orders.page(deadline=Deadline.after(0.3))
    seen = (
        f"{caught.value} {caught.value!r} {caught.value.operator_text()} {vars(caught.value)} {caplog.text}"
    )
    assert "super-secret-token" not in seen
    assert "super-secret-token" not in rogue.received[0].target


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts unless told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_rogue(certificate: Path) -> Iterator[Rogue]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with scripts.running_rogue(context) as server:
        yield server


def test_a_certificate_that_is_not_trusted_is_refused_before_anything_is_sent(tls_rogue: Rogue) -> None:
    tls_rogue.plays(answers(204))
    client = BolClient(sandbox_environment(tls_rogue.url), FixedToken(), UnlimitedBudget())
    with pytest.raises(ConnectFailed):
        client.offers.set_stock(OFFER, 1, True)
    assert tls_rogue.received == []


def test_a_deadline_holds_over_tls_too(
    tls_rogue: Rogue, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    client = BolClient(sandbox_environment(tls_rogue.url), FixedToken(), UnlimitedBudget())
    tls_rogue.plays(answers(200, {}), scripts.drips_headers, scripts.drips_body, answers(200, {}))
    assert client.orders.page().last
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(TimedOut):
            client.orders.page(deadline=Deadline.after(0.3))
        assert time.monotonic() - started < 0.7
    assert client.orders.page().last


def test_a_deadline_holds_while_the_other_side_drips_a_tls_handshake() -> None:
    def drip(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        try:
            sock.sendall(b"\x16\x03\x03\x40\x00")
            for _ in range(100):
                sock.sendall(b"\x02")
                time.sleep(0.05)
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}"
        client = BolClient(sandbox_environment(address), FixedToken(), UnlimitedBudget())
        started = time.monotonic()
        with pytest.raises(ConnectFailed):
            client.offers.set_stock(OFFER, 1, True, deadline=Deadline.after(0.4))
        assert time.monotonic() - started < 0.8


def test_a_proxy_from_the_environment_is_used(rogue: Rogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", rogue.url)
    monkeypatch.setenv("no_proxy", "")
    rogue.plays(answers(200, {}))
    client = BolClient(sandbox_environment("http://bol.invalid"), FixedToken(), UnlimitedBudget())
    assert client.orders.page().last
    assert rogue.received[0].target.startswith("http://bol.invalid/retailer/orders?")


def test_a_client_that_was_closed_opens_again(rogue: Rogue) -> None:
    client = make_client(sandbox_environment(rogue.url))
    rogue.plays(answers(200, {}))
    client.orders.page()
    client.close()
    assert client.orders.page().last

"""bol's login page, the codes it gives, and the tokens that they are exchanged for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests

from bol_sandbox import document
from bol_sandbox.demo import seed_demo
from bol_sandbox.testing import SandboxControls, SandboxRefused
from bol_sandbox.world import World
from tests.bol_sandbox.conftest import MUG, Api

BACK = "https://wms.example/bol/callback"
YEAR = 365 * 24 * 3600
AGENT = ("agent", "agent-secret")


class Agent:
    """An intermediary: sends people to bol's login page, and exchanges what they bring back."""

    def __init__(self, sandbox: SandboxControls) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False

    def address(self, **changes: str | None) -> str:
        query = {
            "response_type": "code",
            "client_id": "agent",
            "scope": "offline_access",
            "redirect_uri": BACK,
            "state": "s 1&x",
        }
        kept = {name: value for name, value in (query | changes).items() if value is not None}
        return f"{self.sandbox.url}/authorize?{urlencode(kept)}"

    def code(self, seller: str = "seller") -> str:
        return arrived(self.sandbox.log_in(self.address(), seller))["code"]

    def token(self, auth: tuple[str, str] = AGENT, **form: str) -> requests.Response:
        return self.session.post(self.sandbox.url + "/token", auth=auth, data=form, timeout=10)

    def exchange(self, code: str, redirect_uri: str = BACK, **more: Any) -> requests.Response:
        return self.token(grant_type="authorization_code", code=code, redirect_uri=redirect_uri, **more)

    def refresh(self, refresh_token: str, **more: Any) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **more)

    def sign_in(self, seller: str = "seller") -> dict[str, Any]:
        answer = self.exchange(self.code(seller))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def orders(self, access_token: str) -> int:
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.session.get(
            self.sandbox.url + "/retailer/orders", headers=headers, timeout=10
        ).status_code


def arrived(location: str) -> dict[str, str]:
    """What the browser brings back to the intermediary."""
    assert location.startswith(BACK)
    return dict(parse_qsl(urlsplit(location).query))


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def refused(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


@pytest.fixture
def agent(sandbox: SandboxControls, offers: dict[str, str]) -> Iterator[Agent]:
    sandbox.add_intermediary(*AGENT, name="The <WMS> & Co")
    agent = Agent(sandbox)
    yield agent
    agent.session.close()


class _Buttons(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.sellers: list[str | None] = []
        self._inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._inside = tag in ("button", "h1")
        if tag == "input":
            self.sellers.append(dict(attributes)["value"])

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts.append(data)
        self._inside = False


def test_the_page_asks_who_you_are_and_whether_you_allow_it(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.add_seller("second", "secret")
    shown = agent.session.get(agent.address(), timeout=10)
    page = _Buttons()
    page.feed(shown.text)
    assert shown.status_code == 200
    assert page.sellers == ["seller", "second"]
    assert page.texts == ["The <WMS> & Co wants access to your seller account", "Refuse", "Allow"]


def test_allowing_leads_back_with_a_code_and_the_state(agent: Agent) -> None:
    brought = arrived(agent.sandbox.log_in(agent.address()))
    assert brought.keys() == {"code", "state"}
    assert brought["state"] == "s 1&x"


def test_what_stands_in_the_redirect_address_stays(agent: Agent) -> None:
    location = agent.sandbox.log_in(agent.address(redirect_uri=f"{BACK}?store=7", state=None))
    assert location.startswith(f"{BACK}?store=7&code=")


def test_refusing_leads_back_with_access_denied(agent: Agent) -> None:
    brought = arrived(agent.sandbox.log_in(agent.address(), allow=False))
    assert (brought["error"], brought["state"]) == ("access_denied", "s 1&x")
    assert "code" not in brought


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
def test_a_request_that_makes_no_sense_is_sent_back(agent: Agent, change: dict[str, str], error: str) -> None:
    assert arrived(agent.sandbox.log_in(agent.address(**change)))["error"] == error


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "nobody"},
        {"client_id": "seller"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "/bol/callback"},
        {"redirect_uri": "https://wms.example/#here"},
        {"redirect_uri": "https://[wms"},
    ],
)
def test_an_unknown_client_or_odd_address_is_a_page_and_no_redirect(
    agent: Agent, change: dict[str, str]
) -> None:
    for method in ("GET", "POST"):
        shown = agent.session.request(
            method,
            agent.address(**change),
            data={"seller": "seller", "decision": "allow"},
            allow_redirects=False,
            timeout=10,
        )
        assert shown.status_code == 400
        assert "Location" not in shown.headers
        assert "bol cannot log you in" in shown.text


def test_only_registered_redirect_addresses_are_returned_to(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.add_intermediary("strict", "secret", redirectUris=[BACK])
    assert "code" in arrived(sandbox.log_in(agent.address(client_id="strict")))
    with pytest.raises(SandboxRefused, match="has not registered the redirect address"):
        sandbox.log_in(agent.address(client_id="strict", redirect_uri=f"{BACK}/2"))


def test_who_does_not_say_which_seller_is_asked_again(agent: Agent) -> None:
    shown = agent.session.post(agent.address(), data={"decision": "allow"}, timeout=10)
    assert shown.status_code == 400
    assert "Choose which seller you are" in shown.text


def test_a_code_is_exchanged_for_tokens_of_the_seller(sandbox: SandboxControls, agent: Agent) -> None:
    body = agent.sign_in()
    assert {key: body[key] for key in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 299,
        "scope": "offline_access",
    }
    order = sandbox.place_order("seller", [{"ean": MUG, "quantity": 1}])
    api = Api(sandbox.url)
    api.token = body["access_token"]
    assert api.order_ids() == [order["orderId"]]


def test_both_ways_in_name_the_same_account(sandbox: SandboxControls, agent: Agent) -> None:
    own = Api(sandbox.url)
    own.login()
    mine, allowed = claims(own.token), claims(agent.sign_in()["access_token"])
    assert mine["aid"] == allowed["aid"] == sandbox.state()["sellers"][0]["sellerId"]
    assert (mine["azp"], allowed["azp"]) == ("seller", "agent")
    assert mine.keys() == {
        "sub", "aid", "azp", "clientname", "scopes", "iss", "iat", "exp", "jti",
    }  # fmt: skip


def test_a_code_is_good_once(agent: Agent) -> None:
    code = agent.code()
    assert agent.exchange(code).status_code == 200
    assert refused(agent.exchange(code)) == (400, "invalid_grant")


def test_a_code_dies_after_a_minute(sandbox: SandboxControls, agent: Agent) -> None:
    early, late = agent.code(), agent.code()
    sandbox.advance(58)
    assert agent.exchange(early).status_code == 200
    sandbox.advance(3)
    assert refused(agent.exchange(late)) == (400, "invalid_grant")


def test_the_life_of_a_code_can_be_set(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.settings(codeSeconds=5)
    code = agent.code()
    sandbox.advance(6)
    assert refused(agent.exchange(code)) == (400, "invalid_grant")


def test_another_redirect_address_costs_the_code(agent: Agent) -> None:
    code = agent.code()
    assert refused(agent.exchange(code, f"{BACK}/")) == (400, "invalid_grant")
    assert refused(agent.exchange(code)) == (400, "invalid_grant")


def test_a_code_is_for_the_client_that_asked(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.add_intermediary("other", "other-secret")
    code = agent.code()
    assert refused(agent.exchange(code, auth=("other", "other-secret"))) == (400, "invalid_grant")
    assert agent.exchange(code).status_code == 200


@pytest.mark.parametrize(
    ("auth", "form", "expected"),
    [
        (("agent", "wrong"), {"grant_type": "authorization_code", "code": "c"}, (401, "invalid_client")),
        (AGENT, {"grant_type": "authorization_code"}, (400, "invalid_request")),
        (AGENT, {"grant_type": "refresh_token"}, (400, "invalid_request")),
        (AGENT, {"grant_type": "refresh_token", "refresh_token": "x"}, (400, "invalid_grant")),
        (AGENT, {"grant_type": "client_credentials"}, (400, "unauthorized_client")),
        (("seller", "secret"), {"grant_type": "refresh_token"}, (400, "unauthorized_client")),
    ],
)
def test_wrong_token_requests_are_refused(
    agent: Agent, auth: tuple[str, str], form: dict[str, str], expected: tuple[int, str]
) -> None:
    assert refused(agent.token(auth, **form)) == expected


@pytest.mark.parametrize("name", ["code", "refresh_token", "access_token", "client_secret"])
def test_secrets_of_the_code_flow_in_the_query_are_refused(agent: Agent, name: str) -> None:
    answer = agent.session.post(
        f"{agent.sandbox.url}/token?{name}=x", auth=AGENT, data={"grant_type": "refresh_token"}, timeout=10
    )
    assert refused(answer) == (400, "invalid_request")


def test_a_refresh_token_stays_the_same_by_method_1(agent: Agent) -> None:
    first = agent.sign_in()
    second = agent.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] == first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert agent.orders(first["access_token"]) == agent.orders(second["access_token"]) == 200


def test_a_rotating_refresh_token_dies_when_it_is_used(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.settings(rotateRefreshTokens=True)
    first = agent.sign_in()
    second = agent.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert refused(agent.refresh(first["refresh_token"])) == (400, "invalid_grant")
    assert agent.refresh(second["refresh_token"]).status_code == 200


def test_a_refresh_token_is_for_the_client_that_got_it(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.add_intermediary("other", "other-secret")
    token = agent.sign_in()["refresh_token"]
    assert refused(agent.refresh(token, auth=("other", "other-secret"))) == (400, "invalid_grant")
    assert agent.refresh(token).status_code == 200


@pytest.mark.parametrize("rotates", [True, False])
def test_an_intermediary_of_its_own_method_does_not_follow_the_setting(
    sandbox: SandboxControls, agent: Agent, rotates: bool
) -> None:
    sandbox.settings(rotateRefreshTokens=not rotates)
    sandbox.add_intermediary("fixed", "fixed-secret", rotateRefreshTokens=rotates)
    code = arrived(sandbox.log_in(agent.address(client_id="fixed")))["code"]
    auth = ("fixed", "fixed-secret")
    first = agent.exchange(code, auth=auth).json()["refresh_token"]
    assert (agent.refresh(first, auth=auth).json()["refresh_token"] != first) is rotates


def test_a_rotation_whose_answer_is_lost_has_happened(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.settings(rotateRefreshTokens=True)
    first = agent.sign_in()
    sandbox.faults([{"path": "/token", "when": "after", "drop": True, "times": 1}])
    with pytest.raises(requests.ConnectionError):
        agent.refresh(first["refresh_token"])
    assert refused(agent.refresh(first["refresh_token"])) == (400, "invalid_grant")


@pytest.mark.parametrize("rotates", [True, False])
def test_a_consent_lasts_365_days_however_often_it_is_refreshed(
    sandbox: SandboxControls, agent: Agent, rotates: bool
) -> None:
    sandbox.settings(rotateRefreshTokens=rotates)
    token = agent.sign_in()["refresh_token"]
    sandbox.advance(YEAR - 60)
    token = agent.refresh(token).json()["refresh_token"]
    sandbox.advance(70)
    assert refused(agent.refresh(token)) == (400, "invalid_grant")


def test_a_seller_takes_back_what_it_allowed(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.add_seller("second", "secret")
    mine, other = agent.sign_in(), agent.sign_in("second")
    assert sandbox.revoke("seller", "refresh") == {"accessTokens": 0, "refreshTokens": 1}
    assert refused(agent.refresh(mine["refresh_token"])) == (400, "invalid_grant")
    assert agent.orders(mine["access_token"]) == 200
    assert agent.refresh(other["refresh_token"]).status_code == 200


def test_access_tokens_can_be_ended_at_once(sandbox: SandboxControls, agent: Agent) -> None:
    own = Api(sandbox.url)
    own.login()
    allowed = agent.sign_in()
    assert sandbox.revoke("seller", "access") == {"accessTokens": 2, "refreshTokens": 0}
    assert own.get("/retailer/orders").status_code == agent.orders(allowed["access_token"]) == 401
    assert agent.orders(agent.refresh(allowed["refresh_token"]).json()["access_token"]) == 200


def test_a_blocked_address_is_a_404_of_the_token_endpoint(sandbox: SandboxControls, agent: Agent) -> None:
    sandbox.faults([{"path": "/token", "status": 404}])
    assert agent.refresh("any").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sandbox/intermediaries", {"clientId": "seller", "clientSecret": "x"}),
        ("/sandbox/intermediaries", {"clientId": "agent", "clientSecret": "x"}),
        ("/sandbox/intermediaries", {"clientId": "new"}),
        ("/sandbox/intermediaries", {"clientId": "new", "clientSecret": "x", "redirectUris": "https://x"}),
        ("/sandbox/intermediaries", {"clientId": "new", "clientSecret": "x", "rotateRefreshTokens": "no"}),
        ("/sandbox/sellers/nobody/revoke", {}),
        ("/sandbox/sellers/seller/revoke", {"tokens": "some"}),
    ],
)
def test_wrong_controls_are_refused(agent: Agent, path: str, body: dict[str, Any]) -> None:
    answer = agent.session.post(agent.sandbox.url + path, json=body, timeout=10)
    assert answer.status_code in (400, 404, 409)
    assert answer.json()["error"]


def test_the_state_shows_consents_and_no_tokens(sandbox: SandboxControls, agent: Agent) -> None:
    token = agent.sign_in()["refresh_token"]
    shown = sandbox.state()
    assert [(c["clientId"], c["intermediary"]) for c in shown["consents"]] == [("seller", "agent")]
    assert [one["clientId"] for one in shown["intermediaries"]] == ["agent"]
    assert token not in json.dumps(shown)


def test_codes_and_consents_are_kept(tmp_path: Path) -> None:
    world = World()
    seed_demo(world)
    kept = json.loads(json.dumps(document.write(world)))
    agent, seller = kept["intermediaries"][0]["client_id"], kept["sellers"][0]["client_id"]
    ends = world.now() + 60
    code = {"code": "c", "intermediary": agent, "client_id": seller, "redirect_uri": BACK, "expires_at": ends}
    kept["codes"].append(code)
    kept["consents"].append(
        {"refresh_token": "r", "intermediary": agent, "client_id": seller, "expires_at": ends + 60}
    )
    again = World()
    document.read(again, json.loads(json.dumps(kept)))
    assert json.loads(json.dumps(document.write(again))) == kept
    again.clock.advance(61)
    again.settle()
    assert (list(again.codes), list(again.consents)) == ([], ["r"])
    again.clock.advance(60)
    again.settle()
    assert not again.consents

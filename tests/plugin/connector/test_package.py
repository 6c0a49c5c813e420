"""The package as others see it: its names, its addresses, and what it must not know."""

from __future__ import annotations

import subprocess
import sys

import pytest

import plugin.connector
from plugin.connector import DEMO, PRODUCTION, BadRequest, Credentials, Deadline, sandbox_environment
from plugin.connector.routes import ORDER


def test_all_names_are_exported_and_sorted_once() -> None:
    names = plugin.connector.__all__
    assert len(names) == len(set(names))
    assert all(hasattr(plugin.connector, name) for name in names)


def test_it_stands_alone() -> None:
    code = (
        "import sys, plugin.connector, plugin.connector.redis_budget, plugin.connector.redis_tokens;"
        "found = {n.split('.')[0] for n in sys.modules} & {'flask', 'sqlalchemy', 'rq', 'host_app', 'bol_sandbox'};"
        "found |= {n for n in sys.modules if n.startswith('plugin.') and not n.startswith('plugin.connector')};"
        "sys.exit(repr(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_production_secrets_go_to_bol_over_tls_only() -> None:
    for environment in (PRODUCTION, DEMO):
        assert environment.login_url == "https://login.bol.com"
        assert environment.api_url == "https://api.bol.com"


@pytest.mark.parametrize(
    ("documented", "demo"),
    [
        ("/retailer/orders/1", "/retailer-demo/orders/1"),
        ("/shared/process-status", "/shared-demo/process-status"),
        ("/retailer/public/ratelimits", "/retailer/public/ratelimits"),
    ],
)
def test_the_demo_environment_has_paths_of_its_own(documented: str, demo: str) -> None:
    assert DEMO.path(documented) == demo
    assert PRODUCTION.path(documented) == documented


@pytest.mark.parametrize(
    ("order_id", "path"),
    [("C0001-x_9", "C0001-x_9"), ("C001.QEC", "C001.QEC"), ("é 1?#%", "%C3%A9%201%3F%23%25")],
)
def test_an_id_is_one_part_of_the_path_whatever_characters_it_has(order_id: str, path: str) -> None:
    assert ORDER.path({"order-id": order_id}) == f"/retailer/orders/{path}"


@pytest.mark.parametrize("order_id", ["", ".", "..", "../offers", "a/b", "a\\b", "a\nb", "x" * 101])
def test_an_id_that_would_lead_elsewhere_is_refused_like_a_request_that_bol_refuses(order_id: str) -> None:
    """Ids come from bol and from people: a flow that sorts out what bol refuses is not stopped by one of them."""
    with pytest.raises(BadRequest) as caught:
        ORDER.path({"order-id": order_id})
    assert isinstance(caught.value, ValueError)


def test_a_sandbox_address_needs_a_scheme_and_loses_its_slash() -> None:
    assert sandbox_environment("http://127.0.0.1:5050/").api_url == "http://127.0.0.1:5050"
    with pytest.raises(ValueError):
        sandbox_environment("127.0.0.1:5050")


def test_a_deadline_never_counts_below_zero() -> None:
    assert 19 < Deadline.after().remaining() <= 20
    assert Deadline.after(-5).remaining() == 0
    assert Deadline.after(-5).passed


def test_credentials_keep_their_secret() -> None:
    assert "hidden" not in f"{Credentials('id', 'hidden')}"

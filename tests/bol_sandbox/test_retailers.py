"""Whose account it is."""

from __future__ import annotations

from bol_sandbox.testing import SandboxControls
from tests.bol_sandbox.conftest import Api


def test_a_seller_learns_its_own_number_and_name(sandbox: SandboxControls, api: Api) -> None:
    number = sandbox.add_seller("second", "secret", name="Groene Vingers")["sellerId"]
    own = Api(sandbox.url, "second", "secret").get("/retailer/retailers/current").json()
    assert (own["retailerId"], own["displayName"]) == (number, "Groene Vingers")
    assert api.get(f"/retailer/retailers/{number}").json() == own
    assert api.get("/retailer/retailers/current").json()["retailerId"] != number
    assert api.get("/retailer/retailers/1").status_code == 404

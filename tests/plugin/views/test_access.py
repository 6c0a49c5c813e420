"""Who may see and press what."""

from __future__ import annotations

import pytest

from plugin.models import Store, StoreState
from tests.host_app.admin.conftest import Person
from tests.plugin.views.conftest import Site

EVERYONE = ("", "1/", "1/orders", "1/offers", "1/shipments", "1/labels")
ADMINISTRATORS = ("connect", "1/settings", "1/summary")
BUTTONS = (
    "connect",
    "1/settings",
    "1/activate",
    "1/pause",
    "1/import-orders",
    "1/import-products",
    "1/shipments/1/try-again",
    "1/shipments/1/handled",
    "1/corrections/1/try-again",
    "1/labels/1/enter-number",
    "1/labels/1/buy-again",
    "1/orders/1/read-again",
    "1/orders/1/items/1/link",
    "1/orders/1/accept-request",
    "1/orders/1/keep",
    "1/orders/1/cancel-at-bol",
)


@pytest.fixture(autouse=True)
def one_store(store: int) -> None:
    assert store == 1


@pytest.mark.parametrize("path", EVERYONE + ADMINISTRATORS)
def test_anonymous_people_log_in_first(site: Site, path: str) -> None:
    answer = Person(site.app).get(f"/admin/bol/{path}")
    assert answer.status_code == 302
    assert answer.location.startswith("/login")


@pytest.mark.parametrize("path", BUTTONS)
def test_anonymous_people_press_nothing(site: Site, path: str) -> None:
    person = Person(site.app)
    answer = person.client.post(f"/admin/bol/{path}", data={"csrf_token": person.token()})
    assert answer.status_code == 302
    assert answer.location.startswith("/login")


@pytest.mark.parametrize("path", EVERYONE)
def test_packers_may_look(packer: Person, path: str) -> None:
    answer = packer.get(f"/admin/bol/{path}")
    assert answer.status_code == 200
    assert 'method="post"' not in answer.text.split('id="main"')[1]
    assert "/admin/bol/connect" not in answer.text


@pytest.mark.parametrize("path", ADMINISTRATORS)
def test_packers_configure_nothing(packer: Person, path: str) -> None:
    assert packer.get(f"/admin/bol/{path}").status_code == 403


@pytest.mark.parametrize("path", BUTTONS)
def test_packers_press_nothing(site: Site, packer: Person, path: str) -> None:
    assert packer.post(f"/admin/bol/{path}").status_code == 403
    with site.shop() as shop:
        (row,) = shop.all(Store)
        assert row.state == StoreState.ACTIVE


@pytest.mark.parametrize("path", BUTTONS)
def test_nothing_is_done_without_a_token(site: Site, chief: Person, path: str) -> None:
    assert chief.client.post(f"/admin/bol/{path}").status_code == 400
    with site.shop() as shop:
        (row,) = shop.all(Store)
        assert row.state == StoreState.ACTIVE


@pytest.mark.parametrize("path", ["activate", "pause", "import-orders", "import-products"])
def test_buttons_are_not_addresses(chief: Person, path: str) -> None:
    assert chief.get(f"/admin/bol/1/{path}").status_code == 405


@pytest.mark.parametrize(
    "path", ["", "orders", "orders/1", "offers", "shipments", "labels", "settings", "summary"]
)
def test_a_store_that_is_not_there(chief: Person, path: str) -> None:
    assert chief.get(f"/admin/bol/99/{path}").status_code == 404


def test_files_of_the_pages_are_served(site: Site) -> None:
    for name in ("bol.css", "bol.js"):
        assert Person(site.app).get(f"/admin/bol/static/{name}").status_code == 200

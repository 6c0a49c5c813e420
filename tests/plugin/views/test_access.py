"""Who may see and press what."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from plugin.models import Store, StoreState
from tests.host_app.admin.conftest import Person
from tests.plugin.views.conftest import Site

EVERYONE = (
    "",
    "1/",
    "1/orders",
    "1/offers",
    "1/offers/1",
    "1/eans",
    "1/shipments",
    "1/labels",
    "1/checks",
    "1/checks/2",
)
ADMINISTRATORS = ("connect", "1/settings", "1/summary", "1/stock-plan")
BUTTONS = (
    "connect",
    "1/settings",
    "1/activate",
    "1/pause",
    "1/send-zeros",
    "1/discard-zeros",
    "1/import-orders",
    "1/import-products",
    "1/import-products/1/stop",
    "1/offers/1/link",
    "1/offers/1/unlink",
    "1/offers/1/match",
    "1/offers/1/push",
    "1/offers/1/exclude",
    "1/offers/1/include",
    "1/offers/1/safety-stock",
    "1/checks/start",
    "1/checks/2/stop",
    "1/stock-plan/work-out",
    "1/stock-plan/send",
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
def one_store(site: Site, store: int) -> None:
    """A store with a stock check, which is its second run, after the import of its products."""
    with site.shop() as shop:
        assert (store, shop.runtime.check_stock(store, True, "chief")) == (1, 2)


def each(paths: Iterable[str], ask: Callable[[str], object]) -> dict[str, object]:
    """Return what each path answers."""
    return {path: ask(f"/admin/bol/{path}") for path in paths}


def unchanged(site: Site) -> bool:
    with site.shop() as shop:
        (row,) = shop.all(Store)
        return bool(row.state == StoreState.ACTIVE)


def test_anonymous_people_log_in_first(site: Site) -> None:
    pages = EVERYONE + ADMINISTRATORS

    def ask(path: str) -> object:
        answer = Person(site.app).get(path)
        return answer.status_code, answer.location.partition("?")[0]

    assert each(pages, ask) == dict.fromkeys(pages, (302, "/login"))


def test_anonymous_people_press_nothing(site: Site) -> None:
    person = Person(site.app)
    token = person.token()

    def ask(path: str) -> object:
        answer = person.client.post(path, data={"csrf_token": token})
        return answer.status_code, answer.location.partition("?")[0]

    assert each(BUTTONS, ask) == dict.fromkeys(BUTTONS, (302, "/login"))


@pytest.mark.parametrize("path", EVERYONE)
def test_packers_may_look(packer: Person, path: str) -> None:
    answer = packer.get(f"/admin/bol/{path}")
    assert answer.status_code == 200
    assert 'method="post"' not in answer.text.split('id="main"')[1]
    assert "/admin/bol/connect" not in answer.text


def test_packers_configure_nothing(packer: Person) -> None:
    answers = each(ADMINISTRATORS, lambda path: packer.get(path).status_code)
    assert answers == dict.fromkeys(ADMINISTRATORS, 403)


def test_packers_press_nothing(site: Site, packer: Person) -> None:
    token = packer.token("/admin/")
    answers = each(BUTTONS, lambda path: packer.client.post(path, data={"csrf_token": token}).status_code)
    assert answers == dict.fromkeys(BUTTONS, 403)
    assert unchanged(site)


def test_nothing_is_done_without_a_token(site: Site, chief: Person) -> None:
    answers = each(BUTTONS, lambda path: chief.client.post(path).status_code)
    assert answers == dict.fromkeys(BUTTONS, 400)
    assert unchanged(site)


def test_buttons_are_not_addresses(chief: Person) -> None:
    buttons = [f"1/{name}" for name in ("activate", "pause", "import-orders", "import-products")]
    assert each(buttons, lambda path: chief.get(path).status_code) == dict.fromkeys(buttons, 405)


def test_a_store_that_is_not_there(chief: Person) -> None:
    names = (
        "",
        "orders",
        "orders/1",
        "offers",
        "offers/1",
        "eans",
        "shipments",
        "labels",
        "settings",
        "summary",
    )
    pages = [f"99/{name}" for name in names]
    assert each(pages, lambda path: chief.get(path).status_code) == dict.fromkeys(pages, 404)


def test_files_of_the_pages_are_served(site: Site) -> None:
    for name in ("bol.css", "bol.js"):
        assert Person(site.app).get(f"/admin/bol/static/{name}").status_code == 200

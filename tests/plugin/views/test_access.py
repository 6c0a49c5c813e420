"""What people find on the pages that they may see; which those are is told by test_roles.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.host_app.admin.conftest import Person
from tests.plugin.views.conftest import Site

EVERYONE = (
    "",
    "attention",
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


@pytest.fixture(autouse=True)
def one_store(site: Site, store: int) -> None:
    """A store with a stock check, which is its second run, after the import of its products."""
    with site.shop() as shop:
        assert (store, shop.runtime.check_stock(store, True, "chief")) == (1, 2)


def each(paths: Iterable[str], ask: Callable[[str], object]) -> dict[str, object]:
    """Return what each path answers."""
    return {path: ask(f"/admin/bol/{path}") for path in paths}


@pytest.mark.parametrize("path", EVERYONE)
def test_packers_may_look(packer: Person, path: str) -> None:
    answer = packer.get(f"/admin/bol/{path}")
    assert answer.status_code == 200
    assert 'method="post"' not in answer.text.split('id="main"')[1]
    assert "/admin/bol/connect" not in answer.text


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

"""Who may see and do what: every route of the whole application, for anonymous people, packers and administrators."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from werkzeug.test import TestResponse

from plugin.models import Store, StoreState
from tests.host_app.admin.conftest import Person, logged_in
from tests.plugin.views.conftest import Site

#: No login needed. Those of them that change something prove in another way who asks.
PUBLIC = """
GET /
GET /login
POST /login
POST /language
GET /healthz
GET /readyz
GET /metrics
GET /static/<path:filename>
GET /admin/static/<path:filename>
GET /admin/bol/static/<path:filename>
GET /bol/webhooks/<key>
POST /bol/webhooks/<key>
"""
#: Everyone who is logged in: packers pick, close, print and look.
EVERYONE = """
POST /admin/bol/<int:store_id>/labels/<int:effect_id>/fetch
POST /logout
GET /admin/
GET /admin/account/
POST /admin/account/
POST /admin/account/password
GET /admin/notifications/
POST /admin/notifications/read
GET /admin/orders/
GET /admin/orders/<int:order_id>
GET /admin/picklists/
GET /admin/picklists/next
GET /admin/picklists/<int:picklist_id>
GET /admin/picklists/<int:picklist_id>/close
GET /admin/picklists/<int:picklist_id>/labels/<int:label_id>.pdf
GET /admin/picklists/<int:picklist_id>/parts
GET /admin/picklists/<int:picklist_id>/slip
GET /admin/picklists/<int:picklist_id>/watched
POST /admin/picklists/<int:picklist_id>/close
POST /admin/picklists/<int:picklist_id>/label
POST /admin/picklists/<int:picklist_id>/pick
POST /admin/picklists/<int:picklist_id>/put-back
POST /admin/picklists/<int:picklist_id>/pick-all
POST /admin/picklists/<int:picklist_id>/scan
GET /admin/products/
GET /admin/products/<int:product_id>
GET /admin/shipments/
GET /admin/shipments/<int:shipment_id>
GET /admin/shipments/<int:shipment_id>/correct
POST /admin/shipments/<int:shipment_id>/correct
POST /admin/shipments/<int:shipment_id>/withdraw
GET /admin/webshops/
GET /admin/bol/
GET /admin/bol/attention
GET /admin/bol/<int:store_id>/
GET /admin/bol/<int:store_id>/calls
GET /admin/bol/<int:store_id>/checks
GET /admin/bol/<int:store_id>/checks/<int:run_id>
GET /admin/bol/<int:store_id>/checks/<int:run_id>/report.csv
GET /admin/bol/<int:store_id>/eans
GET /admin/bol/<int:store_id>/labels
GET /admin/bol/<int:store_id>/offers
GET /admin/bol/<int:store_id>/offers/<int:row_id>
GET /admin/bol/<int:store_id>/orders
GET /admin/bol/<int:store_id>/orders/<int:row_id>
GET /admin/bol/<int:store_id>/shipments
"""
ADMINISTRATORS = """
GET /admin/deliveries/
POST /admin/deliveries/<int:delivery_id>/again
POST /admin/notifications/mail
POST /admin/notifications/mail/test
POST /admin/deliveries/again
POST /admin/orders/<int:order_id>/cancel
POST /admin/orders/<int:order_id>/lines/<int:line_id>/take-off
POST /admin/orders/<int:order_id>/pause
POST /admin/orders/<int:order_id>/process
POST /admin/orders/<int:order_id>/resume
POST /admin/products/<int:product_id>/adjust
GET /admin/products/<int:product_id>/edit
POST /admin/products/<int:product_id>/edit
GET /admin/products/new
POST /admin/products/new
GET /admin/users/
POST /admin/users/
POST /admin/users/<int:user_id>
GET /admin/warehouses/
POST /admin/warehouses/
POST /admin/warehouses/<int:warehouse_id>
POST /admin/webshops/import
GET /admin/bol/connect
POST /admin/bol/connect
POST /admin/bol/connect/login
GET /admin/bol/connect/return
GET /admin/bol/<int:store_id>/connection
POST /admin/bol/<int:store_id>/connection/disconnect
POST /admin/bol/<int:store_id>/connection/login
POST /admin/bol/<int:store_id>/connection/sign-in
POST /admin/bol/<int:store_id>/connection/stay
POST /admin/bol/<int:store_id>/connection/test
GET /admin/bol/<int:store_id>/settings
POST /admin/bol/<int:store_id>/settings
GET /admin/bol/<int:store_id>/summary
GET /admin/bol/<int:store_id>/stock-plan
GET /admin/bol/<int:store_id>/shipment-plan
POST /admin/bol/<int:store_id>/shipment-plan/send
POST /admin/bol/<int:store_id>/stock-plan/send
POST /admin/bol/<int:store_id>/summary/read-again
POST /admin/bol/<int:store_id>/stock-plan/work-out
POST /admin/bol/<int:store_id>/activate
POST /admin/bol/<int:store_id>/pause
POST /admin/bol/<int:store_id>/carriers
POST /admin/bol/<int:store_id>/checks/<int:run_id>/stop
POST /admin/bol/<int:store_id>/checks/start
POST /admin/bol/<int:store_id>/corrections/<int:effect_id>/handled
POST /admin/bol/<int:store_id>/corrections/<int:effect_id>/try-again
POST /admin/bol/<int:store_id>/discard-zeros
POST /admin/bol/<int:store_id>/send-zeros-after-all
POST /admin/bol/<int:store_id>/offers/<int:row_id>/send-zero
POST /admin/bol/<int:store_id>/send-zeros
POST /admin/bol/<int:store_id>/import-orders
POST /admin/bol/<int:store_id>/import-products
POST /admin/bol/<int:store_id>/import-products/<int:run_id>/stop
POST /admin/bol/<int:store_id>/labels/<int:effect_id>/buy-again
POST /admin/bol/<int:store_id>/labels/<int:effect_id>/enter-number
POST /admin/bol/<int:store_id>/labels/<int:effect_id>/settled
POST /admin/bol/<int:store_id>/offers/<int:row_id>/exclude
POST /admin/bol/<int:store_id>/offers/<int:row_id>/include
POST /admin/bol/<int:store_id>/offers/<int:row_id>/link
POST /admin/bol/<int:store_id>/offers/<int:row_id>/match
POST /admin/bol/<int:store_id>/offers/<int:row_id>/push
POST /admin/bol/<int:store_id>/offers/<int:row_id>/safety-stock
POST /admin/bol/<int:store_id>/offers/<int:row_id>/unlink
POST /admin/bol/<int:store_id>/orders/<int:row_id>/accept-request
POST /admin/bol/<int:store_id>/orders/<int:row_id>/cancel-at-bol
POST /admin/bol/<int:store_id>/orders/<int:row_id>/items/<int:item_id>/link
POST /admin/bol/<int:store_id>/orders/<int:row_id>/keep
POST /admin/bol/<int:store_id>/orders/<int:row_id>/read-again
POST /admin/bol/<int:store_id>/orders/<int:row_id>/read-all-again
POST /admin/bol/<int:store_id>/orders/<int:row_id>/take-off
POST /admin/bol/<int:store_id>/shipments/<int:effect_id>/handled
POST /admin/bol/<int:store_id>/shipments/<int:effect_id>/try-again
POST /admin/bol/<int:store_id>/shipments/<int:effect_id>/try-all-again
POST /admin/bol/<int:store_id>/waiting-products/link
"""
#: What is asked of each route; its other methods are tried by the last test.
METHODS = ("GET", "POST")


def lines(text: str) -> set[str]:
    return set(text.split("\n")) - {""}


def paths(site: Site, allowed: Iterable[str]) -> list[tuple[str, str]]:
    """Return methods and paths of routes, with an id that may or may not be there."""
    wanted, found = set(allowed), []
    for rule in site.app.url_map.iter_rules():
        values = {name: "host.css" if name == "filename" else 1 for name in rule.arguments}
        for method in METHODS:
            if f"{method} {rule.rule}" in wanted:
                found.append((method, str(rule.build(values)[1])))  # type: ignore[index]
    assert len(found) >= len(wanted)
    return found


def ask(person: Person, method: str, path: str, token: str = "") -> TestResponse:
    return person.client.open(path, method=method, data={"csrf_token": token} if method == "POST" else None)


def is_sent_to_login(answer: TestResponse) -> bool:
    return answer.status_code == 302 and answer.location.partition("?")[0] == "/login"


def test_every_route_has_its_place_in_one_of_the_lists(site: Site) -> None:
    there = {
        f"{method} {rule.rule}"
        for rule in site.app.url_map.iter_rules()
        for method in METHODS
        if method in (rule.methods or ())
    }
    listed = [lines(text) for text in (PUBLIC, EVERYONE, ADMINISTRATORS)]

    assert there == set.union(*listed)
    assert sum(map(len, listed)) == len(there), "a route stands in two lists"


def test_anonymous_people_log_in_first(site: Site) -> None:
    person = Person(site.app)
    token = person.token()
    for method, path in paths(site, lines(EVERYONE) | lines(ADMINISTRATORS)):
        if path != "/logout":
            assert is_sent_to_login(ask(person, method, path, token)), (method, path)
    for method, path in paths(site, lines(PUBLIC)):
        assert not is_sent_to_login(ask(person, method, path, token)), (method, path)


def test_packers_see_and_do_what_is_theirs_and_nothing_else(site: Site, store: int, packer: Person) -> None:
    token = packer.token("/admin/")
    for method, path in paths(site, lines(ADMINISTRATORS)):
        assert ask(packer, method, path, token).status_code == 403, (method, path)
    with site.shop() as shop:
        (row,) = shop.all(Store)
        assert row.state == StoreState.ACTIVE
    for method, path in paths(site, lines(EVERYONE)):
        answer = ask(logged_in(site.app, "packer") if path == "/logout" else packer, method, path, token)
        allowed = answer.status_code != 403 and not is_sent_to_login(answer)
        assert allowed or path == "/logout", (method, path)


def test_administrators_may_do_all(site: Site, store: int, chief: Person) -> None:
    token = chief.token("/admin/")
    for method, path in paths(site, lines(EVERYONE) | lines(ADMINISTRATORS)):
        if path == "/logout":
            continue
        answer = ask(chief, method, path, token)
        # Whoever comes back from bol's login page without having left for it is told so, and who gives no password.
        refused = path in ("/admin/bol/connect/return", "/admin/account/password")
        fine = (400,) if refused else (200, 302, 404)
        assert answer.status_code in fine, (method, path, answer.status_code)
        assert not is_sent_to_login(answer), (method, path)


@pytest.mark.parametrize("name", ["chief", "packer"])
def test_nothing_is_changed_without_a_token(site: Site, store: int, name: str) -> None:
    person = logged_in(site.app, name)
    theirs = lines(EVERYONE) | (lines(ADMINISTRATORS) if name == "chief" else set())
    for method, path in paths(site, (route for route in theirs if route.startswith("POST"))):
        answer = ask(person, method, path)
        assert answer.status_code == 400, path
        assert "This page is out of date" in answer.text, path


def test_what_is_not_listed_for_a_route_is_not_done(site: Site, chief: Person) -> None:
    token = chief.token("/admin/")
    for rule in site.app.url_map.iter_rules():
        values = {name: "host.css" if name == "filename" else 1 for name in rule.arguments}
        path = str(rule.build(values)[1])  # type: ignore[index]
        for method in (*METHODS, "PUT", "PATCH", "DELETE"):
            others = [
                other
                for other in site.app.url_map.iter_rules()
                if other.rule == rule.rule and method in (other.methods or ())
            ]
            if not others:
                assert ask(chief, method, path, token).status_code in (400, 403, 404, 405), (method, path)

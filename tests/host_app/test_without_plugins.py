"""The warehouse works by itself: with no plugin installed, it starts, serves, and its goods move."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from flask import Flask
from sqlalchemy import select

from host_app import pruning, schedule
from host_app.db import reading, transaction, utcnow
from host_app.models import EventDelivery, Order, Picklist, User
from host_app.models.people import Role
from host_app.plugin_api import OrderState
from host_app.plugins import plugins
from host_app.port import host_port
from host_app.questions import questions
from host_app.services import picking
from host_app.services.backorders import fill_backorders
from host_app.services.picking import NewParcel
from host_app.services.stock import adjust_stock, free_stock
from tests.host_app import probe as probes
from tests.host_app.admin.conftest import Person
from tests.host_app.factories import accept, add_product, add_warehouse
from tests.host_app.probe import Unending, count


def pick_and_close() -> None:
    with reading() as session:
        picklist_id = session.scalar(select(Picklist.id).where(Picklist.state == "new"))
    assert picklist_id is not None
    assert questions().ask("picklist_closing", picklist_id=picklist_id) == []
    with transaction():
        picking.pick_all(picklist_id)
        picking.close_picklist(picklist_id, [NewParcel("postnl", "3S1")], who="ann")


def test_an_order_goes_from_reservation_over_a_backorder_to_completion(app: Flask) -> None:
    assert plugins().names == ()
    warehouse, product = add_warehouse(), add_product("A", 3)
    order = accept("1", (product, 5))
    pick_and_close()
    with transaction():
        adjust_stock(product, warehouse, change=4, reason="arrived", who="ann")
    fill_backorders(host_port(), Unending())
    pick_and_close()
    with reading() as session:
        found = session.get(Order, order.order_id)
        assert found is not None and found.state == OrderState.COMPLETED
        assert free_stock([product])[product].free == 2
    assert count(EventDelivery) == 0, "there is nobody to tell"


def test_the_scheduler_has_only_the_hosts_own_tidying_to_ask_for(app: Flask) -> None:
    assert schedule.tick(utcnow()) == [pruning.PRUNE]
    pruning.prune(host_port(), Unending())
    assert schedule.tick(utcnow()) == []
    assert count(EventDelivery) == 0


def test_pages_are_served_to_who_logs_in(app: Flask) -> None:
    with transaction() as session:
        user = User(username="ann", role=Role.ADMINISTRATOR, active=True)
        user.set_password("a long password")
        session.add(user)
    ann = Person(app)
    assert ann.log_in("ann", "a long password").status_code == 302
    indexes = [
        rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.endswith((".index", ".index_view"))
    ]
    assert len(indexes) > 5
    for page in indexes:
        assert ann.get(page).status_code == 200, page


def test_an_uninstalled_plugin_is_not_needed_by_any_command(tmp_path: Path) -> None:
    environment = probes.environment(tmp_path, "redis://127.0.0.1:1/0", "")
    hidden = "import sys; sys.modules['plugin'] = sys.modules['bol_sandbox'] = None\n"
    code = (
        hidden + "from host_app import create_app; print(len(create_app().extensions['host_plugins'].names))"
    )
    environment["HOST_BLOCKED_PLUGINS"] = "bol,probe"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "0\n", done.stderr

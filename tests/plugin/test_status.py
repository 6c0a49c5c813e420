"""What commands and monitoring tell of stores, and the commands that start work."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from host_app.db import transaction
from host_app.metrics import exposition
from plugin.models import Offer, Store
from tests.plugin.conftest import KETTLE, Shop
from tests.plugin.sync.test_stock import adjust

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(args=["bol", *words])


def told(shop: Shop) -> dict[str, Any]:
    (store,) = json.loads(run(shop, "status", "--json").stdout)
    found: dict[str, Any] = store
    return found


def measured() -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples of each metric, by the values of its labels in the order of their names."""
    return {
        family.name: {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for sample in family.samples
        }
        for family in text_string_to_metric_families(exposition().decode())
    }


def test_the_status_tells_what_is_owed_and_when_flows_went_well(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    store = told(shop)
    assert (store["state"], store["owed"], store["stock_to_send"]) == ("active", [], 0)
    assert store["last_good_runs"]["orders"] and store["last_good_runs"]["products"]
    shop.clock.ahead += timedelta(minutes=7)
    assert [work["kind"] for work in told(shop)["owed"]] == ["reading the order list"]
    text = run(shop, "status").stdout
    assert "Shop (active)" in text
    assert "last good run: orders: 7 minutes ago" in text
    assert "due: reading the order list: 1, for " in text
    assert "waits for a person: nothing" in text


def test_the_status_counts_what_waits_for_a_person_as_its_page_does(shop: Shop) -> None:
    shop.connect()
    shop.sandbox.request_cancellation(shop.order((KETTLE, 1)))
    shop.sandbox.request_cancellation(shop.order((KETTLE, 1)))
    shop.work()
    assert "waits for a person: 2, see Needs attention" in run(shop, "status").stdout
    assert "waiting" not in told(shop)


def test_metrics_tell_what_is_owed_calls_and_limits(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.sandbox.faults([{"method": "PATCH", "path": "/retailer/offers/*", "status": 429, "times": 1}])
    with transaction() as session:
        session.execute(update(Offer).where(Offer.ean == KETTLE).values(dirty_version=9, confirmed_amount=1))
    shop.work()
    found = measured()
    store = str(shop.store_id)
    assert found["bol_store_info"] == {("sandbox", "Shop", store): 1}
    assert found["bol_offers_waiting"][store,] == 1
    assert found["bol_calls_limited_recent"][store,] == 1
    assert found["bol_calls_recent"]["PATCH /retailer/offers/{offer-id}", "429", store] == 1
    assert 0 < max(found["bol_budget_used_ratio"].values()) < 1
    assert found["bol_last_good_run_timestamp_seconds"]["orders", store] > 0
    shop.clock.ahead += timedelta(minutes=7)
    assert found["bol_store_active"][store,] == 1
    assert measured()["bol_owed_oldest_seconds"]["reading the order list", store] > 60


def test_each_metric_that_an_alert_the_dashboard_or_the_docs_name_exists(shop: Shop) -> None:
    order_id = shop.order((KETTLE, 1))
    shop.connect(send_stock=True, send_shipments=True)
    shop.work()
    shop.close(order_id)
    shop.work()
    shop.clock.ahead += timedelta(minutes=7)
    known = set(measured())
    pattern = r"\b(?:host|bol)_[a-z_]*[a-z]\b"
    alerts = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    board = json.loads((MONITORING / "dashboard.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    page = (MONITORING.parent / "operations.md").read_text()
    listed = "".join(line for line in page.splitlines() if re.match(r"\| `(host|bol)_", line))
    for text in (*(rule["expr"] for rule in rules), *queries, listed):
        named = set(re.findall(pattern, text))
        assert named and named <= known, (text, named - known)
    assert known <= set(re.findall(pattern, listed)), "the page tells of every metric"


def test_stock_is_pushed_orders_read_and_all_caught_up_by_commands(shop: Shop) -> None:
    shop.connect(send_stock=True)
    shop.work()
    shop.order((KETTLE, 1))
    assert "Shop: asked for." in run(shop, "import").stdout
    shop.work()
    assert shop.free(KETTLE) == 19

    shop.sandbox.faults([{"path": "*", "drop": True}])
    adjust(shop, shop.offer(KETTLE).product_id, -4)
    shop.work()
    with transaction() as session:
        session.execute(update(Store).values(rests_until=shop.host.now() + timedelta(hours=1)))
        session.execute(
            update(Offer).where(Offer.ean == KETTLE).values(next_try_at=shop.host.now() + timedelta(hours=1))
        )
    shop.sandbox.faults([])
    assert run(shop, "catch-up", "--store", "Shop").exit_code == 0
    shop.work()
    assert shop.amount_at_bol(KETTLE) == 15

    before = shop.offer(KETTLE).dirty_version
    assert run(shop, "push").exit_code == 0
    assert shop.offer(KETTLE).dirty_version > before
    assert run(shop, "check").exit_code == 0
    shop.work()
    assert told(shop)["last_good_runs"]["stock check"]


@pytest.mark.parametrize("command", ["import", "push", "check", "catch-up", "import-products"])
def test_a_command_for_a_store_that_is_not_there_says_so(shop: Shop, command: str) -> None:
    result = run(shop, command, "--store", "Nowhere")
    assert result.exit_code == 1
    assert "no store named Nowhere" in result.output

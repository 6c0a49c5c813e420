"""The alert rules and the dashboard, asked of Prometheus itself where its promtool is at hand (Debian: `prometheus`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from host_app.metrics import exposition
from tests.conftest import AppFactory

MONITORING = Path(__file__).parents[1] / "docs" / "monitoring"
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
pytestmark = pytest.mark.skipif(not PROMTOOL, reason="promtool of Prometheus is not on the path")


def promtool(*arguments: str, told: str | None = None) -> str:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], input=told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_rules_and_what_the_dashboard_asks_are_understood(tmp_path: Path) -> None:
    assert "SUCCESS" in promtool("check", "rules", str(MONITORING / "alerts.yml"))
    board = json.loads((MONITORING / "dashboard.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(asked)]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file))


def alert(name: str, minutes: int, series: dict[str, str], **labels: str) -> dict[str, Any]:
    """Return a case in which one alert is raised after so many minutes; no labels: it is not."""
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{minutes}m",
                "alertname": name,
                "exp_alerts": [{"exp_labels": labels}] if labels else [],
            }
        ],
    }


def test_alerts_are_raised_when_something_is_wrong_and_not_before(tmp_path: Path) -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            # Words for people are not looked at here.
            rule.pop("annotations")
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump(rules))
    late = 'host_queue_oldest_seconds{queue="bol-orders"}'
    cases = [
        alert("DatabaseDown", 3, {"host_database_up": "0x5"}, severity="critical"),
        alert("DatabaseDown", 3, {"host_database_up": "1x5"}),
        alert("RedisDown", 1, {"host_redis_up": "0x5"}),
        alert("RedisDown", 4, {"host_redis_up": "0x5"}, severity="critical"),
        alert("NoWorker", 4, {"host_workers": "0x5", "host_schedulers": "1x5"}, severity="critical"),
        alert("QueueLate", 5, {late: "300x6"}, severity="warning", queue="bol-orders"),
        alert("QueueLate", 5, {'host_queue_oldest_seconds{queue="bol-bulk"}': "300x6"}),
        alert(
            "EventParked", 1, {'host_events_parked{plugin="bol"}': "1x3"}, severity="warning", plugin="bol"
        ),
    ]
    file = tmp_path / "cases.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": cases})
    )
    assert "SUCCESS" in promtool("test", "rules", str(file))


def test_what_is_exported_is_in_the_form_that_prometheus_wants(make_app: AppFactory) -> None:
    with make_app().app_context():
        promtool("check", "metrics", told=exposition().decode())

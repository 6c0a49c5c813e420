"""The pages tell the truth: names and signatures are those of the code, samples run, links lead somewhere."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import time
from pathlib import Path
from typing import Any

import pytest
import requests
from babel.messages.pofile import read_po

from bol_sandbox.controls import SETTINGS
from bol_sandbox.model import Settings
from bol_sandbox.testing import SandboxControls, running_sandbox
from host_app import events, migrate, plugin_api
from host_app.db import Base as HostBase
from host_app.db import db, reading, transaction
from host_app.models import Notification
from host_app.plugin_api import HookSpecs, HostPort, Lease
from host_app.plugins import Plugins
from host_app.port import host_port
from host_app.services import stock
from plugin.models import Base as PluginBase
from plugin.settings import DEFAULT_CARRIERS, StoreSettings
from tests.conftest import AppFactory
from tests.host_app.factories import add_product, add_warehouse
from tests.host_app.probe import Unending

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
HOOKS = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
SANDBOX = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def flat(text: str) -> str:
    """Return text without its line breaks: pages wrap where they like."""
    words = " ".join(text.split())
    return words.replace("( ", "(").replace(", )", ")").replace(" )", ")")


def parameters(function: Callable[..., object]) -> str:
    """Return a method's signature as it stands in its source, without ``self``."""
    signature = inspect.signature(function)
    shown = []
    for item in list(signature.parameters.values())[1:]:
        star = "*" if item.kind is item.VAR_POSITIONAL else ""
        default = "" if item.default is item.empty else f" = {item.default!r}"
        shown.append(f"{star}{item.name}: {item.annotation}{default}")
    return f"({', '.join(shown)}) -> {signature.return_annotation}"


def section(page: str, title: str) -> str:
    """Return what stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {title}"
    return found[1]


def public(thing: type) -> dict[str, Any]:
    return {name: value for name, value in vars(thing).items() if not name.startswith("_")}


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


# hooks


@pytest.mark.parametrize("name", public(HookSpecs))
def test_each_hook_stands_under_its_name_with_its_signature(name: str) -> None:
    assert f"@hookimpl def {name}{parameters(vars(HookSpecs)[name])}:" in flat(section(HOOKS, name))


def test_no_page_describes_a_hook_that_is_gone() -> None:
    headings = set(re.findall(r"^### ([a-z_]+)$", HOOKS, re.MULTILINE))
    assert headings == set(public(HookSpecs))


@pytest.mark.parametrize("thing", [HostPort, Lease], ids=lambda thing: thing.__name__)
def test_each_method_of_the_port_is_named_with_its_signature(thing: type) -> None:
    page = flat(HOOKS)
    for name, value in public(thing).items():
        if isinstance(value, property):
            assert value.fget is not None
            wanted = f"`{name}: {inspect.signature(value.fget).return_annotation}`"
        else:
            wanted = f"`{name}{parameters(value)}`"
        # A default that says "the usual" is left out.
        assert re.sub(r" = \d[\d.]*", "", wanted) in page, wanted


def test_each_value_of_the_contract_is_named_with_its_fields() -> None:
    page = flat(HOOKS)
    values = [value for value in vars(plugin_api).values() if is_dataclass(value)]
    assert len(values) > 20
    for value in values:
        shown = ", ".join(f"{item.name}: {item.type}" for item in fields(value))
        assert f"`{value.__name__}({shown})`" in page, value.__name__


def test_the_examples_of_hooks_can_be_registered() -> None:
    source = "\n".join(block for block in blocks(HOOKS, "python") if "lowstock" not in block)
    ast.parse(source)
    module = types.ModuleType("example")
    sys.modules["example"] = module
    try:
        exec(source, vars(module))  # noqa: S102 - our own page
        loaded = Plugins()
        loaded.register("example", module)
        assert all(loaded.implements("example", hook) for hook in public(HookSpecs))
    finally:
        del sys.modules["example"]


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The plugin of the page, written to files and imported."""
    found = re.findall(r"<!-- sample: (\S+) -->\n```python\n(.*?)```", HOOKS, re.DOTALL)
    assert [name for name, _ in found] == ["lowstock/__init__.py", "lowstock/migrations/env.py"]
    for name, text in found:
        path = tmp_path / "samples" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "samples"))
    yield importlib.import_module("lowstock")
    del sys.modules["lowstock"]


def test_the_plugin_to_begin_from_works(make_app: AppFactory, samples: Any) -> None:
    app = make_app(extra_plugins={"lowstock": samples}, blocked_plugins=("bol",))
    with app.app_context():
        migrate.upgrade()
        assert migrate.up_to_date()
        warehouse = add_warehouse()
        product = add_product("KETTLE", 3, warehouse_id=warehouse)
        assert not titles()
        with transaction():
            stock.adjust_stock(product, warehouse, set_to=0, reason="counted", who="test")
        events.dispatch(host_port(), Unending(), "lowstock")  # type: ignore[arg-type]
        assert titles() == ["KETTLE has run out"]
        db.session.remove()


def titles() -> list[str]:
    with reading() as session:
        return [row.title for row in session.query(Notification)]


# settings, environment, tables


def test_each_setting_of_a_store_is_in_the_table_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| [^|]+ \| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE))
    defaults = StoreSettings()
    assert set(rows) == {item.name for item in fields(StoreSettings)}
    for name, shown in rows.items():
        value = getattr(defaults, name)
        if isinstance(value, bool):
            assert shown == ("on" if value else "off"), name
        elif value in (None, (), {}, ""):
            assert shown == "empty", name
        elif isinstance(value, int | str):
            assert shown == str(value), name
        elif isinstance(value, time):
            assert shown == f"{value:%H:%M}", name
        else:
            assert shown == "see below", name
    for carrier, code in DEFAULT_CARRIERS.items():
        assert re.search(rf"\| {re.escape(carrier)} \| {re.escape(code)} \|", page), carrier


def test_the_labels_of_settings_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    form = (ROOT / "plugin" / "templates" / "bol" / "settings.html").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| `(\w+)` \|", page, re.MULTILINE)
    assert rows
    assert [label for label, _ in rows if label not in form] == []


def read_from_the_environment() -> set[str]:
    """Return the names of environment variables that the host and the plugin read."""
    code = [
        path.read_text(encoding="utf-8")
        for folder in ("host_app", "plugin")
        for path in (ROOT / folder).rglob("*.py")
        if "environ" in path.read_text(encoding="utf-8")
    ]
    found = set()
    for text in code:
        constants = dict(re.findall(r'^([A-Z_]+) = "([A-Z_]+)"$', text, re.MULTILINE))
        found |= set(re.findall(r'environ(?:\.get\(|\[|, )"([A-Z_]+)"', text))
        found |= {constants[name] for name in re.findall(r"environ\.get\(([A-Z_]+)[,)]", text)}
    return found


def test_what_the_manual_names_stands_on_the_pages() -> None:
    """Buttons and fields in bold as they are written there, what people read in italics with dots for what differs."""
    catalogues = (
        "plugin/translations/nl/LC_MESSAGES/bol.po",
        "host_app/translations/nl/LC_MESSAGES/messages.po",
    )
    # The name of the connector, and a button on a page of bol.
    texts = {"Bol.com Retailer", "Allow"}
    for path in catalogues:
        with (ROOT / path).open("rb") as file:
            for message in read_po(file):
                texts |= {message.id} if isinstance(message.id, str) else set(message.id)
    shown = [re.sub(r"%\((num|count)\)s", "1", text) for text in texts]
    shown = [
        re.sub(r"%\(\w+\)s", "...", text).replace("<strong>", "").replace("</strong>", "") for text in shown
    ]
    manual = (ROOT / "docs" / "manual.md").read_text(encoding="utf-8")
    bold = {part.strip() for named in re.findall(r"\*\*(.+?)\*\*", manual) for part in named.split("›")}
    read = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", manual))
    assert len(bold) > 50 and len(read) > 15
    unknown = {
        named for named in bold if not any(text == named or text.startswith(f"{named}:") for text in shown)
    }
    unknown |= {said for said in read if not any(said.strip(".: ") in text for text in shown)}
    assert unknown == set()


def test_each_environment_variable_is_in_the_readme() -> None:
    shown = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
    read = read_from_the_environment()
    assert {"DATABASE_URL", "HOST_PORT", "BOL_ENCRYPTION_KEYS", "BOL_SANDBOX_URL"} <= read
    assert shown == read


@pytest.mark.parametrize("metadata", [HostBase.metadata, PluginBase.metadata], ids=["host", "plugin"])
def test_each_table_has_its_sentence_in_the_architecture(metadata: Any) -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| `(\w+)` \| \w", page, re.MULTILINE))
    missing = set(metadata.tables) - shown
    assert not missing
    assert shown - {"bol_alembic_version", "alembic_version"} <= {
        *HostBase.metadata.tables,
        *PluginBase.metadata.tables,
    }


# commands and links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    # In commands and in `code`, not in prose ("make a set of credentials").
    named = re.findall(r"^    make (?:-C \S+ )?([a-z]+)", text, re.MULTILINE)
    named += re.findall(r"`make ([a-z]+)[^`]*`", text)
    assert set(named) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_of_flask_that_is_named_exists(page: Path, make_app: AppFactory) -> None:
    named = re.findall(r"flask --app host_app ([a-z][a-z-]*)", page.read_text(encoding="utf-8"))
    if named:
        assert set(named) <= set(make_app().cli.commands) | {"routes", "shell"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_to_a_file_leads_to_one(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:plugin|host_app|bol_sandbox|tests|docs|benchmarks)/[\w./-]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


# the sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxControls]:
    with running_sandbox() as controls:
        yield controls


def controls_of_the_page() -> list[tuple[str, str, str]]:
    """Return method, address and body of each call that the page shows."""
    commands = re.findall(
        r"^    curl -s(?: -X (\w+))? \"?\$SANDBOX([^\s\"]+)\"?(?: -d '([^\n]*)')?$", SANDBOX, re.MULTILINE
    )
    return [(method or "GET", path, body) for method, path, body in commands]


def test_each_call_to_the_sandbox_works_in_turn(sandbox: SandboxControls) -> None:
    calls = controls_of_the_page()
    assert len(calls) > 10
    order_id = ""
    for method, path, body in calls:
        if "SHIPMENT_ID" in path:
            path = path.replace("SHIPMENT_ID", parcel_of(sandbox, order_id))
        answer = requests.request(
            method,
            sandbox.url + path.replace("ORDER_ID", order_id),
            data=body or None,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            timeout=30,
        )
        assert answer.status_code == 200, f"{method} {path}: {answer.text}"
        order_id = answer.json().get("orderId", order_id)


def parcel_of(sandbox: SandboxControls, order_id: str) -> str:
    """Ship a piece of the order of the page, and return the shipment's id."""
    orders = {order["orderId"]: order for order in sandbox.state()["orders"]}
    item = orders[order_id]["orderItems"][0]["orderItemId"]
    token = requests.post(
        f"{sandbox.url}/token", auth=("shop", "secret"), data={"grant_type": "client_credentials"}, timeout=30
    ).json()["access_token"]
    media = "application/vnd.retailer.v10+json"
    shipped = requests.post(
        f"{sandbox.url}/retailer/shipments",
        json={"orderItems": [{"orderItemId": item, "quantity": 1}], "transport": {"transporterCode": "TNT"}},
        headers={"Authorization": f"Bearer {token}", "Accept": media, "Content-Type": media},
        timeout=30,
    )
    assert shipped.status_code == 202, shipped.text
    sandbox.advance(60)
    return str(sandbox.state()["shipments"][-1]["shipmentId"])


def test_each_control_of_the_sandbox_is_on_the_page() -> None:
    files = sorted((ROOT / "bol_sandbox").glob("*controls.py"))
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    routes = re.findall(r'web\.(post|put|get|delete)\("(/sandbox/[^"]+)"', source)
    shown = [(method.lower(), path.split("?")[0]) for method, path, _ in controls_of_the_page()]
    assert len(routes) > 10
    for method, path in routes:
        pattern = re.compile(re.sub(r"\{\w+\}", "[A-Za-z_]+", path))
        assert any(method == one and pattern.fullmatch(other) for one, other in shown), path


def test_each_switch_of_the_sandbox_is_on_the_page_with_its_first_value() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^|]+)` \|", SANDBOX, re.MULTILINE))
    first = Settings()
    assert rows == {name: json.dumps(getattr(first, attribute)) for name, (attribute, _) in SETTINGS.items()}


@pytest.mark.parametrize("number", range(len(blocks(SANDBOX, "python"))))
def test_the_samples_of_the_sandbox_run(number: int) -> None:
    exec(blocks(SANDBOX, "python")[number], {})  # noqa: S102 - our own page


def test_the_sandbox_takes_the_arguments_of_the_page() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "bol_sandbox", "--help"], capture_output=True, text=True, check=True
    ).stdout
    named = set(re.findall(r"--[a-z][a-z-]+", section(SANDBOX, "Run it")))
    assert named
    assert [option for option in named if option not in help_text] == []

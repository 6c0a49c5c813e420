"""A plugin that brings one of everything the host shows, and does what a test tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from flask import Blueprint
from flask_admin import BaseView, expose
from sqlalchemy import MetaData

from host_app.plugin_api import (
    ClosingAnswer,
    HostError,
    HostPort,
    Integration,
    Level,
    OrderImport,
    Panel,
    PanelLink,
    PanelRow,
    PluginInfo,
    ShippingOptions,
    StoreSummary,
    Wake,
    hookimpl,
)

EVIL = "<script>alert(1)</script>"


class OpenPages(BaseView):
    """Pages without ``roles``: everyone reads, administrators change."""

    @expose("/")
    def index(self) -> str:
        return "probe pages"

    @expose("/change", methods=["POST"])
    def change(self) -> str:
        return "changed"

    @expose("/print", methods=["GET", "POST"])
    def print_label(self) -> str:
        return "printed"

    print_label.roles = frozenset({"administrator", "warehouse"})  # type: ignore[attr-defined]


class ChiefPages(BaseView):
    """Pages for administrators only, with a number in the menu."""

    roles: ClassVar = {"administrator"}

    def badge(self) -> int:
        return 7

    @expose("/")
    def index(self) -> str:
        return str(self.render("host/error.html", title="For chiefs", text="Only"))


class Probe:
    """The plugin. ``answer`` is what it says to a picklist that is to be closed, ``offer`` what labels it sells."""

    def __init__(self) -> None:
        self.waiting: Any = None
        self.answer: Any = None
        self.asked: list[int] = []
        #: Done while the packer waits for the answer.
        self.meanwhile: Callable[[], object] = lambda: None
        self.stores: tuple[StoreSummary, ...] = ()
        self.panel_error: Exception | None = None
        self.offer: Any = None
        self.asked_for: list[dict[int, int]] = []
        self.bought: list[tuple[int, dict[int, int], str, str]] = []
        self.purchase_error: Exception | None = None

    @hookimpl
    def plugin_info(self) -> PluginInfo:
        return PluginInfo(
            name="probe",
            title="Probe shop",
            version="1",
            package="tests.host_app.admin.probe",
            table_prefix="probe_",
            metadata=MetaData(),
            migrations=str(Path(__file__).parent),
            queues=("probe",),
        )

    @hookimpl
    def admin_views(self, host: Any) -> list[Any]:
        return [
            OpenPages(name="Probe", endpoint="probe_open", category="Probe shop"),
            ChiefPages(name="Chiefs", endpoint="probe_chiefs", category="Probe shop"),
            OpenPages(name="Elsewhere", endpoint="probe_elsewhere", url="/probe-elsewhere"),
        ]

    @hookimpl
    def blueprints(self, host: Any) -> list[Any]:
        public = Blueprint("probe_public", __name__)
        public.add_url_rule("/probe/webhook", "webhook", lambda: "heard", methods=["POST"])
        public.add_url_rule("/admin/probe-page", "page", lambda: "guarded", methods=["GET", "POST"])
        return [public]

    @hookimpl
    def attention(self, host: HostPort) -> Any:
        if callable(self.waiting):
            return self.waiting(host)
        return self.waiting

    @hookimpl
    def integrations(self, host: Any) -> list[Integration]:
        description = "Orders come in, stock and shipments go out."
        return [Integration("probe", "Probe shop", description, "/admin/probe_chiefs/", self.stores)]

    @hookimpl
    def order_panels(self, host: Any, order_id: int) -> list[Panel]:
        if self.panel_error:
            raise self.panel_error
        # A plugin may use a reading of its own, which closes the session of the page.
        with host.reading():
            number = host.order_views([order_id])[order_id].number
        rows = (PanelRow("Order", number, Level.SUCCESS), PanelRow("Evil", EVIL, Level.DANGER))
        links = (PanelLink("Look there", "/admin/probe_open/"), PanelLink("Run", "javascript:alert(1)"))
        return [Panel(f"Probe {EVIL}", rows, links)]

    @hookimpl
    def picklist_panels(self, host: Any, picklist_id: int) -> list[Panel]:
        return [Panel("Probe", (PanelRow("Picklist", str(picklist_id)),))]

    @hookimpl
    def picklist_closing(self, host: Any, picklist_id: int, seconds: float) -> ClosingAnswer | None:
        assert not host.in_transaction
        self.asked.append(picklist_id)
        self.meanwhile()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @hookimpl
    def shipping_options(
        self, host: Any, picklist_id: int, pieces: Mapping[int, int], seconds: float
    ) -> ShippingOptions | None:
        assert not host.in_transaction
        self.asked_for.append(dict(pieces))
        if isinstance(self.offer, Exception):
            raise self.offer
        return self.offer

    @hookimpl
    def request_label(
        self, host: Any, picklist_id: int, pieces: Mapping[int, int], option_key: str, who: str
    ) -> list[Wake]:
        assert host.in_transaction
        if self.purchase_error:
            raise self.purchase_error
        if any(one[:2] == (picklist_id, pieces) for one in self.bought):
            raise HostError("This label is being bought already.")
        self.bought.append((picklist_id, dict(pieces), option_key, who))
        return [Wake("probe:labels", "probe", "tests.host_app.admin.probe:nothing")]

    @hookimpl
    def order_import(self, host: Any, event: OrderImport) -> list[Any]:
        return []

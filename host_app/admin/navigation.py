"""The menu bar: what the current user may open, with the numbers that ask for attention."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Flask, current_app, g, request
from flask_admin import Admin
from flask_admin.menu import BaseMenu, MenuView
from flask_babel import gettext as _
from flask_login import current_user

from host_app.admin.base import HostView, ask_on_page
from host_app.admin.security import may, safe_path
from host_app.plugin_api import Attention

#: What the group of settings is called inside; it comes last.
SETTINGS = "settings"


@dataclass(slots=True)
class MenuItem:
    """One entry of the menu; ``children`` for a group. ``counts``: a 0 is shown, too, so that nothing moves when it is none."""

    name: str
    url: str = ""
    active: bool = False
    badge: int = 0
    counts: bool = False
    children: list[MenuItem] = field(default_factory=list)


def init_app(app: Flask, admin: Admin) -> None:
    """Give templates the menu."""
    app.jinja_env.globals["menu"] = lambda view: menu(admin, view)


def menu(admin: Admin, active: Any) -> list[MenuItem]:
    """Return the menu for the current user: first what waits for people in plugins, settings last.

    Nobody but an administrator has a group of settings.
    """
    items = [item for entry in admin.menu() if (item := _item(entry, active)) and item.url != "/admin/"]
    waiting = [
        MenuItem(told.title, told.url, request.path == told.url, told.number, counts=True)
        for told in attention()
    ]
    if any(item.active for item in waiting):
        # The page is one of a plugin's view, whose own entry would be marked beside it.
        for item in items:
            item.active = False
    return waiting + sorted(items, key=lambda item: item.name == _("Settings"))


def attention() -> list[Attention]:
    """Return what plugins have for people to do, asked once in a request. A plugin that fails has nothing to tell."""
    if "attention" not in g:
        g.attention = []
        for _name, told in ask_on_page("attention"):
            if isinstance(told, Attention) and safe_path(told.url) == told.url:
                g.attention.append(told)
    found: list[Attention] = g.attention
    return found


def _item(entry: BaseMenu, active: Any) -> MenuItem | None:
    if entry.is_category():
        if entry.name == SETTINGS and not current_user.is_administrator:
            return None
        children = [item for child in entry._children if (item := _item(child, active))]
        if not children:
            return None
        badge = sum(child.badge for child in children)
        name = _("Settings") if entry.name == SETTINGS else str(entry.name)
        return MenuItem(name, active=entry.is_active(active), badge=badge, children=children)
    view = entry._view if isinstance(entry, MenuView) else None
    if not (entry.is_visible() and entry.is_accessible()) or (view is not None and not may(view)):
        return None
    counts = getattr(type(view), "badge", HostView.badge) is not HostView.badge
    return MenuItem(
        str(entry.name), entry.get_url() or "", entry.is_active(active), _badge(view), counts=counts
    )


def _badge(view: Any) -> int:
    """Return the number beside a view's menu item: of a method ``badge()``, if it has one."""
    badge = getattr(view, "badge", None)
    if not callable(badge):
        return 0
    try:
        return int(badge() or 0)
    except Exception:
        current_app.logger.exception("no number for the menu item of %s", type(view).__name__)
        return 0

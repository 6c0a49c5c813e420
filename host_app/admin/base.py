"""What the host's pages share: changing within a transaction, paging, and asking plugins for their part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import abort, current_app, flash, request
from flask_admin import BaseView
from flask_admin.form import BaseForm
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from host_app.admin.filters import retold
from host_app.admin.security import begin_reading
from host_app.db import db, transaction
from host_app.plugin_api import HostError, OrderNote, Panel
from host_app.plugins import plugins
from host_app.port import host_port

PAGE_SIZE = 50
Row = TypeVar("Row")


class HostView(BaseView):
    """A group of pages."""

    def badge(self) -> int:
        """Return the number to show beside the menu item; 0 for none."""
        return 0


class AdminForm(BaseForm):
    """Base for forms of Flask-Admin's model views, with the CSRF token of every other form."""

    class Meta(FlaskForm.Meta):
        """Flask-Admin's own secure form would ask for a second, different token."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a long list."""

    rows: Sequence[Any]
    number: int
    total: int
    size: int = PAGE_SIZE

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def first_row(self) -> int:
        return (self.number - 1) * self.size + 1 if self.total else 0

    @property
    def last_row(self) -> int:
        return min(self.number * self.size, self.total)


@dataclass(frozen=True, slots=True)
class PluginPart:
    """What one plugin contributes to a page; ``failed`` where it raised."""

    plugin: str
    title: str
    value: Any = None
    failed: bool = False


def who() -> str:
    """Return the name of who is logged in."""
    return str(current_user.username)


def found(row: Row | None) -> Row:
    """Return a row, or answer that the page does not exist."""
    if row is None:
        abort(404)
    return row


def paged(statement: Select[Any]) -> Page:
    """Read the page that the address asks for."""
    total = db.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    number = min(max(1, request.args.get("page", 1, type=int)), max(1, -(-total // PAGE_SIZE)))
    rows = db.session.scalars(statement.limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE)).unique().all()
    return Page(rows, number, total)


@contextmanager
def changing(done: str = "") -> Iterator[Session]:
    """Open a transaction; what the host refuses is shown to the user in place of ``done``."""
    try:
        with transaction() as session:
            yield session
    except HostError as error:
        flash(retold(str(error)), "danger")
    else:
        if done:
            flash(done, "success")
    finally:
        begin_reading()


def ask_plugins(hook: str, **arguments: Any) -> list[PluginPart]:
    """Ask each plugin for its part of a page. Read rows for the page after it, not before.

    A plugin may close the session, and one that fails may leave its transaction unusable: each gets a new one.
    """
    parts = []
    for name in plugins().names:
        if not plugins().implements(name, hook):
            continue
        title = plugins().infos[name].title
        try:
            parts.append(PluginPart(name, title, plugins().call(name, hook, host=host_port(), **arguments)))
        except Exception:
            current_app.logger.exception("plugin %s failed in %s", name, hook)
            parts.append(PluginPart(name, title, failed=True))
        finally:
            begin_reading()
    return parts


def ask_on_page(hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
    """Ask each plugin something within the page's own reading; one that fails is logged and left out."""
    for name in plugins().names:
        if not plugins().implements(name, hook):
            continue
        try:
            # A statement that fails must not take the page's own reading with it.
            with db.session.begin_nested():
                told = plugins().call(name, hook, host=host_port(), **arguments)
        except Exception:
            current_app.logger.exception("plugin %s failed in %s", name, hook)
            continue
        yield name, told


def notes_on(order_ids: Iterable[int]) -> dict[int, OrderNote]:
    """Return what plugins tell of these orders at a glance; an empty note for the others."""
    ids = sorted(set(order_ids))
    notes = dict.fromkeys(ids, OrderNote())
    for _name, told in ask_on_page("order_notes", order_ids=ids) if ids else ():
        notes |= {order_id: note for order_id, note in (told or {}).items() if order_id in notes}
    return notes


def panels(hook: str, **arguments: Any) -> tuple[list[Panel], list[str]]:
    """Return the panels of all plugins, and the titles of plugins that could not make theirs."""
    parts = ask_plugins(hook, **arguments)
    shown = [panel for part in parts for panel in part.value or []]
    return shown, [part.title for part in parts if part.failed]

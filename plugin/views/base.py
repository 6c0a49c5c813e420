"""What all pages of the connector share: the way to the host, who may do what, and finding the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from flask import abort, flash, redirect, request, url_for
from flask_admin import BaseView, expose
from flask_login import current_user  # type: ignore[import-untyped]
from werkzeug.wrappers import Response

from host_app.plugin_api import HostError, HostPort
from plugin.models import Store, Webhook
from plugin.sync.overview import Overview, overview
from plugin.views import texts, words
from plugin.views.actions import Actions

FOLDER = Path(__file__).parent.parent
URL = "/admin/bol"
ADMINISTRATORS = frozenset({"administrator"})
EVERYONE = frozenset({"administrator", "warehouse"})

Answer = str | Response
Handler = TypeVar("Handler", bound=Callable[..., Answer])


def shows(path: str, roles: frozenset[str] = EVERYONE) -> Callable[[Handler], Handler]:
    """Answer GET at a path below ``URL``, for these roles."""
    return _exposed(path, ("GET",), roles)


def does(path: str, roles: frozenset[str] = ADMINISTRATORS) -> Callable[[Handler], Handler]:
    """Answer POST at a path below ``URL``, for these roles."""
    return _exposed(path, ("POST",), roles)


def form(path: str) -> Callable[[Handler], Handler]:
    """Show a form and take it in, for administrators."""
    return _exposed(path, ("GET", "POST"), ADMINISTRATORS)


def _exposed(path: str, methods: tuple[str, ...], roles: frozenset[str]) -> Callable[[Handler], Handler]:
    def mark(handler: Handler) -> Handler:
        handler.roles = roles  # type: ignore[attr-defined]
        exposed: Handler = expose(path, methods=methods)(handler)
        return exposed

    return mark


class BolView(BaseView):  # type: ignore[misc]
    """The base of each group of pages; they are put together into one view."""

    def __init__(self, host: HostPort, actions: Actions) -> None:
        super().__init__(
            name="bol.com",
            endpoint="bol",
            url=URL,
            static_folder=str(FOLDER / "static"),
            static_url_path="/static",
        )
        self.host = host
        self.actions = actions

    def create_blueprint(self, admin: Any) -> Any:
        """Let Flask find the templates of this package."""
        blueprint = super().create_blueprint(admin)
        blueprint.template_folder = str(FOLDER / "templates")
        for name, written in words.FILTERS.items():
            blueprint.add_app_template_filter(written, name)
        return blueprint

    def back_to(self, url: str) -> Answer:
        """Go back to where a button was pressed: to the tasks or the store, where it stood there, else to ``url``."""
        back = request.form.get("back")
        if back == "attention":
            return redirect(url_for("bol.attention"))
        if back == "store" and request.view_args:
            return redirect(url_for("bol.show", store_id=request.view_args["store_id"]))
        return redirect(url)

    def page(self, template: str, **values: Any) -> str:
        """Render one of this package's templates."""
        kept_in = words.other_language(self.host.language)
        return str(self.render(f"bol/{template}.html", words=words, kept_in=kept_in, **texts.GIVEN, **values))

    def store(self, store_id: int) -> Store:
        """Return a store, or answer that the page does not exist."""
        with self.host.reading() as session:
            found: Store | None = session.get(Store, store_id)
        if found is None:
            abort(404)
        return found

    def webhook(self, store_id: int) -> Webhook | None:
        """Return how bol tells a store's events. In a transaction."""
        found: Webhook | None = self.host.session.get(Webhook, store_id)
        return found

    def overview(self, store_id: int) -> Overview:
        """Return a store with its counts, or answer that the page does not exist."""
        found = overview(self.host, store_id)
        if found is None:
            abort(404)
        return found


def who() -> str:
    """Return the name of who is logged in."""
    return str(current_user.username)


def may_decide() -> bool:
    """Tell if an administrator looks; False where nobody is logged in, as in another host's pages."""
    return bool(getattr(current_user, "is_administrator", False))


@contextmanager
def telling(done: str) -> Iterator[None]:
    """Tell the user that something is done, or why the host refuses it."""
    try:
        yield
    except HostError as error:
        flash(str(error), "danger")
    else:
        flash(done, "success")

"""Which language is spoken: to whoever looks at a page their own, everywhere else that of the installation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from babel import Locale
from flask import Flask, appcontext_pushed, current_app, g, request, session
from flask_babel import Babel, force_locale, gettext
from flask_login import current_user

from host_app.plugin_api import language, language_context, speaking

#: The languages there are, each as it calls itself. English is that of the sources.
LANGUAGES: Mapping[str, str] = {"en": "English", "nl": "Nederlands"}
#: Where the session keeps the language that was chosen at the login: it counts where the account has none.
SESSION_KEY = "language"


def init_app(app: Flask) -> None:
    """Have texts, moments and numbers written in the language that is spoken."""
    # Flask-Admin fails on every page when Flask-Babel is installed but not initialised.
    Babel(app, default_timezone="Europe/Amsterdam", locale_selector=language)
    appcontext_pushed.connect(_speak_to_everybody, app)
    app.before_request(_speak_to_who_looks)
    app.teardown_appcontext(_fall_silent)


def installation_language() -> str:
    """Return the language in which is written what is kept."""
    return str(current_app.extensions["host_config"].language)


def kept_in_other_language() -> str:
    """Return the name of the language that is kept in, as whoever looks calls it; "" where it is their own."""
    name = installation_language()
    return "" if language() == name else str(_locale(name).get_language_name(language()))


@contextmanager
def kept() -> Iterator[None]:
    """Write what is kept: in the language of the installation, whoever looks."""
    with in_language(installation_language()):
        yield


def kept_text(message: str, **values: object) -> str:
    """Return a text that is kept, in the language of the installation."""
    with kept():
        return str(gettext(message, **values))


@contextmanager
def addressing(chosen: str) -> Iterator[None]:
    """Write for somebody who has just chosen this language; "" is the one that their browser asks for."""
    with in_language(chosen or _asked_by_browser()):
        yield


@contextmanager
def in_language(name: str) -> Iterator[None]:
    """Write in this language."""
    with speaking(name), force_locale(_locale(name)):
        yield


@cache
def _locale(name: str) -> Locale:
    """Return a locale; it takes longer to read than most texts."""
    return Locale.parse(name)


def _speak_to_everybody(app: Flask, **_ignored: object) -> None:
    g.spoken = []
    # What was said before goes on: a question for a page is asked in a context of its own.
    if language_context.get() is None:
        g.spoken.append(language_context.set(app.extensions["host_config"].language))


def _speak_to_who_looks() -> None:
    # Files are the same for everybody, and not worth reading the user for.
    if (request.endpoint or "").rpartition(".")[2] != "static":
        g.spoken.append(language_context.set(_language_of_who_looks()))


def _language_of_who_looks() -> str:
    chosen = session.get(SESSION_KEY)
    # Elsewhere users are not read: monitoring must be answered where the database is away.
    if (request.endpoint is None or request.path.startswith("/admin")) and current_user.is_authenticated:
        chosen = current_user.language or chosen
    if chosen in LANGUAGES:
        return str(chosen)
    return _asked_by_browser()


def _asked_by_browser() -> str:
    return request.accept_languages.best_match(LANGUAGES) or installation_language()


def _fall_silent(_error: BaseException | None) -> None:
    for token in reversed(g.pop("spoken", ())):
        language_context.reset(token)

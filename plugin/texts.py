"""The connector's texts, in the language that is spoken; they are written in English and looked up as they are needed.

Texts that are kept, such as notifications, are made within ``speaking(host.language)``: people with different
languages read them.
"""

from __future__ import annotations

import gettext as catalogues
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_decimal
from babel.support import LazyProxy

from host_app.plugin_api import language

FOLDER = Path(__file__).parent / "translations"
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def gettext(message: str, **values: Any) -> str:
    """Return a text in the language that is spoken, with named values put in: ``_("%(count)s wait", count=3)``."""
    text = found(message)
    return text % values if values else text


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    """Return a text that depends on a number: ``ngettext("%(num)s order", "%(num)s orders", 3)``."""
    return found_for(num, one, many) % {"num": num, **values}


def lazy(message: str) -> str:
    """Return a text that is looked up each time it is shown: for texts that stand in tables of a module."""
    return cast(str, LazyProxy(gettext, message, enable_cache=False))


def minute(moment: datetime) -> str:
    """Write a moment to the minute, in Amsterdam's time, without doubt about which number is the month."""
    return format_datetime(moment, "d MMM yyyy HH:mm", tzinfo=AMSTERDAM, locale=language())


def time(moment: datetime) -> str:
    """Write what a clock in Amsterdam shows then."""
    return format_time(moment, "HH:mm", tzinfo=AMSTERDAM, locale=language())


def day(value: date) -> str:
    """Write a day without doubt about which number is the month."""
    return format_date(value, "d MMM yyyy", locale=language())


def number(value: int) -> str:
    """Write a large number so that it can be read."""
    return format_decimal(value, locale=language())


def found(message: str) -> str:
    """Return a text with places for its values; the English one where the catalogue has no other."""
    return _catalogue(FOLDER, language()).gettext(message) if message else ""


def found_for(num: int, one: str, many: str) -> str:
    """Return the text for a number, with places for its values."""
    return _catalogue(FOLDER, language()).ngettext(one, many, num)


def in_each_language(message: str) -> Sequence[str]:
    """Return a text as it is in every language, with places for its values: to find it in what was kept."""
    return [message, *(_catalogue(FOLDER, name).gettext(message) for name in _languages(FOLDER))]


@cache
def _catalogue(folder: Path, name: str) -> catalogues.NullTranslations:
    return catalogues.translation("bol", folder, [name], fallback=True)


@cache
def _languages(folder: Path) -> Sequence[str]:
    return sorted(path.parent.parent.name for path in folder.glob("*/LC_MESSAGES/bol.mo"))

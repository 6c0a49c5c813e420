"""How templates get the connector's texts: as ``_()`` and ``ngettext()``, where the host's templates have their own.

What the connector's catalogue does not know is looked up in the host's: its menu stands on the same pages.
"""

from __future__ import annotations

from typing import Any

import flask_babel  # type: ignore[import-untyped]
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from plugin import texts


@pass_eval_context
def gettext(context: EvalContext, message: str, **values: Any) -> str:
    """Return a text; of its values, what is not safe in HTML is escaped."""
    text = texts.found(message)
    if text == message:
        text = flask_babel.gettext(message)
    return _safe(context, text) % values


@pass_eval_context
def ngettext(context: EvalContext, one: str, many: str, num: int, **values: Any) -> str:
    """Return a text that depends on a number, with the number written as the language does."""
    text = texts.found_for(num, one, many)
    if text in (one, many):
        text = flask_babel.get_translations().ungettext(one, many, num)
    return _safe(context, text) % {"num": flask_babel.format_decimal(num), **values}


def _safe(context: EvalContext, text: str) -> str:
    return Markup(text) if context.autoescape else text


#: What each template of the connector is given.
GIVEN = {"_": gettext, "gettext": gettext, "ngettext": ngettext}

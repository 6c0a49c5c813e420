"""What the host keeps in the installation's language, said anew in that of whoever looks.

Only these messages are kept and shown again. For the eye only: nothing is decided by what is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from flask_babel import gettext as _

from host_app.languages import LANGUAGES, in_language
from host_app.plugin_api import language

#: As they stand in the catalogue; tests/host_app/test_retelling.py tells which one is missing. Most telling ones first.
KEPT = (
    "The mail server has taken it for %(addresses)s. Not there within some minutes? Look among unwanted mail (spam).",
    "The mail may have been sent or not, and is not sent again: %(why)s",
    "there is no trusted TLS connection with the mail server: is HOST_SMTP_URL right?",
    "the mail server can't be reached: is HOST_SMTP_URL right, and does the server run?",
    "the mail server does not accept the user and password of HOST_SMTP_URL.",
    "there is no mail server of that name: is HOST_SMTP_URL right?",
    "Nothing was sent, and it is tried again by itself: %(why)s",
    "the mail server does not let HOST_MAIL_FROM send.",
    "the mail server accepts none of the addresses.",
    "the connection with the mail server broke off.",
    "the mail server does not take the mail.",
    "It may have been sent or not: %(why)s",
    "It is being sent to %(addresses)s.",
    "%(told)s It refused %(addresses)s.",
    "It was not sent: %(why)s",
    "Test e-mail",
    "It was tried %(count)s times. Mend the cause, then press “Pass on again”.",
    "%(error)s. It is tried again by itself; the log of the background work tells more.",
    "The plugin %(plugin)s could not be told of %(subject)s",
    "Background work failed: %(name)s",
    "taken off order %(number)s",
    "all pieces were taken off",
    "picklist %(number)s closed",
    "%(reason)s: %(count)s on the shelf, %(number)s more in carts",
    "shipment %(number)s withdrawn",
    "order %(number)s cancelled",
    "picklist %(number)s",
    "order %(number)s",
    "new product",
    "first count",
)
#: What stands behind the reason of a mail server: the name of the error, and its number.
CODE = re.compile(r"(.+)( \(\w+(?: \d+)?\))")
PLACE = re.compile(r"%\((\w+)\)s")
ONE_WORD = r"\S+"
LONGEST = 2000


def retold(text: str, say: Callable[[str], str]) -> str:
    """Return a text that the host kept in the language that is spoken; what is not known is left as it is.

    :param say: says the values in it, which may be texts that were kept, too.
    """
    if not 0 < len(text) <= LONGEST:
        return text
    for pattern, message in _patterns(language()):
        if match := pattern.fullmatch(text):
            values = {name: say(value) for name, value in match.groupdict().items()}
            return str(_(message, **values))
    if match := CODE.fullmatch(text):
        return say(match[1]) + match[2]
    return text


@cache
def _patterns(spoken: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """Return what each message looks like in the other languages."""
    found = []
    for message in KEPT:
        for name in LANGUAGES:
            if name != spoken:
                with in_language(name):
                    found.append((_pattern(str(_(message))), message))
    return found


def _pattern(message: str) -> re.Pattern[str]:
    """Numbers are one word: a person's own reason may begin like one of ours."""
    said, places = PLACE.split(message)[::2], PLACE.findall(message)
    values = [f"(?P<{name}>{ONE_WORD if name in ('number', 'count') else '.+'})" for name in places]
    pattern = "".join(part for pair in zip(map(re.escape, said), [*values, ""], strict=True) for part in pair)
    return re.compile(pattern, re.DOTALL)

"""What packers are told where only an administrator can do something: whom to ask, instead of what to press."""

from __future__ import annotations

import re

from plugin.texts import lazy as _l

#: What only administrators can press, as texts name it.
BUTTONS = (_l("Send again"), _l("Handled elsewhere"))
ASK = _l("Ask an administrator, who can look at bol and decide.")
#: A sentence, or what follows a colon or semicolon in one.
PART = re.compile(r"(?<=[.:;]) +")


def told_to(text: str, *, may_decide: bool, needs_somebody: bool = False) -> str:
    """Return a text as it is told to somebody: to a packer without what they can't press.

    :param may_decide: it is told to an administrator.
    :param needs_somebody: nothing goes on by itself, whatever the text says.
    """
    buttons = [f"“{button}”" for button in BUTTONS]
    parts = PART.split(text)
    known = [part for part in parts if not any(button in part for button in buttons)]
    if may_decide or len(known) == len(parts) and not needs_somebody:
        return text
    left = " ".join(known).rstrip(" ;:")
    if left and not left.endswith("."):
        left += "."
    return f"{left} {ASK}".strip()

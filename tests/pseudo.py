"""A language for tests, in which every text that was looked up is ⟦marked⟧: what is not marked nobody can translate.

Data of tests is marked, too, by :func:`data`, so that it is told from words of a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from flask import Flask

from plugin import texts
from tests.catalogues import PARTS

#: What people read or hear although it is no text of an element.
SPOKEN = {"placeholder", "aria-label", "title", "alt", "data-label", "data-confirm", "data-text"}
#: Elements whose contents nobody reads.
UNSEEN = {"script", "style"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
#: The innermost marked text.
MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
#: Letters that are the same in each language, or belong to one: names, numbers of orders, moments, languages.
NEUTRAL = re.compile(
    r"\b(?:bol(?:\.com)?|PostNL|DHL|DPD|GLS|UPS|bpost|Budbee|Trunkrs|FedEx|English|Nederlands|EAN|[OPS]-\d+"
    r"|\d{1,2} [a-z]{3,9}\.?(?: \d{4})?(?: \d\d:\d\d(?::\d\d)?)?)(?![\w-])"
)


def data(text: str) -> str:
    """Mark something that is data, such as the name of a product."""
    return f"⟦{text}⟧"


def speak(app: Flask, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Have an application mark its texts, where it speaks Dutch."""
    for part in PARTS:
        catalogue = part.wanted()
        for message in catalogue:
            if message.id:
                several = message.id if isinstance(message.id, tuple | list) else [message.id]
                marked = [data(text) for text in several]
                message.string = marked if len(marked) > 1 else marked[0]
        path = folder / part.package / part.language / "LC_MESSAGES" / f"{part.domain}.mo"
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            write_mo(file, catalogue)
    app.extensions["babel"].translation_directories = [str(folder / "host_app")]
    app.extensions["babel"].instance.domain_instance.cache.clear()
    patch.setattr(texts, "FOLDER", folder / "plugin")


def unmarked(page: str, known: Iterable[str] = ()) -> list[str]:
    """Return the texts of a page with words that are not marked.

    :param known: data that could not be marked, such as the names of who is logged in.
    """
    return [text for text in _Reader(page).texts if _has_words(text, known)]


def _has_words(text: str, known: Iterable[str]) -> bool:
    while MARKED.search(text):
        text = MARKED.sub(" ", text)
    for word in known:
        text = text.replace(word, " ")
    return re.search(r"[^\W\d_]{2}", NEUTRAL.sub(" ", text)) is not None


class _Reader(HTMLParser):
    """Gathers what people read on a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.texts += self._spoken(tag, dict(attributes))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, text: str) -> None:
        if not UNSEEN & set(self._open) and (words := " ".join(text.split())):
            self.texts.append(words)

    @staticmethod
    def _spoken(tag: str, values: dict[str, str | None]) -> Iterator[str]:
        names = set(SPOKEN)
        if tag == "input" and values.get("type") in ("submit", "button"):
            names.add("value")
        return (values[name] or "" for name in names & set(values))

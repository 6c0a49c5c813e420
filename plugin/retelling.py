"""Texts that were kept, said anew in the language of whoever looks: by the messages of our catalogue that they were made of.

Rows keep sentences in the installation's language. Each was made of a message with values; which one it was, and the
values, can be read from it. It is for the eye only: nothing is decided by what is found. What was made of no message of
ours, such as bol's own words, stays as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from babel.messages.mofile import read_mo

from host_app.plugin_api import language
from plugin.texts import FOLDER, found, found_for

PLACE = re.compile(r"%\((\w+)\)[sd]")
#: Where one sentence ends and the next one may begin.
BETWEEN = re.compile(r"(?<=[.!?:]) (?=\S)")
#: Between goods that are named one after the other: "1 of 2 × Kettle, 1 of 1 × Toaster".
GOODS = re.compile(r", (?=\d+ \w+ \d+ × )")
WORD = re.compile(r"\w+")
#: Fewer letters than that may be part of anything, unless it tells of goods.
LEAST = 7
LONGEST = 2000
#: Values that are numbers.
NUMBERS = ("num", "count", "all")
#: Reasons are told by sentences, and a text of more is not ours.
MOST_SENTENCES = 12


#: Patterns that were needed lately; of thousands of messages few are ever kept.
COMPILED = 1024


@dataclass(frozen=True, slots=True)
class _Message:
    """A message as it is in one language, with the ids by which it is looked up in another."""

    pattern: str
    #: What the text has in it as whole words, in any order.
    words: frozenset[str]
    letters: int
    ids: tuple[str, ...]
    one: bool

    def again(self, values: dict[str, str]) -> str:
        """Say it in the language that is spoken."""
        if len(self.ids) == 1:
            text = found(self.ids[0])
        else:
            number = 1 if self.one and "num" not in values else _number(values.get("num", ""))
            text = found_for(number, *self.ids)
        told = {name: value if name == "num" else retold(value) for name, value in values.items()}
        try:
            return text % told if values else text
        except (KeyError, ValueError):
            # Its other form has values that this one does not tell.
            return ""


def retold(text: str) -> str:
    """Return a text that was kept, in the language that is spoken; what is not known is left as it is."""
    return _retold(text, language()) if 0 < len(text) <= LONGEST else text


@lru_cache(maxsize=4096)
def _retold(text: str, _spoken: str) -> str:
    if "\n" in text:
        return "\n".join(map(retold, text.split("\n")))
    among = _may_be_in(text)
    if " × " in text and all(goods := [_one_message(part, among) for part in GOODS.split(text)]):
        return ", ".join(goods)
    if whole := _one_message(text, among):
        return whole
    sentences = BETWEEN.split(text)
    if len(sentences) > MOST_SENTENCES:
        return text
    told: list[str] = []
    while sentences:
        # As many of them as were one message.
        for count in range(len(sentences), 0, -1):
            if len(sentences) == 1 and not told:
                return text
            if said := _one_message(" ".join(sentences[:count]), among):
                break
        else:
            count, said = 1, sentences[0]
        told.append(said)
        del sentences[:count]
    return " ".join(told)


def _one_message(text: str, among: Iterable[_Message]) -> str:
    """Return what was one of these messages in the language that is spoken; "" where it was none."""
    for message in among:
        match = _compiled(message.pattern).fullmatch(text)
        if match is not None and (told := message.again(match.groupdict())):
            return told
    return ""


def _may_be_in(text: str) -> Sequence[_Message]:
    """Return the messages whose words the text, or a part of it, has; those that say most first."""
    words = set(WORD.findall(text))
    by_word = _by_rarest_word(FOLDER)
    near = (message for word in (*words, "") for message in by_word.get(word, ()))
    return sorted(
        (message for message in near if message.words <= words), key=lambda message: -message.letters
    )


_compiled = lru_cache(maxsize=COMPILED)(re.compile)


@cache
def _by_rarest_word(folder: Path) -> Mapping[str, Sequence[_Message]]:
    """Return all messages in all languages, each by its word that the fewest others have."""
    messages: dict[tuple[str, tuple[str, ...]], _Message] = {}
    for path in folder.glob("*/LC_MESSAGES/bol.mo"):
        with path.open("rb") as file:
            catalogue = read_mo(file)
        for entry in catalogue:
            ids = _forms(entry.id)
            for forms in (ids, _forms(entry.string)):
                for number, form in enumerate(forms):
                    if form and (message := _read(form, ids, one=number == 0)):
                        messages.setdefault((message.pattern, message.ids), message)
    often = Counter(word for message in messages.values() for word in message.words)
    by_word: dict[str, list[_Message]] = {}
    for message in messages.values():
        rarest = min(message.words, key=lambda word: (often[word], word), default="")
        by_word.setdefault(rarest, []).append(message)
    return by_word


def _forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return a message's forms by number; most have one."""
    return (text,) if isinstance(text, str) else tuple(text or ())


def _read(form: str, ids: tuple[str, ...], *, one: bool) -> _Message | None:
    formatted = bool(PLACE.search(form))
    pattern, at = "", 0
    seen: set[str] = set()
    said: list[str] = []
    for place in PLACE.finditer(form):
        said.append(form[at : place.start()].replace("%%", "%"))
        name, value = place[1], r"[\d.,]+" if place[1] in NUMBERS else ".+"
        pattern += re.escape(said[-1]) + (f"(?P={name})" if name in seen else f"(?P<{name}>{value})")
        seen.add(name)
        at = place.end()
    said.append(form[at:].replace("%%", "%") if formatted else form[at:])
    pattern += re.escape(said[-1])
    letters = sum(map(str.isalpha, PLACE.sub("", form)))
    if letters < LEAST and " × " not in form:
        return None
    return _Message(pattern, frozenset(_whole_words(said)), letters, ids, one)


def _whole_words(said: Sequence[str]) -> Iterable[str]:
    """Yield the words that stand between the values; what touches one may go on in it."""
    for number, text in enumerate(said):
        for word in WORD.finditer(text):
            begins = word.start() > 0 or number == 0
            if begins and (word.end() < len(text) or number == len(said) - 1):
                yield word[0]


def _number(text: str) -> int:
    digits = re.sub(r"\D", "", text)
    return int(digits) if digits else 2

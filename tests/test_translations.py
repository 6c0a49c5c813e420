"""Each text has its Dutch: complete, with the same places for values, and in the file that programs read."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest
from babel.messages.catalog import Message
from babel.messages.checkers import python_format

from tests.catalogues import PARTS, ROOT, Part, name, translated

of_each_part = pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.package}-{part.language}")
CALLS = {"_", "_l", "N_", "gettext", "ngettext", "lazy_gettext", "lazy", "kept_text"}

EXPRESSION = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
ATTRIBUTE = re.compile(r'\b(aria-label|placeholder|title|alt|data-label|data-confirm|data-text)="([^"]*)"')
#: Words for a tracking code, an offer, a call to bol, to correct, "at most" and to be checked that are not ours.
OTHER_WORDS = ("trackingcode", "aanbieding", "aanroep", "verbeter", "hoogstens", "nagegaan", "bulkwerk")
#: Names that are the same in each language.
WORD = re.compile(r"(?!bol\b|bol\.com|EAN\b)[^\W\d_]{2}")


@of_each_part
def test_each_text_of_the_sources_is_in_the_catalogue_and_no_other(part: Part) -> None:
    wanted = {(message.context, message.id) for message in part.wanted()}
    written = {(message.context, message.id) for message in part.written()}
    assert (sorted(map(str, wanted - written)), sorted(map(str, written - wanted))) == ([], []), (
        "run make translations"
    )


@of_each_part
def test_each_text_is_translated_for_good(part: Part) -> None:
    missing = [name(message) for message in part.written() if message.id and not translated(message)]
    assert missing == []


@of_each_part
def test_translations_have_the_places_for_values_that_the_text_has(part: Part) -> None:
    for message in part.written():
        if message.id:
            for one in strings(message):
                # One piece may be written in words.
                assert places(one) == places(name(message)) or is_plural(message), one
            if strings(message):
                python_format(None, message)


@of_each_part
def test_programs_read_what_people_wrote(part: Part) -> None:
    written = {key(message): strings(message) for message in part.written() if translated(message)}
    in_use = {key(message): strings(message) for message in part.in_use()}
    header = (None, "")
    written.pop(header, None), in_use.pop(header, None)
    assert in_use == written, "run make translations"


@of_each_part
def test_a_button_or_setting_has_one_name(part: Part) -> None:
    """What a text calls by its name has the name that stands on the page."""
    catalogue = part.written()
    named = re.compile("“([^”]+)”")
    found = [
        (quoted, one)
        for message in catalogue
        if message.id
        for quoted in named.findall(name(message))
        if (title := catalogue.get(quoted)) is not None
        for one in strings(message)
        if f"“{title.string}”" not in one
    ]
    assert found == []


def test_dutch_has_one_word_for_a_thing() -> None:
    """Those of the word list in CONTRIBUTING.md, and not these."""
    other = re.compile("|".join(OTHER_WORDS), re.IGNORECASE)
    found = [
        one for part in PARTS for message in part.written() for one in strings(message) if other.search(one)
    ]
    assert found == []


@pytest.mark.parametrize("package", sorted({part.package for part in PARTS}))
def test_no_text_is_put_together_before_it_is_looked_up(package: str) -> None:
    """A text with values in it already is in no catalogue."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in CALLS
        and node.args
        and not isinstance(node.args[0], ast.Constant | ast.Name)
    ]
    assert found == []


def strings(message: Message) -> list[str]:
    """Return the translations of a text; several where it depends on a number, none where there is none yet."""
    several = message.string if isinstance(message.string, list | tuple) else [message.string]
    return [one for one in several if one]


def key(message: Message) -> tuple[str | None, str]:
    context: str | bytes | None = message.context
    # From compiled catalogues it comes as it is stored.
    return (context.decode() if isinstance(context, bytes) else context, name(message))


def is_plural(message: Message) -> bool:
    return isinstance(message.id, tuple | list)


def places(text: str) -> Counter[str]:
    """Return the names of the places for values, as often as they stand there."""
    return Counter(part.split(")")[0] for part in text.split("%(")[1:])


@pytest.mark.parametrize("package", sorted({part.package for part in PARTS}))
def test_no_word_of_a_template_stands_beside_what_is_looked_up(package: str) -> None:
    """Also in branches that no test shows: what is left of a template without its expressions and tags has no words."""
    found = [
        (str(path.relative_to(ROOT)), words)
        for path in sorted((ROOT / package / "templates").rglob("*.html"))
        for words in words_beside(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def words_beside(template: str) -> list[str]:
    """Return the words that a template has in its own text, and in attributes that people read."""
    bare = EXPRESSION.sub(lambda found: "" if found[0].startswith("{#") else "\0", template)
    texts = [found[2] for found in ATTRIBUTE.finditer(bare)]
    texts += re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", "\n", bare, flags=re.DOTALL).split("\n")
    return [text.replace("\0", " ").strip() for text in texts if WORD.search(re.sub(r"&\w+;", " ", text))]


def test_words_beside_what_is_looked_up_are_found() -> None:
    assert words_beside('<p class="text-muted">{{ _("Good") }} {# why #}: {{ number }} ×</p>') == []
    assert words_beside("<p>{% if bad %}Bad{% else %}{{ _('Good') }}{% endif %}</p>") == ["Bad"]
    assert words_beside('<input aria-label="Bad" placeholder="{{ _("Good") }}">') == ["Bad"]

"""The catalogues of texts: collects them from the sources, and writes them. ``make translations`` runs this module.

A file holds nothing that changes by itself, such as the time at which it was written: the same texts, the same file.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
KEYWORDS = {**DEFAULT_KEYWORDS, "lazy_gettext": None, "lazy": None, "_l": None, "kept_text": None}
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
#: A template that can't be read is an error.
OPTIONS = {"**/templates/**.html": {"silent": "false"}}
HEADER = [
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", "8bit"),
]


class Texts(Catalog):
    """A catalogue whose header tells no times."""

    mime_headers = property(
        lambda self: [
            ("Language", str(self.locale)),
            ("Plural-Forms", self.plural_forms),
            *HEADER,
        ],
        lambda self, headers: None,
    )


@dataclass(frozen=True)
class Part:
    """A package with texts of its own."""

    package: str
    domain: str
    language: str

    @property
    def path(self) -> Path:
        """The catalogue that people write in; the compiled one lies beside it."""
        folder = ROOT / self.package / "translations" / self.language / "LC_MESSAGES"
        return folder / f"{self.domain}.po"

    @property
    def compiled(self) -> Path:
        return self.path.with_suffix(".mo")

    def wanted(self) -> Texts:
        """Return all texts of the sources, without translations, each with the files that it stands in."""
        catalogue = Texts(locale=self.language, header_comment=f"# Texts of {self.package}.", fuzzy=False)
        for name, _line, message, _comments, context in extract_from_dir(
            ROOT / self.package, METHODS, OPTIONS, KEYWORDS
        ):
            catalogue.add(message, None, [(f"{self.package}/{name}", None)], context=context)
        return catalogue

    def written(self) -> Catalog:
        """Return the catalogue that people wrote."""
        if not self.path.exists():
            return Catalog(locale=self.language)
        with self.path.open("rb") as file:
            return read_po(file, locale=self.language, abort_invalid=True)

    def in_use(self) -> Catalog:
        """Return the catalogue that programs read."""
        with self.compiled.open("rb") as file:
            return read_mo(file)

    def write(self) -> list[str]:
        """Bring the catalogue up to date with the sources, compile it, and return what is still to be translated."""
        before, now = self.written(), self.wanted()
        for message in now:
            known = before.get(message.id, message.context)
            if message.id and known is not None:
                message.string, message.flags = known.string, message.flags | known.flags
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self._text(now))
        missing = [message for message in now if message.id and not translated(message)]
        for message in missing:
            # Left out of what programs read: of a plural babel would write the English.
            message.string = ""
        with self.compiled.open("wb") as file:
            write_mo(file, now)
        return [name(message) for message in missing]

    def _text(self, catalogue: Texts) -> bytes:
        file = io.BytesIO()
        write_po(file, catalogue, width=0, sort_output=True, include_lineno=False, ignore_obsolete=True)
        return file.getvalue()


PARTS = (Part("host_app", "messages", "nl"), Part("plugin", "bol", "nl"))


def name(message: Message) -> str:
    """Return the English text; of one that depends on a number, that for one."""
    return message.id[0] if isinstance(message.id, tuple | list) else str(message.id)


def translated(message: Message) -> bool:
    """Tell if a text is translated for good."""
    strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return all(strings) and not message.fuzzy


def main() -> None:
    """Write all catalogues, and list what they lack."""
    for part in PARTS:
        missing = part.write()
        print(f"{part.path.relative_to(ROOT)}: {len(missing)} to be translated")
        for text in missing:
            print(f"  {text}")


if __name__ == "__main__":
    sys.exit(main())

"""Reading bol's JSON with an open mind: what is missing, null or oddly typed has a meaning, never a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

Made = TypeVar("Made")

LARGEST_COUNT = 2**31 - 1
#: Amounts of money are kept with ten digits before the comma.
LARGEST_EXPONENT = 9
#: bol's ids have 36 characters at most; what is longer is none, and nowhere to be kept.
LONGEST_ID = 40
#: An EAN has 8 to 14 digits.
LONGEST_EAN = 20


class ShapeError(Exception):
    """Something essential is missing or unreadable; the text names where, never what."""


def parse_json(body: bytes) -> object:
    """JSON with exact numbers. Raises ShapeError for everything that is not JSON."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ShapeError("the body is not JSON") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


class Fields:
    """One JSON object. Methods without "essential" give a neutral value for what is missing or unreadable."""

    def __init__(self, data: object, where: str = "answer") -> None:
        if not isinstance(data, dict):
            raise ShapeError(f"{where} is not an object")
        self._data: Mapping[str, object] = data
        self._where = where

    def id(self, name: str, longest: int = LONGEST_ID) -> str | None:
        """An id; None where it is missing, blank, or too long for one."""
        value = (self.text(name) or "").strip()
        return value if 0 < len(value) <= longest else None

    def essential_id(self, name: str, longest: int = LONGEST_ID) -> str:
        value = self.id(name, longest)
        if value is None:
            raise ShapeError(f"{self._where}.{name} is missing or no id")
        return value

    def essential_text(self, name: str) -> str:
        value = self.text(name)
        if value is None or not value.strip():
            raise ShapeError(f"{self._where}.{name} is missing")
        return value.strip()

    def ean(self, name: str = "ean") -> str:
        """An EAN; "" where it is missing, or too long for one: cut short it would be another's."""
        return self.id(name, LONGEST_EAN) or ""

    def essential_count(self, name: str) -> int:
        value = self.count(name)
        if value is None:
            raise ShapeError(f"{self._where}.{name} is not a count")
        return value

    def essential_money(self, name: str) -> Decimal:
        value = self.money(name)
        if value is None:
            raise ShapeError(f"{self._where}.{name} is not an amount")
        return value

    def text(self, name: str, longest: int | None = None) -> str | None:
        """Text, or a number as text; None if empty. Without characters that a database refuses.

        `longest`: what is longer is cut. For words that only mean something as a whole.
        """
        value = self._data.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
            return None
        text = str(value).replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
        return text[:longest] or None

    def words(self, name: str) -> tuple[str, ...]:
        """A list of words, also where it comes as one text with blanks or commas between them."""
        value = self._data.get(name)
        text = " ".join(map(str, value)) if isinstance(value, list) else self.text(name) or ""
        return tuple(text.replace(",", " ").split())

    def count(self, name: str) -> int | None:
        """A whole number, also where it comes as 3.0 or "3"."""
        number = self._number(name)
        if number is None or number != number.to_integral_value() or abs(number) > LARGEST_COUNT:
            return None
        return int(number)

    def money(self, name: str) -> Decimal | None:
        return self._number(name)

    def flag(self, *names: str) -> bool:
        """True if any of the names is true: some fields are spelled in two ways."""
        return any(self._data.get(name) in (True, "true") for name in names)

    def flag_if_given(self, name: str) -> bool | None:
        """True or false as bol says, None where it says neither."""
        value = self._data.get(name)
        return True if value in (True, "true") else False if value in (False, "false") else None

    def moment(self, name: str) -> datetime | None:
        """A time in UTC. Without an offset, which bol does not send, UTC is taken."""
        value = self._data.get(name)
        if not isinstance(value, str):
            return None
        try:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def day(self, name: str) -> date | None:
        value = self._data.get(name)
        if not isinstance(value, str):
            return None
        try:
            return date.fromisoformat(value[:10])
        except ValueError:
            return None

    def part(self, name: str) -> Fields | None:
        """A nested object; None if it is missing or something else."""
        value = self._data.get(name)
        return Fields(value, f"{self._where}.{name}") if isinstance(value, dict) else None

    def part_or_empty(self, name: str) -> Fields:
        return self.part(name) or Fields({}, f"{self._where}.{name}")

    def parts(self, name: str) -> tuple[Fields, ...]:
        """A list of objects; bol leaves empty lists out. A list that holds something else is a ShapeError."""
        where = f"{self._where}.{name}"
        return tuple(Fields(entry, f"{where}[{i}]") for i, entry in enumerate(self._entries(name)))

    def readable(self, name: str, read: Callable[[Fields], Made]) -> tuple[Made, ...]:
        """What ``read`` makes of each entry of a list: one that it can't read hides no other.

        Where it can read none of them, the list is not what it should be: a ShapeError.
        """
        found: list[Made] = []
        unlike: ShapeError | None = None
        for i, entry in enumerate(self._entries(name)):
            try:
                found.append(read(Fields(entry, f"{self._where}.{name}[{i}]")))
            except ShapeError as error:
                unlike = error
        if unlike is not None and not found:
            raise unlike
        return tuple(found)

    def length(self, name: str) -> int:
        """How many entries a list has."""
        return len(self._entries(name))

    def _entries(self, name: str) -> list[object]:
        value = self._data.get(name)
        if value is not None and not isinstance(value, list):
            raise ShapeError(f"{self._where}.{name} is not a list")
        return [entry for entry in value or () if entry is not None]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; what is no text in it, or no list, is left out."""
        value = self._data.get(name)
        if not isinstance(value, list):
            return ()
        each = ({"entry": entry} for entry in value)
        return tuple(text for one in each if (text := Fields(one).text("entry")) is not None)

    def _number(self, name: str) -> Decimal | None:
        value = self._data.get(name)
        if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            return None
        if not number.is_finite() or (number and abs(number.adjusted()) > LARGEST_EXPONENT):
            return None
        return number

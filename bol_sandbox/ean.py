"""EAN-13 numbers: text of thirteen digits whose last one checks the others."""

from __future__ import annotations


def check_digit(first_twelve: str) -> str:
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(first_twelve))
    return str(-total % 10)


def is_ean13(text: str) -> bool:
    return len(text) == 13 and text.isascii() and text.isdecimal() and text[12] == check_digit(text[:12])


def make_ean13(first_twelve: int) -> str:
    digits = f"{first_twelve:012d}"
    return digits + check_digit(digits)

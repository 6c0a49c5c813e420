"""EANs: what is wrong with one, which numbers mean the same article, and which only look like it."""

from __future__ import annotations

from stdnum.ean import calc_check_digit

#: Digits of GTIN-8, UPC (GTIN-12), EAN (GTIN-13) and GTIN-14.
LENGTHS = (8, 12, 13, 14)
MISSING, NOT_DIGITS, LENGTH, ZEROS, CHECK_DIGIT = "missing", "not digits", "length", "zeros", "check digit"


def problem(ean: str) -> str:
    """Return what is wrong with a number as an EAN, one of the words above; "" for nothing."""
    if not ean:
        return MISSING
    if not (ean.isascii() and ean.isdecimal()):
        return NOT_DIGITS
    if len(ean) not in LENGTHS:
        return LENGTH
    if not ean.strip("0"):
        return ZEROS
    return "" if _check_digit(ean[:-1]) == ean[-1] else CHECK_DIGIT


def other_forms(ean: str) -> tuple[str, ...]:
    """Return the other ways to write the same number: zeros in front make no other article of it (GS1).

    A UPC 012345678905 is the EAN 0012345678905. A number that is no EAN has no other form.
    """
    if problem(ean):
        return ()
    longest = ean.zfill(max(LENGTHS))
    forms = (longest[-length:] for length in LENGTHS if not longest[:-length].strip("0"))
    return tuple(form for form in forms if form != ean)


def look_alikes(ean: str) -> tuple[str, ...]:
    """Return numbers that are probably meant to be this one: zeros lost in front, or a check digit lost or mistyped.

    Of a right EAN all of them are wrong as EANs, so that none is another article. Of a wrong one they are right.
    """
    if not (ean.isascii() and ean.isdecimal()) or not ean.strip("0"):
        return ()
    if problem(ean):
        found = [number for number in _mended(ean) if not problem(number)]
        return tuple(dict.fromkeys([*found, *(form for number in found for form in other_forms(number))]))
    found = []
    for form in (ean, *other_forms(ean)):
        found += [form[:-1], *(f"{form[:-1]}{digit}" for digit in range(10))]
    found += [number.lstrip("0") for number in (ean, ean[:-1])]
    return tuple(number for number in dict.fromkeys(found) if problem(number))


def _mended(ean: str) -> list[str]:
    """Return what a wrong number may have been: filled up with zeros, with another last digit, or one more."""
    longer = [ean.zfill(length) for length in LENGTHS if length > len(ean)]
    changed = [ean[:-1] + _check_digit(ean[:-1])] if len(ean) in LENGTHS else []
    added = [ean + _check_digit(ean)] if len(ean) + 1 in LENGTHS else []
    return changed + added + longer


def _check_digit(digits: str) -> str:
    return str(calc_check_digit(digits))

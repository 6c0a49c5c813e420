"""What is wrong with an EAN, and which numbers mean the same article."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.sync.eans import LENGTHS, look_alikes, other_forms, problem


@pytest.mark.parametrize(
    ("ean", "expected"),
    [
        ("8712626055143", ""),
        ("0012345678905", ""),
        ("012345678905", ""),
        ("12345670", ""),
        ("18712626055140", ""),
        ("", "missing"),
        ("8712626055144", "check digit"),
        ("12345671", "check digit"),
        ("871262605514", "check digit"),
        ("87126260551431", "check digit"),
        ("87126260551", "length"),
        ("871262605514300", "length"),
        ("1", "length"),
        ("0000000000000", "zeros"),
        ("8712626O55143", "not digits"),
        ("8712626055143 ", "not digits"),
        ("87-12626-055143", "not digits"),
        ("8712626055143\n", "not digits"),
        ("٨٧١٢٦٢٦٠٥٥١٤٣", "not digits"),
        ("²712626055143", "not digits"),
    ],
)
def test_what_is_wrong_with_a_number(ean: str, expected: str) -> None:
    assert problem(ean) == expected


@pytest.mark.parametrize(
    ("ean", "others"),
    [
        ("8712626055143", {"08712626055143"}),
        ("012345678905", {"0012345678905", "00012345678905"}),
        ("0012345678905", {"012345678905", "00012345678905"}),
        ("12345670", {"000012345670", "0000012345670", "00000012345670"}),
        ("18712626055140", set()),
        ("12345678905", set()),
        ("8712626055144", set()),
        ("", set()),
    ],
)
def test_zeros_in_front_make_no_other_article(ean: str, others: set[str]) -> None:
    assert set(other_forms(ean)) == others


@pytest.mark.parametrize(
    ("ean", "looks_like_it"),
    [
        ("8712626055143", "8712626055144"),
        ("8712626055143", "871262605514"),
        ("0012345678905", "12345678905"),
        ("0012345678905", "1234567890"),
        ("0012345678905", "01234567890"),
        ("8712626055144", "8712626055143"),
        ("871262605514", "8712626055143"),
        ("12345678905", "0012345678905"),
    ],
)
def test_numbers_that_were_mistyped_are_recognised(ean: str, looks_like_it: str) -> None:
    assert looks_like_it in look_alikes(ean)


def eans() -> st.SearchStrategy[str]:
    """Right EANs of every length, some with zeros in front."""

    def numbered(length: int, value: int) -> str:
        digits = f"{value % 10 ** (length - 1):0{length - 1}d}"
        total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
        return digits + str(-total % 10)

    return st.builds(numbered, st.sampled_from(LENGTHS), st.integers(1, 10**13 - 1)).filter(
        lambda ean: bool(ean.strip("0"))
    )


@given(eans())
def test_each_form_of_an_ean_is_right_and_leads_back(ean: str) -> None:
    assert problem(ean) == ""
    for form in other_forms(ean):
        assert problem(form) == ""
        assert ean in other_forms(form)
        assert int(form) == int(ean)


@given(eans())
def test_what_looks_like_a_right_ean_is_never_another_article(ean: str) -> None:
    found = look_alikes(ean)
    assert len(found) == len(set(found)) < 100
    assert all(problem(number) for number in found)


@given(st.text(max_size=20))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert problem(text) == "" or other_forms(text) == ()
    look_alikes(text)

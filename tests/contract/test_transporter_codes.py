"""The transporter codes that we offer and the sandbox takes are those that bol has published."""

from __future__ import annotations

import re

import pytest

from bol_sandbox import transports
from plugin.settings import DEFAULT_CARRIERS
from plugin.sync.transporters import TRANSPORTER_CODES
from tests.contract.spec import SPEC_FOLDER

FACTS = SPEC_FOLDER.parent / "facts.md"


def test_the_codes_offered_are_those_of_bols_last_list() -> None:
    if not FACTS.exists():
        pytest.skip("what is known of bol is not in ../shared/bol")
    section = FACTS.read_text(encoding="utf-8").split("### 6.2 transporterCode")[1].split("\n###")[0]
    listed = re.search(r"^([A-Z][A-Z0-9_-]+(?:, [A-Z][A-Z0-9_-]+)+)\.$", section, re.MULTILINE)
    assert listed
    assert sorted(TRANSPORTER_CODES) == sorted(listed[1].split(", "))


def test_the_sandbox_takes_what_the_connector_offers_and_nothing_else() -> None:
    assert set(transports.TRANSPORTER_CODES) == set(TRANSPORTER_CODES)


def test_each_usual_code_is_a_published_one() -> None:
    assert set(DEFAULT_CARRIERS.values()) <= set(TRANSPORTER_CODES)

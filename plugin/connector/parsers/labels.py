"""Delivery options, and labels with their headers. Essential: an option's offer id, a label's PDF."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from plugin.connector.answers import Answer
from plugin.connector.models.labels import Label, LabelOption
from plugin.connector.parsing import Fields

MAX_PDF_BYTES = 4 * 1024 * 1024
MAX_HEADER = 100
PDF_MARK = b"%PDF-"
# Readers of PDF take the mark anywhere in the first kilobyte.
MARK_WITHIN = 1024
DUTCH = ZoneInfo("Europe/Amsterdam")
DAY_LENGTH = len("2020-01-12")


def read_options(fields: Fields) -> tuple[LabelOption, ...]:
    """One option without a number hides no other: the packer chooses among those that can be bought."""
    return fields.readable("deliveryOptions", _option)


def _option(fields: Fields) -> LabelOption:
    restrictions = fields.part_or_empty("packageRestrictions")
    handover = fields.part_or_empty("handoverDetails")
    return LabelOption(
        offer_id=fields.essential_id("shippingLabelOfferId", longest=60),
        recommended=fields.flag("recommended"),
        valid_until=_valid_until(fields),
        transporter_code=fields.text("transporterCode") or "",
        label_type=fields.text("labelType") or "",
        name=fields.text("labelDisplayName") or "",
        price=fields.part_or_empty("labelPrice").money("totalPrice"),
        max_weight=restrictions.text("maxWeight"),
        max_dimensions=restrictions.text("maxDimensions"),
        meets_expectation=handover.flag_if_given("meetsCustomerExpectation"),
        earliest_handover=handover.moment("earliestHandoverDateTime"),
        latest_handover=handover.moment("latestHandoverDateTime"),
        collection_method=handover.text("collectionMethod"),
    )


def _valid_until(fields: Fields) -> datetime | None:
    """The end of the day that bol names; a moment, which the description does not foresee, is taken as it is."""
    if len(fields.text("validUntilDate") or "") > DAY_LENGTH:
        return fields.moment("validUntilDate")
    day = fields.day("validUntilDate")
    if day is None:
        return None
    try:
        return datetime.combine(day + timedelta(days=1), datetime.min.time(), DUTCH).astimezone(UTC)
    except OverflowError:
        return None


def read_label(label_id: str, answer: Answer) -> Label:
    """The PDF as it came: its content type varies, and the body is never taken for JSON.

    Raises MalformedAnswer for something that is not a PDF, such as a page of an intermediary, or is too large.
    """
    if PDF_MARK not in answer.body[:MARK_WITHIN]:
        raise answer.malformed("the label is not a PDF")
    if len(answer.body) > MAX_PDF_BYTES:
        raise answer.malformed("the label is too large")
    return Label(
        label_id=label_id,
        pdf=answer.body,
        track_and_trace=_header(answer, "x-track-and-trace-code"),
        transporter_code=_header(answer, "x-transporter-code"),
    )


def _header(answer: Answer, name: str) -> str | None:
    given = "".join(c for c in answer.headers.get(name, "") if c.isascii() and c.isprintable())
    return given.strip()[:MAX_HEADER] or None

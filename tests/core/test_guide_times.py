"""XMLTV's times: what the world writes, and what we write."""

from datetime import UTC, datetime

import pytest

from plexbridge.lineup.guide.times import format_time, parse_time

NOON = int(datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    "text",
    [
        "20260301120000 +0000",
        "20260301130000 +0100",
        "20260301130000 +01:00",
        "20260301130000+0100",
        "20260301070000 -0500",
        "20260301120000",
        "202603011200",
        "2026030112",
        "20260301120000 UTC",
        "20260301120000Z",
        "20260301130000 CET",
        "20260301070000 EST",
        "20260301120000.000 +0000",
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01 13:00:00 +0100",
        "2026-03-01T12:00:00",
        str(NOON),
    ],
)
def test_a_moment_is_read_however_it_is_written(text: str) -> None:
    """Without an offset it is UTC; a colon, a name, ISO 8601 and Unix seconds are understood."""
    assert parse_time(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2026",
        "20261301120000 +0000",
        "20260301250000",
        "20260301126100",
        "20260301120000 XYZ",
        "20260301120000 +0000; DROP",
        "00000000000000",
        "99999999999999",
        "٢٠٢٦٠٣٠١",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    """Nothing is guessed."""
    assert parse_time(text) is None


def test_a_day_alone_is_its_beginning() -> None:
    """Some initial part of a time is a time."""
    assert parse_time("20260301") == NOON - 12 * 3_600


def test_times_are_written_with_an_offset() -> None:
    """Players take a time without one as local."""
    assert format_time(NOON) == "20260301120000 +0000"
    assert parse_time(format_time(NOON)) == NOON

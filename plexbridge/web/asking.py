"""Reading what a request asks: moments, times, whole numbers. Pure."""

import re
from datetime import UTC, datetime
from typing import Final

from plexbridge.web.answers import ApiError

POSITION_MAX: Final = 10**11
"""A whole number below is a position; from here on it is a time in Unix milliseconds."""

TIME_MS_MAX: Final = 253_402_300_799_999
"""The end of the year 9999; later ones fit neither a `datetime` nor, as microseconds, the log."""

_DIGITS: Final = re.compile(r"[0-9]{1,18}")
"""Whatever the log can hold as a number; more would overflow it."""

_AGO: Final = re.compile(r"([0-9]{1,5})(m|h|d)")
_UNITS_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def moment(text: str) -> dict[str, int]:
    """What `at` means: a position (`4711`, `#4711`), Unix milliseconds, or ISO 8601."""
    bare = text.removeprefix("#")
    if _DIGITS.fullmatch(bare) and int(bare) < POSITION_MAX:
        return {"position": int(bare)}
    return {"at": milliseconds(text) * 1_000}


def milliseconds(text: str) -> int:
    """A time in Unix milliseconds, given as such or in ISO 8601 with an offset. Those outside of
    what a log can hold mean its ends."""
    if _DIGITS.fullmatch(text) and int(text) <= TIME_MS_MAX:
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ApiError(
            400, "unknown_time", "a time is ISO 8601 with an offset, or Unix milliseconds"
        ) from error
    if when.tzinfo is None:
        raise ApiError(400, "unknown_time", "the time has no offset: add Z or +hh:mm")
    return min(max(0, round(when.timestamp() * 1_000)), TIME_MS_MAX)


def typed_time(text: str, now: int) -> int:
    """A time as a person types it into a page, in Unix milliseconds: also `90m`, `24h` or `7d`
    before `now`, and without an offset it is UTC."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return max(0, now - int(ago[1]) * _UNITS_MS[ago[2]])
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return milliseconds(text)
    if when.tzinfo is not None:
        return milliseconds(text)
    return max(0, round(when.replace(tzinfo=UTC).timestamp() * 1_000))


def number(text: str | None, default: int, highest: int) -> int:
    """A whole number from 0 on."""
    if text is None:
        return default
    if not _DIGITS.fullmatch(text) or int(text) > highest:
        raise ApiError(400, "not_a_number", f"a whole number up to {highest} is wanted")
    return int(text)

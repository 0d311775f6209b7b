"""XMLTV's times, as the world writes them, to seconds since 1970 and back. Pure.

XMLTV: `YYYYMMDDhhmmss +hhmm`, or some initial part of it; without an offset it is UTC. Seen as
well: offsets with a colon or a name, ISO 8601, and plain Unix seconds.
"""

import re
from calendar import timegm
from functools import lru_cache
from time import gmtime
from typing import Final

YEARS: Final = (1970, 2200)
"""Outside, it is not the time of a programme."""

_TIME: Final = re.compile(
    r"(?P<day>[0-9]{8})(?P<clock>[0-9]{0,6})(?:\.[0-9]+)?\s*(?P<zone>[A-Za-z]{1,5}|[+-][0-9]{1,2}:?[0-9]{0,2})?"
)
_SIGNED: Final = re.compile(r"([+-])([0-9]{1,2}):?([0-9]{2})?")
_UNIX: Final = re.compile(r"1[0-8][0-9]{8}")
"""Seconds from 2001 to 2030: never a day with an hour, which begins with 19 or 20."""

_NAMED_MINUTES: Final = {
    "z": 0, "utc": 0, "ut": 0, "gmt": 0, "wet": 0,
    "bst": 60, "ist": 60, "cet": 60, "west": 60, "met": 60,
    "cest": 120, "mest": 120, "eet": 120, "sast": 120,
    "eest": 180, "msk": 180,
    "jst": 540, "kst": 540, "aest": 600, "aedt": 660,
    "est": -300, "edt": -240, "cst": -360, "cdt": -300,
    "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
}  # fmt: skip
"""Minutes east of UTC. Ambiguous names mean what listings in English and Europe mean by them."""


@lru_cache(maxsize=8192)  # half of them are another programme's end, and channels go in step
def parse_time(text: str) -> int | None:
    """Seconds since 1970; None when it is no time."""
    found = _TIME.fullmatch(text)
    if found is None:
        plain = text.strip()
        iso = plain[:19].replace("-", "").replace(":", "").replace("T", "") + plain[19:]
        found = _TIME.fullmatch(iso.replace(" ", "", 1) if len(plain) > 10 else iso)
        if found is None:
            return None
    day, clock, zone = found.group("day", "clock", "zone")
    if zone is None and len(day + clock) == 10 and _UNIX.fullmatch(text):
        return int(text)
    midnight = _midnight(day)
    if midnight is None:
        return None
    offset_minutes = 0 if zone is None else _offset_minutes(zone)
    if offset_minutes is None:
        return None
    clock = clock.ljust(6, "0")
    hours, minutes, seconds = int(clock[:2]), int(clock[2:4]), int(clock[4:])
    if hours > 24 or minutes > 59 or seconds > 60:
        return None
    return midnight + hours * 3_600 + minutes * 60 + seconds - offset_minutes * 60


@lru_cache(maxsize=256)
def _midnight(day: str) -> int | None:
    year, month, number = int(day[:4]), int(day[4:6]), int(day[6:])
    if not (YEARS[0] <= year <= YEARS[1] and 1 <= month <= 12 and 1 <= number <= 31):
        return None
    return timegm((year, month, number, 0, 0, 0))


@lru_cache(maxsize=256)
def _offset_minutes(zone: str) -> int | None:
    signed = _SIGNED.fullmatch(zone)
    if signed is None:
        return _NAMED_MINUTES.get(zone.lower())
    sign, hours, minutes = signed.groups("0")
    total = int(hours) * 60 + int(minutes)
    return -total if sign == "-" else total


def format_time(seconds: int) -> str:
    """`YYYYMMDDhhmmss +0000`: with an offset, for some players take a time without one as local."""
    year, month, day, hours, minutes, second, *_ = gmtime(seconds)
    return f"{year:04}{month:02}{day:02}{hours:02}{minutes:02}{second:02} +0000"

"""Moments as people write them and as they are shown; the clock and the zone are handed in."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from events.ids import Position, UnixMicros
from plexbridge.commands.exits import NotUnderstood

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|m|h|d)[a-z]*\s+ago")
_POSITION = re.compile(r"#?(\d{1,18})")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?")

ACCEPTED: Final = "03:12, 03:12:07, `2h ago`, 2026-11-04T03:12, or a position such as #88412"


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in the log: by position, or by time (one of the two)."""

    position: Position | None = None
    at: UnixMicros | None = None


def parse_moment(text: str, now: UnixMicros, zone: tzinfo | None) -> Moment:
    """What is meant by `text`. A time of day is the last one that was; `zone` None is local.

    Raises:
        NotUnderstood: with what is accepted.
    """
    words = text.strip().lower()
    if found := _POSITION.fullmatch(words):
        return Moment(position=Position(int(found[1])))
    if words == "now":
        return Moment(at=now)
    if found := _AGO.fullmatch(words):
        return Moment(at=UnixMicros(now - round(float(found[1]) * _UNITS_S[found[2]] * 1e6)))
    if found := _CLOCK.fullmatch(words):
        return Moment(at=_last_time_of_day(found, now, zone))
    try:
        return Moment(at=_micros(_in_zone(datetime.fromisoformat(text.strip()), zone)))
    except (ValueError, OverflowError):
        raise NotUnderstood(f"{text!r} is no moment; write {ACCEPTED}") from None


def shown(at: int, zone: tzinfo | None) -> str:
    """A moment to the millisecond, without its zone."""
    moment = _moment(at, zone)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1_000:03d}"


def shown_with_zone(at: int, zone: tzinfo | None) -> str:
    """The same with the zone's name."""
    return f"{shown(at, zone)} {_moment(at, zone):%Z}"


def clock(at: int, zone: tzinfo | None) -> str:
    """The time of day to the millisecond."""
    return shown(at, zone)[11:]


def span(micros: float) -> str:
    """A duration as a person says it: `12 ms`, `4.2 s`, `41m20s`, `3h05m`, `2d04h`."""
    if micros < 999_500:
        return f"{micros / 1_000:.0f} ms"
    if micros < 59_950_000:
        return f"{micros / 1e6:.1f} s"
    seconds = round(micros / 1e6)
    if seconds < 3_600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    minutes = seconds // 60
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    return f"{minutes // 1_440}d{minutes // 60 % 24:02d}h"


def size(count: float) -> str:
    """A number of bytes, in the units a person reads."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def _last_time_of_day(found: "re.Match[str]", now: UnixMicros, zone: tzinfo | None) -> UnixMicros:
    fraction = int((found[4] or "").ljust(6, "0"))
    here = _moment(now, zone)
    then = here.replace(
        hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0), microsecond=fraction
    )
    if then > here:
        then -= timedelta(days=1)
    # Through the bare wall time, so that a day with a change of clocks has its own offset.
    return _micros(_in_zone(then.replace(tzinfo=None), zone))


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo is not None:
        return moment
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)


def _moment(at: int, zone: tzinfo | None) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(zone)


def _micros(moment: datetime) -> UnixMicros:
    return UnixMicros((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))

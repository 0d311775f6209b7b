"""What a kept programme says, for people: title, episode, times, description. Pure.

Reads the inner XML that `programme` wrote, which is escaped, flat and in the DTD's order; whatever
else it might hold is not shown.
"""

import re
from dataclasses import dataclass
from html import unescape
from typing import Final

from plexbridge.lineup.guide.store import Row

_DATE: Final = re.compile(r"<date[^>]*>([0-9]{4})([0-9]{2})?([0-9]{2})?</date>")
_EPISODE: Final = re.compile(r'<episode-num system="onscreen">([^<]*)</episode-num>')
_FLAGS: Final = {
    "new": "<new/>",
    "live": "<keyword>Live</keyword>",
    "premiere": "<premiere/>",
    "previously-shown": "<previously-shown",
}
"""As `programme` writes each."""


def _of(tag: str) -> re.Pattern[str]:
    return re.compile(rf"<{tag}(?: [^>]*)?>([^<]*)</{tag}>")


_TITLE, _SUB_TITLE, _DESC, _CATEGORY = map(_of, ("title", "sub-title", "desc", "category"))


@dataclass(frozen=True, slots=True)
class Brief:
    """A programme as a grid shows it. Times in seconds since 1970."""

    start: int
    stop: int
    title: str
    sub_title: str
    episode: str
    """As it stands on a screen: `S2E5`."""


@dataclass(frozen=True, slots=True)
class Details:
    """All that is told of one programme."""

    brief: Brief
    description: str
    categories: tuple[str, ...]
    date: str
    """When it was made: a year, or a day as `2024-05-31`; empty where that is not said."""
    flags: tuple[str, ...]
    """Of `new`, `live`, `premiere`, `previously-shown`."""


def brief(row: Row) -> Brief:
    """The little that stands in a grid."""
    start, stop, xml = row
    return Brief(start, stop, _first(_TITLE, xml), _first(_SUB_TITLE, xml), _first(_EPISODE, xml))


def details(row: Row) -> Details:
    """All of it."""
    xml = row[2]
    made = _DATE.search(xml)
    return Details(
        brief=brief(row),
        description=_first(_DESC, xml),
        categories=tuple(dict.fromkeys(map(unescape, _CATEGORY.findall(xml)))),
        date="" if made is None else "-".join(part for part in made.groups() if part),
        flags=tuple(flag for flag, written in _FLAGS.items() if written in xml),
    )


def _first(pattern: re.Pattern[str], xml: str) -> str:
    found = pattern.search(xml)
    return "" if found is None else unescape(found[1])

"""One `<programme>` as it is kept: the inner XML we send to players, made once, in the DTD's order.

Knows which elements are kept, how long each may be, and how series are told from films. Every text
is escaped here; what comes out is valid by the XMLTV DTD.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from lxml.etree import _Element

from plexbridge.lineup.guide.text import clean, escape
from plexbridge.lineup.guide.times import format_time

TITLE_CHARS_MAX: Final = 400
DESC_CHARS_MAX: Final = 4_000
"""The longest descriptions of real guides have about 3,000; players show some hundred."""
WORD_CHARS_MAX: Final = 120
URL_CHARS_MAX: Final = 2_000

FILM_SECONDS_MIN: Final = 70 * 60
"""Without any other sign: what is shorter is an episode. Films for television begin at 75 min."""

MAX_OF: Final = {
    "title": 4,
    "sub-title": 4,
    "desc": 3,
    "date": 1,
    "category": 10,
    "icon": 1,
    "episode-num": 6,
    "rating": 3,
    "star-rating": 1,
    "previously-shown": 1,
    "premiere": 1,
    "new": 1,
    "live": 1,
}
"""Elements kept, and how many of each. More is no guide."""

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})?")
_SYSTEM: Final = re.compile(r"[!-;=?-~]{1,80}")
_DATE: Final = re.compile(r"[0-9]{4}(?:[0-9]{2}){0,2}")
_TIME_DIGITS: Final = re.compile(r"[0-9]{4,14}")
_URL: Final = re.compile(r"https?://[^\s<>\"]+")
_PART: Final = r"[0-9]*(?:/[0-9]+)?"
_XMLTV_NS: Final = re.compile(rf"({_PART})\.({_PART})(?:\.({_PART}))?")
_ON_SCREEN: Final = re.compile(
    r"\bS(?:eason)?\s*\.?\s*([0-9]{1,4})\W{0,3}E(?:p(?:isode)?)?\s*\.?\s*([0-9]{1,5})\b", re.I
)

_FILM: Final = re.compile(
    r"\b(?:movies?|films?|feature|cinema|spielfilme?|cine|cinéma|pel[ií]culas?|filmes?)\b",
    re.IGNORECASE,
)
"""A category that has one of these words is a film's."""


@dataclass(slots=True)
class _Found:
    """What a programme says, escaped; texts with their language as an attribute before them."""

    texts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By tag: attribute text, and the text itself."""
    flags: dict[str, str] = field(default_factory=dict)
    """By tag: attribute text."""
    episodes: dict[str, str] = field(default_factory=dict)
    """By system, unescaped."""


def inner_xml(element: _Element, start: int, stop: int | None) -> str | None:
    """What is between `<programme …>` and its end; None for one without a title.

    `start`, `stop`: seconds since 1970.
    """
    found = _read(element)
    if "title" not in found.texts:
        return None
    _complete_episodes(found, start, stop)
    return _written(found)


def _read(element: _Element) -> _Found:
    found = _Found()
    texts = found.texts
    seen: dict[str, int] = {}
    for child in element:
        tag = child.tag
        most = MAX_OF.get(tag) if isinstance(tag, str) else None
        if most is None:
            continue
        count = seen.get(tag, 0)
        if count == most:
            continue
        seen[tag] = count + 1
        chars_max = _TEXTS.get(tag)
        if chars_max is None:
            _READERS[tag](child, found)
            continue
        text = clean(child.text, chars_max)
        if text:
            language = child.get("lang")
            attribute = "" if language is None else _language(language)
            texts.setdefault(tag, []).append((attribute, escape(text)))
    return found


@lru_cache(maxsize=256)
def _language(language: str) -> str:
    return f' lang="{language}"' if _LANGUAGE.fullmatch(language) else ""


def _read_date(element: _Element, found: _Found) -> None:
    digits = (element.text or "").strip().replace("-", "")[:8]
    if _DATE.fullmatch(digits):
        found.texts["date"] = [("", digits)]


def _read_icon(element: _Element, found: _Found) -> None:
    url = (element.get("src") or "").strip()
    if len(url) <= URL_CHARS_MAX and _URL.fullmatch(url):
        found.flags["icon"] = f' src="{escape(url)}"'


def _read_episode(element: _Element, found: _Found) -> None:
    system = (element.get("system") or "onscreen").strip()
    text = clean(element.text, WORD_CHARS_MAX)
    if not text or _SYSTEM.fullmatch(system) is None:
        return
    if system == "xmltv_ns":
        parts = _XMLTV_NS.fullmatch(text.replace(" ", ""))
        if parts is None or not (parts[1] or parts[2]):
            system = "onscreen"
        else:
            text = ".".join(part or "" for part in parts.groups())
    found.episodes.setdefault(system, text)


def _read_rating(element: _Element, found: _Found) -> None:
    value = element.find("value")
    text = clean(element.text if value is None else value.text, WORD_CHARS_MAX)
    if not text:
        return
    system = clean(element.get("system"), WORD_CHARS_MAX)
    attribute = f' system="{escape(system)}"' if system else ""
    tag = "rating" if element.tag == "rating" else "star-rating"
    found.texts.setdefault(tag, []).append((attribute, f"<value>{escape(text)}</value>"))


def _read_flag(element: _Element, found: _Found) -> None:
    found.flags[str(element.tag)] = ""


def _read_shown(element: _Element, found: _Found) -> None:
    shown = _TIME_DIGITS.match(element.get("start") or "")
    found.flags["previously-shown"] = "" if shown is None else f' start="{shown[0]}"'


_TEXTS: Final[Mapping[str, int]] = {
    "title": TITLE_CHARS_MAX,
    "sub-title": TITLE_CHARS_MAX,
    "desc": DESC_CHARS_MAX,
    "category": WORD_CHARS_MAX,
}
_READERS: Final = {
    "date": _read_date,
    "icon": _read_icon,
    "episode-num": _read_episode,
    "rating": _read_rating,
    "star-rating": _read_rating,
    "previously-shown": _read_shown,
    "premiere": _read_flag,
    "new": _read_flag,
    "live": _read_flag,
}


def _complete_episodes(found: _Found, start: int, stop: int | None) -> None:
    """Both numbering systems, where one can be had: without any, Plex takes a series for a film."""
    episodes = found.episodes
    if "xmltv_ns" in episodes:
        if "onscreen" not in episodes:
            shown = _on_screen(episodes["xmltv_ns"])
            if shown:
                episodes["onscreen"] = shown
        return
    if "onscreen" in episodes:
        season_episode = _ON_SCREEN.search(episodes["onscreen"])
        if season_episode is not None:
            season, number = map(int, season_episode.groups())
            if season and number:
                episodes["xmltv_ns"] = f"{season - 1}.{number - 1}."
        return
    if episodes or not _is_episode(found, start, stop):
        return
    # As Plex reads an original air date: the year is the season, month and day are the episode.
    aired = found.texts["date"][0][1] if "date" in found.texts else ""
    if len(aired) != 8 or not aired.isdecimal():
        aired = format_time(start)[:8]
    year, day = int(aired[:4]), int(aired[4:])
    if year and day:
        episodes["xmltv_ns"] = f"{year - 1}.{day - 1}."
        episodes["onscreen"] = f"S{year}E{day:04}"


def _on_screen(xmltv_ns: str) -> str:
    season, episode, _ = (part.partition("/")[0] for part in f"{xmltv_ns}..".split(".")[:3])
    if season and episode:
        return f"S{int(season) + 1:02}E{int(episode) + 1:02}"
    return f"E{int(episode) + 1:02}" if episode else ""


def _is_episode(found: _Found, start: int, stop: int | None) -> bool:
    categories = found.texts.get("category", ())
    if any(_is_film(text) for _, text in categories):
        return False
    if categories or "sub-title" in found.texts:
        return True
    return stop is None or stop - start < FILM_SECONDS_MIN


@lru_cache(maxsize=1024)
def _is_film(category: str) -> bool:
    return _FILM.search(category) is not None


def _written(found: _Found) -> str:
    """In the order of the DTD."""
    texts, flags, parts = found.texts, found.flags, []
    for tag in ("title", "sub-title", "desc", "date", "category"):
        for attributes, text in texts.get(tag, ()):
            parts.append(f"<{tag}{attributes}>{text}</{tag}>")
    if "live" in flags:
        parts.append("<keyword>Live</keyword>")  # the DTD has no element for it
    if "icon" in flags:
        parts.append(f"<icon{flags['icon']}/>")
    for system in sorted(found.episodes, key=_systems_order):
        number = escape(found.episodes[system])
        parts.append(f'<episode-num system="{escape(system)}">{number}</episode-num>')
    for flag in ("previously-shown", "premiere", "new"):
        if flag in flags:
            parts.append(f"<{flag}{flags[flag]}/>")
    for tag in ("rating", "star-rating"):
        for attributes, text in texts.get(tag, ()):
            parts.append(f"<{tag}{attributes}>{text}</{tag}>")
    return "".join(parts)


def _systems_order(system: str) -> int:
    return {"xmltv_ns": 0, "onscreen": 1}.get(system, 2)

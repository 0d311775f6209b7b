"""M3U, in every dialect met in the wild: lines in, entries and odd lines out.

Pure, one pass, nothing kept but the entry being read. Knows how playlists are written and nothing
of numbering, of what can be played, or of where the lines came from. The dialects are those of
Kodi's IPTV Simple, tvheadend, Jellyfin and iptv-playlist-parser; where these disagree the choice is
named at the line that makes it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import orjson

from plexbridge.lineup.decoding import LINE_BYTES_MAX
from plexbridge.lineup.headers import HeaderSet
from plexbridge.lineup.wording import clean

NAME_CHARS_MAX = 255
"""Of names, groups and ids. Players cut earlier; longer ones are attacks or broken quotes."""

URL_CHARS_MAX = 8 * 1024
"""What servers accept as a request line."""

ATTRIBUTES_MAX = 64
"""Per line. The known vocabulary has about thirty."""

GROUPS_KEPT = 256
"""Groups in a row: lists are sorted by them, as a rule, or have few."""


class Entry(NamedTuple):
    """One entry: a name and a URL, and what the playlist says of them. Texts may be empty."""

    line: int
    """1-based number of the line with the URL."""
    name: str
    url: str
    tvg_id: str = ""
    tvg_name: str = ""
    number: str = ""
    """`tvg-chno` and its synonyms, as written: not yet a guide number."""
    logo: str = ""
    group: str = ""
    radio: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    """What the upstream wants to be asked with: names and values."""


class OddLine(NamedTuple):
    """A line that could not be used as it stands. `what` never quotes it: it may hold a login."""

    line: int
    what: str


class Header(NamedTuple):
    """What `#EXTM3U` says of the whole list."""

    guide_urls: tuple[str, ...] = ()
    """`x-tvg-url` or `url-tvg`: may hold a login."""
    user_agent: str = ""


Item = Entry | OddLine | Header

_ATTRIBUTE = re.compile(
    r"""([A-Za-z][\w.-]*+)=(?:\s*"([^"]*+)"|\s*'([^']*+)'|([^\s,]*+))""", re.ASCII
)
_PLAIN_INFO = re.compile(r"""\s*[-+]?[0-9.]*+((?:\s+[A-Za-z][\w.-]*+="[^"]*+")*+)\s*,""", re.ASCII)
_PLAIN_ATTRIBUTE = re.compile(r"""([A-Za-z][\w.-]*+)="([^"]*+)\"""", re.ASCII)
_NEXT_QUOTED = re.compile(r"""\s[A-Za-z][\w.-]*+=["']""", re.ASCII)
_DURATION = re.compile(r"\s*[-+]?[0-9]*\.?[0-9]*", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_OPTION_HEADERS = {
    "http-user-agent": "User-Agent",
    "http-referrer": "Referer",
    "http-referer": "Referer",
    "http-origin": "Origin",
    "http-cookie": "Cookie",
}
_YES = ("true", "1", "yes")
_KODI_HEADER_PROPERTIES = frozenset(
    f"inputstream.adaptive.{name}_headers" for name in ("stream", "manifest", "common")
)


def parse_m3u(lines: Iterable[str]) -> Iterator[Item]:
    """Entries and odd lines, in the order of the list; a `Header` for each `#EXTM3U`.

    Never raises for what the lines hold. A list without `#EXTM3U` is read all the same, and so is
    one of bare URLs.
    """
    reader = _Reader()
    number = 0
    for number, raw in enumerate(lines, start=1):
        if len(raw) > LINE_BYTES_MAX:
            yield OddLine(number, "line longer than 64 KiB")
            continue
        line = raw.strip(" \t\r\n\ufeff\x00")
        if not line:
            continue
        found = reader.directive(number, line) if line[0] == "#" else reader.url(number, line)
        if found is not None:
            yield found
    if reader.info is not None:
        yield OddLine(reader.info.line, "entry without a URL")


class _Info(NamedTuple):
    """What an `#EXTINF` says, until its URL comes."""

    line: int
    name: str
    attributes: dict[str, str]


@dataclass(slots=True)
class _Reader:
    """Where in the list we are: what stays in force, and the entry that waits for its URL."""

    info: _Info | None = None
    headers: HeaderSet | None = None
    group: str = ""
    user_agent: str = ""
    any_info: bool = False

    def directive(self, number: int, line: str) -> OddLine | Header | None:
        """Take a line that begins with `#`. Unknown ones are comments."""
        if line[:8].upper() == "#EXTINF:":
            return self._extinf(number, line[8:])
        word, _, rest = line.partition(":")
        match word.upper():
            case "#EXTGRP":
                # In force until the next one, as in IPTV Simple; a group-title ends it as well.
                self.group = _first_group(rest)
            case "#KODIPROP":
                self._kodi_property(rest)
            case "#EXTHTTP":
                return self._exthttp(number, rest)
            case upper if upper.startswith("#EXTVLCOPT"):
                self._vlc_option(line)
            case upper if upper.startswith("#EXTM3U"):
                return self._extm3u(line)
        return None

    def url(self, number: int, line: str) -> Entry | OddLine | None:
        """Take a line that is not a directive: it ends the entry."""
        info = self.info
        if info is None and self.any_info:
            return OddLine(number, "URL without #EXTINF")
        if _SCHEME.match(line) is None:
            # The entry goes on waiting: a torn name before the URL must not cost the channel.
            return OddLine(number, "neither a directive nor a URL")
        headers, self.info, self.headers = self.headers, None, None
        url = line
        if "|" in line:
            before, _, options = line.partition("|")
            if "=" in options:
                url = before.rstrip()
                headers = headers or HeaderSet()
                headers.take_encoded(options)
        if len(url) > URL_CHARS_MAX:
            return OddLine(number, "URL longer than 8 KiB")
        if not url.isprintable():
            return OddLine(number, "control character in a URL")
        return self._entry(number, info or _Info(number, "", {}), url, headers)

    def _entry(self, number: int, info: _Info, url: str, headers: HeaderSet | None) -> Entry:
        said = info.attributes.get
        user_agent = said("http-user-agent") or self.user_agent
        if user_agent:
            headers = headers or HeaderSet()
            headers.fall_back("User-Agent", user_agent)
        tvg_id = _short(said("tvg-id") or said("channel-id") or "")
        tvg_name = _short(said("tvg-name") or "")
        group = self.group
        if "group-title" in info.attributes:
            group = _first_group(info.attributes["group-title"]) or group
        return Entry(
            line=number,
            name=info.name or tvg_name or tvg_id,
            url=url,
            tvg_id=tvg_id,
            tvg_name=tvg_name,
            number=_short(
                said("tvg-chno")
                or said("ch-number")
                or said("channel-number")
                or said("tvh-chnum")
                or ""
            ),
            logo=logo_url(said("tvg-logo") or said("logo") or ""),
            group=group,
            radio="radio" in info.attributes and info.attributes["radio"].strip().lower() in _YES,
            headers=headers.pairs() if headers is not None else (),
        )

    def _extinf(self, number: int, rest: str) -> OddLine | None:
        orphan, self.any_info = self.info, True
        attributes, name = _split_extinf(rest)
        self.info = _Info(number, _short(name), attributes)
        if attributes.get("group-title"):
            self.group = ""
        if orphan is None:
            return None
        self.headers = None
        return OddLine(orphan.line, "entry without a URL")

    def _extm3u(self, line: str) -> Header:
        attributes, _ = _attributes(line, len("#EXTM3U"))
        urls = attributes.get("x-tvg-url") or attributes.get("url-tvg") or ""
        self.user_agent = attributes.get("user-agent", "")
        guides = tuple(url.strip() for url in urls.split(",") if _SCHEME.match(url.strip()))
        return Header(guides, self.user_agent)

    def _vlc_option(self, line: str) -> None:
        option = line[len("#EXTVLCOPT") :].lstrip(":- \t")
        name, _, value = option.partition("=")
        header = _OPTION_HEADERS.get(name.strip().lower())
        if header is not None:
            self._wanted().put(header, value.strip().strip("\"'"))

    def _kodi_property(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        if name.strip().lower() in _KODI_HEADER_PROPERTIES:
            self._wanted().take_encoded(value.strip())

    def _exthttp(self, number: int, rest: str) -> OddLine | None:
        try:
            said = orjson.loads(rest)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            return OddLine(number, "#EXTHTTP without a JSON object")
        for name, value in said.items():
            if isinstance(value, str):
                self._wanted().put(name, value)
        return None

    def _wanted(self) -> HeaderSet:
        """The headers of the entry being read. Most entries have none."""
        if self.headers is None:
            self.headers = HeaderSet()
        return self.headers


def _split_extinf(rest: str) -> tuple[dict[str, str], str]:
    """The attributes and the name: what follows the first comma after the last attribute.

    (Kodi takes what follows the last quote, Jellyfin what follows the last comma; both lose part of
    a name that holds one.)
    """
    plain = _PLAIN_INFO.match(rest)
    if plain is not None:
        # Nine lists in ten have only such lines; one pattern for the whole is thrice as fast.
        name = rest[plain.end() :]
        if "=" not in name or not _quoted_attribute_at(name, 0):
            pairs = _PLAIN_ATTRIBUTE.findall(plain.group(1))[:ATTRIBUTES_MAX]
            pairs.reverse()  # the first of a key counts
            return {key.lower(): value for key, value in pairs}, name
    duration = _DURATION.match(rest)
    assert duration is not None, "the pattern matches nothing at all, too"
    attributes, end = _attributes(rest, duration.end())
    comma = rest.find(",", end)
    return attributes, rest[comma + 1 :] if comma >= 0 else ""


def _attributes(line: str, at: int) -> tuple[dict[str, str], int]:
    """The attributes from `at` on (keys in lower case, the first of a key counts) and their end."""
    found: dict[str, str] = {}
    for _ in range(ATTRIBUTES_MAX):
        start = _next_attribute(line, at)
        match = _ATTRIBUTE.match(line, start) if start >= 0 else None
        if match is None:
            break
        key, double, single, bare = match.groups()
        value = double if double is not None else single
        found.setdefault(key.lower(), bare.strip("\"'") if value is None else value)
        at = match.end()
    return found, at


def _next_attribute(line: str, at: int) -> int:
    """Where the next attribute may begin, or -1 when the name does.

    Some lists put a comma between attributes, and some have quotes inside quoted values; there an
    attribute is believed only when its value is quoted too.
    """
    end = len(line)
    start = at
    while start < end and line[start] in " \t":
        start += 1
    if start == end:
        return -1
    if line[start] == ",":
        start += 1 + line.startswith(" ", start + 1)
        return start if _quoted_attribute_at(line, start) else -1
    if _ATTRIBUTE.match(line, start) is not None:
        return start
    comma = line.find(",", start)
    torn = _NEXT_QUOTED.search(line, at, comma if comma >= 0 else end)
    return torn.start() + 1 if torn is not None else -1


def _quoted_attribute_at(line: str, at: int) -> bool:
    match = _ATTRIBUTE.match(line, at + line.startswith(" ", at))
    return match is not None and match.group(4) is None


def _short(text: str) -> str:
    return clean(text, NAME_CHARS_MAX) if text else text


@lru_cache(maxsize=GROUPS_KEPT)
def _first_group(text: str) -> str:
    """`group-title` may name several, parted by `;`: the first counts."""
    if ";" not in text:
        return _short(text)
    return next((group for part in text.split(";") if (group := _short(part))), "")


def logo_url(text: str) -> str:
    """A logo's URL; anything else (a path, `file:`, a data URL) is no logo."""
    text = text.strip()
    if not text.startswith(("http://", "https://")) or len(text) > URL_CHARS_MAX:
        return ""
    return text if text.isprintable() else ""

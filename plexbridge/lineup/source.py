"""A provider account as a person writes it down: one text with a place, and what to ask it with.

Pure. `http://host/list.m3u|User-Agent=VLC%2F3.0&max-connections=2&refresh-hours=6`: after a pipe,
as playlists write headers behind their URLs, stand headers (for the playlist and for its channels)
and some words of ours. Knows nothing of requests, and nothing of when it is read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final
from urllib.parse import unquote, urlsplit

from events.ids import SourceId
from plexbridge.lineup.headers import HeaderSet
from plexbridge.lineup.redact import redact
from plexbridge.lineup.xtream import CONNECTIONS_MAX, Login, is_account, login_of

BOUNDS: Final[Mapping[str, tuple[int, int]]] = {
    "max_connections": (0, CONNECTIONS_MAX),
    "refresh_hours": (0, 24 * 30),
    "refresh_jitter": (0, 50),  # above, a reading might follow the one before at once
    "settle_ms": (0, 10_000),  # above, a viewer who zaps has left
}
"""The least and the most of each number that a person may say of a source."""

_WORDS: Final = {name.replace("_", "-"): name for name in BOUNDS}
"""What is written behind a pipe, and what it is here."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A provider account. `location` and `login` are logins: never logged nor shown."""

    id: SourceId
    location: str = field(repr=False)
    """Where its channels are listed; without what stood behind the pipe."""
    place: str
    """The location as it may be shown."""
    login: Login | None = field(default=None, repr=False)
    """The account that can be asked for its limits, where it is at an Xtream panel."""
    headers: Headers = field(default=(), repr=False)
    """What it wants to be asked with: the playlist, and each channel that says nothing else."""
    max_connections: int = 0
    """As a person says; 0: nothing said."""
    refresh_hours: int | None = None
    """Between two readings; 0: never by itself; None: as the setting says."""
    refresh_jitter: int | None = None
    """Percent of that, more or less; None: as for all."""
    settle_ms: int | None = None
    """Between the end of one of its connections and the next one; None: as the setting says."""
    account: str = ""
    """Keyed digest of the host and the user: the same for two sources of one account. Empty where
    it names no user: nobody knows then."""

    @property
    def kind(self) -> str:
        """How its channels are listed."""
        return "xtream" if is_account(self.location) else "m3u"

    @property
    def is_file(self) -> bool:
        """Whether it is on this machine."""
        web = self.location.lower().startswith(("http://", "https://"))
        return self.kind == "m3u" and not web


def source_of(text: str, key: bytes) -> Source:
    """A source from what a setting says of it.

    Its id is its host and a digest that tells two accounts of one host apart; it is the same as
    long as the location is, whatever stands behind the pipe.

    Raises:
        ValueError: it is none; the text never quotes it.
    """
    location, options = text, ""
    if "://" in text:
        location, _, options = text.partition("|")
    if is_account(location) and login_of(location) is None:
        raise ValueError("a user and a password are missing: xtream+http://USER:PASS@HOST")
    said = dict(_said(options))
    headers = HeaderSet()
    for name, value in said.items():
        if name not in _WORDS:
            headers.take_encoded(f"{name}={value}")
    numbers = {_WORDS[word]: _number(said[word], word) for word in _WORDS if word in said}
    return Source(
        id=source_id(location, key),
        location=location,
        place=redact(location),
        login=login_of(location),
        headers=headers.pairs(),
        account=_account(location, key),
        **numbers,
    )


def source_id(location: str, key: bytes) -> SourceId:
    """The id of the account at a location."""
    try:
        host = urlsplit(location).hostname or "file"
    except ValueError:
        host = "unknown"  # who fetches it says what is wrong
    made = blake2b(location.encode("utf-8", "surrogatepass"), key=key, digest_size=3).hexdigest()
    return SourceId(f"{host}-{made}")


def headers_mark(headers: Headers) -> str:
    """Differs whenever a header does."""
    told = "\0".join(part for header in headers for part in header)
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _account(location: str, key: bytes) -> str:
    """Providers count an account's connections whatever port, path or scheme they come by."""
    login = login_of(location)
    try:
        parts = urlsplit(location)
        user = login.user if login is not None else unquote(parts.username or "")
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    if not user or not host:
        return ""
    told = f"{host}\0{user}".encode("utf-8", "surrogatepass")
    return blake2b(told, key=key, digest_size=16).hexdigest()


def _said(options: str) -> Iterator[tuple[str, str]]:
    for pair in options.split("&"):
        name, _, value = pair.partition("=")
        yield name.strip(), value


def _number(text: str, word: str) -> int:
    _, most = BOUNDS[_WORDS[word]]
    if not text.isascii() or not text.isdigit() or int(text[:6]) > most:
        raise ValueError(f"{word} is a whole number up to {most}")
    return int(text)

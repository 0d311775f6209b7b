"""What a setting accepts: one reader per kind of value, each saying in words what it takes.

Knows forms; not names, layers or files. A reader takes text (environment, command line) as well as
a value of `settings.toml`, gives the plain value, and raises `ValueError` for anything else; the
caller says which setting it was.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from plexbridge.device_id import is_device_id, with_check_digit
from plexbridge.lineup.source import source_of
from plexbridge.lineup.xtream import is_account

_WHOLE_NUMBER_DIGITS = 12
"""More digits than any bound has; keeps a pasted page from becoming an enormous number."""
_ADMIN_KEY_CHARS = (16, 256)
"""Shorter keys can be guessed over a network; longer ones are a pasted file."""
_PASSWORD_CHARS = (8, 256)
"""As the page asks for."""
_FRIENDLY_NAME_CHARS = 64
"""What players show of a tuner's name."""


_ON = ("true", "1", "yes")
_OFF = ("false", "0", "no")


class Hint(ValueError):
    """Not accepted, with words that help the person and may be shown: they hold no login."""


class Kind(Protocol):
    """Reads one kind of value."""

    @property
    def accepts(self) -> str:
        """What is accepted, as the end of the sentence "accepts …"."""
        ...

    def read(self, value: object) -> object:
        """The plain value.

        Raises:
            ValueError: this kind does not accept the value.
        """
        ...


def _as_number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(rf"[0-9]{{1,{_WHOLE_NUMBER_DIGITS}}}", value):
        return int(value)
    raise ValueError("not a whole number")


def _as_text(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError("not a text")


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number from `low` to `high`, both included; `unit` is empty for plain counts."""

    low: int
    high: int
    unit: str = ""

    @property
    def accepts(self) -> str:
        """The range, with its unit."""
        return f"a whole number from {self.low} to {self.high}{self.unit and ' ' + self.unit}"

    def read(self, value: object) -> int:
        """The number."""
        number = _as_number(value)
        if not self.low <= number <= self.high:
            raise ValueError("out of range")
        return number


@dataclass(frozen=True, slots=True)
class WordOr:
    """One fixed word, or what `other` accepts."""

    word: str
    other: Kind

    @property
    def accepts(self) -> str:
        """Both."""
        return f"`{self.word}`, or {self.other.accepts}"

    def read(self, value: object) -> object:
        """The word itself, or the other kind's value."""
        if isinstance(value, str) and value.lower() == self.word:
            return self.word
        return self.other.read(value)


class Switch:
    """On or off."""

    accepts = "`true` or `false` (also `1`, `0`, `yes`, `no`)"

    def read(self, value: object) -> bool:
        """True or False; capitals do not matter."""
        word = str(value).lower() if isinstance(value, bool | int | str) else ""
        if word not in _ON + _OFF:
            raise ValueError("neither true nor false")
        return word in _ON


@dataclass(frozen=True, slots=True)
class OneOf:
    """One word of a list; capitals do not matter."""

    words: tuple[str, ...]

    @property
    def accepts(self) -> str:
        """The words."""
        return "one of " + ", ".join(f"`{word}`" for word in self.words)

    def read(self, value: object) -> str:
        """The word, as the list has it."""
        word = _as_text(value).lower()
        if word not in self.words:
            raise ValueError("not one of the words")
        return word


@dataclass(frozen=True, slots=True)
class Listed:
    """Several values of one kind: a list, or one text with `separator` between them."""

    each: Callable[[object], object]
    accepts: str
    separator: str = r"\s+"

    def read(self, value: object) -> tuple[object, ...]:
        """The values in order, each once."""
        parts: Sequence[object]
        if isinstance(value, str):
            parts = [part for part in re.split(self.separator, value) if part]
        elif isinstance(value, list | tuple):
            parts = value
        else:
            raise ValueError("neither a text nor a list")
        return tuple(dict.fromkeys(self.each(part) for part in parts))


@dataclass(frozen=True, slots=True)
class Form:
    """Anything that one function reads; `accepts` says in words what the function takes."""

    accepts: str
    one: Callable[[object], object]

    def read(self, value: object) -> object:
        """What the function gives."""
        return self.one(value)


def _read_network(value: object) -> object:
    # 192.168.1.20/24 means the network that address is in; nobody means anything else by it.
    return ip_network(_as_text(value), strict=False)


def _read_location(value: object) -> str:
    text = _as_text(value)
    scheme, found, _ = text.partition("://")
    if found and (scheme.lower() not in ("http", "https") or not urlsplit(text).hostname):
        raise ValueError("neither http nor https")
    if "\0" in text:
        raise ValueError("no file has such a name")
    return text


def _read_source(value: object) -> str:
    text = _as_text(value)
    location = text.partition("|")[0] if "://" in text else text
    if not is_account(location):
        _read_location(location)
    try:
        source_of(text, b"")
    except ValueError as wrong:
        raise Hint(str(wrong)) from wrong
    return text


def _read_address(value: object) -> str:
    return str(ip_address(_as_text(value)))


def _read_directory(value: object) -> Path:
    text = value if isinstance(value, Path) else Path(_as_text(value))
    if "\0" in str(text):
        raise ValueError("no directory has such a name")
    try:
        return text.expanduser().absolute()
    except RuntimeError as no_home:
        raise ValueError("no home directory") from no_home


def _read_device_id(value: object) -> str:
    text = _as_text(value).upper()
    if not re.fullmatch(r"[0-9A-F]{8}", text):
        raise ValueError("not eight hexadecimal digits")
    number = int(text, 16)
    if not is_device_id(number):
        raise Hint(f"its check digit is wrong: {with_check_digit(number):08X} would be right")
    return text


def _read_friendly_name(value: object) -> str:
    text = _as_text(value).strip()
    if not 1 <= len(text) <= _FRIENDLY_NAME_CHARS or not text.isprintable():
        raise ValueError("too long, empty or not printable")
    return text


def _read_base_url(value: object) -> str:
    text = _as_text(value)
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("neither http nor https with a host")
    if "@" in parts.netloc or parts.path not in ("", "/") or not text.isprintable() or " " in text:
        raise ValueError("more than a host and a port")
    if parts.query or parts.fragment:
        raise ValueError("more than a host and a port")
    return f"{parts.scheme}://{parts.netloc}"


def _read_admin_key(value: object) -> str:
    text = _as_text(value)
    low, high = _ADMIN_KEY_CHARS
    if not low <= len(text) <= high or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("too short, too long, or not printable ASCII")
    return text


def _read_password(value: object) -> str:
    text = _as_text(value)
    low, high = _PASSWORD_CHARS
    if not low <= len(text) <= high or not text.isprintable():
        raise ValueError("too short, too long, or not printable")
    return text


def _read_own_host(value: object) -> str:
    text = _as_text(value).lower()
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.netloc != text or "@" in text or parts.port == 0:
        raise ValueError("not a host with or without a port")
    if not re.fullmatch(r"[a-z0-9.:\[\]_-]+", text):
        raise ValueError("not the name of a host")
    return text


def _read_base_path(value: object) -> str:
    text = _as_text(value).rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*){1,8}", text):
        raise ValueError("not a path")
    return text


def _read_program(value: object) -> str:
    text = _as_text(value).strip()
    # A name is looked for on the PATH; a path from somewhere is another file tomorrow.
    if not text or "\0" in text or ("/" in text and not text.startswith("/")):
        raise ValueError("neither a name nor an absolute path")
    return text


NETWORKS = Listed(
    _read_network, "networks such as `192.168.0.0/16` or `fd00::/8`, separated by spaces", r"[\s,]+"
)
LOCATIONS = Listed(_read_location, "`http://` or `https://` URLs or files, separated by whitespace")
SOURCES = Listed(
    _read_source,
    "`http://` or `https://` URLs, `xtream+http://USER:PASS@HOST` accounts, or files, separated by "
    "whitespace; behind one, after a pipe, `User-Agent=…&max-connections=…&refresh-hours=…"
    "&refresh-jitter=…&settle-ms=…`",
)
ADDRESS = Form("an IP address: `0.0.0.0` all of IPv4, `::` all of IPv6 as well", _read_address)
DIRECTORY = Form("a directory; it is created if need be", _read_directory)
DEVICE_ID = Form(
    "eight hexadecimal digits of which the last is the right check digit, such as `10439EFD`",
    _read_device_id,
)
FRIENDLY_NAME = Form(f"1 to {_FRIENDLY_NAME_CHARS} printable characters", _read_friendly_name)
BASE_URL = Form("`http://` or `https://`, a host and maybe a port, without a path", _read_base_url)
ADMIN_KEY = Form(
    f"{_ADMIN_KEY_CHARS[0]} to {_ADMIN_KEY_CHARS[1]} printable ASCII characters without spaces",
    _read_admin_key,
)
PASSWORD = Form(
    f"{_PASSWORD_CHARS[0]} to {_PASSWORD_CHARS[1]} printable characters", _read_password
)
OWN_HOSTS = Listed(
    _read_own_host, "names such as `tv.example.com` or `tv.example.com:8443`, separated by spaces"
)
BASE_PATH = Form("a path such as `/bridge`", _read_base_path)
PROGRAM = Form("the name of a program on the `PATH`, or an absolute path", _read_program)

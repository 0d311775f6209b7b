"""Request headers that a playlist asks for, checked: a playlist may name its user agent, it may not
write our requests.
"""

import re
from urllib.parse import unquote_plus

HEADERS_MAX = 16
"""Per entry. Real ones have one to three."""

VALUE_CHARS_MAX = 2048
"""A header with a signed cookie is about 1 KiB; servers refuse heads over 8."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_OURS = frozenset(
    # Framing, routing and what we read ourselves: ours to say.
    (
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "if-range",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_SPELLING = {"user-agent": "User-Agent", "referer": "Referer", "referrer": "Referer"}


class HeaderSet:
    """Headers by name without regard to case; a later one replaces an earlier one."""

    __slots__ = ("_said",)

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, str]] | None = None

    def put(self, name: str, value: str) -> None:
        """Set a header. One that is not the playlist's to set, or not a header, is left out."""
        if (
            _UNSAFE.search(value) is not None
        ):  # before stripping: what was smuggled is dropped whole
            return
        name, value = name.strip(), value.strip()
        lower = name.lower()
        if lower in _OURS or not value or len(value) > VALUE_CHARS_MAX:
            return
        if _NAME.fullmatch(name) is None:
            return
        if self._said is None:
            self._said = {}
        spelled = _SPELLING.get(lower, name)
        if len(self._said) < HEADERS_MAX or spelled.lower() in self._said:
            self._said[spelled.lower()] = (spelled, value)

    def fall_back(self, name: str, value: str) -> None:
        """Set a header unless it is set."""
        if value and (self._said is None or name.lower() not in self._said):
            self.put(name, value)

    def take_encoded(self, text: str) -> None:
        """Headers in the form `User-Agent=a%2Fb&Referer=…`, as after the pipe of a URL."""
        if not text:
            return
        for pair in text.split("&", HEADERS_MAX)[:HEADERS_MAX]:
            name, _, value = pair.partition("=")
            self.put(name, unquote_plus(value))

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Names and values as they are to be sent."""
        return tuple(self._said.values()) if self._said else ()

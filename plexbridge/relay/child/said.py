"""The last lines a child wrote to its standard error, bounded, and without what must not be shown.

Pure. ffmpeg repeats the URL it was given in its complaints; every part of it that `redact` would
hide is hidden here too, wherever it stands.
"""

import re
from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from plexbridge.lineup.redact import MASK, redact

LINES_MAX: Final = 20
"""What a person reads to see why it failed; ffmpeg says it last."""

LINE_BYTES_MAX: Final = 512
"""A flood without line ends is cut into lines of this length."""

SECRET_CHARS_MIN: Final = 3
"""Shorter parts are in every other word."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_PARTS = re.compile(r"[/?&=:@#,;\s]+")
_LINE_ENDS = re.compile(rb"[\r\n]+")


def secret_parts(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be shown of an upstream, longest first."""
    shown = set(_PARTS.split(redact(url)))
    found = {part for part in _PARTS.split(url) if part not in shown}
    for value in headers.values():
        found.add(value)
        found.update(_PARTS.split(value))
    found |= {unquote(part) for part in found}
    return tuple(
        sorted((part for part in found if len(part) >= SECRET_CHARS_MIN), key=len, reverse=True)
    )


class Said:
    """A ring of lines. Feeding it costs nothing but the last lines."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self.bytes_seen = 0
        self._secrets = re.compile("|".join(map(re.escape, secrets))) if secrets else None
        self._raw: deque[bytes] = deque(maxlen=LINES_MAX)
        self._tail = b""
        self._overlong = False

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come; of a flood only the end is looked at."""
        self.bytes_seen += len(chunk)
        data = self._tail + chunk
        if len(data) > LINES_MAX * LINE_BYTES_MAX:
            data = data[-LINES_MAX * LINE_BYTES_MAX :]
            self._overlong = True
        *lines, self._tail = _LINE_ENDS.split(data)
        for line in lines:
            self._keep(line)
        if len(self._tail) > LINE_BYTES_MAX:
            self._keep(self._tail)
            self._tail = b""
            self._overlong = True

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines, fit to be shown."""
        return tuple(self._clean(line.decode("utf-8", "replace")) for line in self._raw)

    def _keep(self, line: bytes) -> None:
        # The rest of a line that was cut may begin within a word that must not be shown, and so
        # may its first part end within one.
        rest, self._overlong = self._overlong, False
        if rest or not line.strip():
            return
        if len(line) > LINE_BYTES_MAX:
            line = line[:LINE_BYTES_MAX].rpartition(b" ")[0]
        self._raw.append(line)

    def _clean(self, line: str) -> str:
        line = _URL.sub(lambda found: redact(found[0]), line)
        if self._secrets is not None:
            line = self._secrets.sub(MASK, line)
        return "".join(char if char.isprintable() else " " for char in line)

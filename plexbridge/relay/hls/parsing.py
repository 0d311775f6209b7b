"""From the text of a playlist to its values (RFC 8216 section 4).

Pure. Refuses what it cannot follow with the number of the line; unknown tags are skipped, as the
RFC demands. Bounds come first, so that nothing a provider sends costs more than a fixed amount.
"""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin

from plexbridge.relay.hls.faults import PlaylistInvalid, PlaylistTooBig
from plexbridge.relay.hls.playlist import (
    AudioRendition,
    ByteRange,
    InitSection,
    Key,
    MasterPlaylist,
    MediaPlaylist,
    Segment,
    Variant,
)

PLAYLIST_BYTES_MAX: Final = 2 * 1024 * 1024
"""`reference/transport.md`, fault 30. A day of 6 s segments with long names is 1.5 MB."""
PLAYLIST_LINES_MAX: Final = 10_000
LINE_CHARS_MAX: Final = 8_192
"""Signed URLs have some 2,000 characters."""
TARGET_S_MAX: Final = 60
"""Longer targets would mean minutes behind live; recorders announce 10."""
DURATION_S_MAX: Final = 3_600.0
_NUMBER_DIGITS_MAX: Final = 20
"""2⁶⁴ has 20 digits."""

_ATTRIBUTE = re.compile(r'\s*([A-Z0-9-]+)\s*=\s*("[^"]*"|[^",]*)\s*(?:,|$)')
_INTEGER = re.compile(rf"\d{{1,{_NUMBER_DIGITS_MAX}}}")
_SECONDS = re.compile(r"\d{1,8}(?:\.\d{1,20})?")
_OFFSET_SECONDS = re.compile(r"[+-]?\d{1,8}(?:\.\d{1,20})?")
_IV = re.compile(r"0[xX]([0-9a-fA-F]{1,32})")
_KEY_BITS: Final = 128


def parse_playlist(text: str, base_uri: str) -> MasterPlaylist | MediaPlaylist:
    """A playlist, its relative URIs resolved against the URI it was finally fetched from.

    Raises:
        PlaylistTooBig: a bound of this module.
        PlaylistInvalid: with the line.
    """
    lines = text.removeprefix("\ufeff").lstrip().split("\n")
    if len(lines) > PLAYLIST_LINES_MAX:
        raise PlaylistTooBig("lines", len(lines), PLAYLIST_LINES_MAX)
    if not lines or not lines[0].startswith("#EXTM3U"):
        raise PlaylistInvalid(1, "no #EXTM3U")
    reading = _Reading(base_uri)
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_CHARS_MAX:
            raise PlaylistTooBig("characters in a line", len(line), LINE_CHARS_MAX)
        reading.take(number, line.strip())
    return reading.finish()


class _Reading:
    """What was read so far. One method per tag; the table at the end says which."""

    def __init__(self, base_uri: str) -> None:
        self._base_uri = base_uri
        self._line = 0
        self._segments: list[Segment] = []
        self._variants: list[Variant] = []
        self._audio: list[AudioRendition] = []
        self._variant: dict[str, str] | None = None
        self._target_s: int | None = None
        self._first_sequence = 0
        self._discontinuity = 0
        self._counts_discontinuities = False
        self._start_offset_s: float | None = None
        self._ended = False
        self._key: Key | None = None
        self._keys_together = False
        self._init: InitSection | None = None
        self._duration_s: float | None = None
        self._range: tuple[int, int | None] | None = None
        self._tagged = False
        self._gap = False

    def take(self, number: int, line: str) -> None:
        """One more line."""
        self._line = number
        if line.startswith("#EXT"):
            name, _, value = line.partition(":")
            handle = _TAGS.get(name)
            if handle is not None:
                handle(self, value.strip())
        elif line and not line.startswith("#"):
            self._uri(line)

    def finish(self) -> MasterPlaylist | MediaPlaylist:
        """The playlist as a whole."""
        if self._variants:
            if self._segments or self._target_s is not None:
                raise PlaylistInvalid(0, "both variants and segments")
            return MasterPlaylist(tuple(self._variants), tuple(self._audio))
        if self._target_s is None:
            raise PlaylistInvalid(0, "neither variants nor EXT-X-TARGETDURATION")
        return MediaPlaylist(
            target_s=self._target_s,
            first_sequence=self._first_sequence,
            segments=tuple(self._segments),
            ended=self._ended,
            start_offset_s=self._start_offset_s,
            counts_discontinuities=self._counts_discontinuities,
        )

    def _uri(self, line: str) -> None:
        uri = self._absolute(line)
        if self._variant is not None:
            attributes, self._variant = self._variant, None
            self._variants.append(
                Variant(
                    uri=uri,
                    bandwidth=self._integer(attributes.get("BANDWIDTH", "0")),
                    audio_group=attributes.get("AUDIO"),
                    codecs=attributes.get("CODECS"),
                )
            )
            return
        if self._duration_s is None:
            raise PlaylistInvalid(self._line, "a URI without EXTINF")
        self._segments.append(
            Segment(
                sequence=self._first_sequence + len(self._segments),
                uri=uri,
                duration_s=self._duration_s,
                byte_range=self._segment_range(uri),
                key=self._key,
                init=self._init,
                discontinuity=self._discontinuity,
                tagged=self._tagged,
                gap=self._gap,
            )
        )
        self._duration_s = self._range = None
        self._tagged = self._gap = self._keys_together = False

    def _segment_range(self, uri: str) -> ByteRange | None:
        """A range without an offset goes on where the one before it in the same resource ended."""
        if self._range is None:
            return None
        length, offset = self._range
        if offset is None:
            before = self._segments[-1] if self._segments else None
            if before is None or before.byte_range is None or before.uri != uri:
                raise PlaylistInvalid(self._line, "a byte range without an offset follows none")
            offset = before.byte_range.offset + before.byte_range.length
        return ByteRange(offset, length)

    def _on_inf(self, value: str) -> None:
        text = value.partition(",")[0].strip()
        if not _SECONDS.fullmatch(text) or float(text) > DURATION_S_MAX:
            raise PlaylistInvalid(self._line, "EXTINF is no duration")
        self._duration_s = float(text)

    def _on_byte_range(self, value: str) -> None:
        self._range = self._parsed_range(value)

    def _on_key(self, value: str) -> None:
        attributes = self._attributes(value)
        method = attributes.get("METHOD", "")
        if method == "NONE":
            self._key, self._keys_together = None, False
            return
        key = Key(
            method=method,
            uri=self._absolute(attributes.get("URI", "")),
            iv=self._iv(attributes.get("IV")),
            key_format=attributes.get("KEYFORMAT", "identity"),
        )
        # Several keys before one segment are the same key for several systems; ours is `identity`.
        if not self._keys_together or key.key_format == "identity":
            self._key = key
        self._keys_together = True

    def _on_map(self, value: str) -> None:
        attributes = self._attributes(value)
        uri = self._absolute(attributes.get("URI", ""))
        byte_range: ByteRange | None = None
        if "BYTERANGE" in attributes:
            length, offset = self._parsed_range(attributes["BYTERANGE"])
            byte_range = ByteRange(offset or 0, length)
        self._init = InitSection(uri, byte_range, self._key)

    def _on_discontinuity(self, _: str) -> None:
        self._discontinuity += 1
        self._tagged = True

    def _on_discontinuity_sequence(self, value: str) -> None:
        if self._segments or self._tagged:
            raise PlaylistInvalid(self._line, "EXT-X-DISCONTINUITY-SEQUENCE after a segment")
        self._discontinuity = self._integer(value)
        self._counts_discontinuities = True

    def _on_media_sequence(self, value: str) -> None:
        if self._segments:
            raise PlaylistInvalid(self._line, "EXT-X-MEDIA-SEQUENCE after a segment")
        self._first_sequence = self._integer(value)

    def _on_target_duration(self, value: str) -> None:
        # Some packagers write a decimal fraction; the RFC has the nearest integer.
        if not _SECONDS.fullmatch(value):
            raise PlaylistInvalid(self._line, "EXT-X-TARGETDURATION is no duration")
        self._target_s = min(max(round(float(value)), 1), TARGET_S_MAX)

    def _on_end(self, _: str) -> None:
        self._ended = True

    def _on_gap(self, _: str) -> None:
        self._gap = True

    def _on_start(self, value: str) -> None:
        text = self._attributes(value).get("TIME-OFFSET", "")
        if not _OFFSET_SECONDS.fullmatch(text):
            raise PlaylistInvalid(self._line, "EXT-X-START without TIME-OFFSET")
        self._start_offset_s = float(text)

    def _on_stream_inf(self, value: str) -> None:
        self._variant = self._attributes(value)

    def _on_media(self, value: str) -> None:
        attributes = self._attributes(value)
        if attributes.get("TYPE") != "AUDIO":
            return
        uri = attributes.get("URI")
        self._audio.append(
            AudioRendition(
                group=attributes.get("GROUP-ID", ""),
                uri=None if uri is None else self._absolute(uri),
                name=attributes.get("NAME", ""),
                language=attributes.get("LANGUAGE"),
                is_default=attributes.get("DEFAULT") == "YES",
                autoselect=attributes.get("AUTOSELECT") == "YES",
            )
        )

    def _absolute(self, uri: str) -> str:
        if not uri:
            raise PlaylistInvalid(self._line, "a URI is missing")
        try:
            return urljoin(self._base_uri, uri)
        except ValueError:
            raise PlaylistInvalid(self._line, "a URI that is none") from None

    def _attributes(self, text: str) -> dict[str, str]:
        """An attribute list (RFC 8216 section 4.2)."""
        found: dict[str, str] = {}
        at = 0
        while at < len(text):
            match = _ATTRIBUTE.match(text, at)
            if match is None:
                raise PlaylistInvalid(self._line, "not an attribute list")
            found[match[1]] = match[2].strip().removeprefix('"').removesuffix('"')
            at = match.end()
        return found

    def _integer(self, text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise PlaylistInvalid(self._line, "not a whole number")
        return int(text)

    def _parsed_range(self, text: str) -> tuple[int, int | None]:
        length, has_offset, offset = text.strip().partition("@")
        return self._integer(length), self._integer(offset) if has_offset else None

    def _iv(self, text: str | None) -> bytes | None:
        if text is None:
            return None
        match = _IV.fullmatch(text)
        if match is None:
            raise PlaylistInvalid(self._line, "IV is not 128 bits in hexadecimal")
        return int(match[1], 16).to_bytes(_KEY_BITS // 8, "big")


_TAGS: Final[dict[str, Callable[[_Reading, str], None]]] = {
    "#EXTINF": _Reading._on_inf,
    "#EXT-X-BYTERANGE": _Reading._on_byte_range,
    "#EXT-X-KEY": _Reading._on_key,
    "#EXT-X-MAP": _Reading._on_map,
    "#EXT-X-DISCONTINUITY": _Reading._on_discontinuity,
    "#EXT-X-DISCONTINUITY-SEQUENCE": _Reading._on_discontinuity_sequence,
    "#EXT-X-MEDIA-SEQUENCE": _Reading._on_media_sequence,
    "#EXT-X-TARGETDURATION": _Reading._on_target_duration,
    "#EXT-X-ENDLIST": _Reading._on_end,
    "#EXT-X-GAP": _Reading._on_gap,
    "#EXT-X-START": _Reading._on_start,
    "#EXT-X-STREAM-INF": _Reading._on_stream_inf,
    "#EXT-X-MEDIA": _Reading._on_media,
}

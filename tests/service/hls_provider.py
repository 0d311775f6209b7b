"""A provider of HLS on loopback: playlists that grow, and segments by name or by byte range.

What a path does is a behaviour of `provider_stub`; this adds those an HLS provider needs.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.service.provider_stub import Behaviour, Connection, ProviderStub

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
_RANGE = re.compile(r"\r\nRange: bytes=(\d+)-(\d+)\r\n", re.IGNORECASE)


@dataclass
class LivePlaylist:
    """A media playlist as it is at the moment it is asked for. A behaviour itself."""

    target_s: int = 1
    first: int = 0
    lines: list[list[str]] = field(default_factory=list)
    """Of each segment: its tags and its address."""
    head: list[str] = field(default_factory=list)
    ended: bool = False

    def add(self, name: str, *tags: str, duration_s: float = 1.0) -> None:
        """One more segment."""
        self.lines.append([*tags, f"#EXTINF:{duration_s},", name])

    def drop(self, count: int = 1) -> None:
        """The window moves on."""
        del self.lines[:count]
        self.first += count

    def text(self) -> str:
        """The playlist now."""
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{self.target_s}",
            f"#EXT-X-MEDIA-SEQUENCE:{self.first}",
            *self.head,
        ]
        for segment in self.lines:
            lines += segment
        if self.ended:
            lines.append("#EXT-X-ENDLIST")
        return "\n".join(lines) + "\n"

    async def __call__(self, connection: Connection) -> None:
        await answer_with(connection, self.text().encode(), PLAYLIST_TYPE)


async def answer_with(
    connection: Connection, body: bytes, content_type: str = "video/mp2t", **headers: str
) -> None:
    """A whole body with its length."""
    sent = {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}
    await connection.answer(headers=sent)
    await connection.send(body)


def text(body: str) -> Behaviour:
    """A playlist that does not change."""

    async def behave(connection: Connection) -> None:
        await answer_with(connection, body.encode(), PLAYLIST_TYPE)

    return behave


def ranged(body: bytes, *, ignored: bool = False) -> Behaviour:
    """A resource of which parts can be asked for; `ignored`: a server that sends it whole."""

    async def behave(connection: Connection) -> None:
        match = _RANGE.search(connection.head)
        if match is None or ignored:
            await answer_with(connection, body)
            return
        first, last = int(match[1]), int(match[2])
        part = body[first : last + 1]
        headers = {
            "Content-Length": str(len(part)),
            "Content-Range": f"bytes {first}-{last}/{len(body)}",
        }
        await connection.answer(206, headers)
        await connection.send(part)

    return behave


def served(stub: ProviderStub, segments: dict[str, bytes]) -> None:
    """Put segments at their paths."""
    for path, body in segments.items():
        stub.on(path, ranged(body))


def serve_folder(stub: ProviderStub, folder: Path) -> None:
    """Every file of a folder, at its name."""
    for path in folder.iterdir():
        stub.on(f"/{path.name}", ranged(path.read_bytes()))

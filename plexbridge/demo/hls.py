"""A looping clip as live HLS: a media playlist of the newest loops, each of them a segment.

Knows RFC 8216 as a provider writes it; refuses to know sockets. A loop is whole when its time is
over, so the newest segment is the one before the loop that is on.
"""

from typing import Final

from plexbridge.demo.loop import TICKS_PER_SECOND, LoopingClip

SEGMENTS: Final = 4
"""In the list: some half a minute, more than the three that a player begins behind the live end."""

KEPT: Final = SEGMENTS + 2
"""To be had: a player may ask for one that has just left the list (RFC 8216, 6.2.2)."""


def media_playlist(clip: LoopingClip, now_90k: int, folder: str) -> str:
    """The list at this moment. `folder`: of the segments, as seen from the list."""
    newest = now_90k // clip.duration_90k - 1
    first = newest - SEGMENTS + 1
    seconds = clip.duration_90k / TICKS_PER_SECOND
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        f"#EXT-X-TARGETDURATION:{round(seconds)}",
        f"#EXT-X-MEDIA-SEQUENCE:{first}",
    ]
    for number in range(first, newest + 1):
        lines += [f"#EXTINF:{seconds:.3f},", f"{folder}/{number}.ts"]
    return "\n".join(lines) + "\n"


def segment(clip: LoopingClip, now_90k: int, number: int) -> bytes | None:
    """A segment; None where it is not whole yet, or long gone."""
    newest = now_90k // clip.duration_90k - 1
    return clip.render(number) if newest - KEPT < number <= newest else None

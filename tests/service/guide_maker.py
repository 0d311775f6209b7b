"""Guides of any size, written as a stream: the same bytes for the same arguments."""

import gzip
import lzma
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from plexbridge.lineup.guide.job import Wanted

WORDS = re.findall(
    r"[a-z]+",
    "harbour lantern orchard river signal meadow winter engine copper window garden thunder "
    "baker island letter mountain station violin shadow bridge compass feather kitchen midnight",
)
PROGRAMME_MINUTES = 30
DAYS = 14


def channel_ids(count: int) -> list[str]:
    """The ids of a guide's channels."""
    return [f"channel{number}.example" for number in range(1, count + 1)]


def wanted(count: int) -> list[Wanted]:
    """Lineup channels that have each of them by its id."""
    return [
        Wanted(f"{number:016x}", guide_id, f"Channel {number}")
        for number, guide_id in enumerate(channel_ids(count), 1)
    ]


def lines(channels: int, begin: datetime, *, days: int = DAYS) -> Iterator[str]:
    """An XMLTV document of `channels`, each without a gap for `days`."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tv SYSTEM "xmltv.dtd">\n<tv>\n'
    ids = channel_ids(channels)
    for number, guide_id in enumerate(ids, 1):
        yield (
            f'<channel id="{guide_id}"><display-name>Channel {number}</display-name>'
            f'<icon src="http://logos.example/{number}.png"/></channel>\n'
        )
    count = days * 24 * 60 // PROGRAMME_MINUTES
    times = [
        (begin + timedelta(minutes=PROGRAMME_MINUTES * place)).strftime("%Y%m%d%H%M%S +0000")
        for place in range(count + 1)
    ]
    for number, guide_id in enumerate(ids, 1):
        for place in range(count):
            yield _programme(guide_id, number * 31 + place, times[place], times[place + 1])
    yield "</tv>\n"


def _programme(guide_id: str, seed: int, start: str, stop: str) -> str:
    def words(first: int, count: int) -> str:
        return " ".join(WORDS[(first + 7 * n * (1 + seed % 5)) % len(WORDS)] for n in range(count))

    return (
        f'<programme start="{start}" stop="{stop}" channel="{guide_id}">'
        f'<title lang="en">{words(seed, 3).title()}</title>'
        f'<sub-title lang="en">{words(seed // 3, 4).capitalize()} &amp; {seed % 977}</sub-title>'
        f'<desc lang="en">{words(seed // 7, 18).capitalize()}, {seed % 9973}.</desc>'
        f'<category lang="en">{WORDS[seed % 11]}</category>'
        f'<episode-num system="onscreen">S{1 + seed % 9:02}E{1 + seed % 24:02}</episode-num>'
        "</programme>\n"
    )


def write_guide(
    path: Path, *, channels: int, begin: datetime | None = None, days: int = DAYS
) -> int:
    """Write one; compressed as the file's name says. Returns its size, uncompressed, in bytes."""
    first = begin or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    count = 0
    with _opened(path) as file:
        for line in lines(channels, first, days=days):
            count += file.write(line.encode())
    return count


def _opened(path: Path) -> IO[bytes]:
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
    opened: IO[bytes] = openers.get(path.suffix, open)(path, "wb")
    return opened

"""What the public sample tells, read apart from the product, and a guide for some of it."""

import re
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from tests.service.guide_rig import HOUR_S, programme, this_hour, write_guide

SAMPLE = Path(__file__).parents[1] / "samples" / "public_channels.m3u"
LISTED = 353


class Told(NamedTuple):
    """What the sample says of a channel."""

    tvg_id: str
    group: str
    name: str


def told() -> list[Told]:
    """Every channel of the sample once, in its order: the same id and name again is a backup."""
    entries = re.findall(r'^#EXTINF:-1 (.*"),(.+)$', SAMPLE.read_text(), re.MULTILINE)
    assert len(entries) == LISTED
    found = []
    for attributes, name in entries:
        said = dict(re.findall(r'([a-z-]+)="([^"]*)"', attributes))
        found.append(Told(said.get("tvg-id", ""), said.get("group-title", ""), name))
    return list(dict.fromkeys(found))


def named_only(channels: list[Told]) -> list[str]:
    """Names that are foreign to ASCII, of channels without an id: the guide knows only these."""
    return [one.name for one in channels if not one.tvg_id and not one.name.isascii()]


def write_sample_guide(path: Path) -> Path:
    """For each id under a name that says nothing; for each foreign name in capital letters."""
    channels = {one.tvg_id: f"No. {at}" for at, one in enumerate(told()) if one.tvg_id}
    for at, name in enumerate(named_only(told())):
        channels[f"named{at}.example"] = escape(name.upper())
    now = this_hour()
    shows = [
        programme(guide_id, now + HOUR_S * hour, 60, f"Show {hour}")
        for guide_id in channels
        for hour in range(3)
    ]
    return write_guide(path, channels, shows)

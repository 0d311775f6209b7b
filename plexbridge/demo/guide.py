"""The pretend provider's playlist (extended M3U) and guide (XMLTV), as text.

Knows both formats, as a provider writes them. Refuses to know sockets and clocks: the address and
the time are handed in.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape, quoteattr

from events.ids import UnixMicros
from plexbridge.demo.channels import MINUTES_PER_DAY, Channel, Show, Way

_DAYS_AROUND = 1
"""Yesterday and tomorrow too: no player's window around now is left empty, wherever it lives."""


def playlist(channels: Sequence[Channel], base_url: str) -> str:
    """The channels as an M3U whose addresses begin with `base_url` (no slash at its end)."""
    lines = [f'#EXTM3U url-tvg="{base_url}/guide.xml"']
    for channel in channels:
        told = (
            f'#EXTINF:-1 tvg-id="{channel.tvg_id}" tvg-chno="{channel.number}" '
            f'tvg-name="{channel.name}" group-title="{channel.group}",{channel.name}'
        )
        for path in upstream_paths(channel):
            lines += [told, f"{base_url}{path}"]
    return "\n".join(lines) + "\n"


def upstream_paths(channel: Channel) -> tuple[str, ...]:
    """Where a channel is to be had, the preferred place first."""
    plain = f"/{Way.PLAIN}/{channel.number}.ts"
    match channel.way:
        case Way.PLAIN:
            return (plain,)
        case Way.HLS:
            return (f"/{Way.HLS}/{channel.number}.m3u8",)
        case Way.STALLS:
            return (f"/{Way.STALLS}/{channel.number}.ts",)
        case Way.FAILS:
            return f"/{Way.FAILS}/{channel.number}.ts", plain


def guide(channels: Sequence[Channel], now: UnixMicros) -> str:
    """XMLTV for the day (UTC) that `now` lies in, the day before and the day after."""
    midnight = datetime.fromtimestamp(now / 1_000_000, UTC).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<tv generator-info-name="PlexBridge demo">']
    for channel in channels:
        lines.append(
            f"<channel id={quoteattr(channel.tvg_id)}>"
            f"<display-name>{escape(channel.name)}</display-name>"
            f"<display-name>{channel.number}</display-name></channel>"
        )
    for channel in channels:
        for day in range(-_DAYS_AROUND, _DAYS_AROUND + 1):
            lines.extend(_programmes(channel, midnight + timedelta(days=day)))
    lines.append("</tv>")
    return "\n".join(lines) + "\n"


def _programmes(channel: Channel, midnight: datetime) -> Iterator[str]:
    """One day of a channel; a year is a season, and every round brings the next episodes."""
    rounds = MINUTES_PER_DAY // channel.round_minutes
    first_round = (midnight.timetuple().tm_yday - 1) * rounds
    start = midnight
    for number in range(first_round, first_round + rounds):
        for show in channel.shows:
            stop = start + timedelta(minutes=show.minutes)
            yield _programme(channel, show, start, stop, midnight.year, number)
            start = stop


def _programme(
    channel: Channel, show: Show, start: datetime, stop: datetime, season: int, episode: int
) -> str:
    numbers = (
        f'<episode-num system="xmltv_ns">{season - 1}.{episode}.</episode-num>'
        f'<episode-num system="onscreen">S{season}E{episode + 1}</episode-num>'
    )
    return (
        f'<programme start="{_xmltv_time(start)}" stop="{_xmltv_time(stop)}"'
        f" channel={quoteattr(channel.tvg_id)}>"
        f'<title lang="en">{escape(show.title)}</title>'
        f'<desc lang="en">{escape(show.description)}</desc>'
        f'<category lang="en">{escape(show.category)}</category>'
        f"{'' if show.category == 'Movie' else numbers}</programme>"
    )


def _xmltv_time(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S +0000")

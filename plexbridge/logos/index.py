"""Which logo a digest stands for: those of the lineup in force, and no others.

Pure. A few bytes for each channel, whatever the lineup's length: the channel itself is looked at
when its logo is asked for.
"""

from array import array
from bisect import bisect_left
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.redact import digest

_HOME_ENDS: Final = (".local", ".lan", ".internal", ".home.arpa")


class Wanted(NamedTuple):
    """A logo to be fetched."""

    url: str
    from_public: bool
    """Whether it may not be in a private network: its channel comes from the internet."""


def logo_digest(url: str, key: bytes) -> str:
    """What a logo is asked for by: 16 hex digits, keyed, so that nobody asks for what they like."""
    return digest(url, key)


class LogoIndex:
    """Of one lineup."""

    def __init__(self, lineup: Lineup, key: bytes) -> None:
        """Linear in the lineup: not on the event loop."""
        self._lineup = lineup
        rows = sorted(
            (int(logo_digest(channel.logo, key), 16), place)
            for place, channel in enumerate(lineup.everything)
            if channel.logo
        )
        self._digests = array("Q", (row[0] for row in rows))
        self._places = array("I", (row[1] for row in rows))

    @property
    def lineup(self) -> Lineup:
        """Whose logos these are."""
        return self._lineup

    def find(self, asked: str) -> Wanted | None:
        """The logo of this digest (16 hex digits)."""
        number = int(asked, 16)
        at = bisect_left(self._digests, number)
        if at == len(self._digests) or self._digests[at] != number:
            return None
        channel = self._lineup.everything[self._places[at]]
        return Wanted(channel.logo, not _belongs_home(channel))


def _belongs_home(channel: Channel) -> bool:
    """Whether its provider is in the house, or is where its logo is: then the logo may be in a
    private network too. A stranger's playlist must not have us ask what is in there."""
    logo = _host(channel.logo)
    hosts = [_host(upstream.url) for upstream in channel.upstreams]
    return logo in hosts or any(map(_is_home, hosts))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_home(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_HOME_ENDS)

"""The messages of SSDP: searches read, answers and announcements written. Pure.

Source: UPnP Device Architecture 1.0, section 1. HTTP's form in one datagram, without a body.
"""

from dataclasses import dataclass
from typing import Final

from plexbridge.tuner.device import UPNP_DEVICE_TYPE

GROUP: Final = "239.255.255.250"
PORT: Final = 1900

MAX_AGE_S: Final = 1_800
"""How long an announcement holds; the least that the document allows."""

WAIT_S_MAX: Final = 5
"""An asker may name more for its `MX`; nobody waits so long."""

SEARCH_BYTES_MAX: Final = 1_500
"""One Ethernet frame; a search has some 150."""

ROOT_DEVICE: Final = "upnp:rootdevice"
EVERYTHING: Final = "ssdp:all"

ALIVE: Final = "ssdp:alive"
BYE: Final = "ssdp:byebye"


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody searches."""

    target: str
    wait_s_max: int
    """Answers are to be spread over so many seconds."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What is told of the device; strings of ours only, so none can hold a line's end."""

    udn: str
    server: str
    """`OS/version UPnP/1.0 product/version`."""

    @property
    def targets(self) -> tuple[str, ...]:
        """What it is found by."""
        return (ROOT_DEVICE, self.udn, UPNP_DEVICE_TYPE)

    def usn(self, target: str) -> str:
        """The device's unique name under a target."""
        return self.udn if target == self.udn else f"{self.udn}::{target}"


def read_search(data: bytes) -> Search | None:
    """The search that a datagram is; None for anything else, announcements of others included."""
    if len(data) > SEARCH_BYTES_MAX:
        return None
    first, *lines = data.decode("latin-1").splitlines() or [""]
    method, _, rest = first.partition(" ")
    if method != "M-SEARCH" or rest.strip() not in ("* HTTP/1.1", "* HTTP/1.0"):
        return None
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
    }
    if fields.get("man", "").strip('"').lower() != "ssdp:discover" or not fields.get("st"):
        return None
    wait = fields.get("mx", "")
    # One digit or two: `int` takes more than a number of seconds, and enormous ones slowly.
    wait_s = int(wait) if wait.isascii() and wait.isdigit() and len(wait) <= 2 else WAIT_S_MAX
    return Search(fields["st"], min(wait_s, WAIT_S_MAX) if wait else 0)


def answers(search: Search, announced: Announced, location: str) -> list[bytes]:
    """One message for each target that is meant; none where nothing of ours is."""
    wanted = search.target.lower()
    found = [one for one in announced.targets if wanted in (EVERYTHING, one.lower())]
    return [
        _message(
            "HTTP/1.1 200 OK",
            ("CACHE-CONTROL", f"max-age={MAX_AGE_S}"),
            ("EXT", ""),
            ("LOCATION", location),
            ("SERVER", announced.server),
            ("ST", target),
            ("USN", announced.usn(target)),
        )
        for target in found
    ]


def alive(announced: Announced, location: str) -> list[bytes]:
    """The announcements that the device is there, one for each target."""
    return [
        _notify(
            announced,
            target,
            ("CACHE-CONTROL", f"max-age={MAX_AGE_S}"),
            ("LOCATION", location),
            ("NTS", ALIVE),
            ("SERVER", announced.server),
        )
        for target in announced.targets
    ]


def bye(announced: Announced) -> list[bytes]:
    """The announcements that it is going."""
    return [_notify(announced, target, ("NTS", BYE)) for target in announced.targets]


def _notify(announced: Announced, target: str, *fields: tuple[str, str]) -> bytes:
    return _message(
        "NOTIFY * HTTP/1.1",
        ("HOST", f"{GROUP}:{PORT}"),
        ("NT", target),
        ("USN", announced.usn(target)),
        *fields,
    )


def _message(first: str, *fields: tuple[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}".rstrip() for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()

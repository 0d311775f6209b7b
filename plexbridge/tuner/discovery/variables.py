"""The variables of the HDHomeRun control protocol: what each says, and what may be set. Pure.

Only the state of the tuners is told. Tuning by this protocol, with frequencies, programs and UDP
targets, has no meaning for channels that come over HTTP: what would change something is refused,
and setting what is so already is granted, as programs do when they let go of a tuner.

Source: libhdhomerun's `hdhomerun_device.c`, which reads these texts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plexbridge.tuner.device import FIRMWARE_NAME, FIRMWARE_VERSION, MODEL
from plexbridge.tuner.discovery.answers import UNKNOWN_VARIABLE, Refusal

LOCKED: Final = Refusal("ERROR: resource locked")
"""A real unit's words for a tuner that another program uses."""
READ_ONLY: Final = Refusal("ERROR: this variable can only be read")
NOT_BY_THIS_PROTOCOL: Final = Refusal("ERROR: tune by HTTP, at /auto/v<channel>")

TEXT_CHARS_MAX: Final = 31
"""What libhdhomerun keeps of a channel's number or name."""

NETWORK_PACKET_BITS: Final = 7 * 188 * 8
"""A unit sends seven TS packets at a time, from which programs compute its packets a second."""

_TUNER: Final = re.compile(r"/tuner(0|[1-9][0-9]{0,3})/([a-z]+)")

_FEATURES: Final = "channelmap: us-bcast\nmodulation: 8vsb\nauto-modulation: auto\n"
_COPYRIGHT: Final = "PlexBridge, an IPTV bridge that answers as this tuner does\n"


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to tell, at one moment."""

    tuners: int
    channels: int
    rows: Sequence[Mapping[str, Any]]
    """The dashboard's rows of the tuners."""
    rates: Mapping[int, int]
    """Bits per second, by tuner."""


@dataclass(frozen=True, slots=True)
class _Tuned:
    """One tuner: what it is on, if anything."""

    number: str
    name: str
    bits_per_second: int

    @property
    def idle(self) -> bool:
        return not self.number


def getset(shown: Shown, name: str, given: str | None) -> str | Refusal:
    """A variable's value; `given`: the value that a player wants it to have."""
    found = _TUNER.fullmatch(name)
    if found is None:
        system = _SYSTEM.get(name)
        if system is None:
            return UNKNOWN_VARIABLE
        return system(shown) if given is None else READ_ONLY
    number, item = int(found[1]), found[2]
    if number >= shown.tuners or item not in _OF_TUNER:
        return UNKNOWN_VARIABLE
    tuned = _tuned(shown, number)
    value = _OF_TUNER[item](tuned)
    if given is None or given == value:
        return value
    if item not in _SETTABLE:
        return READ_ONLY
    return NOT_BY_THIS_PROTOCOL if tuned.idle else LOCKED


def _tuned(shown: Shown, number: int) -> _Tuned:
    row = next((row for row in shown.rows if row["tuner"] == number), None)
    channel = None if row is None else row.get("channel")
    if channel is None:
        return _Tuned("", "", 0)
    name = _printable(channel["name"])
    return _Tuned(_word(channel["guide_number"]), name, shown.rates.get(number, 0))


def _printable(text: str) -> str:
    """On one line: a name comes from a provider, and these texts end lines with line feeds."""
    return "".join(c if c.isprintable() else " " for c in text)[:TEXT_CHARS_MAX]


def _word(text: str) -> str:
    """One word, where a text is `key=value` with blanks between."""
    return "_".join(_printable(text).split())


def _status(tuned: _Tuned) -> str:
    if tuned.idle:
        return "ch=none lock=none ss=0 snq=0 seq=0 bps=0 pps=0"
    bps = tuned.bits_per_second
    return f"ch=auto:0 lock=8vsb ss=100 snq=100 seq=100 bps={bps} pps={bps // NETWORK_PACKET_BITS}"


def _vstatus(tuned: _Tuned) -> str:
    if tuned.idle:
        return "vch=none"
    return f"vch={tuned.number} name={_word(tuned.name)} auth=unspecified cci=none"


def _stream_info(tuned: _Tuned) -> str:
    """Its one programme; which number that has within the stream is not known here."""
    return "none" if tuned.idle else f"1: {tuned.number} {tuned.name}\n"


def _debug(tuned: _Tuned) -> str:
    bps = tuned.bits_per_second
    return (
        f"tun: {_status(tuned).partition(' bps')[0]} dbg=0\n"
        f"dev: bps={bps} resync=0 overflow=0\n"
        f"ts:  bps={bps} te=0 crc=0\n"
        f"net: pps={bps // NETWORK_PACKET_BITS} err=0 stop=0\n"
    )


_OF_TUNER: Final[Mapping[str, Callable[[_Tuned], str]]] = {
    "channel": lambda tuned: "none" if tuned.idle else "auto:0",
    "channelmap": lambda tuned: "us-bcast",
    "debug": _debug,
    "filter": lambda tuned: "0x0000-0x1fff",
    "lockkey": lambda tuned: "none",
    "program": lambda tuned: "0" if tuned.idle else "1",
    "status": _status,
    "streaminfo": _stream_info,
    "target": lambda tuned: "none",
    "vchannel": lambda tuned: tuned.number or "none",
    "vstatus": _vstatus,
}

_SETTABLE: Final = frozenset(
    {"channel", "channelmap", "filter", "lockkey", "program", "target", "vchannel"}
)
"""What programs may set on a real unit."""

_SYSTEM: Final[Mapping[str, Callable[[Shown], str]]] = {
    "help": lambda shown: _help(),
    "/lineup/scan": lambda shown: f"state=complete progress=100 found={shown.channels}",
    "/sys/copyright": lambda shown: _COPYRIGHT,
    "/sys/features": lambda shown: _FEATURES,
    "/sys/hwmodel": lambda shown: MODEL,
    "/sys/model": lambda shown: FIRMWARE_NAME,
    "/sys/version": lambda shown: FIRMWARE_VERSION,
}


def _help() -> str:
    names = sorted(name for name in _SYSTEM if name != "help")
    names += [f"/tuner<n>/{item}" for item in _OF_TUNER]
    return "Supported configuration options:\n" + "".join(f"{name}\n" for name in names)

"""What ffmpeg is told: which kinds of upstream it reads, and with which words.

Pure. A provider's URL holds a login, and arguments can be read by everybody on the machine; so the
URL is never one of them. It goes through standard input, as an ffconcat script of one file, which
every kind here opens like an argument (`option` lines in it need ffmpeg 5.0 or newer).

What that costs: a DASH manifest read this way is read in all its representations, not only in the
one that is kept, because the concat demuxer does not tell the inner one what nobody wants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

URL_CHARS_MAX: Final = 8_192
"""Longer than any provider's URL. The whole script must fit into a pipe (64 KiB) unread."""

HEADER_CHARS_MAX: Final = 4_096
"""Of one header's value; a token of a kilobyte is long."""

ANALYSE_US: Final = "1000000"
"""How much of a stream is looked at before the first packet is passed on: ffmpeg's own 5 s would
use up what a player grants a tune. Microseconds."""

PROBE_BYTES: Final = "1000000"
"""A second at 8 Mbit/s, for the same reason."""

UDP_BUFFER_BYTES: Final = "1048576"
"""Of the kernel, where it grants that much: what comes in while the child waits for us."""

MASTER_OPTIONS: Final = ("-nostdin", "-hide_banner", "-loglevel", "warning")
TO_STDOUT: Final = ("-f", "mpegts", "pipe:1")
_ALL_OF_IT: Final = ("-map", "0:v:0?", "-map", "0:a?", "-map", "0:s?")
"""One picture, every language. Without a picture: radio."""


class BadUpstream(ValueError):
    """A URL or a header that no child is given. Its text is a word of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way of getting at a stream that ffmpeg knows and we do not."""

    name: str
    scheme: str
    """What ffmpeg calls it."""
    protocols: str
    """All that ffmpeg may open for it. Never `file`: a manifest could name one."""
    options: tuple[tuple[str, str], ...] = ()
    select: tuple[str, ...] = _ALL_OF_IT
    header_options: tuple[tuple[str, str], ...] = ()
    """Headers that have an option of their own: name in lower case, option."""
    other_header: bool = False
    """Whether one header without an option of its own can be sent."""
    verifies: bool = False
    """Whether ffmpeg can be told to check the server's certificate. For RTSPS it cannot."""
    silence_ms: int = 0
    """How long it may be without a byte and yet be well: segments come one at a time."""
    datagrams: bool = False
    """The address is where we listen, or a multicast group that we join."""


DASH_SILENCE_MS: Final = 15_000
"""A segment is rarely longer than ten seconds, and takes its time to come."""

_HTTP_HEADERS: Final = (("user-agent", "user_agent"), ("referer", "referer"))
_UDP_OPTIONS: Final = (("buffer_size", UDP_BUFFER_BYTES), ("overrun_nonfatal", "1"))
_RTSP_OPTIONS: Final = (("rtsp_transport", "tcp"),)
"""TCP: through every router, and one connection for everything."""


def _dash(scheme: str, protocols: str, *, verifies: bool) -> Kind:
    return Kind(
        name="dash",
        scheme=scheme,
        protocols=protocols,
        # No `-map`: ffmpeg then keeps the best picture and the best sound.
        select=(),
        header_options=_HTTP_HEADERS,
        other_header=True,
        verifies=verifies,
        silence_ms=DASH_SILENCE_MS,
    )


_BY_SCHEME: Final[Mapping[str, Kind]] = {
    "rtsp": Kind(
        name="rtsp",
        scheme="rtsp",
        protocols="rtsp,tcp",
        options=_RTSP_OPTIONS,
        header_options=(("user-agent", "user_agent"),),
    ),
    "rtsps": Kind(
        name="rtsp",
        scheme="rtsps",
        protocols="rtsps,tls,tcp",
        options=_RTSP_OPTIONS,
        header_options=(("user-agent", "user_agent"),),
    ),
    "rtmp": Kind(name="rtmp", scheme="rtmp", protocols="rtmp,tcp"),
    "rtmps": Kind(name="rtmp", scheme="rtmps", protocols="rtmps,rtmp,tls,tcp", verifies=True),
    "srt": Kind(name="srt", scheme="srt", protocols="srt"),
    "udp": Kind(name="udp", scheme="udp", protocols="udp", options=_UDP_OPTIONS, datagrams=True),
    "rtp": Kind(name="rtp", scheme="rtp", protocols="rtp,udp", datagrams=True),
    "mms": Kind(name="mms", scheme="mmsh", protocols="mmsh,http,tcp"),
    "mmsh": Kind(name="mms", scheme="mmsh", protocols="mmsh,http,tcp"),
    "mmst": Kind(name="mms", scheme="mmst", protocols="mmst,tcp"),
}

CHILD_SCHEMES: Final = tuple(_BY_SCHEME)
"""Of URLs that only a child can read."""

_DASH_BY_SCHEME: Final[Mapping[str, Kind]] = {
    "http": _dash("http", "http,tcp", verifies=False),
    "https": _dash("https", "https,http,tls,tcp", verifies=True),
}


def kind_of(url: str) -> Kind | None:
    """How a child reads this URL; None when it is not for a child."""
    scheme, found, rest = url.partition("://")
    if not found:
        return None
    scheme = scheme.lower()
    path = rest.partition("#")[0].partition("?")[0]
    if path.lower().endswith(".mpd") and scheme in _DASH_BY_SCHEME:
        return _DASH_BY_SCHEME[scheme]
    return _BY_SCHEME.get(scheme)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads."""

    host: str
    """A name or an address; empty: any address of this machine (`udp://@:5000`)."""
    port: int | None


def place_of(url: str) -> Place:
    """Host and port of a URL.

    Raises:
        BadUpstream: it has none that can be understood.
    """
    try:
        parts = urlsplit(url)
        return Place(parts.hostname or "", parts.port)
    except ValueError:
        raise BadUpstream("ffmpeg_bad_url") from None


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """How a child is started for an upstream: arguments, and what it finds on standard input."""

    arguments: tuple[str, ...]
    script: bytes


def read_command(
    kind: Kind, url: str, headers: Mapping[str, str], *, ca_file: str | None
) -> ReadCommand:
    """The command that copies this upstream to standard output as MPEG-TS.

    `ca_file`: certificates of authorities, for builds of ffmpeg that do not know the system's.
    Headers that a protocol does not have are left out.

    Raises:
        BadUpstream: `ffmpeg_bad_url`, `ffmpeg_bad_headers`.
    """
    if len(url) > URL_CHARS_MAX or not _one_line(url):
        raise BadUpstream("ffmpeg_bad_url")
    options = [("analyzeduration", ANALYSE_US), ("probesize", PROBE_BYTES), *kind.options]
    if kind.verifies:
        options.append(("tls_verify", "1"))
        if ca_file is not None:
            options.append(("ca_file", ca_file))
    options += _header_options(kind, headers)
    _, _, rest = url.partition("://")
    lines = ["ffconcat version 1.0", f"file {quoted(f'{kind.scheme}://{rest}')}"]
    lines += [f"option {name} {quoted(value)}" for name, value in options]
    arguments = (
        *MASTER_OPTIONS,
        # The inner stream was analysed already.
        *("-analyzeduration", "0", "-f", "concat", "-safe", "0"),
        *("-protocol_whitelist", f"{kind.protocols},pipe", "-i", "pipe:0"),
        *kind.select,
        *("-c", "copy"),
        *TO_STDOUT,
    )
    return ReadCommand(arguments, ("\n".join(lines) + "\n").encode())


def fed_command(feeds: Sequence[int]) -> tuple[str, ...]:
    """The command that joins one or two inputs, given as descriptors of the child, to MPEG-TS.

    Of two, the first brings the picture and the second the sound. Their timestamps are kept as
    they are: shifted each to its own zero, sound and picture would drift apart.
    """
    assert 1 <= len(feeds) <= 2, "one input, or picture and sound"
    arguments = [*MASTER_OPTIONS, "-copyts"]
    for feed in feeds:
        arguments += ["-analyzeduration", ANALYSE_US, "-probesize", PROBE_BYTES]
        arguments += ["-protocol_whitelist", "pipe", "-i", f"pipe:{feed}"]
    two = ("-map", "0:v:0?", "-map", "1:a?")
    return (*arguments, *(_ALL_OF_IT if len(feeds) == 1 else two), "-c", "copy", *TO_STDOUT)


def transcode_command() -> tuple[str, ...]:
    """The command that makes what every browser plays of MPEG-TS on standard input: H.264 of at
    most 720 lines and 30 pictures a second, AAC in stereo.

    Two threads: three at once must leave a small machine able to relay.
    """
    return (
        *MASTER_OPTIONS,
        *("-threads", "2", "-analyzeduration", ANALYSE_US, "-probesize", PROBE_BYTES),
        *("-protocol_whitelist", "pipe", "-f", "mpegts", "-i", "pipe:0"),
        *("-map", "0:v:0?", "-map", "0:a:0?"),
        *("-vf", r"yadif=deint=interlaced,scale=-2:min(720\,ih)", "-fpsmax", "30"),
        *("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"),
        *("-crf", "23", "-maxrate", "4M", "-bufsize", "4M", "-g", "60", "-threads", "2"),
        *("-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"),
        *TO_STDOUT,
    )


def quoted(text: str) -> str:
    """A value of an ffconcat script: nothing in it is special but the quote itself."""
    closed = text.replace("'", r"'\''")
    return f"'{closed}'"


def _one_line(text: str) -> bool:
    # No control character, Unicode's own line ends included: each line of a script is a directive.
    return bool(text) and text.isprintable()


def _header_options(kind: Kind, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    options = []
    own = dict(kind.header_options)
    others = []
    for name, value in headers.items():
        if not (_one_line(name + value) and len(value) <= HEADER_CHARS_MAX) or ":" in name:
            raise BadUpstream("ffmpeg_bad_headers")
        option = own.get(name.lower())
        if option is not None:
            options.append((option, value))
        else:
            others.append(f"{name}: {value}")
    if kind.other_header and others:
        # A script has no line ends within a value, so there is room for one header only.
        if len(others) > 1:
            raise BadUpstream("ffmpeg_bad_headers")
        options.append(("headers", others[0]))
    return options

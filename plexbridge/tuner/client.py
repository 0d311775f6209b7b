"""Who is asking: a player, read from its request. Client profiles are data, chosen here."""

import hashlib
from collections.abc import Mapping
from typing import Final

from events.commands import ClientRef
from events.limits import CLIENT_NAME_CHARS, USER_AGENT_CHARS

IDENTIFIERS: Final = (
    "x-plex-session-identifier",
    "x-plex-client-identifier",
)
"""Headers (and, in the same spelling, query parameters) that name one viewer, the surest first."""

IDENTIFIER_CHARS: Final = 128
"""Longer identifiers are cut: real ones are UUIDs or short tokens."""

NAMES: Final[tuple[tuple[str, str, bool], ...]] = (
    ("vlc", "VLC", True),
    ("kodi", "Kodi", True),
    ("libmpv", "mpv", True),
    ("mpv", "mpv", True),
    ("plexmediaserver", "Plex Media Server", False),
    ("jellyfin", "Jellyfin", False),
    ("emby", "Emby", False),
    ("channelsdvr", "Channels DVR", False),
    ("lavf", "Plex or another media server", False),
    ("gstreamer", "GStreamer", False),
    ("streamlink", "streamlink", False),
    ("curl", "curl", False),
    ("mozilla", "a web browser", False),
)
"""Word in the user agent → what to call it, and whether it serves a single viewer. A media server
such as Plex reads with ffmpeg's library for all its viewers, so `Lavf` is never one viewer."""


def client_of(peer: str, headers: Mapping[str, str], query: Mapping[str, str]) -> ClientRef:
    """The player behind a request: `headers` with lower-case names.

    Two requests are one viewer when they carry the same identifier; without one, when address and
    whole user agent are the same.
    """
    user_agent = _printable(headers.get("user-agent", ""))[:USER_AGENT_CHARS]
    lowered = {name.lower().replace("_", "-"): value for name, value in query.items()}
    identifier = next(
        (found for name in IDENTIFIERS if (found := headers.get(name) or lowered.get(name))), ""
    )
    if identifier:
        key = f"id:{_printable(identifier)[:IDENTIFIER_CHARS]}"
    else:
        whole = headers.get("user-agent", "").encode("utf-8", "surrogateescape")
        key = f"at:{peer}/{hashlib.sha256(whole).hexdigest()[:16]}"
    name, single_viewer = _name(user_agent)
    device = _printable(headers.get("x-plex-device-name", ""))
    return ClientRef(
        key=key,
        address=peer,
        user_agent=user_agent,
        name=(device or name)[:CLIENT_NAME_CHARS],
        identified=bool(identifier),
        single_viewer=single_viewer,
    )


def _name(user_agent: str) -> tuple[str, bool]:
    lowered = user_agent.lower()
    for word, name, single_viewer in NAMES:
        if word in lowered:
            return name, single_viewer
    return (user_agent.split("/")[0] or "an unnamed player"), False


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())

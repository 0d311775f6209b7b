"""How an end is told to a person: one sentence, and who can mend it.

The reason is the seed's vocabulary, the detail the finer cause; both stay in the log. Source: the
table in the project's design of the experience.
"""

from typing import Final, NamedTuple


class Words(NamedTuple):
    """A sentence, and who can do something about it (empty: nobody needs to)."""

    text: str
    mends: str = ""


_BY_DETAIL: Final[dict[str, Words]] = {
    "client_closed": Words("{client} closed its connection"),
    "client_reset": Words("{client} closed its connection"),
    "superseded": Words("the same viewer opened another channel"),
    "peer_vanished": Words("{client} vanished without a word", "the viewer's network"),
    "client_stalled": Words("{client} stopped reading", "the viewer's network or player"),
    "client_too_slow": Words(
        "{client} took too little of the stream", "the viewer's network or player"
    ),
    "upstream_no_data": Words("no video came from the provider", "the provider"),
    "upstream_too_slow": Words("the provider sent less than the programme needs", "the provider"),
    "upstream_no_answer": Words("the provider did not answer in time", "the provider"),
    "upstream_eof": Words("the provider ended the stream", "the provider"),
    "upstream_reset": Words("the provider cut the connection", "the provider"),
    "upstream_refused": Words("the provider refused the connection", "the provider"),
    "upstream_unreachable": Words("the provider cannot be reached", "the network"),
    "upstream_dns": Words("the provider's name is not known", "the address in the playlist"),
    "upstream_connect_timeout": Words("the provider did not answer in time", "the provider"),
    "upstream_head_timeout": Words("the provider did not answer in time", "the provider"),
    "upstream_tls": Words("the provider's certificate is not trusted", "the provider"),
    "upstream_forbidden_address": Words(
        "the address is on a network that is not allowed", "PLEXBRIDGE_UPSTREAM_ALLOW"
    ),
    "upstream_redirect_loop": Words("the provider redirects in a circle", "the provider"),
    "upstream_bad_url": Words("the address in the playlist is none", "the playlist"),
    "upstream_bad_http": Words("the provider answered nonsense", "the provider"),
    "upstream_wrong_length": Words("the provider sent less than it announced", "the provider"),
    "not_mpeg_ts": Words("the provider sent something that is not video", "the provider"),
    "hls_sample_aes": Words("the channel is encrypted in a way that is not read", "the provider"),
    "hls_drm": Words("the channel is encrypted for other players (DRM)", "the provider"),
    "hls_stale": Words("the provider's HLS playlist stood still", "the provider"),
    "hls_changed": Words("the channel's form changed; it is read anew"),
    "hls_empty": Words("the provider's HLS playlist lists nothing", "the provider"),
    "hls_bad_playlist": Words("the provider's HLS playlist cannot be read", "the provider"),
    "hls_playlist_too_big": Words("the provider's HLS playlist is far too long", "the provider"),
    "ffmpeg_missing": Words(
        "this channel is read through ffmpeg, which is not installed",
        "whoever runs the bridge: install ffmpeg",
    ),
    "ffmpeg_not_started": Words(
        "no more processes can be started", "whoever runs the bridge: its limits"
    ),
    "ffmpeg_forbidden_address": Words(
        "the address is on a network that is not allowed", "PLEXBRIDGE_UPSTREAM_ALLOW"
    ),
    "ffmpeg_bad_url": Words("the address in the playlist is none", "the playlist"),
    "ffmpeg_bad_headers": Words("the headers in the playlist cannot be sent", "the playlist"),
    "ffmpeg_ended": Words("the provider ended the stream", "the provider"),
    "ffmpeg_restarts_exhausted": Words("ffmpeg failed again and again", "the provider"),
    "transcode_ffmpeg_missing": Words(
        "transcoding needs ffmpeg, which is not installed",
        "whoever runs the bridge: install ffmpeg",
    ),
    "not_in_lineup": Words("the channel left the lineup", "the playlist"),
    "recovery_exhausted": Words("the provider did not come back in time", "the provider"),
    "bridge_restarted": Words("the bridge was killed while it ran"),
    "bridge_stopped": Words("the bridge was stopped"),
    "closed_meanwhile": Words(
        "the event log could not store for a while", "the disk of the bridge"
    ),
    "swept": Words("the sweep found it without a connection", "us: this is a bug, report it"),
    "completed": Words("the programme was played to its end"),
    "by_admin": Words("stopped by hand"),
    "reported": Words("a program reported: {reason}"),
}

_BY_REASON: Final[dict[str, Words]] = {
    "manual": Words("stopped by hand"),
    "user_requested": Words("stopped by hand"),
    "forced": Words("stopped by force"),
    "shutdown": Words("the bridge was stopped"),
}

_HTTP: Final[dict[str, str]] = {
    "401": "the login in the playlist",
    "403": "the account: login, limit or expiry",
    "404": "the playlist",
    "509": "the account's connection limit",
}


_BY_BEGINNING: Final[tuple[tuple[str, Words], ...]] = (
    ("hls_", Words("the provider's HLS could not be read ({detail})", "the provider")),
    ("ffmpeg_", Words("ffmpeg failed ({detail})", "the provider")),
    ("transcode_", Words("transcoding failed ({detail})", "us, or the channel: see the log")),
)
"""Families of details whose last part is a figure or a finer cause."""


def explain(reason: str, detail: str, client: str = "the player") -> Words:
    """Why it ended, for a person. An unknown cause says so, with the last evidence."""
    if detail.startswith("upstream_http_"):
        status = detail.removeprefix("upstream_http_")
        return Words(f"the provider said {status}", _HTTP.get(status, "the provider"))
    family = next((words for start, words in _BY_BEGINNING if detail.startswith(start)), None)
    found = _BY_DETAIL.get(detail) or family or _BY_REASON.get(reason)
    if found is None:
        return Words(f"not known: last evidence is {reason} ({detail})")
    text = found.text.format(client=client or "the player", reason=reason, detail=detail)
    return Words(text, found.mends)

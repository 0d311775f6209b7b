"""How the pages say figures and states, before their script takes over.

The twin of `static/words.js`: a browser test holds the two to the same words. Pure.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from events.reasons import ERRORS

SHAPES: Final = {
    "connecting": "◐",
    "active": "●",
    "recovering": "▲",
    "ended": "■",
    "failed": "✕",
    "free": "○",
    "lingering": "◌",
}
"""A state is a word, a shape and a colour; never a colour alone."""

FAILURES: Final = ERRORS | {"stale", "orphaned"}
"""Ends that somebody may have to mend; told with the shape of a failure."""

STREAM_CHARS: Final = 16
"""Of a stream's own name, listed in full; a channel's id is as long."""

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def size(count: int) -> str:
    """Bytes, in decimal units."""
    value, unit = float(count), 0
    while value >= 1_000 and unit < len(_UNITS) - 1:
        value, unit = value / 1_000, unit + 1
    shown = f"{count}" if unit == 0 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
    return f"{shown} {_UNITS[unit]}"


def rate(bits: int) -> str:
    """Bits per second."""
    return f"{bits / 1e6:.1f} Mb/s" if bits >= 1e6 else f"{int(bits / 1e3 + 0.5)} kb/s"


def span(ms: int) -> str:
    """A duration: `4:05`, `1:04:05`."""
    minutes, seconds = divmod(max(0, int(ms / 1_000 + 0.5)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def lasted(ms: int) -> str:
    """How long something took, as exactly as it matters: `80 ms`, `1.4 s`, `41 min 20 s`."""
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1_000:.1f} s"
    minutes, seconds = divmod(ms // 1_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def iso(ms: int) -> str:
    """A moment as programs write it, in UTC."""
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1_000:03}Z"


def day_and_clock(ms: int) -> str:
    """A moment of any day. The script says it in the viewer's zone."""
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(ms: int) -> str:
    """A time of day. The script says it in the viewer's zone; here that is not known."""
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):%H:%M:%S} UTC"


def plural(count: int, one: str) -> str:
    """`1 viewer`, `2 viewers`."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def tuner_words(tuner: dict[str, Any]) -> str:
    """What a tuner of the dashboard does."""
    if tuner["state"] == "active":
        return plural(len(tuner["sessions"]), "viewer")
    if tuner["state"] == "lingering":
        return "lingering"
    freed_at = tuner["freed_at"]
    return "never used" if freed_at is None else f"freed {clock(freed_at)}"


def tuner_freed(session: dict[str, Any]) -> str:
    """Which tuner a session that just ended had, and how soon after it that was free."""
    freed = session.get("tuner_freed_after_ms")
    tuner = f"tuner {session['tuner']}"
    return tuner if freed is None else f"{tuner} freed in {lasted(freed)}"


def next_step(session: dict[str, Any], gauge: dict[str, Any] | None, at: int | None = None) -> str:
    """What ends a session, and when, if nothing changes; `at`: the moment of the past that is
    shown, which has no gauges."""
    due = session["next_deadline"]
    if due is None:
        return ""
    left_ms = due["after_ms"] if gauge is None else max(0, gauge["deadline_in_ms"])
    if at is not None:
        left_ms = max(0, due["counted_from"] + due["after_ms"] - at)
    left = f"{-(-left_ms // 1_000)} s"
    if session["state"] == "connecting":
        return f"given up in {left}, if no video comes"
    if session["state"] == "recovering":
        return f"given up in {left}, if the provider does not come back"
    return f"taken back in {left}, if the player takes nothing more"


def summary(document: dict[str, Any]) -> str:
    """The whole in one sentence; a moment of the past has no gauges, and so no rate."""
    in_use = sum(tuner["state"] == "active" for tuner in document["tuners"])
    troubled = sum(session["state"] == "recovering" for session in document["sessions"])
    parts = [
        f"{in_use} of {plural(len(document['tuners']), 'tuner')} in use",
        plural(len(document["sessions"]), "session"),
    ]
    if "gauges" in document:
        parts.append(f"{rate(document['gauges']['bitrate_out'])} out")
    return " · ".join([*parts, f"{troubled} recovering"] if troubled else parts)


def short_stream(stream: str) -> str:
    """A stream's name as it is listed: of a session's long id, the end tells it from others."""
    kind, _, name = stream.partition("-")
    return stream if len(name) <= STREAM_CHARS else f"{kind}-…{name[-8:]}"


def pretty(document: Any) -> str:
    """A document as people read JSON."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


_NOTE: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)")
"""What providers add to a name: `[Geo-blocked]`, `(720p)`."""


def initials(name: str) -> str:
    """What stands for a channel's logo: the first letters of its first two words."""
    words = ["".join(filter(str.isalnum, word)) for word in _NOTE.sub(" ", name).split()]
    return "".join(word[0] for word in words if word)[:2].upper()


def trouble(session: dict[str, Any]) -> str:
    """Why a session recovers; empty while it does not."""
    words = session["words"]
    return words["text"] if words and session["state"] == "recovering" else ""


FILTERS: Final = {
    "size": size,
    "rate": rate,
    "span": span,
    "lasted": lasted,
    "iso": iso,
    "clock": clock,
    "day_and_clock": day_and_clock,
    "thousands": "{:,}".format,
    "tuner_words": tuner_words,
    "summary": summary,
    "trouble": trouble,
    "tuner_freed": tuner_freed,
    "plural": plural,
    "pretty": pretty,
    "short_stream": short_stream,
}

"""How sources, guides and the bridge stood at a moment of the past: as the log tells it.

The same documents as those of now. What no event ever said is null or named as not known, never
made up. Blocking: reads the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from events.envelope import Recorded
from events.ids import BRIDGE_STREAM, LINEUP_STREAM, SourceId, source_stream
from plexbridge.lineup.guide.in_force import GUIDE_STREAM
from plexbridge.log.driver import Connection
from plexbridge.log.lately import lately
from plexbridge.web.verdicts import Line, Verdict, judged, relative
from plexbridge.web.wording import plural

MS_PER_S: Final = 1_000

GUIDE_NEWS_MAX: Final = 200
"""Looked at, of all guides: each says something twice a day, a household has a few."""

NOT_RECORDED: Final = (
    "whether storing waited",
    "sockets against sessions",
    "leaks that a sweep mended",
    "how far projections were behind",
    "size of the log, room on the disk",
    "how late the event loop was",
    "how long storing took",
    "child processes",
    "live feeds",
)
"""Gauges: they are known of their own moment alone."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the past, and what is folded of it."""

    shown: Mapping[str, Any]
    """Of the dashboard, at its position."""
    when: int
    """In Unix milliseconds."""

    @property
    def position(self) -> int:
        """The last event that had happened."""
        return int(self.shown["position"])


def sources_then(connection: Connection, moment: Moment) -> list[Row]:
    """`/api/sources` of then: each source that had done anything, by its id."""
    found = []
    for row in moment.shown["sources"]:
        stream = source_stream(SourceId(row["id"]))
        read = _last(connection, stream, moment, "refreshed")
        tried = read or _last(connection, stream, moment, "refresh_failed")
        found.append(_source(row, read, "" if tried is None else tried.payload.get("place", "")))
    return found


def guides_then(connection: Connection, moment: Moment) -> list[Row]:
    """`/api/guides` of then: each guide that had been read, or could not be."""
    types = ("refreshed", "refresh_failed")
    news = lately(connection, GUIDE_STREAM, moment.position, types, GUIDE_NEWS_MAX)
    newest: dict[str, Recorded] = {}
    read: dict[str, Recorded] = {}
    for event in news:
        key = str(event.payload["guide"])
        newest.setdefault(key, event)
        if event.type == "refreshed":
            read.setdefault(key, event)
    return [
        _guide(number, key, newest[key], read.get(key))
        for number, key in enumerate(sorted(newest), 1)
    ]


def bridge_lines(connection: Connection, moment: Moment) -> list[Line]:
    """What the log says of the bridge itself."""
    return [
        _running(_last(connection, BRIDGE_STREAM, moment, "started", "stopping"), moment.when),
        _projections(_last(connection, BRIDGE_STREAM, moment, "started", "projection_parked")),
        _lineup(_last(connection, LINEUP_STREAM, moment, "refreshed", "edited")),
    ]


def _last(connection: Connection, stream: str, moment: Moment, *types: str) -> Recorded | None:
    return next(iter(lately(connection, stream, moment.position, types)), None)


def _source(row: Row, read: Recorded | None, place: str) -> Row:
    told = {} if read is None else read.payload
    account = told.get("account") or {}
    expires = account.get("expires_at")
    return {
        "id": row["id"],
        "kind": told.get("kind", "unknown"),
        "place": place,
        "counts_as": None,
        "entries": row["entries"],
        "odd_lines": told.get("odd_lines"),
        "connections": row["connections"],
        "allowed": row["allowed"] or account.get("max_connections", 0),
        "refreshed_at": row["refreshed_at"],
        "next_refresh_ms": None,
        "problem": row["problem"],
        "status": account.get("status"),
        "expires_at": None if expires is None else expires * MS_PER_S,
    }


def _guide(number: int, key: str, newest: Recorded, read: Recorded | None) -> Row:
    told = {} if read is None else read.payload
    latest = told.get("latest")
    return {
        "id": key,
        "name": f"Guide {number}",
        "kind": "xmltv",
        "place": newest.payload.get("place", ""),
        "programmes": told.get("kept"),
        "matched": told.get("matched"),
        "odd": told.get("odd"),
        "bytes": told.get("bytes"),
        "read_at": None if read is None else read.at // 1_000,
        "ends_at": None if latest is None else latest * MS_PER_S,
        "problem": None if newest.type == "refreshed" else newest.payload.get("why"),
    }


def _running(last: Recorded | None, when: int) -> Line:
    if last is None:
        return Line("Bridge", Verdict.UNKNOWN, "the log does not go back to its start")
    since = relative(last.at // 1_000, when)
    started = last.type == "started"
    words = f"PlexBridge {last.payload.get('version', '')} started" if started else "it was stopped"
    return judged("Bridge", started, f"{words} {since}", "whoever stopped it")


def _projections(last: Recorded | None) -> Line:
    if last is None:
        return Line("Projections", Verdict.UNKNOWN, "the log does not go back to the start")
    stopped = last.type == "projection_parked"
    words = (
        f"stopped at position {last.payload.get('position', 0):,}" if stopped else "none stopped"
    )
    return judged("Projections", not stopped, words, "us: this is a bug, report it")


def _lineup(last: Recorded | None) -> Line:
    if last is None:
        return Line("Lineup", Verdict.UNKNOWN, "the log does not go back to when it was made")
    count = last.payload["enabled" if last.type == "edited" else "channels"]
    words = f"{plural(count, 'channel')} {'enabled' if last.type == 'edited' else 'listed'}"
    return judged("Lineup", count > 0, words, "the sources, or channels that are switched off")

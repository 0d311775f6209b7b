"""What of the recorded events is worth telling people. A fold; pure.

Knows the events and the words for them. What happens often, what is old, and who is told, is
decided elsewhere.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, cast

from events.envelope import Recorded
from events.ids import BRIDGE_STREAM, UnixMicros
from events.machine import ENDED
from events.payloads import ConnectData, EndData, RefusedData
from events.reasons import ERRORS
from plexbridge.notices.kinds import Kind, Occurrence, plain
from plexbridge.notices.standing import Guides, Sources
from projections.words import explain

GUIDE_STREAM: Final = "guide"

ENDED_KEPT: Final = 1_000
"""Ended sessions whose second end would be noticed at once; `audit` looks at all."""

HOLDERS_NAMED: Final = 3

_BUSY: Final = {
    "all_tuners_in_use": "All tuners are in use",
    "source_full": "A source allows no further connection",
    "max_concurrent_streams": "No further session is allowed",
}
"""Refusals for want of room, by their rule; the others are the asker's own doing."""

Row = dict[str, Any]


class Watch:
    """The fold. Its state is plain data, so that it can be kept."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        kept = state or {"sessions": {}, "sources": {}, "guides": {}}
        self._sessions: dict[str, Row] = dict(kept["sessions"])
        """Open ones: the channel and the client of each, as they are told."""
        self.sources = Sources(dict(kept["sources"]))
        self.guides = Guides(dict(kept["guides"]))
        self._ended: dict[str, None] = {}
        self._handlers: dict[str, Callable[[Recorded], Iterator[Occurrence]]] = {
            "connect": self._connect,
            "error": self._end,
            "disconnect": self._end,
            "reclaim": self._end,
            "refused": self._refused,
            "recovered": self._recovered,
            "refreshed": self._refreshed,
            "refresh_failed": self._refresh_failed,
            "upstream_first_byte": self.sources.plays,
            "upstream_lost": self._upstream_lost,
            "swept": self._swept,
            "projection_parked": self._parked,
        }

    def dump(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "sessions": self._sessions,
            "sources": self.sources.state,
            "guides": self.guides.state,
        }

    def seed(self, sessions: list[Row]) -> None:
        """Sessions that were open before the first event that is folded, as the dashboard has
        them."""
        for row in sessions:
            self._sessions[row["id"]] = {
                "channel": row["channel"],
                "client": _called(row["client"]),
                "source": row["source"],
            }

    def only(self, sources: Collection[str], guides: Collection[str]) -> None:
        """Forget the sources and guides that are in no setting any more."""
        self.sources.only(sources)
        self.guides.only(guides)

    def fold(self, event: Recorded) -> Iterator[Occurrence]:
        """The next event; what of it is worth telling. To be taken to the end."""
        handler = self._handlers.get(event.type)
        if handler is not None:
            yield from handler(event)

    def due(self, now: UnixMicros) -> Iterator[Occurrence]:
        """What has become worth telling because time passed."""
        yield from self.sources.due(now)
        yield from self.guides.due(now)

    def next_due(self) -> UnixMicros | None:
        """When something may become so."""
        ends = (self.sources.next_due(), self.guides.next_due())
        return min((end for end in ends if end is not None), default=None)

    def _connect(self, event: Recorded) -> Iterator[Occurrence]:
        data = cast(ConnectData, event.payload)
        self._sessions[event.stream.removeprefix("session-")] = {
            "channel": dict(data["channel"]),
            "client": _called(data["client"]),
            "source": data["source"],
        }
        yield from ()

    def _end(self, event: Recorded) -> Iterator[Occurrence]:
        if event.dst != ENDED:
            return
        session = event.stream.removeprefix("session-")
        if session in self._ended:
            yield _finding(event, "second_end", f"Session {session} has ended twice.", session)
            return
        self._ended[session] = None
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
        row = self._sessions.pop(session, None)
        data = cast(EndData, event.payload)
        if data["reason"] not in ERRORS and data["reason"] != "stale":
            return
        yield _failed(event, session, row, data)

    def _refused(self, event: Recorded) -> Iterator[Occurrence]:
        data = cast(RefusedData, event.payload)
        title = _BUSY.get(data["rule"])
        if title is None:
            return
        channel = data["channel"]
        wanted = data["asked"] if channel is None else _named(cast(Row, channel))
        yield Occurrence(
            kind=Kind.TUNERS_BUSY,
            subject=data["rule"],
            title=title,
            text=f"{_called(data['client'])} wanted {plain(wanted)} and was refused: "
            f"{data['text']}.{self._holders(data)}",
            at=event.at,
            position=event.pos,
            path=f"events?before={event.pos + 1}#e{event.pos}",
            channel=None if channel is None else channel["id"],
        )

    def _holders(self, data: RefusedData) -> str:
        held = []
        for holder in data["holders"]:
            rows = [self._sessions[one] for one in holder["sessions"] if one in self._sessions]
            name = _named(rows[0]["channel"]) if rows else f"tuner {holder['tuner']}"
            held.append(name)
        if not held:
            return ""
        more = len(held) - HOLDERS_NAMED
        others = f" and {more} more" if more > 0 else ""
        return f" Watched now: {', '.join(held[:HOLDERS_NAMED])}{others}."

    def _recovered(self, event: Recorded) -> Iterator[Occurrence]:
        """The bridge was killed; the ends of the sessions, which follow, are part of it."""
        sessions = int(event.payload["sessions"])
        if sessions:
            yield Occurrence(
                kind=Kind.SESSION_FAILED,
                subject=BRIDGE_STREAM,
                title="The bridge was killed while it ran",
                text="It runs again. Sessions that were open and ended with it: "
                f"{sessions}. Who can mend it: whoever runs the bridge.",
                at=event.at,
                position=event.pos,
                path="history",
            )

    def _refreshed(self, event: Recorded) -> Iterator[Occurrence]:
        if event.stream.startswith("source-"):
            yield from self.sources.listed(event)
        elif event.stream == GUIDE_STREAM:
            self.guides.read(event)

    def _refresh_failed(self, event: Recorded) -> Iterator[Occurrence]:
        if event.stream.startswith("source-"):
            self.sources.not_listed(event)
        elif event.stream == GUIDE_STREAM:
            self.guides.not_read(event)
        yield from ()

    def _upstream_lost(self, event: Recorded) -> Iterator[Occurrence]:
        self.sources.lost(event)
        yield from ()

    def _swept(self, event: Recorded) -> Iterator[Occurrence]:
        what, name = str(event.payload["what"]), str(event.payload["of"])
        session = name if "connection" in what else None
        told = what.replace("_", " ")
        yield _finding(event, what, f"The sweep found and ended a {told}: {name}.", session)

    def _parked(self, event: Recorded) -> Iterator[Occurrence]:
        at, fault = event.payload["position"], event.payload["fault"]
        text = f"What is shown stops before position {at} of the log ({fault}); streams go on."
        yield _finding(event, "projection_parked", text, None)


def _failed(event: Recorded, session: str, row: Row | None, data: EndData) -> Occurrence:
    client = row["client"] if row else "A player"
    name = _named(row["channel"]) if row else "a channel"
    words = explain(data["reason"], data["detail"], client)
    mends = f" Who can mend it: {words.mends}." if words.mends else ""
    return Occurrence(
        kind=Kind.SESSION_FAILED,
        subject=row["channel"]["id"] if row else session,
        title=f"Session failed: {name}",
        text=f"{client} lost {name}: {words.text}.{mends}",
        at=event.at,
        position=event.pos,
        path=f"sessions/{session}",
        session=session,
        source=row["source"] if row else None,
        channel=row["channel"]["id"] if row else None,
    )


def _finding(event: Recorded, subject: str, text: str, session: str | None) -> Occurrence:
    return Occurrence(
        kind=Kind.AUDIT_FINDING,
        subject=subject,
        title="The bridge found a bug of its own",
        text=f"{text} Please report it; `plexbridge incident` makes a file to send along.",
        at=event.at,
        position=event.pos,
        path=f"events?before={event.pos + 1}#e{event.pos}",
        session=session,
    )


def _named(channel: Row) -> str:
    return plain(f"{channel['guide_number']} {channel['name']}")


def _called(client: Mapping[str, Any]) -> str:
    name = plain(str(client["name"] or client["user_agent"] or "A player"))
    return f"{name} at {client['address']}"

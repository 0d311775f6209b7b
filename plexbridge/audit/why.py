"""Why a tuner was busy or free, and why somebody was refused: one sentence, and what led there.

Walks recorded causes back to their root; every step names its position as evidence. Reads through
a `LogReader` and a look-up by event id; prints nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.envelope import Recorded
from events.ids import ChannelId, TunerNumber, channel_stream, session_stream
from events.machine import CONNECT
from events.world import Lease, World
from plexbridge.audit.story import causes
from plexbridge.log.port import LogReader
from projections.words import explain

SCHEMA: Final = "plexbridge.why/1"

Find = Callable[[bytes], Recorded | None]

BACK_PAGE_EVENTS: Final = 2_000
"""Read at once while going back."""

STREAM_PAGE_EVENTS: Final = 10_000
"""Events of one stream held at once."""

WATCHERS_TOLD: Final = 3
"""Of one tuner, in the sentence; the evidence has all of them."""

_RELEASED: Final = {
    "linger_over": "nobody came back to its channel",
    "given_up": "another channel was asked for",
    "last_session_ended": "its last session ended",
    "upstream_failed": "its upstream failed",
    "shutdown": "the bridge was stopped",
    "bridge_restarted": "the bridge had been killed, and started again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One recorded fact that the answer rests on."""

    pos: int
    at: int
    text: str

    def as_json(self) -> dict[str, Any]:
        """For `--json`; Unix milliseconds."""
        return {"pos": self.pos, "at": self.at // 1_000, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One sentence and its evidence."""

    sentence: str
    position: int
    """The moment asked about."""
    holds: bool = True
    """False: it was not as the question has it; the sentence says how it was."""
    evidence: tuple[Link, ...] = ()
    """Nearest first, back to the root."""

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "schema": SCHEMA,
            "sentence": self.sentence,
            "position": self.position,
            "holds": self.holds,
            "evidence": [link.as_json() for link in self.evidence],
        }


def tuner(
    number: TunerNumber, busy: bool, position: int, world: World, reader: LogReader, find: Find
) -> Answer:
    """Why a tuner was busy (or free) at a position; `world` is the decided state there."""
    if number >= world.policy.tuners:
        text = f"there was no tuner {number}: there were {world.policy.tuners}, numbered from 0"
        return Answer(sentence=text, position=position, holds=False)
    lease = next((one for one in world.leases.values() if one.tuner == number), None)
    if lease is None:
        return _free(number, busy, position, reader, find)
    leased = _lease_event(reader, lease)
    if not lease.sessions:
        return _lingering(lease, leased, busy, position, reader, find)
    connects = [row for name in lease.sessions for row in _last_connect(reader, name, position)]
    watched = _watchers(connects, world)
    data = connects[0].payload if connects else {}
    channel = _channel(data["channel"]) if data else lease.channel
    text = f"tuner {number} was busy: {watched or 'somebody'} watched {channel}"
    text += f", {span_text(_now(reader, position) - lease.leased_at)} after it was leased"
    links = [*map(_link, connects), *([] if leased is None else [_link(leased)])]
    root = connects[0] if connects else leased
    return Answer(
        sentence=text, position=position, holds=busy, evidence=tuple(_rooted(links, root, find))
    )


def _lingering(
    lease: Lease,
    leased: Recorded | None,
    busy: bool,
    position: int,
    reader: LogReader,
    find: Find,
) -> Answer:
    """Holds nothing against anyone, and is given up to whoever wants it."""
    end = _last_end_on(reader, lease, position)
    text = f"tuner {lease.tuner} was free for anyone who wanted it: its relay of channel "
    text += f"{lease.channel} lingered"
    if end is not None:
        text += f" since {_ended(end)}"
    links = [_link(row) for row in (end, leased) if row is not None]
    evidence = tuple(_rooted(links, end or leased, find))
    return Answer(sentence=text, position=position, holds=not busy, evidence=evidence)


def _free(number: int, busy: bool, position: int, reader: LogReader, find: Find) -> Answer:
    released = last_release(reader, number, position)
    if released is None:
        text = f"tuner {number} was free: nobody had it in what the log holds"
        return Answer(sentence=text, position=position, holds=not busy)
    data = released.payload
    cause = None if released.cause is None else find(released.cause)
    why = _RELEASED.get(data["why"], data["why"])
    if data["why"] == "last_session_ended" and cause is not None and "reason" in cause.payload:
        why = f"its last session ended: {_because(cause)}"
    since = span_text(_now(reader, position) - released.at)
    text = f"tuner {number} was free for {since}: {why}"
    return Answer(
        sentence=text,
        position=position,
        holds=not busy,
        evidence=tuple(_rooted([_link(released)], released, find)),
    )


def refusal(row: Recorded, world: World, reader: LogReader, find: Find) -> Answer:
    """Why a `refused` event declined; `world` is the decided state before it."""
    data = row.payload
    client = data["client"]
    who = f"{client['name'] or client['user_agent'] or 'a player'} at {client['address']}"
    asked = _channel(data["channel"]) if data["channel"] else f"channel {data['asked']}"
    text = f"{who} was refused {asked}: {data['text']}"
    links = [_link(row)]
    held = []
    for holder in data["holders"]:
        lease = world.leases.get(ChannelId(holder["channel"]))
        leased = None if lease is None else _lease_event(reader, lease)
        if leased is not None:
            links.append(_link(leased))
        connects = [c for name in holder["sessions"] for c in _last_connect(reader, name, row.pos)]
        links += map(_link, connects)
        watched = _watchers(connects, world) or "nobody any more"
        held.append(
            f"tuner {holder['tuner']} on channel {holder['channel']} "
            f"for {span_text(holder['held_ms'] * 1_000)} by {watched}"
        )
    if held:
        text += f"; held: {'; '.join(held)}"
    return Answer(sentence=text, position=row.pos, evidence=tuple(links))


def last_release(reader: LogReader, number: int, position: int) -> Recorded | None:
    """The last return of a tuner up to a position, page by page from there."""
    for row in _back(reader, position):
        if row.type == "tuner_released" and row.payload["tuner"] == number:
            return row
    return None


def _back(reader: LogReader, position: int) -> Iterator[Recorded]:
    first = reader.first()
    while position >= first:
        after = max(first - 1, position - BACK_PAGE_EVENTS)
        yield from reversed(reader.read(after, position - after))
        position = after


def _lease_event(reader: LogReader, lease: Lease) -> Recorded | None:
    rows = reader.read_stream(channel_stream(lease.channel), lease.ver - 1, 1)
    return rows[0] if rows else None


def _last_connect(reader: LogReader, session: Any, position: int) -> list[Recorded]:
    rows = reader.read_stream(session_stream(session), 0, STREAM_PAGE_EVENTS)
    connects = [row for row in rows if row.type == CONNECT and row.pos <= position]
    return connects[-1:]


def _last_end_on(reader: LogReader, lease: Lease, position: int) -> Recorded | None:
    """The end that left a relay without sessions."""
    for row in _back(reader, position):
        if row.at < (lease.empty_since or 0):
            return None
        if row.dst != "ended" or row.at != lease.empty_since:
            continue
        connects = _last_connect(reader, row.stream.removeprefix("session-"), position)
        if any(one.payload["channel"]["id"] == lease.channel for one in connects):
            return row
    return None


def _now(reader: LogReader, position: int) -> int:
    rows = reader.read(position - 1, 1)
    return rows[0].at if rows else 0


def _rooted(links: Sequence[Link], last: Recorded | None, find: Find) -> Iterator[Link]:
    """These, and then the causes of `last` back to the root: what a player asked for, whose lease
    it was. What its channel had been before is another story."""
    yield from links
    known = {link.pos for link in links}
    for row in causes(last, find) if last is not None else ():
        if row.pos not in known:
            yield _link(row)
        if row.type == "tuner_leased":
            return


def _link(row: Recorded) -> Link:
    return Link(pos=row.pos, at=row.at, text=f"{row.stream} {row.type} {_words(row)}".rstrip())


def _words(row: Recorded) -> str:
    data = row.payload
    why = " · ".join(
        str(data[name]) for name in ("rule", "reason", "detail", "why") if name in data
    )
    if row.type in (CONNECT, "tuner_leased", "tuner_released"):
        why = f"tuner {data['tuner']} {why}".rstrip()
    return why


def _watchers(connects: Sequence[Recorded], world: World) -> str:
    told = [_watcher(row, world) for row in connects]
    several = f" and {len(told) - WATCHERS_TOLD} more" if len(told) > WATCHERS_TOLD else ""
    return ", ".join(told[:WATCHERS_TOLD]) + several


def _watcher(connect: Recorded, world: World) -> str:
    client = connect.payload["client"]
    session = connect.stream.removeprefix("session-")
    found = next((one for one in world.sessions.values() if one.id == session), None)
    name = client["name"] or client["user_agent"] or "a player"
    state = "" if found is None or found.state == "active" else f", {found.state}"
    return f"{name} at {client['address']} (session {session}{state})"


def _because(end: Recorded) -> str:
    return explain(end.payload["reason"], end.payload["detail"]).text


def _ended(end: Recorded) -> str:
    return f"session {end.stream.removeprefix('session-')} ended ({_because(end)})"


def _channel(data: dict[str, Any]) -> str:
    return f"{data['guide_number']} {data['name']}".strip()


def span_text(micros: int) -> str:
    """A duration in the two largest of its units."""
    seconds = max(0, micros) // 1_000_000
    if seconds < 60:
        return f"{max(0, micros) / 1e6:.1f} s"
    minutes, hours = seconds // 60, seconds // 3_600
    return f"{minutes}m{seconds % 60:02d}s" if not hours else f"{hours}h{minutes % 60:02d}m"

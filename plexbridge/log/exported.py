"""The form of exported events: lines of JSON that say exactly what the log's rows say.

A file begins with a header, may go on with the seal of what came before its first event, holds one
line for each event and closes with the SHA-256 of every byte before its last line. An event's line
carries the columns of table `events` under their names, ids as text and hashes in hexadecimal;
`at_us` is the time as recorded, `at` the same in milliseconds as everywhere else in JSON. Nothing
is lost: what is read back has the same hashes.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from events.codec import encode
from events.envelope import Recorded
from events.ids import Position, UnixMicros
from plexbridge.log.port import Head
from plexbridge.log.sealing import Seal, SealedState

KIND: Final = "events"
SCHEMA: Final = 1
"""Of the file; a reader refuses a later one."""

FIRST_KEY: Final = "plexbridge"
"""The first name in a file: what tells these lines from any other JSON."""


class NotExact(ValueError):
    """A line that no export writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of itself before its events."""

    version: str
    """Of the bridge that wrote the file."""
    node: str
    first: int
    """Position of the first event; one more than `last` where there is none."""
    last: int
    before: bytes
    """Hash of the event before the first one."""
    head: Head
    """Where the log ended then, with the hash it has there, redacted or not."""
    sealed: bool
    """Whether a seal line follows: then everything behind it can be folded."""
    redacted: bool = False
    """Names and addresses were replaced, and the chain was made anew over what is there."""
    stream: str = ""
    types: tuple[str, ...] = ()
    """Set where only some events were written: then no chain holds."""

    @property
    def selected(self) -> bool:
        """Whether events are missing in between."""
        return bool(self.stream or self.types)


@dataclass(frozen=True, slots=True)
class Closing:
    """The last line."""

    events: int
    digest: str
    """`sha256:` and the hexadecimal digest of everything before this line."""


@dataclass(frozen=True, slots=True)
class Before:
    """How things stood before the first event: the states, and the versions of streams that may
    grow."""

    seal: Seal
    streams: dict[str, int]


def header_line(header: Header) -> bytes:
    """The first line."""
    return _line(
        {
            FIRST_KEY: KIND,
            "schema": SCHEMA,
            "version": header.version,
            "node": header.node,
            "first": header.first,
            "last": header.last,
            "before": header.before.hex(),
            "head": {"pos": header.head.pos, "hash": header.head.hash.hex()},
            "sealed": header.sealed,
            "redacted": header.redacted,
            "stream": header.stream,
            "types": list(header.types),
        }
    )


def before_line(before: Before) -> bytes:
    """The second line of a file whose header says `sealed`."""
    states = [
        {"name": one.name, "version": one.version, "state": one.state.decode()}
        for one in before.seal.states
    ]
    seal = {"pos": before.seal.pos, "at_us": before.seal.at, "states": states}
    return _line({"seal": seal, "streams": before.streams})


def event_line(row: Recorded) -> bytes:
    """The line of one event."""
    return _line(
        {
            "pos": row.pos,
            "stream": row.stream,
            "ver": row.ver,
            "type": row.type,
            "schema": row.schema,
            "src": row.src,
            "dst": row.dst,
            "machine": row.machine,
            "at": row.at // 1_000,
            "at_us": row.at,
            "id": str(UUID(bytes=row.id)),
            "corr": None if row.corr is None else str(UUID(bytes=row.corr)),
            "cause": None if row.cause is None else str(UUID(bytes=row.cause)),
            "actor": row.actor,
            "node": row.node,
            "fence": row.fence,
            "data": orjson.Fragment(row.data),
            "hash": row.hash.hex(),
        }
    )


def closing_line(closing: Closing) -> bytes:
    """The last line."""
    return _line({"events": closing.events, "digest": closing.digest})


def _line(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def read_header(line: bytes) -> Header | None:
    """What the first line says; None where it is not that of an export.

    Raises:
        NotExact: of a schema that is not known here, or damaged.
    """
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or document.get(FIRST_KEY) != KIND:
        return None
    if document.get("schema") != SCHEMA:
        raise NotExact(f"its schema is {document.get('schema')}, this version knows {SCHEMA}")
    try:
        return Header(
            version=document["version"],
            node=document["node"],
            first=document["first"],
            last=document["last"],
            before=bytes.fromhex(document["before"]),
            head=Head(Position(document["head"]["pos"]), bytes.fromhex(document["head"]["hash"])),
            sealed=document["sealed"],
            redacted=document["redacted"],
            stream=document["stream"],
            types=tuple(document["types"]),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise NotExact(f"its header is damaged ({fault!r})") from fault


def read_before(line: bytes) -> Before:
    """What a seal line says.

    Raises:
        NotExact: it is none.
    """
    try:
        document = orjson.loads(line)
        seal = document["seal"]
        states = tuple(
            SealedState(one["name"], one["version"], one["state"].encode())
            for one in seal["states"]
        )
        return Before(Seal(seal["pos"], seal["at_us"], states), dict(document["streams"]))
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise NotExact(f"it holds no seal ({fault!r})") from fault


def read_line(line: bytes) -> Recorded | Closing:
    """An event, or the end of the file.

    Raises:
        NotExact: it is neither.
    """
    try:
        document = orjson.loads(line)
        if "digest" in document:
            return Closing(document["events"], document["digest"])
        return Recorded(
            pos=Position(document["pos"]),
            stream=document["stream"],
            ver=document["ver"],
            type=document["type"],
            schema=document["schema"],
            src=document["src"],
            dst=document["dst"],
            machine=document["machine"],
            at=UnixMicros(document["at_us"]),
            id=_id(document["id"]),
            corr=None if document["corr"] is None else _id(document["corr"]),
            cause=None if document["cause"] is None else _id(document["cause"]),
            actor=document["actor"],
            node=document["node"],
            fence=document["fence"],
            data=encode(document["data"]),
            hash=bytes.fromhex(document["hash"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise NotExact(f"it holds no event ({fault!r})") from fault


def _id(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))

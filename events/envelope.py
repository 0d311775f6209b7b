"""The three forms of an event: drafted by a rule, stamped by the door, recorded by the log.

A rule (`decide`) drafts; the door stamps identity, version and causes; the log's writer gives the
position and the hash. Every form offers `stream, type, src, dst, at, payload`, which is all that a
fold needs (`Fact`), so the same `evolve` serves decided and recorded events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import orjson

from events.ids import Position, UnixMicros

Payload = Mapping[str, Any]


class Fact(Protocol):
    """What a fold may look at."""

    @property
    def stream(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def src(self) -> str | None: ...
    @property
    def dst(self) -> str | None: ...
    @property
    def at(self) -> UnixMicros: ...
    @property
    def payload(self) -> Payload: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event as a rule writes it down, before anyone gave it an identity."""

    stream: str
    type: str
    at: UnixMicros
    payload: Payload = field(default_factory=dict)
    src: str | None = None
    dst: str | None = None
    machine: str | None = None
    schema: int = 1
    because: int | None = None
    """Index of the draft of the same decision that caused this one; None: the command did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A draft with its identity: ready to append. `ver` is the expected version of its stream."""

    stream: str
    ver: int
    type: str
    schema: int
    src: str | None
    dst: str | None
    machine: str | None
    at: UnixMicros
    id: bytes
    """UUIDv7, 16 bytes: the idempotency key."""
    corr: bytes | None
    """Id of the first event of the story this one belongs to."""
    cause: bytes | None
    """Id of the event that led to this one."""
    actor: str
    """Who asked: `player`, `bridge`, `admin`, …"""
    node: str
    fence: int
    payload: Payload


class Recorded(NamedTuple):
    """An event as it stands in the log; the field order is the column order of table `events`."""

    pos: Position
    stream: str
    ver: int
    type: str
    schema: int
    src: str | None
    dst: str | None
    machine: str | None
    at: UnixMicros
    id: bytes
    corr: bytes | None
    cause: bytes | None
    actor: str
    node: str
    fence: int
    data: bytes
    """The payload as JSON text, exactly as hashed."""
    hash: bytes
    """SHA-256 over the hash before it and every field above."""

    @property
    def payload(self) -> Payload:
        """The parsed payload. Costs a parse: a fold asks only where it needs it."""
        parsed: Payload = orjson.loads(self.data)
        return parsed

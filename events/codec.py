"""How an event becomes bytes, how the chain is hashed, and how old payloads are read today.

Knows the canonical form that the hash covers and the versions of payloads. Refuses to know where
the bytes are kept. The canonical form is part of the log's format: changing it breaks every chain
ever written, so it carries no version and must not change within a major version.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import orjson

from events.envelope import NewEvent, Payload, Recorded

GENESIS = bytes(32)
"""The hash before the first event of a log."""

CURRENT_SCHEMA: Mapping[str, int] = {}
"""Payload version per event type that this release writes; a type not listed is at 1."""

Step = Callable[[Payload], Payload]
STEPS: Mapping[tuple[str, int], Step] = {}
"""`(type, version)` to the function that lifts a payload of that version to the next one."""

_HEADER = struct.Struct(">QIqQBIIIII")
_POSITION = struct.Struct(">Q")
_NAMED_FIELDS = attrgetter(*Recorded._fields[1:-2])
_SEPARATORS = 6
"""NUL characters between the seven names."""


class NewerLog(Exception):
    """The log, or an event in it, was written by a newer version of the bridge than this one."""

    def __init__(self, what: str, *, found: int, known: int) -> None:
        super().__init__(
            f"written by a newer version of PlexBridge: {what} has version {found}, "
            f"this one knows up to {known}; use the newer version to open it"
        )
        self.what = what
        self.found = found
        self.known = known


class NotCanonical(Exception):
    """A field that has no canonical form: a name holding a NUL character."""


def _plain(value: object) -> Any:
    """Let any Mapping stand for an object; orjson itself takes only `dict`."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"an event payload cannot carry {type(value).__name__}")


def encode(payload: Payload) -> bytes:
    """JSON text of a payload, keys sorted, so that equal payloads give equal bytes.

    Raises:
        TypeError: something in it is not JSON (our own fault).
    """
    return orjson.dumps(payload, default=_plain, option=orjson.OPT_SORT_KEYS)


def canonical(
    stream: str,
    ver: int,
    type_: str,
    schema: int,
    src: str | None,
    dst: str | None,
    machine: str | None,
    at: int,
    id_: bytes,
    corr: bytes | None,
    cause: bytes | None,
    actor: str,
    node: str,
    fence: int,
    data: bytes,
) -> bytes:
    """What the hash covers of one event, besides its position: no two events share these bytes.

    A fixed header holds the numbers, the length of each variable part and which optional fields
    are absent. The names follow, joined by NUL (which none of them may hold), then the blobs.

    Raises:
        NotCanonical: a name holds a NUL character.
    """
    absent = 0
    if src is None or dst is None or machine is None:
        absent = (src is None) | (dst is None) << 1 | (machine is None) << 2
    if corr is None or cause is None:
        absent |= (corr is None) << 3 | (cause is None) << 4
        corr = corr or b""
        cause = cause or b""
    text = f"{stream}\0{type_}\0{src or ''}\0{dst or ''}\0{machine or ''}\0{actor}\0{node}"
    if text.count("\0") != _SEPARATORS:
        raise NotCanonical(f"a name of an event of {stream!r} holds a NUL character")
    names = text.encode()
    lengths = (len(names), len(id_), len(corr), len(cause), len(data))
    header = _HEADER.pack(ver, schema, at, fence, absent, *lengths)
    return b"".join((header, names, id_, corr, cause, data))


def fields_of(event: NewEvent) -> tuple[Any, ...]:
    """What is stored of an event, `stream` to `data`: all but what the log's writer adds.

    Raises:
        TypeError: the payload is not JSON.
    """
    return (*_NAMED_FIELDS(event), encode(event.payload))


def chain(previous: bytes, pos: int, fields: bytes) -> bytes:
    """SHA-256 that ties the event at `pos` to everything before it (reference: hash chain)."""
    return hashlib.sha256(previous + _POSITION.pack(pos) + fields).digest()


def hash_of(previous: bytes, recorded: Recorded) -> bytes:
    """The hash a recorded event must carry after `previous`.

    Raises:
        NotCanonical, struct.error: a stored field cannot have been written by the bridge.
    """
    return chain(previous, recorded[0], canonical(*recorded[1:-1]))


def upcast(
    recorded: Recorded,
    *,
    current: Mapping[str, int] = CURRENT_SCHEMA,
    steps: Mapping[tuple[str, int], Step] = STEPS,
) -> Payload:
    """The payload as today's version of its type, lifted step by step.

    Raises:
        NewerLog: the event's payload version is newer than this release knows.
    """
    known = current.get(recorded.type, 1)
    if recorded.schema > known:
        what = f"event {recorded.type!r} at position {recorded.pos}"
        raise NewerLog(what, found=recorded.schema, known=known)
    payload = recorded.payload
    for version in range(recorded.schema, known):
        payload = steps[recorded.type, version](payload)
    return payload

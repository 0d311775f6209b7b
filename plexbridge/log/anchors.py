"""Hashes of the log's head that were kept elsewhere, and whether the log still leads to them.

What the chain alone cannot show: a tail cut off cleanly, or a log written anew from the start.
Knows three forms of an anchor: a line `POSITION HASH`, the answer of `GET /api/log/head`, and the
log line in which a running bridge tells its head (JSON form). Other lines of a log are skipped.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from plexbridge.log.port import Head
from plexbridge.log.verify import ChainReader, Finding

HASH_BYTES: Final = 32

ANCHORS_BYTES_MAX: Final = 256 * 1024 * 1024
"""A year of log lines is far less; a whole device would never end."""

_PLAIN = re.compile(r"#?(\d{1,18})\s+([0-9a-fA-F]{64})(\s.*)?")


class NotAnchors(Exception):
    """A file that was named as anchors holds none, or cannot be read."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"no anchors in {path}: {why}")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The hash that the event at a position had."""

    pos: int
    hash: bytes


def line_of(head: Head, when: str) -> str:
    """An anchor as `events head` writes it; `when` is for people."""
    return f"{head.pos} {head.hash.hex()} {when}"


def read_anchors(path: Path) -> list[Anchor]:
    """Every anchor in a file, in its order. Blocks.

    Raises:
        NotAnchors: there is none.
    """
    try:
        if path.stat().st_size > ANCHORS_BYTES_MAX:
            raise NotAnchors(path, f"it is larger than {ANCHORS_BYTES_MAX} bytes")
        with path.open(encoding="utf-8", errors="replace") as file:
            found = list(parse(file))
    except OSError as error:
        raise NotAnchors(path, str(error.strerror)) from error
    if not found:
        raise NotAnchors(path, "it has no line `POSITION HASH`, as `events head` writes them")
    return found


def parse(lines: Iterable[str]) -> Iterator[Anchor]:
    """The anchors among these lines."""
    for text in lines:
        words = text.strip()
        if found := _PLAIN.fullmatch(words):
            yield Anchor(int(found[1]), bytes.fromhex(found[2]))
        elif '"hash"' in words and (anchor := _from_json(words[words.find("{") :])) is not None:
            yield anchor  # behind what a journal or a container runtime writes before each line


def _from_json(text: str) -> Anchor | None:
    try:
        document = orjson.loads(text)
        pos, hash_ = document["position"], bytes.fromhex(document["hash"])
    except (ValueError, KeyError, TypeError):
        return None
    return Anchor(pos, hash_) if isinstance(pos, int) and len(hash_) == HASH_BYTES else None


def check_anchors(reader: ChainReader, anchors: Sequence[Anchor]) -> Iterator[Finding]:
    """What does not fit. An anchor from before the first event held is vouched for by any later one
    that fits: the chain from there leads to it. Blocks.

    Raises:
        StorageFailed: the log cannot be read.
    """
    base, head = reader.base(), reader.head()
    for anchor in anchors:
        if anchor.pos > head.pos:
            text = f"event {anchor.pos} was there, and the log ends at {head.pos}"
            yield Finding(head.pos + 1, "anchor", text)
        elif anchor.pos >= base.pos and _hash_at(reader, base, anchor.pos) != anchor.hash:
            text = "another event was here when the anchor was written"
            yield Finding(anchor.pos, "anchor", text)


def all_before(reader: ChainReader, anchors: Sequence[Anchor], after: int = 0) -> bool:
    """Whether nothing is held, or was looked at, that one of these could be compared with. `after`:
    the chain was checked from there on."""
    base = max(after, reader.base().pos)
    return all(anchor.pos < base for anchor in anchors)


def _hash_at(reader: ChainReader, base: Head, pos: int) -> bytes | None:
    if pos == base.pos:
        return base.hash
    found = reader.read(pos - 1, 1)
    return found[0].hash if found and found[0].pos == pos else None

"""A packed lineup, and the numbers that were given, as rows of bytes and back again. Pure.

Knows the form in which they are stored; refuses to know where. Arrays are stored little-endian, so
that a data directory can move to another machine.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, NamedTuple

import orjson

from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.given_numbers import GivenNumbers
from plexbridge.lineup.packing import Parts

Stored = tuple[str, bytes]
"""What it is, and it."""

_BLOCK: Final = "block"
_GIVEN: Final = ("ids", "numbers", "said", "days")
_DIGEST_BYTES: Final = 16


class Damaged(Exception):
    """The rows are not those that were stored."""


class Found(NamedTuple):
    """What rows hold."""

    lineup: Lineup
    given: GivenNumbers


def rows_of(parts: Parts, given: GivenNumbers) -> Iterator[Stored]:
    """The rows to be stored, in their order. Their last one tells whether all are whole."""
    seal = blake2b(digest_size=_DIGEST_BYTES)
    for name, body in _rows(parts, given):
        seal.update(body)
        yield name, body
    yield "seal", seal.digest()


def _rows(parts: Parts, given: GivenNumbers) -> Iterator[Stored]:
    for block in parts.blocks:
        yield _BLOCK, block
    yield "texts", orjson.dumps(parts.texts)
    yield "headers", orjson.dumps(parts.headers)
    yield "ids", _bytes(parts.ids)
    yield "ranks", _bytes(parts.ranks)
    yield "told", orjson.dumps({"digest": parts.digest, "all_enabled": parts.all_enabled})
    for name in _GIVEN:
        yield f"given_{name}", _bytes(getattr(given, name))


def read_rows(rows: Iterable[Stored]) -> Found:
    """What was stored.

    Raises:
        Damaged: these are other rows.
    """
    seal = blake2b(digest_size=_DIGEST_BYTES)
    blocks: list[bytes] = []
    others: dict[str, bytes] = {}
    for name, body in rows:
        if name == _BLOCK:
            blocks.append(body)
        else:
            others[name] = body
        if name != "seal":
            seal.update(body)
    if others.get("seal") != seal.digest():
        raise Damaged("what was stored of it is damaged")
    told = orjson.loads(others["told"])
    parts = Parts(
        blocks=blocks,
        texts=orjson.loads(others["texts"]),
        headers=[
            tuple((name, value) for name, value in headers)
            for headers in orjson.loads(others["headers"])
        ],
        ids=_array(others["ids"]),
        ranks=_array(others["ranks"]),
        all_enabled=told["all_enabled"],
        digest=told["digest"],
    )
    return Found(Lineup.of_parts(parts), _given(others))


def read_given(rows: Iterable[Stored]) -> GivenNumbers:
    """The numbers alone, from their rows.

    Raises:
        Damaged: these are none.
    """
    return _given(dict(rows))


def _given(rows: dict[str, bytes]) -> GivenNumbers:
    try:
        ids, numbers, said, days = (_array(rows[f"given_{name}"]) for name in _GIVEN)
    except (KeyError, ValueError) as error:
        raise Damaged("the guide numbers that were given are damaged") from error
    if not len(ids) == len(numbers) == len(said) == len(days):
        raise Damaged("the guide numbers that were given are damaged")
    return GivenNumbers(ids=ids, numbers=numbers, said=said, days=days)


def _bytes(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _array(body: bytes) -> "array[int]":
    numbers = array("Q")
    numbers.frombytes(body)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers

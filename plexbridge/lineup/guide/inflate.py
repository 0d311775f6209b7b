"""Compressed bytes of a guide to plain ones, a piece at a time, within bounds.

Knows gzip and xz by their magic bytes, several layers and several members. Knows nothing of what
the bytes mean. Blocking: for the worker.
"""

import lzma
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.unpacking import (
    GZIP_MAGIC,
    PIECE_BYTES,
    GzipBroken,
    bounded,
    gunzipped,
    head_of,
)

PLAIN_BYTES_MAX: Final = 4 * 1024**3
"""The largest guide known to us is 1.04 GB."""

RATIO_MAX: Final = 200
"""Bytes out for one byte in. Guides reach 8 to 40; a bomb lives at 1,000."""

RATIO_FREE_BYTES: Final = 4 * 1024**2
"""Below this much output the ratio says nothing."""

LAYERS_MAX: Final = 2
"""A `.xml.gz` served with `Content-Encoding: gzip` is compressed twice."""

XZ_MEMORY_BYTES_MAX: Final = 80 * 1024**2
"""`xz -9` asks for 65 MiB to unpack."""

_XZ: Final = b"\xfd7zXZ\x00"
_MAGIC_BYTES: Final = 6
_FOREIGN: Final = {
    b"PK\x03\x04": "a ZIP archive",
    b"BZh": "bzip2 data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
}

_ASK: Final = "check what the provider sends"
_AGAIN: Final = "try again later"


def plain(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """The guide in `pieces` of a body of `size_bytes`, unpacked.

    Raises:
        GuideFault: while reading: broken, cut off, too big, too dense, or an archive.
    """
    bytes_max = min(PLAIN_BYTES_MAX, max(RATIO_FREE_BYTES, size_bytes * RATIO_MAX))

    def too_much() -> GuideFault:
        size = f"unpacks to more than {bytes_max / 2**20:,.0f} MiB, far more than a guide"
        return GuideFault("refused", size, _ASK)

    for _ in range(LAYERS_MAX):
        head, pieces = head_of(pieces, _MAGIC_BYTES)
        unpack = _unpacker(head)
        if unpack is None:
            break
        pieces = bounded(unpack(pieces), bytes_max, too_much)
    return pieces


def _unpacker(head: bytes) -> Callable[[Iterator[bytes]], Iterator[bytes]] | None:
    if head.startswith(GZIP_MAGIC):
        return _gunzip
    if head.startswith(_XZ):
        return _unxz
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            raise GuideFault("not_a_guide", f"is {name}", "give it plain, or as gzip or xz")
    return None


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from gunzipped(pieces)
    except GzipBroken as broken:
        raise GuideFault("broken", f"is {broken}", _AGAIN if broken.cut_off else _ASK) from broken


class _Xz(Protocol):
    """What is used of `lzma.LZMADecompressor`."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _unxz(pieces: Iterator[bytes]) -> Iterator[bytes]:
    stream = _xz_stream()
    between = False
    """Behind a whole stream: another may follow, padded with zeros."""
    for piece in pieces:
        while True:
            if between:
                piece = piece.lstrip(b"\0")
                if not piece:
                    break
                stream, between = _xz_stream(), False
            try:
                out = stream.decompress(piece, PIECE_BYTES)
            except lzma.LZMAError as error:
                raise _xz_fault(error) from error
            if out:
                yield out
            piece = b""
            if stream.eof:
                piece, between = stream.unused_data, True
            elif stream.needs_input:
                break
    if not between:
        raise GuideFault("broken", "is xz data that is cut off", _AGAIN)


def _xz_stream() -> _Xz:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES_MAX)


def _xz_fault(error: lzma.LZMAError) -> GuideFault:
    if "memory" in str(error).lower():
        return GuideFault(
            "refused",
            f"wants more than {XZ_MEMORY_BYTES_MAX / 2**20:.0f} MiB of memory to be unpacked",
            "ask for it as gzip",
        )
    return GuideFault("broken", "is broken xz data", _ASK)

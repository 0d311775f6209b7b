"""Compressed bytes to plain ones, a piece at a time: what playlists and guides have in common.

Knows gzip and how to stay within bounds; nothing of what the bytes mean, nor of how a fault is
told. Blocking: for a worker.
"""

import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

GZIP_MAGIC: Final = b"\x1f\x8b"

PIECE_BYTES: Final = 256 * 1024
"""What comes out at once: enough to keep a parser busy, little enough to stay in a cache."""


class GzipBroken(Exception):
    """It cannot be unpacked. `cut_off`: it was good until it ended."""

    def __init__(self, *, cut_off: bool) -> None:
        super().__init__("gzip data that is cut off" if cut_off else "broken gzip data")
        self.cut_off = cut_off


def head_of(pieces: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `count` bytes (fewer where there are no more), and all the pieces again."""
    head = b""
    while len(head) < count and (piece := next(pieces, b"")):
        head += piece
    return head[:count], chain((head,) if head else (), pieces)


def bounded(
    pieces: Iterator[bytes], bytes_max: int, too_much: Callable[[], Exception]
) -> Iterator[bytes]:
    """The same pieces; raises what `too_much` makes once they are more than `bytes_max`."""
    count = 0
    for piece in pieces:
        count += len(piece)
        if count > bytes_max:
            raise too_much()
        yield piece


def gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What all members of a gzip body hold. Zeros behind a member (tapes and some tools fill up
    with them) and what is no member are ignored, as gzip does.

    Raises:
        GzipBroken: while it is read.
    """
    member = zlib.decompressobj(wbits=31)
    whole_members = 0
    begun = False
    for piece in pieces:
        while piece:
            try:
                out = member.decompress(piece, PIECE_BYTES)
            except zlib.error as error:
                if whole_members and not begun:
                    return
                raise GzipBroken(cut_off=False) from error
            if out:
                begun = True
                yield out
            piece = member.unconsumed_tail
            if member.eof:
                piece = member.unused_data.lstrip(b"\0")
                whole_members += 1
                member = zlib.decompressobj(wbits=31)
                begun = False
    if begun or not whole_members:
        raise GzipBroken(cut_off=True)

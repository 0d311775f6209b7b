"""What one source lists, as a file: an entry a line, written in order, read in any order.

A million entries take a few bytes of memory each: where their lines begin. The file holds upstream
URLs, which are logins: it is its owner's alone. Blocking.
"""

import os
from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, overload

import orjson

from plexbridge.lineup.m3u import Entry

_MODE: Final = 0o600
_BUFFER_BYTES: Final = 256 * 1024
_AHEAD_BYTES: Final = 16 * 1024
"""Read at once: whoever asks for an entry asks for its neighbours next, as a rule."""


class EntryWriter:
    """`with EntryWriter(path) as writer: writer.keep(entry)`; a new file, whole when it is left."""

    def __init__(self, path: Path, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """`headers`: what each entry is asked with where it says nothing else.

        Raises:
            OSError: it cannot be made.
        """
        path.unlink(missing_ok=True)
        self._file = os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb", _BUFFER_BYTES
        )
        self._headers = headers
        self._digest = blake2b(digest_size=8)

    def keep(self, entry: Entry) -> None:
        """Append an entry. Its line number is not kept: it differs when nothing else does."""
        headers = entry.headers
        if self._headers:
            said = {name.lower() for name, _ in headers}
            headers += tuple(pair for pair in self._headers if pair[0].lower() not in said)
        line = orjson.dumps((0, *entry[1:-1], headers)) + b"\n"
        self._digest.update(line)
        self._file.write(line)

    @property
    def digest(self) -> str:
        """16 hex digits that differ whenever an entry, or their order, does."""
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._file.close()


class EntryFile(Sequence[Entry]):
    """The entries of a file that `EntryWriter` wrote. Open until closed."""

    def __init__(self, path: Path) -> None:
        """Raises OSError: it cannot be read."""
        self._file: BinaryIO = path.open("rb", _BUFFER_BYTES)
        self._starts = array("Q")
        at = 0
        for line in self._file:
            self._starts.append(at)
            at += len(line)
        self._starts.append(at)
        self._ahead_at, self._ahead = 0, b""

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        start, end = self._starts[place], self._starts[place + 1]
        if not self._ahead_at <= start < end <= self._ahead_at + len(self._ahead):
            wanted = max(end - start, _AHEAD_BYTES)
            self._ahead_at, self._ahead = start, os.pread(self._file.fileno(), wanted, start)
        return _entry(self._ahead[start - self._ahead_at : end - self._ahead_at])

    def __iter__(self) -> Iterator[Entry]:
        self._file.seek(0)
        for line in self._file:
            yield _entry(line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def _entry(line: bytes) -> Entry:
    said: list[Any] = orjson.loads(line)
    said[-1] = tuple([(name, value) for name, value in said[-1]]) if said[-1] else ()
    return Entry._make(said)

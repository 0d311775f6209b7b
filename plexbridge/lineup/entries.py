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
_LINE_BYTES_GUESSED: Final = 1024
"""Most lines are shorter and take one read."""


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
        line = orjson.dumps((*entry[1:-1], headers)) + b"\n"
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

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        start = self._starts[index]
        line = os.pread(self._file.fileno(), _LINE_BYTES_GUESSED, start)
        while (end := line.find(b"\n")) < 0:
            line += os.pread(self._file.fileno(), _BUFFER_BYTES, start + len(line))
        return _entry(line[:end])

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
    if said[-1]:
        said[-1] = tuple((name, value) for name, value in said[-1])
    else:
        said[-1] = ()
    return Entry._make((0, *said))

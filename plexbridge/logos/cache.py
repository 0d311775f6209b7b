"""`logos/` in the data directory: pictures by digest, the least wanted leaving when room is short.

Knows files, sizes and ages, and nothing of where pictures come from. What it holds can be had
again. Blocking, and used from one thread at a time.
"""

import os
import re
from collections import OrderedDict
from pathlib import Path
from typing import Final, NamedTuple

CACHE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A logo has about 10 KB: room for the logos of some thousand channels."""

DIGEST: Final = re.compile(r"[0-9a-f]{16}")
_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class Kept(NamedTuple):
    """A picture and when it was fetched, in seconds since 1970."""

    body: bytes
    at: float


class LogoCache:
    """The pictures of one data directory."""

    def __init__(self, directory: Path, *, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._path = directory
        self._bytes_max = bytes_max
        self._sizes: OrderedDict[str, int] = OrderedDict()
        """By digest; the one wanted last at the end."""
        self._bytes = 0

    def open(self) -> None:
        """Make the directory, or find what is in it; remove what a crash left.

        Raises:
            OSError: it cannot be used.
        """
        self._path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        found = []
        for path in self._path.iterdir():
            if DIGEST.fullmatch(path.name):
                status = path.stat()
                found.append((status.st_mtime, path.name, status.st_size))
            elif path.suffix == ".new" and DIGEST.fullmatch(path.stem):
                path.unlink()
        for _, digest, size in sorted(found):
            self._sizes[digest] = size
            self._bytes += size
        self._make_room()

    def read(self, digest: str) -> Kept | None:
        """A picture; None where there is none.

        Raises:
            OSError: it cannot be read.
        """
        if digest not in self._sizes:
            return None
        self._sizes.move_to_end(digest)
        try:
            with self._file(digest).open("rb") as file:
                return Kept(file.read(), os.fstat(file.fileno()).st_mtime)
        except FileNotFoundError:  # somebody tidied up
            self._bytes -= self._sizes.pop(digest)
            return None

    def keep(self, digest: str, body: bytes) -> None:
        """Store a picture, whole or not at all; others make room for it.

        Raises:
            OSError: it cannot be stored.
        """
        file = self._file(digest)
        new = file.with_name(f"{digest}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE), "wb") as out:
            out.write(body)
        new.replace(file)
        self._bytes += len(body) - self._sizes.pop(digest, 0)
        self._sizes[digest] = len(body)
        self._make_room()

    def _make_room(self) -> None:
        while self._bytes > self._bytes_max and self._sizes:
            digest, size = self._sizes.popitem(last=False)
            self._bytes -= size
            self._file(digest).unlink(missing_ok=True)

    def _file(self, digest: str) -> Path:
        assert DIGEST.fullmatch(digest), "a digest is no path"
        return self._path / digest

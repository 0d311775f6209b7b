"""API keys: `keys.json` in the data directory, written by the command line and read by the running
bridge. A key is shown once, when it is made; the file holds digests.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from plexbridge.private_file import OWNER_ONLY, read_bounded, write_private
from plexbridge.web.access.roles import Identity, Means, Role

_log = structlog.get_logger(__name__)

KEYS_FILE: Final = "keys.json"
KEYS_MAX: Final = 1_000
"""A home has a handful; the file stays small enough to be read in one go."""

KEYS_FILE_BYTES_MAX: Final = 1024 * 1024
NAME_CHARS_MAX: Final = 64
LOOK_EVERY_S: Final = 1.0
"""A key that was revoked opens nothing after this."""


class KeysUnusable(Exception):
    """`keys.json` cannot be read, understood or written; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key."""

    name: str
    role: Role
    digest: str
    created_at_ms: int


Keys = tuple[ApiKey, ...]


def read_keys(data_dir: Path) -> Keys:
    """Every key. Blocks.

    Raises:
        KeysUnusable: the file is there and says nothing that can be relied on.
    """
    path = data_dir / KEYS_FILE
    try:
        text = read_bounded(path, KEYS_FILE_BYTES_MAX)
        return () if text is None else tuple(map(_key, orjson.loads(text)["keys"]))
    except OSError as error:
        raise KeysUnusable(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise KeysUnusable(
            f"{path} is damaged: move it away and make the keys anew with `plexbridge key create`"
        ) from error


def _key(kept: Mapping[str, Any]) -> ApiKey:
    digest = str(kept["sha256"])
    bytes.fromhex(digest)
    return ApiKey(str(kept["name"]), Role(kept["role"]), digest, int(kept["created_at_ms"]))


def change_keys(data_dir: Path, change: Callable[[Keys], Keys]) -> None:
    """Replace the keys by what `change` makes of them; one change at a time. Blocks.

    Raises:
        KeysUnusable: nothing was changed. What `change` raises goes through.
    """
    path = data_dir / KEYS_FILE
    try:
        with _alone(path):
            kept = [
                {
                    "name": key.name,
                    "role": key.role.value,
                    "sha256": key.digest,
                    "created_at_ms": key.created_at_ms,
                }
                for key in change(read_keys(data_dir))
            ]
            text = orjson.dumps({"keys": kept}, option=orjson.OPT_INDENT_2).decode()
            write_private(path, text + "\n")
    except OSError as error:
        raise KeysUnusable(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two commands at once must not lose each other's key."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class KeyRing:
    """The keys as the running bridge sees them: looked at anew when the file has changed."""

    def __init__(self, data_dir: Path, monotonic: Callable[[], float]) -> None:
        """Reads the file. Blocks.

        Raises:
            KeysUnusable: see `read_keys`.
        """
        self._data_dir = data_dir
        self._monotonic = monotonic
        self._looking = asyncio.Lock()
        self._looked_at = monotonic()
        self._mark = self._seen_mark()
        self._by_digest = _identities(read_keys(data_dir))

    async def find(self, digest: str) -> Identity | None:
        """Whose key that is, as of the last second."""
        if self._monotonic() - self._looked_at >= LOOK_EVERY_S:
            async with self._looking:
                if self._monotonic() - self._looked_at >= LOOK_EVERY_S:
                    await asyncio.to_thread(self._look)
                    self._looked_at = self._monotonic()
        return self._by_digest.get(digest)

    def _look(self) -> None:
        mark = self._seen_mark()
        if mark == self._mark:
            return
        try:
            self._by_digest = _identities(read_keys(self._data_dir))
        except KeysUnusable as unusable:
            # A key that may have been revoked opens nothing.
            self._by_digest = {}
            _log.error("No API key is accepted", why=str(unusable))
        self._mark = mark

    def _seen_mark(self) -> tuple[int, ...]:
        """Changes with the file."""
        try:
            seen = (self._data_dir / KEYS_FILE).stat()
        except OSError:
            return ()
        return (seen.st_mtime_ns, seen.st_size, seen.st_ino)


def _identities(keys: Keys) -> dict[str, Identity]:
    return {key.digest: Identity(key.role, Means.KEY, key.digest, key.name) for key in keys}

"""What a backup says of itself: its files with their digests, and the log's head."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import orjson

KIND: Final = "backup"
SCHEMA: Final = 1
"""A reader refuses a later one."""

MEMBER: Final = "manifest.json"
MANIFEST_BYTES_MAX: Final = 16 * 1024 * 1024
"""A hundred thousand files; a data directory has some ten."""


class NotABackup(Exception):
    """A file that was named as a backup is none, or of a later version; one line."""


class BackupBroken(Exception):
    """A backup is not what was written; one line with the file in it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the data directory."""

    name: str
    """Relative, with `/`."""
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The whole of it."""

    version: str
    """Of the bridge that wrote it."""
    created_at: int
    """Unix time in milliseconds."""
    first: int
    last: int
    """The events in the log: positions, both included."""
    hash: str
    """Of the last event."""
    files: tuple[Member, ...]

    def document(self) -> bytes:
        """As it is in the file."""
        return orjson.dumps(
            {
                "plexbridge": KIND,
                "schema": SCHEMA,
                "version": self.version,
                "created_at": self.created_at,
                "log": {"first": self.first, "last": self.last, "hash": self.hash},
                "files": [
                    {"name": one.name, "bytes": one.bytes, "sha256": one.sha256}
                    for one in self.files
                ],
            },
            option=orjson.OPT_INDENT_2,
        )


def digest_of(document: bytes) -> str:
    """What stands for a whole backup: each file's digest is in its manifest."""
    return f"sha256:{hashlib.sha256(document).hexdigest()}"


def read_manifest(document: bytes) -> Manifest:
    """What a manifest says.

    Raises:
        NotABackup: it is none, of a later schema, or names files outside the directory.
    """
    try:
        found: dict[str, Any] = orjson.loads(document)
        if found.get("plexbridge") != KIND:
            raise NotABackup("it is no backup of PlexBridge")
        if found["schema"] != SCHEMA:
            text = f"its schema is {found['schema']}, this version knows {SCHEMA}"
            raise NotABackup(text)
        log = found["log"]
        return Manifest(
            version=str(found["version"]),
            created_at=int(found["created_at"]),
            first=int(log["first"]),
            last=int(log["last"]),
            hash=str(log["hash"]),
            files=tuple(_member(one) for one in found["files"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise NotABackup(f"its manifest is damaged ({fault!r})") from fault


def _member(document: dict[str, Any]) -> Member:
    name = str(document["name"])
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or str(path) != name:
        raise NotABackup(f"it names {name!r}, which lies in no data directory")
    size = int(document["bytes"])
    if size < 0:
        raise NotABackup(f"it says that {name!r} has {size} bytes")
    return Member(name, size, str(document["sha256"]))

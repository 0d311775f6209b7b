"""Writing a backup, beside a running bridge or without one.

Each database is copied as at one instant, by SQLite itself; any other file is one that is replaced
whole or not at all. Holds logins and keys: it is readable by its owner alone.
"""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from plexbridge.backup.contents import OURS, belonging, is_database
from plexbridge.backup.manifest import MEMBER, Manifest, Member, digest_of
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import copy_database
from plexbridge.log.errors import CannotOpen
from plexbridge.log.exporting import whole_file
from plexbridge.log.reader import SqliteReader
from plexbridge.version import __version__

CHUNK_BYTES: Final = 1024 * 1024
ZIP_LEVEL: Final = 4
"""A log shrinks to a sixth at some 60 MB a second; better ones take three times as long."""


@dataclass(frozen=True, slots=True)
class Created:
    """What was written."""

    manifest: Manifest
    digest: str


def create(data_dir: Path, out: Path, *, guides: bool, at_ms: int) -> Created:
    """Write a backup of the directory to `out`, where no file may be. `at_ms`: the time. Blocks.

    Raises:
        CannotOpen, NewerLog: there is no log there that could be kept.
        StorageFailed: a database cannot be read.
        OSError: a file cannot be read, or the backup not written; nothing is left behind.
    """
    if out.exists():
        raise FileExistsError(17, "it is there already", str(out))
    members: list[Member] = []
    with whole_file(out, private=True) as file, _staged(out) as staging:
        head, first = _keep_log(data_dir / LOG_FILE, staging / LOG_FILE)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=ZIP_LEVEL) as packed:
            for name in belonging(data_dir, guides=guides, without=out):
                with _as_it_is(data_dir, name, staging) as source:
                    if source is not None:
                        members.append(_packed(packed, source, name.as_posix()))
            manifest = Manifest(
                version=__version__,
                created_at=at_ms,
                first=first,
                last=head[0],
                hash=head[1].hex(),
                files=tuple(members),
            )
            packed.writestr(MEMBER, manifest.document())
    return Created(manifest, digest_of(manifest.document()))


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A directory of our own beside the backup, where there is room: copies are as large."""
    with TemporaryDirectory(prefix=f".{OURS}", dir=out.absolute().parent) as made:
        yield Path(made)


def _keep_log(path: Path, copy: Path) -> tuple[tuple[int, bytes], int]:
    """Copy the log; its head and first position, as they are in the copy."""
    if not path.is_file():
        raise CannotOpen(path, "there is no log to keep; name the directory with --data-dir")
    copy_database(path, copy)
    with closing(SqliteReader(copy)) as reader:
        head = reader.head()
        return (int(head.pos), head.hash), int(reader.first())


@contextmanager
def _as_it_is(data_dir: Path, name: Path, staging: Path) -> Iterator[Path | None]:
    """The file, or a copy of what it holds at this instant; None where it is gone again."""
    path = data_dir / name
    try:
        database = is_database(path)
    except FileNotFoundError:
        yield None
        return
    if not database:
        yield path
        return
    copy = staging / "-".join(name.parts)
    if name != Path(LOG_FILE):  # which is there already
        copy_database(path, copy)
    yield copy
    copy.unlink()


def _packed(packed: zipfile.ZipFile, source: Path, name: str) -> Member:
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file, packed.open(name, "w", force_zip64=True) as member:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            member.write(chunk)
    return Member(name, size, digest.hexdigest())

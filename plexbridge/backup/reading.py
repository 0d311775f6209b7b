"""Reading a backup: whether it is what was written, and a data directory made of it.

Refuses to trust it: every file's digest must fit, nothing may be written outside the directory, and
the log's chain is walked. A directory is made whole, or stays as empty as it was.
"""

import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from plexbridge.backup.manifest import (
    MANIFEST_BYTES_MAX,
    MEMBER,
    BackupBroken,
    Manifest,
    Member,
    NotABackup,
    digest_of,
    read_manifest,
)
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.reader import SqliteReader
from plexbridge.log.verify import verify_chain
from plexbridge.private_file import OWNER_ONLY

CHUNK_BYTES: Final = 1024 * 1024
DIRECTORY_MODE: Final = 0o700
MAKING: Final = ".restoring"
"""Inside the directory that is made: a volume of a container cannot be replaced, but filled."""

Progress = Callable[[int], None]


class NotEmpty(Exception):
    """A restore was asked for over something; one line."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup that is what was written."""

    manifest: Manifest
    digest: str


def verify(path: Path, progress: Progress | None = None) -> Checked:
    """Check every digest and the log's chain. Blocks.

    Raises:
        NotABackup, NewerLog: it is none, or of a later version.
        BackupBroken: it is not what was written.
        OSError: it cannot be read, or there is no room to unpack its log.
    """
    with _opened(path) as (packed, checked), TemporaryDirectory(prefix="plexbridge-") as made:
        for member in checked.manifest.files:
            log = Path(made) / LOG_FILE if member.name == LOG_FILE else None
            _unpack(packed, member, log)
        _check_log(Path(made) / LOG_FILE, checked.manifest, progress)
        return checked


def restore(path: Path, data_dir: Path, progress: Progress | None = None) -> Checked:
    """Make the directory out of a backup; it must be empty, or not be there. Blocks.

    Raises:
        NotEmpty: something is in it.
        NotABackup, NewerLog, BackupBroken, OSError: see `verify`; nothing is left of it.
    """
    if data_dir.is_dir() and any(data_dir.iterdir()):
        raise NotEmpty(f"{data_dir} is not empty, and nothing is restored over anything")
    with _opened(path) as (packed, checked):
        was_there = data_dir.exists()
        data_dir.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
        making = data_dir / MAKING
        try:
            making.mkdir(mode=DIRECTORY_MODE)
            for member in checked.manifest.files:
                _unpack(packed, member, making / member.name)
            _check_log(making / LOG_FILE, checked.manifest, progress)
            _hand_over(making, data_dir)
        finally:
            shutil.rmtree(making, ignore_errors=True)
            if not was_there and not any(data_dir.iterdir()):
                data_dir.rmdir()
        return checked


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Checked]]:
    try:
        with zipfile.ZipFile(path) as packed:
            yield packed, _manifest(path, packed)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BackupBroken(f"{path} is damaged, or no backup ({error})") from error


def _manifest(path: Path, packed: zipfile.ZipFile) -> Checked:
    names = packed.namelist()
    if MEMBER not in names:
        raise NotABackup(f"{path} is no backup: it has no {MEMBER}")
    with packed.open(MEMBER) as member:
        document = member.read(MANIFEST_BYTES_MAX + 1)
    if len(document) > MANIFEST_BYTES_MAX:
        raise NotABackup(f"{path} is no backup: its manifest is too long")
    try:
        manifest = read_manifest(document)
    except NotABackup as fault:
        raise NotABackup(f"{path}: {fault}") from fault
    told = [MEMBER, *(one.name for one in manifest.files)]
    if sorted(told) != sorted(names):
        odd = sorted(set(told) ^ set(names)) or ["a file twice"]
        raise BackupBroken(f"{path}: its manifest and its files differ: {odd[0]}")
    if LOG_FILE not in names:
        raise BackupBroken(f"{path}: it holds no {LOG_FILE}")
    return Checked(manifest, digest_of(document))


def _unpack(packed: zipfile.ZipFile, member: Member, to: Path | None) -> None:
    """Read a file, and write it where that is wanted; never more than its manifest says."""
    digest, left = hashlib.sha256(), member.bytes
    with packed.open(member.name) as source, _written(to) as write:
        while chunk := source.read(min(CHUNK_BYTES, left + 1)):
            left -= len(chunk)
            if left < 0:
                break
            digest.update(chunk)
            write(chunk)
    if left or digest.hexdigest() != member.sha256:
        raise BackupBroken(f"{member.name} in the backup is not what was written")


@contextmanager
def _written(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    if path is None:
        yield lambda chunk: None
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        yield file.write
        file.flush()
        os.fsync(file.fileno())


def _check_log(path: Path, manifest: Manifest, progress: Progress | None) -> None:
    with closing(SqliteReader(path)) as reader:
        head = reader.head()
        wrong = next(verify_chain(reader, progress=progress), None)
        if wrong is not None:
            raise BackupBroken(f"{LOG_FILE} in the backup, position {wrong.pos}: {wrong.text}")
        if (head.pos, head.hash.hex()) != (manifest.last, manifest.hash):
            raise BackupBroken(f"{LOG_FILE} in the backup ends at {head.pos}, not {manifest.last}")


def _hand_over(making: Path, data_dir: Path) -> None:
    """Everything into its place, the log last: a start before that finds none to go on with."""
    _give_to_owner_of(data_dir, making)
    for name in ("-wal", "-shm"):
        making.joinpath(LOG_FILE + name).unlink(missing_ok=True)
    for path in sorted(making.iterdir(), key=lambda one: one.name == LOG_FILE):
        path.rename(data_dir / path.name)


def _give_to_owner_of(data_dir: Path, making: Path) -> None:
    """What root restores in a container is the bridge's, as everything else there."""
    if os.geteuid() == 0:
        owner = data_dir.stat()
        for path in (making, *making.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)

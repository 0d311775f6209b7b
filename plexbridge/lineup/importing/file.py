"""Reading another bridge's file: JSON, alone, in its folder, or in the archive it makes. Blocks.

Everything is bounded: an archive says how large its members are, and may lie.
"""

from pathlib import Path
from typing import Any, BinaryIO, Final
from zipfile import BadZipFile, ZipFile

import orjson

from plexbridge.lineup.importing.foreign import NotImportable

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""A backup of the original with its whole guide; the channels alone take some megabytes."""

_ZIP: Final = b"PK\x03\x04"


def read_document(path: Path, member: str | None = None) -> Any:
    """The JSON document of a file. `member`: its name in a folder or an archive, where either may
    be given.

    Raises:
        NotImportable: there is none, or it is too large.
    """
    try:
        if path.is_dir():
            if member is None:
                raise NotImportable(f"{path} is a folder; name the file")
            path = path / member
        with path.open("rb") as file:
            if member is not None and file.read(len(_ZIP)) == _ZIP:
                body = _in_archive(file, member)
            else:
                file.seek(0)
                body = _bounded(file)
    except OSError as error:
        raise NotImportable(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise NotImportable(f"{path} is not JSON: {error}") from error


def _in_archive(file: BinaryIO, member: str) -> bytes:
    file.seek(0)
    try:
        with ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.rpartition("/")[2] == member]
            if not names:
                raise NotImportable(f"there is no {member} in the archive")
            with archive.open(names[0]) as opened:
                return _bounded(opened)
    # RuntimeError: it asks for a password; NotImplementedError: packed in a way zipfile cannot.
    except (BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise NotImportable(f"the archive cannot be read: {error}") from error


def _bounded(file: Any) -> bytes:
    body: bytes = file.read(FILE_BYTES_MAX + 1)
    if len(body) > FILE_BYTES_MAX:
        raise NotImportable(f"it is larger than {FILE_BYTES_MAX // 2**20} MiB")
    return body

"""`backup create|verify|restore`: the data directory in one file, and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from plexbridge.backup.contents import OURS
from plexbridge.backup.manifest import Manifest
from plexbridge.backup.reading import Checked, restore, verify
from plexbridge.backup.writing import create
from plexbridge.clock import SteadyClock
from plexbridge.commands.exits import BROKEN, CannotWrite
from plexbridge.commands.moments import shown_with_zone, size
from plexbridge.commands.options import AsJson, DataDir, data_directory
from plexbridge.commands.output import json_line, line, note, progress

app = typer.Typer(help="The data directory in one file.", no_args_is_help=True)

SCHEMA: Final = "plexbridge.backup/1"

HOLDS_LOGINS: Final = (
    "it holds logins and keys (providers', people's): readable by you alone, keep it so"
)

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="The file; by default named after today."),
]
Guides = Annotated[
    bool,
    typer.Option("--guides", help="The programme too; without it, it is fetched again."),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="What `backup create` wrote.")]
Digest = Annotated[
    str | None,
    typer.Option("--digest", metavar="sha256:…", help="What `create` said: kept elsewhere."),
]


@app.command("create")
def create_command(
    out: Out = None, guides: Guides = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Everything a bridge needs to go on elsewhere: the log, edits of channels, settings, sources,
    logins and keys. Beside a running bridge or without one.

    Logos, and the programme unless asked for, are left out: they are fetched again. Examples:

    plexbridge backup create

    plexbridge backup create -o /mnt/nas/plexbridge.zip --guides
    """
    now = SteadyClock().now() // 1_000
    day = datetime.fromtimestamp(now / 1_000, UTC)
    path = out or Path(f"{OURS}{day:%Y%m%d-%H%M%S}.zip")
    with _told(path):
        made = create(data_directory(data_dir), path, guides=guides, at_ms=now)
    if not as_json:
        note(f"{path}: {HOLDS_LOGINS}")
    _tell(path, Checked(made.manifest, made.digest), as_json)


@app.command("verify")
def verify_command(file: File, digest: Digest = None, as_json: AsJson = False) -> None:
    """Check every file's digest and the log's chain. Exit code 4: it is not what was written.

    Whoever can alter the file can make its digests anew; the one that `create` said, kept
    elsewhere, shows that too. Example:

    plexbridge backup verify plexbridge.zip --digest sha256:…
    """
    with _told(file), progress(None) as begin:
        checked = verify(file, begin("Events"))
    _tell(file, checked, as_json)
    if digest is not None and digest != checked.digest:
        note(f"plexbridge: it is whole, and not the one with the digest {digest}")
        raise typer.Exit(BROKEN)


@app.command("restore")
def restore_command(file: File, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make a data directory out of a backup: an empty one, or one that is not there; never over
    anything.

    Everything is checked before any of it is in its place. Example:

    plexbridge backup restore plexbridge.zip --data-dir ./elsewhere
    """
    directory = data_directory(data_dir)
    with _told(directory), progress(None) as begin:
        checked = restore(file, directory, begin("Events"))
    _tell(file, checked, as_json)
    if not as_json:
        line(f"restored into {directory}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise CannotWrite(f"{where}: {error.strerror or error}") from error


def _tell(path: Path, checked: Checked, as_json: bool) -> None:
    manifest = checked.manifest
    if as_json:
        json_line(_document(path, manifest, checked.digest))
        return
    line(
        f"{path}: {len(manifest.files)} files, {size(sum(one.bytes for one in manifest.files))}, "
        f"of {shown_with_zone(manifest.created_at * 1_000, UTC)}"
    )
    line(f"events #{manifest.first} to #{manifest.last} {manifest.hash}")
    line(checked.digest)


def _document(path: Path, manifest: Manifest, digest: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "file": str(path),
        "digest": digest,
        "version": manifest.version,
        "created_at": manifest.created_at,
        "log": {"first": manifest.first, "last": manifest.last, "hash": manifest.hash},
        "files": [{"name": one.name, "bytes": one.bytes} for one in manifest.files],
    }

"""`import plexbridge|threadfin|xteve FILE`: what was set up in another bridge, as edits of ours.

The channels themselves come from the same playlists as before: those are sources of ours first.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from plexbridge.commands.edited_lineup import StoredLineup, request, stored_lineup, tell
from plexbridge.commands.exits import FOUND, NotUnderstood
from plexbridge.commands.options import AsJson, DataDir, Port
from plexbridge.commands.output import json_line, line, note
from plexbridge.data_dir import LINEUP_FILE
from plexbridge.installation import SECRETS_FILE, load_installation
from plexbridge.lineup.importing.edits import Imported, imported
from plexbridge.lineup.importing.file import read_document
from plexbridge.lineup.importing.foreign import ForeignChannel, NotImportable
from plexbridge.lineup.importing.matching import Matches, match
from plexbridge.lineup.importing.original import original_channels
from plexbridge.lineup.importing.xepg import xepg_channels

app = typer.Typer(
    help="Numbers, names, groups, logos and guide mapping from another bridge.",
    no_args_is_help=True,
)

XEPG: Final = "xepg.json"

TOLD_MAX: Final = 50
"""Channels that could not be mapped, shown to a person; `--json` has them all."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="What the other bridge wrote.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without it, only say what would be.")]
DisableOthers = Annotated[
    bool,
    typer.Option("--disable-others", help="Disable every channel that is not in the file."),
]


@app.command()
def plexbridge(
    file: File,
    apply: Apply = False,
    disable_others: DisableOthers = False,
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """The backup of the original PlexBridge (JSON, 1.0 to 2.1)."""
    foreign = _read(file, None, original_channels)
    _import(foreign, (apply, disable_others, as_json), data_dir, port)


@app.command("xteve", help="xTeVe: its xepg.json, the folder with it, or a backup (.zip).")
@app.command("threadfin", help="Threadfin: its xepg.json, the folder with it, or a backup (.zip).")
def xepg(
    file: File,
    apply: Apply = False,
    disable_others: DisableOthers = False,
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Threadfin descends from xTeVe: their files are one form."""
    foreign = _read(file, XEPG, xepg_channels)
    _import(foreign, (apply, disable_others, as_json), data_dir, port)


def _read(
    file: Path, member: str | None, reader: Callable[[Any], list[ForeignChannel]]
) -> list[ForeignChannel]:
    try:
        return reader(read_document(file, member))
    except NotImportable as error:
        raise NotUnderstood(str(error)) from error


def _import(
    foreign: list[ForeignChannel],
    how: tuple[bool, bool, bool],
    data_dir: Path | None,
    port: int | None,
) -> None:
    """Exit code 1 where something could not be mapped: it was told, and the rest is done."""
    apply, disable_others, as_json = how
    stored = stored_lineup(data_dir)
    key = _digest_key(stored)
    matches = match(foreign, stored.listed.everything, key)
    found = imported(matches.pairs, stored.served, stored.edits, key, disable_others=disable_others)
    answer = None
    if found.patches:
        document = {"each": found.patches, "preview": not apply}
        answer = request(stored, document, how="import", port=port)
    if as_json:
        json_line(_document(foreign, matches, found, answer))
    else:
        _tell(foreign, matches, found, answer)
    if matches.unmatched or found.left_out:
        raise typer.Exit(FOUND)


def _digest_key(stored: StoredLineup) -> bytes:
    if not (stored.directory / SECRETS_FILE).is_file():
        raise NotUnderstood(f"{stored.directory} has {LINEUP_FILE} but no {SECRETS_FILE}")
    return load_installation(stored.directory, _no_new_one).digest_key


def _no_new_one(size: int) -> bytes:
    raise AssertionError(f"{size} bytes for a new identity: there is one")


def _document(
    foreign: list[ForeignChannel],
    matches: Matches,
    found: Imported,
    answer: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "channels": len(foreign),
        "mapped": len(matches.pairs),
        "by": dict(Counter(pair.sign for pair in matches.pairs)),
        "not_mapped": [
            {"number": one.foreign.number, "name": one.foreign.name, "why": one.why}
            for one in matches.unmatched
        ],
        "left_out": list(found.left_out),
        "moved": found.moved,
        "disabled": found.disabled,
        "result": answer,
    }


def _tell(
    foreign: list[ForeignChannel],
    matches: Matches,
    found: Imported,
    answer: dict[str, Any] | None,
) -> None:
    by = Counter(pair.sign.replace("_", " ") for pair in matches.pairs)
    signs = ", ".join(f"{count:,} by {sign}" for sign, count in by.items())
    line(
        f"{len(foreign):,} channels in the file, {len(matches.pairs):,} mapped ({signs or 'none'})"
    )
    if found.moved:
        line(f"{found.moved:,} channels of ours make room for an imported number")
    if found.disabled:
        line(f"{found.disabled:,} channels of ours are not in the file and are disabled")
    if answer is None:
        line("nothing changes")
    else:
        tell(answer)
    lost = [f"not mapped: {one.foreign.told}: {one.why}" for one in matches.unmatched]
    lost += [f"left out: {told}" for told in found.left_out]
    for text in lost[:TOLD_MAX]:
        note(text)
    if len(lost) > TOLD_MAX:
        note(f"… and {len(lost) - TOLD_MAX:,} more; --json lists them all")

"""The lineup of a data directory, and changing it: through the bridge that runs on the directory,
or, where none does, in the directory itself. Either way the same request is answered alike.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import typer

from events.ids import ChannelId
from plexbridge.commands.exits import FOUND, NotUnderstood, Unreachable
from plexbridge.commands.noting import noting
from plexbridge.commands.options import data_directory, settings_for
from plexbridge.commands.output import line, note, printable, table
from plexbridge.commands.running import ask
from plexbridge.data_dir import LINEUP_FILE, LOG_FILE
from plexbridge.lineup.channels import Channel, Lineup
from plexbridge.lineup.edit_store import EditStore
from plexbridge.lineup.edits import Edits, apply
from plexbridge.lineup.edits_bulk import Bulk, bulk_of, patches
from plexbridge.lineup.edits_in_force import EditsInForce, Wish
from plexbridge.lineup.edits_plan import NumberTaken, UnknownChannel
from plexbridge.lineup.edits_reading import EditInvalid
from plexbridge.lineup.edits_told import document_of
from plexbridge.lineup.edits_undo import UNDO, NothingToTakeBack
from plexbridge.lineup.store import LineupStore
from plexbridge.log.errors import LogLocked
from plexbridge.log.sqlite import SqliteLog

BULK_TIMEOUT_S: Final = 60.0
"""A change of a whole lineup of 200,000 channels takes some seconds."""

UNDO_PATH: Final = "/api/channels/undo"


@dataclass(frozen=True, slots=True)
class StoredLineup:
    """What a data directory holds."""

    directory: Path
    listed: Lineup
    edits: Edits
    served: Lineup

    def meant(self, text: str) -> Channel:
        """The channel that a person names by its id or its guide number.

        Raises:
            NotUnderstood: there is none.
        """
        by_id = self.served.by_id(ChannelId(text), disabled=True)
        found = by_id or self.served.by_number(text, disabled=True)
        if found is None:
            raise NotUnderstood(f"no channel has the id or number {text!r}; see `channels ls`")
        return found


def stored_lineup(data_dir: Path | None) -> StoredLineup:
    """Read it; beside a running bridge too, whose lineup it is.

    Raises:
        StoreUnusable: it cannot be read.
        NotUnderstood: no lineup was ever stored there.
    """
    directory = data_directory(data_dir)
    path = directory / LINEUP_FILE
    listed = LineupStore(path).load()
    if not listed.everything:
        raise NotUnderstood(f"no channels are stored in {directory}: start the bridge once")
    edits = asyncio.run(EditStore(path).load())
    return StoredLineup(directory, listed, edits, apply(listed, edits))


def request(
    stored: StoredLineup, document: dict[str, Any], *, how: str, port: int | None
) -> dict[str, Any]:
    """Have a request of `POST /api/channels/bulk` carried out, and its answer.

    Raises:
        NotUnderstood: it cannot be read.
        typer.Exit: a number is another channel's; that was said.
        Unreachable, StoreUnusable: it was not carried out.
    """
    asked = _read(document)

    def wish(_: EditsInForce) -> Wish:
        return lambda *now: patches(asked, *now)

    return _carried_out(
        lambda: _without_bridge(stored, wish, preview=asked.preview, how=how),
        lambda: _through_bridge(stored, "POST", "/api/channels/bulk", document, port),
    )


def take_back(stored: StoredLineup, *, apply: bool, port: int | None) -> dict[str, Any]:
    """Have the last change taken back, or only say what that would come to; the answer.

    Raises:
        typer.Exit: there is none, or a number is another channel's; that was said.
        Unreachable, StoreUnusable: it was not carried out.
    """

    def through_bridge() -> dict[str, Any]:
        told = _through_bridge(stored, "GET", UNDO_PATH, None, port)
        if told["last"] is None:
            raise NothingToTakeBack
        if not apply:
            return told
        change = {"change": told["last"]["change"]}
        return _through_bridge(stored, "POST", UNDO_PATH, change, port)

    return _carried_out(
        lambda: _without_bridge(
            stored, lambda edits: edits.taking_back(), preview=not apply, how=UNDO
        ),
        through_bridge,
    )


def _carried_out(
    without_bridge: Callable[[], Coroutine[Any, Any, dict[str, Any]]],
    through_bridge: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """By whoever has the data directory."""
    try:
        try:
            return asyncio.run(without_bridge())
        except LogLocked:
            return through_bridge()
    except (NumberTaken, UnknownChannel) as refused:
        note(f"plexbridge: {refused}")
        raise typer.Exit(FOUND) from refused
    except NothingToTakeBack as nothing:
        note("plexbridge: nothing was changed yet")
        raise typer.Exit(FOUND) from nothing


def _read(document: dict[str, Any]) -> Bulk:
    try:
        return bulk_of(document)
    except EditInvalid as error:
        raise NotUnderstood(str(error)) from error


async def _without_bridge(
    stored: StoredLineup, wish: Callable[[EditsInForce], Wish], *, preview: bool, how: str
) -> dict[str, Any]:
    log = SqliteLog(stored.directory / LOG_FILE)
    try:
        edits = EditsInForce(EditStore(stored.directory / LINEUP_FILE), note=noting(log))
        await edits.load()
        await edits.serve(stored.listed)
        try:
            if preview:
                plan = await edits.look(wish(edits))
            else:
                plan = await edits.change(wish(edits), by="command", how=how)
        except EditInvalid as error:
            raise NotUnderstood(str(error)) from error
        return document_of(plan, Counter[ChannelId]().__getitem__, preview=preview)
    finally:
        await log.close()


def _through_bridge(
    stored: StoredLineup, method: str, path: str, document: object, port: int | None
) -> dict[str, Any]:
    settings = settings_for(stored.directory, port=port)
    answer = ask(settings, method, path, document, timeout_s=BULK_TIMEOUT_S)
    told = answer.document()
    if answer.status == HTTPStatus.OK:
        return told
    why = str(told.get("detail") or HTTPStatus(answer.status).phrase)
    if answer.status == HTTPStatus.BAD_REQUEST:
        raise NotUnderstood(why)
    if answer.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
        note(f"plexbridge: {why}")
        raise typer.Exit(FOUND)
    raise Unreachable(f"the bridge answers {answer.status}: {why}")


def tell(answer: dict[str, Any]) -> None:
    """What was changed, or would be, for a person."""
    changes, shown = answer["changes"], answer["channels"]
    if not changes:
        line("nothing changes")
    else:
        verb = "would change" if answer["preview"] else "changed"
        line(f"{changes:,} channel{'s' if changes != 1 else ''} {verb}")
        table(("NUMBER", "NAME", "WHAT"), [_row(one) for one in shown])
        if changes > len(shown):
            line(f"… and {changes - len(shown):,} more")
    for sentence in answer["consequences"]:
        line(sentence)
    if answer["hint"]:
        note(answer["hint"])
    if changes and answer["preview"]:
        note("nothing was changed yet; --apply does it")


def _row(changed: dict[str, Any]) -> tuple[str, str, str]:
    before, after = changed["before"], changed["after"]
    told = [
        f"{name}: {_value(before[name])} → {_value(after[name])}" if name in after else name
        for name in changed["fields"]
    ]
    return changed["guide_number"], changed["name"], ", ".join(told)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(value) or "none"

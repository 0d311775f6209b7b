"""`sources ls|test|refresh`: the provider accounts, how they stand, and reading them.

`ls` reads the data directory, at any moment of its log. `test` asks the providers and changes
nothing; `refresh` has the running bridge read one. No login is ever shown.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, tzinfo
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import typer

from events.ids import SourceId
from plexbridge.clock import SteadyClock
from plexbridge.commands.configured import configured_sources
from plexbridge.commands.exits import FINE, FOUND, NotUnderstood, Unreachable
from plexbridge.commands.folded import dashboard_at
from plexbridge.commands.moments import parse_moment, shown
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, Port, Utc, data_directory, settings_for
from plexbridge.commands.output import json_line, line, note, table
from plexbridge.commands.positions import position_of
from plexbridge.commands.running import ask
from plexbridge.lineup.errors import LineupError
from plexbridge.lineup.fetch import PlaylistFetcher
from plexbridge.lineup.refreshing import ACCOUNT_BYTES_MAX, ACCOUNT_TIMEOUT_S, SourceReader
from plexbridge.lineup.source import Source
from plexbridge.lineup.source_files import Facts, SourceFiles
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.settings import Settings, SettingsInvalid
from plexbridge.web.past_states import Moment, sources_then
from plexbridge.web.source_states import source_line

app = typer.Typer(help="Provider accounts, and how they stand.", no_args_is_help=True)

MICROS: Final = 1_000_000
REFRESH_S: Final = 600.0
"""A panel writes a list of 200,000 channels in minutes."""

Which = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="Of these; else of all.")]


@app.command()
def ls(
    at: Annotated[str, typer.Option("--at", metavar="WHEN", help="As it was then.")] = "now",
    data_dir: DataDir = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Each source: what it lists, what holds it, and what was wrong; works with or without a
    running bridge. Example:

    plexbridge sources ls --at 03:12
    """
    zone = UTC if utc else None
    now = SteadyClock().now()
    moment = parse_moment(at, now, zone)
    with opened_log(data_dir) as reader:
        dashboard = dashboard_at(reader, position_of(reader, moment))
        then = Moment(dashboard, (moment.at or dashboard["at"] * 1_000) // 1_000)
        documents = reader.query(lambda connection: sources_then(connection, then))
    if moment.at == now:
        documents = _with_configured(documents, _configured(data_dir))
    for one in documents:
        one["verdict"] = source_line(one, then.when).document()
    if as_json:
        for one in documents:
            json_line(one)
        return
    if not documents:
        line("no source is known here")
        return
    columns = ("ID", "KIND", "PLACE", "CHANNELS", "CONNECTIONS", "REFRESHED", "STATE")
    table(columns, [_row(one, zone) for one in documents])


@app.command("test")
def try_command(which: Which = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Read what each source lists now, and change nothing. Exit code 1 when one cannot be read."""
    directory = data_directory(data_dir)
    settings = settings_for(directory)
    sources = _meant(configured_sources(directory), which or [])
    told = asyncio.run(_tested(settings, sources))
    for one in told:
        if as_json:
            json_line(one)
        else:
            mark = "✓" if one["problem"] is None else "✗"
            line(f"{mark} {one['id']}  {one['place']}: {one['words']}")
    failed = any(one["problem"] is not None for one in told)
    raise typer.Exit(FOUND if failed else FINE)


@app.command()
def refresh(
    source: Annotated[str, typer.Argument(metavar="ID", help="As `sources ls` names it.")],
    accept_fewer: Annotated[
        bool, typer.Option("--accept-fewer", help="Also where most of its channels are gone.")
    ] = False,
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Have the running bridge read a source now. Who watches goes on watching."""
    settings = settings_for(data_dir, port=port)
    if not source.replace("-", "").replace(".", "").replace("_", "").isalnum():
        raise NotUnderstood(f"{source!r} is no source's id; `sources ls` lists them")
    path = f"/api/sources/{source}/refresh{'?accept=fewer' if accept_fewer else ''}"
    answer = ask(settings, "POST", path, timeout_s=REFRESH_S)
    told = answer.document()
    if as_json and told:
        json_line(told)
    if answer.status == HTTPStatus.OK:
        if not as_json:
            line(f"{told['id']} lists {told['entries']:,} channels")
        return
    why = str(told.get("detail") or HTTPStatus(answer.status).phrase)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NotUnderstood(f"{why}; `sources ls` lists them")
    if answer.status == HTTPStatus.BAD_GATEWAY:
        note(f"plexbridge: nothing was changed: {why}")
        raise typer.Exit(FOUND)
    raise Unreachable(f"the bridge answers {answer.status}: {why}")


async def _tested(settings: Settings, sources: list[Source]) -> list[dict[str, Any]]:
    outbound = Outbound(OutboundPolicy(allow=settings.upstream_allow))
    clock = SteadyClock()
    try:
        with TemporaryDirectory(prefix="plexbridge-") as made:
            files = SourceFiles(Path(made))
            files.prepare([one.id for one in sources])
            accounts = PlaylistFetcher(
                outbound, total_timeout_s=ACCOUNT_TIMEOUT_S, bytes_max=ACCOUNT_BYTES_MAX
            )
            reader = SourceReader(
                lists=PlaylistFetcher(outbound),
                accounts=accounts,
                files=files,
                now_s=lambda: clock.now() // MICROS,
            )
            return [await _one_tested(reader, one) for one in sources]
    finally:
        await outbound.close()


async def _one_tested(reader: SourceReader, source: Source) -> dict[str, Any]:
    about: dict[str, Any] = {"id": source.id, "kind": source.kind, "place": source.place}
    try:
        facts = (await reader.read(source, None, accept_fewer=True)).facts
    except LineupError as error:
        return {**about, "entries": None, "problem": str(error), "words": str(error)}
    return {**about, "entries": facts.entries, "problem": None, "words": _words(facts)}


def _words(facts: Facts) -> str:
    told = [f"{facts.entries:,} channels"]
    if facts.odd_lines:
        told.append(f"{facts.odd_lines:,} lines were not understood")
    account = facts.account
    if account is not None:
        told.append(f"the account is {account.status or 'of unknown state'}")
        if account.max_connections:
            told.append(f"{account.max_connections} connections at once")
        if account.expires_at is not None:
            told.append(f"ends {shown(account.expires_at * MICROS, UTC)[:10]}")
    return ", ".join(told)


def _meant(sources: list[Source], which: list[str]) -> list[Source]:
    by_id = {one.id: one for one in sources}
    for text in which:
        if text not in by_id:
            raise NotUnderstood(f"the settings have no source {text!r}; `sources ls` lists them")
    if not sources:
        raise NotUnderstood(
            "no source is set, or no bridge ever ran here: set PLEXBRIDGE_PLAYLIST, start it once"
        )
    return [by_id[SourceId(text)] for text in which] or sources


def _configured(data_dir: Path | None) -> list[Source]:
    """Those that the settings name; what is recorded can be read whatever they say."""
    directory = data_directory(data_dir)
    if directory.is_file():
        return []
    with suppress(SettingsInvalid):
        return configured_sources(directory)
    return []


def _with_configured(
    documents: list[dict[str, Any]], configured: list[Source]
) -> list[dict[str, Any]]:
    """In the order of the settings, also those never read; what they name no more comes last."""
    recorded = {one["id"]: one for one in documents}
    found = []
    for source in configured:
        document = recorded.pop(source.id, None) or _unread(source)
        found.append({**document, "kind": source.kind, "place": source.place})
    return [*found, *recorded.values()]


def _unread(source: Source) -> dict[str, Any]:
    nothing = ("entries", "odd_lines", "refreshed_at", "next_refresh_ms", "problem", "status")
    about = {"id": source.id, "kind": source.kind, "place": source.place}
    limits = {"connections": 0, "allowed": source.max_connections, "expires_at": None}
    return {**about, **dict.fromkeys(nothing), **limits}


def _row(one: dict[str, Any], zone: tzinfo | None) -> tuple[object, ...]:
    verdict, at = one["verdict"], one["refreshed_at"]
    of = f" of {one['allowed']}" if one["allowed"] else ""
    return (
        one["id"],
        one["kind"],
        one["place"],
        one["entries"],
        f"{one['connections']}{of}",
        "never" if at is None else shown(at * 1_000, zone)[:16],
        f"{verdict['shape']} {verdict['words']}",
    )

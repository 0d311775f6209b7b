"""`guide ls|show|mapping|find|refresh`: what is on, and which guide channel each channel has.

Reading looks into the data directory, beside a running bridge or without one. A channel is mapped
with `channels set CHANNEL --tvg-id ID`.
"""

import re
from collections.abc import Callable
from datetime import UTC, tzinfo
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from plexbridge.clock import SteadyClock
from plexbridge.commands.edited_lineup import StoredLineup, stored_lineup
from plexbridge.commands.exits import FOUND, NotUnderstood, Unreachable
from plexbridge.commands.moments import parse_moment, shown
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, Port, Utc, data_directory, settings_for
from plexbridge.commands.output import json_line, line, note, table
from plexbridge.commands.running import ask
from plexbridge.commands.stored_guide import stored_guide, unreadable
from plexbridge.lineup.edits import AS_LISTED
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.listing import (
    GUESSED,
    UNMAPPED,
    Asked,
    Listed,
    listing,
    schedule,
    without_guide,
)
from plexbridge.lineup.guide.mapping import candidates
from plexbridge.lineup.guide.store import Guide
from plexbridge.web.guide_documents import (
    brief_document,
    candidate_document,
    details_document,
    mapping_document,
    mapping_words,
)

app = typer.Typer(help="What is on, and where each channel has it from.", no_args_is_help=True)

MICROS: Final = 1_000_000
DAY_S: Final = 86_400
TIME_OF_DAY: Final = re.compile(r"\d{1,2}:\d\d(:\d\d)?")
"""Of the log it is the last one that was (`parse_moment`)."""

CHANNELS_MAX: Final = 250_000
"""As many as guides are read for."""

At = Annotated[
    str,
    typer.Option(
        "--at",
        metavar="WHEN",
        help="Another moment: 20:15 (the coming one), '2h ago', an ISO time.",
    ),
]
Words = Annotated[
    str, typer.Option("--find", "-q", help="Words that number, name and group together hold.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]

Found = TypeVar("Found")


@app.command()
def ls(
    find_words: Words = "",
    at: At = "now",
    limit: Limit = 1_000,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """What is on now and next, channel by channel. Example:

    plexbridge guide ls --at 20:15 --find news
    """
    zone = UTC if utc else None
    when = _seconds(at, zone, data_dir)
    asked = Asked(begin=when, until=when + 1, limit=limit, query=find_words)
    stored, guide = _opened(data_dir)
    found = _read(stored, lambda: listing(guide, stored.served, stored.edits, asked))
    if as_json:
        for one in found.channels:
            json_line(_now_next(stored, one))
        return
    rows = [_row(one, zone) for one in found.channels]
    table(("NUMBER", "NAME", "NOW", "UNTIL", "NEXT", "GUIDE"), rows)
    _tell_more(found.matches, len(rows))


@app.command()
def show(
    channel: Annotated[str, typer.Argument(help="An id or a guide number.")],
    at: At = "now",
    hours: Annotated[int, typer.Option("--hours", min=1, max=336, help="So far on.")] = 12,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """What one channel shows from a moment on, the first with its description. Example:

    plexbridge guide show 101 --at 20:15
    """
    zone = UTC if utc else None
    when = _seconds(at, zone, data_dir)
    stored, guide = _opened(data_dir)
    meant = stored.meant(channel)
    until = when + hours * 3_600
    told = _read(stored, lambda: schedule(guide, meant, when, until))
    if as_json:
        for one in told:
            json_line(details_document(one))
        return
    line(f"{meant.guide_number} {meant.guide_name}")
    if not told:
        line("the guide says nothing of then")
        raise typer.Exit(FOUND)
    rows = [
        (_clock(one.start, zone), one.title, one.sub_title, one.episode)
        for one in (each.brief for each in told)
    ]
    table(("FROM", "TITLE", "EPISODE", "NUMBER"), rows)
    if told[0].description:
        line(f"{told[0].brief.title}: {told[0].description}")


@app.command("mapping")
def mapping_command(
    find_words: Words = "",
    unmapped: Annotated[bool, typer.Option("--unmapped", help="Only those without.")] = False,
    guessed: Annotated[bool, typer.Option("--guessed", help="Only guesses.")] = False,
    limit: Limit = CHANNELS_MAX,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Which guide channel each channel has, and how it was found. Change one with `channels set`:

    plexbridge channels set 101 --tvg-id bbc1.uk
    """
    if unmapped and guessed:
        raise NotUnderstood("one of --unmapped and --guessed, or none")
    show_only = UNMAPPED if unmapped else GUESSED if guessed else ""
    stored, guide = _opened(data_dir)
    asked = Asked(begin=0, until=1, limit=limit, query=find_words, show=show_only)
    found = _read(stored, lambda: listing(guide, stored.served, stored.edits, asked))
    rows = []
    for one in found.channels:
        channel, mapped = one.channel, one.mapped
        edit = stored.edits.get(channel.id, AS_LISTED)
        if as_json:
            about = {"id": channel.id, "guide_number": channel.guide_number}
            document = mapping_document(channel, mapped, edit)
            json_line({**about, "name": channel.guide_name, **document})
            continue
        guide_id = "" if mapped is None else mapped.guide_id
        name = "" if mapped is None else mapped.name
        words = mapping_words(mapped, edit)
        rows.append((channel.guide_number, channel.guide_name, guide_id, name, words))
    if as_json:
        return
    table(("NUMBER", "NAME", "GUIDE ID", "GUIDE NAME", "HOW"), rows)
    _tell_more(found.matches, len(rows))
    if without := without_guide(guide, stored.served):
        note(f"{without:,} of {len(stored.served):,} channels have no guide")


@app.command("find")
def find_command(
    channel: Annotated[str, typer.Argument(help="An id or a guide number.")],
    words: Annotated[str, typer.Argument(help="Words of the guide channel's name or id.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Guide channels that a channel could have, those with the most similar name first."""
    stored, guide = _opened(data_dir)
    name = stored.meant(channel).guide_name
    found = _read(stored, lambda: candidates(guide, name, words))
    if as_json:
        for one in found:
            json_line(candidate_document(one))
        return
    rows = [(f"{one.confidence} of 100", one.guide_id, one.name, one.guide + 1) for one in found]
    table(("ALIKE", "GUIDE ID", "GUIDE NAME", "IN GUIDE"), rows)


@app.command()
def refresh(data_dir: DataDir = None, port: Port = None, as_json: AsJson = False) -> None:
    """Have the running bridge read every guide soon."""
    answer = ask(settings_for(data_dir, port=port), "POST", "/api/guides/refresh")
    told = answer.document()
    if answer.status != HTTPStatus.ACCEPTED:
        raise Unreachable(f"the bridge answers {answer.status}: {told.get('detail', '')}")
    if as_json:
        json_line(told)
    else:
        line(f"{told['asked']} will be read now, one after the other")


def _opened(data_dir: Path | None) -> tuple[StoredLineup, Guide]:
    return stored_lineup(data_dir), stored_guide(data_directory(data_dir))


def _read(stored: StoredLineup, read: Callable[[], Found]) -> Found:
    try:
        return read()
    except GuideFault as fault:
        raise unreadable(stored.directory, fault) from fault


def _seconds(at: str, zone: tzinfo | None, data_dir: Path | None) -> int:
    """A moment in seconds since 1970; a position is the time of its event. A time of day is the
    coming one: of a guide, nobody asks what was on yesterday."""
    moment = parse_moment(at, SteadyClock().now(), zone)
    if moment.at is not None:
        coming = DAY_S if TIME_OF_DAY.fullmatch(at.strip()) else 0
        return moment.at // MICROS + coming
    assert moment.position is not None, "a moment is a position or a time"
    with opened_log(data_dir) as reader:
        events = reader.read(moment.position - 1, 1)
    if not events or events[0].pos != moment.position:
        raise NotUnderstood(f"the log does not hold #{moment.position}")
    return events[0].at // MICROS


def _row(one: Listed, zone: tzinfo | None) -> tuple[object, ...]:
    channel, mapped = one.channel, one.mapped
    on = next(iter(one.programmes), None)
    following = one.following
    return (
        channel.guide_number,
        channel.guide_name,
        "" if on is None else on.title,
        "" if on is None else _clock(on.stop, zone)[11:],
        "" if following is None else f"{_clock(following.start, zone)[11:]} {following.title}",
        "" if mapped is None else mapped.guide_id,
    )


def _now_next(stored: StoredLineup, one: Listed) -> dict[str, Any]:
    channel = one.channel
    return {
        "id": channel.id,
        "guide_number": channel.guide_number,
        "name": channel.guide_name,
        "now": next(map(brief_document, one.programmes), None),
        "next": None if one.following is None else brief_document(one.following),
        "mapping": mapping_document(channel, one.mapped, stored.edits.get(channel.id, AS_LISTED)),
    }


def _clock(seconds: int, zone: tzinfo | None) -> str:
    """A day and a time, to the minute."""
    return shown(seconds * MICROS, zone)[:16]


def _tell_more(matches: int, told: int) -> None:
    if not matches:
        line("no channel is like that")
    elif matches > told:
        line(f"… and {matches - told:,} more")

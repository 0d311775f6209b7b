"""`at WHEN`: what was going on at a moment, and what changed until another one."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Annotated, Any

import typer

from events.ids import Position
from plexbridge.audit.difference import difference
from plexbridge.audit.reading import recorded
from plexbridge.clock import SteadyClock
from plexbridge.commands.changes import tell_difference
from plexbridge.commands.folded import dashboard_at
from plexbridge.commands.moments import parse_moment, shown_with_zone, size, span
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, Utc
from plexbridge.commands.output import json_line, line, pick, session_id, table
from plexbridge.commands.positions import position_of
from plexbridge.log.reader import SqliteReader

When = Annotated[
    str, typer.Argument(metavar="WHEN", help="03:12, 03:12:07, '2h ago', an ISO time, or #88412.")
]


Other = Annotated[
    str | None, typer.Option("--diff", metavar="WHEN", help="What changed between the two moments.")
]


def at_command(
    when: When,
    diff: Other = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Tuners, sessions and sources at a moment, or what changed between two.

    A moment inside a decision stands for the end of it. Examples:

    plexbridge at 03:12

    plexbridge at '2h ago' --diff now

    plexbridge at 2026-11-04T03:12 --json
    """
    zone = UTC if utc else None
    now = SteadyClock().now()
    moment = parse_moment(when, now, zone)
    other = None if diff is None else parse_moment(diff, now, zone)
    with opened_log(data_dir) as reader:
        position = position_of(reader, moment)
        document = dashboard_at(reader, position)
        if other is not None:
            _difference(reader, document, position_of(reader, other), as_json, zone)
            return
    if as_json:
        json_line(document)
        return
    _tell(document, moment.at, zone)


def _difference(
    reader: SqliteReader,
    document: Mapping[str, Any],
    other: Position,
    as_json: bool,
    zone: tzinfo | None,
) -> None:
    """From the earlier of two moments to the later, in whichever order they were given."""
    before, after = sorted(
        (document, dashboard_at(reader, other)), key=lambda one: int(one["position"])
    )
    between = recorded(reader, after=before["position"], until=after["position"])
    changed = difference(before, after, between)
    if as_json:
        json_line(changed)
    else:
        tell_difference(changed, zone)


def _tell(document: Mapping[str, Any], asked_at: int | None, zone: tzinfo | None) -> None:
    at = document["at"] if asked_at is None else asked_at // 1_000
    sessions, tuners = document["sessions"], document["tuners"]
    in_use = sum(tuner["state"] != "free" for tuner in tuners)
    line(
        f"{shown_with_zone(at * 1_000, zone)}  #{document['position']}  {len(sessions)} sessions, "
        f"{in_use}/{len(tuners)} tuners"
    )
    if sessions:
        line("")
        table(
            ("TUNER", "SESSION", "CHANNEL", "STATE", "FOR", "CLIENT", "BYTES", "WHY"),
            [_session(session, at) for session in sessions],
        )
    lingering = [tuner for tuner in tuners if tuner["state"] not in ("free", "active")]
    if lingering:
        line("")
        table(("TUNER", "STATE", "CHANNEL"), [_tuner(tuner) for tuner in lingering])
    ended = document["just_ended"]
    if ended:
        line("")
        table(
            ("JUST ENDED", "CHANNEL", "AGO", "WHY"), [_just_ended(session, at) for session in ended]
        )


def _channel(document: Mapping[str, Any]) -> str:
    number, name = pick(document, "channel", "guide_number"), pick(document, "channel", "name")
    return f"{number or ''} {name or ''}".strip()


def _session(session: Mapping[str, Any], at: int) -> tuple[object, ...]:
    why = " · ".join(str(session[x]) for x in ("reason", "detail") if session.get(x))
    return (
        session["tuner"],
        session_id(session["id"]),
        _channel(session),
        session["state"],
        span(max(0, at - session["since"]) * 1_000),
        f"{pick(session, 'client', 'name') or ''} {pick(session, 'client', 'address')}".strip(),
        size(session["bytes"]),
        why,
    )


def _tuner(tuner: Mapping[str, Any]) -> tuple[object, ...]:
    return tuner.get("tuner"), tuner["state"], _channel(tuner)


def _just_ended(session: Mapping[str, Any], at: int) -> tuple[object, ...]:
    why = " · ".join(str(session[x]) for x in ("reason", "detail") if session.get(x))
    return (
        session_id(session["id"]),
        _channel(session),
        span(max(0, at - session["ended_at"]) * 1_000),
        why,
    )

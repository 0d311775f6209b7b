"""`at WHEN`: what was going on at a moment, as folded from the log."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Annotated, Any

import typer

from events.ids import Position
from plexbridge.clock import SteadyClock
from plexbridge.commands.exits import NotUnderstood
from plexbridge.commands.folded import dashboard_at
from plexbridge.commands.moments import Moment, parse_moment, shown_with_zone, size, span
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, Utc
from plexbridge.commands.output import json_line, line, pick, session_id, table
from plexbridge.log.reader import SqliteReader

When = Annotated[
    str, typer.Argument(metavar="WHEN", help="03:12, 03:12:07, '2h ago', an ISO time, or #88412.")
]


def at_command(
    when: When, data_dir: DataDir = None, as_json: AsJson = False, utc: Utc = False
) -> None:
    """Tuners, sessions and sources at a moment."""
    zone = UTC if utc else None
    now = SteadyClock().now()
    moment = parse_moment(when, now, zone)
    with opened_log(data_dir) as reader:
        position = _position(reader, moment)
        document = dashboard_at(reader, position)
    if as_json:
        json_line(document)
        return
    _tell(document, moment.at, zone)


def _position(reader: SqliteReader, moment: Moment) -> Position:
    """The last position at that moment.

    Raises:
        NotUnderstood: the log does not reach there.
    """
    first, head = reader.first(), reader.head().pos
    if moment.position is not None:
        if not first - 1 <= moment.position <= head:
            raise NotUnderstood(f"the log holds #{first} to #{head}, not #{moment.position}")
        return moment.position
    assert moment.at is not None, "a moment is a position or a time"
    position = reader.position_at(moment.at)
    if position == 0 and first > 1:
        raise NotUnderstood(f"events before #{first} were pruned")
    return position


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

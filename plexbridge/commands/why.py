"""`why tuner|refused|session`: one sentence, walked back along causes to its root."""

from datetime import UTC, tzinfo
from typing import Annotated, Final

import typer

from events.envelope import Recorded
from events.ids import TunerNumber
from plexbridge.audit.why import Answer, refusal, tuner
from plexbridge.clock import SteadyClock
from plexbridge.commands.exits import FINE, FOUND, NotUnderstood
from plexbridge.commands.moments import parse_moment, shown
from plexbridge.commands.opened import AMBIGUOUS_SHOWN_MAX, opened_log
from plexbridge.commands.options import AsJson, DataDir, Utc
from plexbridge.commands.output import json_line, line, table
from plexbridge.commands.positions import decided_at, position_of
from plexbridge.commands.sessions import Meant, show
from plexbridge.log import rows as log_rows
from plexbridge.log.driver import Connection
from plexbridge.log.reader import SqliteReader
from plexbridge.log.rows import COLUMNS

app = typer.Typer(help="Why it is so: one sentence and its evidence.", no_args_is_help=True)

BUSY: Final = "busy"
FREE: Final = "free"

_REFUSALS: Final = f"""SELECT {COLUMNS} FROM events WHERE type = 'refused'
                       AND upper(json_extract(CAST(data AS TEXT), '$.id')) LIKE ?1 LIMIT ?2"""

Number = Annotated[int, typer.Argument(metavar="N", min=0, help="The tuner, counted from 0.")]
State = Annotated[str, typer.Argument(metavar="busy|free", help="What it was.")]
At = Annotated[str, typer.Option("--at", metavar="WHEN", help="03:12, `2h ago`, #88412; or now.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The refusal's id, or a part of it.")]


@app.command("tuner")
def tuner_command(
    number: Number,
    state: State,
    when: At = "now",
    data_dir: DataDir = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Why a tuner was busy, or free. Exit code 1 when it was not.

    Examples:

    plexbridge why tuner 2 busy --at 03:12

    plexbridge why tuner 0 free
    """
    if state not in (BUSY, FREE):
        raise NotUnderstood(f"a tuner is {BUSY} or {FREE}, not {state!r}")
    zone = UTC if utc else None
    moment = parse_moment(when, SteadyClock().now(), zone)
    with opened_log(data_dir) as reader:
        position = position_of(reader, moment)
        answer = tuner(
            TunerNumber(number),
            state == BUSY,
            position,
            decided_at(reader, position),
            reader,
            lambda id_: _find(reader, id_),
        )
    _tell(answer, as_json, zone)


@app.command("refused")
def refused_command(
    refusal_id: Id, data_dir: DataDir = None, as_json: AsJson = False, utc: Utc = False
) -> None:
    """Why a player was refused, and who held what it asked for.

    The id is that of the refused event: `plexbridge events tail --type refused --json`.
    Example:

    plexbridge why refused 01JBXW3V9E
    """
    with opened_log(data_dir) as reader:
        row = _refusal_meant(reader, refusal_id)
        world = decided_at(reader, row.pos - 1)
        answer = refusal(row, world, reader, lambda id_: _find(reader, id_))
    _tell(answer, as_json, UTC if utc else None)


@app.command("session")
def session_command(
    session: Meant, data_dir: DataDir = None, as_json: AsJson = False, utc: Utc = False
) -> None:
    """Why a session ended, or goes on: what `sessions show` says."""
    show(session, data_dir, as_json, utc)


def _find(reader: SqliteReader, id_: bytes) -> Recorded | None:
    found = reader.query(lambda connection: log_rows.find(connection, (id_,)))
    return found[0] if found else None


def _refusal_meant(reader: SqliteReader, text: str) -> Recorded:
    """The refusal whose id begins or ends so.

    Raises:
        NotUnderstood: there is none, or more than one.
    """
    asked = text.strip().upper()
    if not asked.isalnum() or not asked.isascii():
        raise NotUnderstood(f"{text!r} is no id of a refusal: letters and digits only")

    def like(pattern: str) -> list[Recorded]:
        def ask(connection: Connection) -> list[Recorded]:
            rows = connection.execute(_REFUSALS, (pattern, AMBIGUOUS_SHOWN_MAX))
            return list(map(Recorded._make, rows))

        return reader.query(ask)

    found = like(f"{asked}%") or like(f"%{asked}")
    if not found:
        raise NotUnderstood(f"no refusal {text}; `plexbridge events tail --type refused` has them")
    if len(found) > 1:
        several = ", ".join(str(row.payload["id"]) for row in found)
        raise NotUnderstood(f"{text} fits more than one refusal: {several}")
    return found[0]


def _tell(answer: Answer, as_json: bool, zone: tzinfo | None) -> None:
    if as_json:
        json_line(answer.as_json())
    else:
        line(answer.sentence)
        if answer.evidence:
            line("")
            table(
                ("EVIDENCE", "TIME", "WHAT"),
                [(f"#{link.pos}", shown(link.at, zone), link.text) for link in answer.evidence],
            )
    raise typer.Exit(FINE if answer.holds else FOUND)

"""`sessions ls|show|stop|watch`: who watches, who watched, and why it ended."""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from events.envelope import Recorded
from events.ids import session_stream
from events.machine import ENDED
from events.reasons import INTENTIONAL
from plexbridge.audit.event_json import event_json
from plexbridge.audit.story import StoryStep, causes, figures, let_go, story
from plexbridge.clock import SteadyClock
from plexbridge.commands.exits import FOUND, NotUnderstood, Unreachable
from plexbridge.commands.folded import session_document, session_documents, why
from plexbridge.commands.moments import clock, shown, shown_with_zone, size, span
from plexbridge.commands.opened import opened_log, session_meant
from plexbridge.commands.options import AsJson, DataDir, Port, Utc, settings_for
from plexbridge.commands.output import json_line, line, note, pick, session_id, table
from plexbridge.commands.running import ask
from plexbridge.commands.watching import watch_command
from plexbridge.log import rows as log_rows
from plexbridge.log.reader import SqliteReader

app = typer.Typer(help="Viewing sessions.", no_args_is_help=True)
app.command("watch")(watch_command)

SESSION_EVENTS_MAX: Final = 100_000
"""More events than any session has: one a second for a day."""

AFTER_END_EVENTS_MAX: Final = 2_000
"""Events behind an end in which its clean-up is looked for: minutes of a busy bridge."""

Meant = Annotated[str, typer.Argument(metavar="SESSION", help="An id, or a part at either end.")]
State = Annotated[str | None, typer.Option("--state", help="Only sessions in this state.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")]
Reason = Annotated[str, typer.Option("--reason", help="One of the eight intentional reasons.")]


@app.command()
def ls(
    data_dir: DataDir = None,
    state: State = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """Sessions, the newest last; works with or without a running bridge."""
    zone = UTC if utc else None
    with opened_log(data_dir) as reader:
        documents = session_documents(reader, state=state, limit=limit)
    if as_json:
        for document in documents:
            json_line(document)
        return
    if not documents:
        line("no sessions recorded" if state is None else f"no sessions {state}")
        return
    columns = ("SESSION", "STATE", "CHANNEL", "CLIENT", "STARTED", "FOR", "BYTES", "WHY")
    table(columns, [_row(document, zone) for document in documents])


def _row(document: dict[str, Any], zone: tzinfo | None) -> tuple[object, ...]:
    started, ended = document["started_at"], document["ended_at"]
    until = SteadyClock().now() // 1_000 if ended is None else ended
    return (
        session_id(document["id"]),
        document["state"],
        f"{document['channel']['guide_number']} {document['channel']['name']}",
        f"{document['client']['name']} {document['client']['address']}".strip(),
        shown(started * 1_000, zone)[:-4],
        span(max(0, until - started) * 1_000),
        size(document["bytes"]),
        " · ".join(document[x] for x in ("reason", "detail") if document[x]),
    )


@app.command()
def show(
    session: Meant, data_dir: DataDir = None, as_json: AsJson = False, utc: Utc = False
) -> None:
    """One session: why it ended, what led there, its steps and its figures."""
    zone = UTC if utc else None
    with opened_log(data_dir) as reader:
        meant = session_meant(reader, session)
        recorded = reader.read_stream(session_stream(meant), 0, SESSION_EVENTS_MAX)
        if not recorded:
            raise NotUnderstood(f"every event of session {meant} lies before where this log begins")
        walked = causes(recorded[-1], lambda id_: _event(reader, id_))
        following = reader.read(recorded[-1].pos, AFTER_END_EVENTS_MAX)
        shown_as = session_document(reader, meant)
    assert shown_as is not None, "a session with events has a document"
    document = shown_as | _more(shown_as, recorded, walked, following)
    if as_json:
        json_line(document)
        return
    _tell(document, recorded, walked, zone)


def _event(reader: SqliteReader, id_: bytes) -> Recorded | None:
    found = reader.query(lambda connection: log_rows.find(connection, (id_,)))
    return found[0] if found else None


def _more(
    shown_as: dict[str, Any],
    recorded: Sequence[Recorded],
    walked: Sequence[Recorded],
    following: Sequence[Recorded],
) -> dict[str, Any]:
    """What is said of a session beside its document of `/api/sessions/{id}`. In a part of a log
    its first events may be missing; the document is whole in any case."""
    last = recorded[-1]
    released = let_go(last, shown_as["channel"]["id"], following) if last.dst == ENDED else None
    numbers = figures(recorded)
    if recorded[0].ver > 1:
        numbers["duration_ms"] = last.at // 1_000 - shown_as["started_at"]
    return {
        "why": why(last, shown_as["client"]["name"]),
        "evidence": last.pos,
        "figures": numbers,
        "cleanup": released and released.as_json(),
        "steps": [step.as_json() for step in story(recorded)],
        "causes": [event_json(row) for row in walked],
    }


def _tell(
    document: dict[str, Any],
    recorded: Sequence[Recorded],
    walked: Sequence[Recorded],
    zone: tzinfo | None,
) -> None:
    channel, numbers = document["channel"], document["figures"]
    state = document["state"]
    when = f" {shown_with_zone(recorded[-1].at, zone)}" if state == ENDED else ""
    duration = span(numbers["duration_ms"] * 1_000)
    line(f"{channel['guide_number']} {channel['name']}  {state}{when} after {duration}")
    line(f"Session  {document['id']}")
    if recorded[0].ver > 1:
        line(f"Begun    before #{recorded[0].pos}: its first events are not in this log")
    line(f"Why      {document['why']}  (#{document['evidence']} {recorded[-1].type})")
    for row in walked:
        line(f"  after  {_cause(row)}")
    line(f"Figures  {_figures(numbers)}")
    if document["cleanup"] is not None:
        line(f"Cleanup  {_cleanup(document['cleanup'])}")
    table(
        ("TIME", "STATE", "FOR", "WHAT", "EVIDENCE"),
        [_step(step, zone) for step in story(recorded)],
    )


def _cause(row: Recorded) -> str:
    event = event_json(row)
    why = " ".join(str(event[name]) for name in ("reason", "detail") if event.get(name))
    return f"{row.type} {why}".strip() + f"  ({row.stream} #{row.pos})"


def _figures(numbers: dict[str, Any]) -> str:
    parts = [size(numbers["bytes"])]
    if numbers["mean_bitrate"]:
        parts.append(f"{numbers['mean_bitrate'] / 1e6:.1f} Mbit/s")
    if numbers["first_byte_ms"] is not None:
        parts.append(f"first byte after {numbers['first_byte_ms']} ms")
    if numbers["errors"]:
        parts.append(f"{numbers['errors']} errors")
    return ", ".join(parts)


def _cleanup(released: dict[str, Any]) -> str:
    tuner, upstream = released["tuner_returned_after_ms"], released["upstream_closed_after_ms"]
    if tuner is None:
        return "the relay goes on, or lingers: its tuner is anyone's who wants it"
    told = f"tuner returned after {span(tuner * 1_000)} ({released['why']})"
    return told if upstream is None else f"{told}, upstream closed after {span(upstream * 1_000)}"


def _step(step: StoryStep, zone: tzinfo | None) -> tuple[object, ...]:
    lasted = "" if step.lasted_us is None else span(step.lasted_us)
    return (clock(step.at, zone), step.state, lasted, step.text, f"#{step.pos} {step.trigger}")


@app.command()
def stop(
    session: Annotated[
        str | None, typer.Argument(metavar="SESSION", help="An id, or a part at either end.")
    ] = None,
    client: Annotated[
        str | None, typer.Option("--client", help="Every session of this address.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", help="Every session of this channel's id.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every session.")] = False,
    reason: Reason = "manual",
    data_dir: DataDir = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """End sessions on the running bridge: one, a client's, a channel's, or all. Exit code 3 when
    there is none running."""
    if reason not in INTENTIONAL:
        raise NotUnderstood(f"--reason is one of {', '.join(sorted(INTENTIONAL))}")
    if sum((session is not None, client is not None, channel is not None, everything)) != 1:
        raise NotUnderstood("name one SESSION, or --client, --channel or --all")
    settings = settings_for(data_dir, port=port)
    if session is not None:
        with opened_log(settings.data_dir) as reader:
            path = f"/api/sessions/{session_meant(reader, session)}?"
    else:
        asked = {"client": client, "channel": channel, "all": "true" if everything else None}
        path = f"/api/sessions?{urlencode({k: v for k, v in asked.items() if v is not None})}&"
    answer = ask(settings, "DELETE", f"{path}reason={reason}")
    document = answer.document()
    if answer.status == HTTPStatus.OK:
        if as_json:
            json_line(document)
            return
        ended = document["ended"]
        for one in ended if isinstance(ended, list) else [ended]:
            line(f"{pick(one, 'id')} ended: {reason}, {size(pick(one, 'bytes') or 0)}")
        if not ended:
            line("no session was open")
        return
    told = document.get("detail") or document.get("error") or HTTPStatus(answer.status).phrase
    if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
        note(f"plexbridge: {told}")
        raise typer.Exit(FOUND)
    raise Unreachable(f"the bridge answers {answer.status}: {told}")

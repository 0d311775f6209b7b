"""`sessions watch`: who watches right now, as the running bridge tells it.

Follows the bridge's feed: what is recorded says that the list is another one, and the gauges, once
a second, how fast bytes flow. The list itself is the dashboard's.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from http import HTTPStatus
from typing import Any, Final

import orjson
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from events.ids import UnixMicros
from plexbridge.clock import SteadyClock
from plexbridge.commands.exits import INTERRUPTED, Unreachable
from plexbridge.commands.moments import clock, size, span
from plexbridge.commands.options import AsJson, DataDir, Port, Utc, settings_for
from plexbridge.commands.output import json_line, line, pick, printable, session_id
from plexbridge.commands.running import ask, follow
from plexbridge.settings import Settings

SCHEMA: Final = "plexbridge.watch/1"

SILENT_S_MAX: Final = 15.0
"""Gauges come every second: a bridge that is silent for this long is gone, or hangs."""

COLUMNS: Final = ("SESSION", "STATE", "CHANNEL", "CLIENT", "TUNER", "FOR", "BYTES", "NOW", "WHY")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One message of the feed."""

    gauges: Document | None
    event: Document | None


def messages(lines: Iterable[bytes]) -> Iterator[Told]:
    """The feed's messages out of their lines (server-sent events); comments are left out."""
    kind, data = "", b""
    for text in lines:
        name, _, value = text.strip().partition(b":")
        if name == b"event":
            kind = value.strip().decode("utf-8", "replace")
        elif name == b"data":
            data = value.strip()
        elif not text.strip() and data:
            document = orjson.loads(data)
            is_gauges = kind == "gauges"
            yield Told(document if is_gauges else None, None if is_gauges else document)
            kind, data = "", b""


def watch_command(
    data_dir: DataDir = None, port: Port = None, as_json: AsJson = False, utc: Utc = False
) -> None:
    """Open sessions as they come, flow and go, until Ctrl-C. Exit code 3 when no bridge runs, or
    when it stops.

    At a terminal a list that is kept up to date; else a line for each session's event. With --json
    that line is a document: the event, and the session as it is by now. Examples:

    plexbridge sessions watch

    plexbridge sessions watch --json | jq -r '.session | [.state, .channel.name] | @tsv'
    """
    settings = settings_for(data_dir, port=port)
    zone = UTC if utc else None
    try:
        if as_json or not sys.stdout.isatty():
            _lines(settings, as_json, zone)
        else:
            _list(settings)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    raise Unreachable("the bridge has stopped")


def _asked(settings: Settings, path: str) -> Document:
    answer = ask(settings, "GET", path)
    if answer.status != HTTPStatus.OK:
        told = answer.document().get("detail") or HTTPStatus(answer.status).phrase
        raise Unreachable(f"the bridge answers {answer.status}: {told}")
    return answer.document()


def _followed(settings: Settings, position: int) -> Iterator[Told]:
    path = f"/api/live?after={position}"
    return messages(follow(settings, path, silent_s_max=SILENT_S_MAX))


# A line for each event ---------------------------------------------------------------------------


def _lines(settings: Settings, as_json: bool, zone: tzinfo | None) -> None:
    dashboard = _asked(settings, "/api/dashboard")
    tell: Callable[[Document | None, Document], None] = (
        _tell_json if as_json else lambda event, session: _tell_line(event, session, zone)
    )
    for session in dashboard["sessions"]:
        tell(None, session)
    sys.stdout.flush()
    for told in _followed(settings, dashboard["position"]):
        event = told.event
        if event is None or not event["stream"].startswith("session-"):
            continue
        id_ = event["stream"].removeprefix("session-")
        tell(event, _asked(settings, f"/api/sessions/{id_}"))
        sys.stdout.flush()


def _tell_json(event: Document | None, session: Document) -> None:
    json_line({"schema": SCHEMA, "event": event, "session": session})


def _tell_line(event: Document | None, session: Document, zone: tzinfo | None) -> None:
    at = session["since"] if event is None else event["at"]
    what = "watches" if event is None else event["type"]
    why = " · ".join(str(session[name]) for name in ("reason", "detail") if session[name])
    parts = (
        clock(at * 1_000, zone),
        session["id"],
        f"{what:<10}",
        f"{session['state']:<10}",
        _channel(session),
        _client(session),
        size(session["bytes"]),
        why,
    )
    line("  ".join(parts).rstrip())


# A list that is kept up to date ------------------------------------------------------------------


def _list(settings: Settings) -> None:
    console = Console()
    dashboard = _asked(settings, "/api/dashboard")
    with Live(console=console, auto_refresh=False) as shown:
        gauges = dashboard["gauges"]
        shown.update(drawn(dashboard, gauges, SteadyClock().now()), refresh=True)
        for told in _followed(settings, dashboard["position"]):
            if told.gauges is None:
                dashboard = _asked(settings, "/api/dashboard")
                gauges = dashboard["gauges"]
            else:
                gauges = told.gauges
            shown.update(drawn(dashboard, gauges, SteadyClock().now()), refresh=True)


def drawn(dashboard: Document, gauges: Document, now: UnixMicros) -> Table:
    """The list of a moment."""
    rows = rows_of(dashboard, gauges, now)
    free = sum(tuner["state"] == "free" for tuner in dashboard["tuners"])
    title = (
        f"{len(rows)} sessions, {free} of {len(dashboard['tuners'])} tuners free, "
        f"{gauges['bitrate_out'] / 1e6:.1f} Mbit/s"
    )
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left")
    for head in COLUMNS:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    return table


def rows_of(dashboard: Document, gauges: Document, now: UnixMicros) -> list[tuple[object, ...]]:
    """One for each open session, under `COLUMNS`."""
    of_each = gauges["sessions"]
    return [_row(one, of_each.get(one["id"], {}), now) for one in dashboard["sessions"]]


def _row(session: Document, gauge: Document, now: UnixMicros) -> tuple[object, ...]:
    return (
        session_id(session["id"]),
        session["state"],
        _channel(session),
        _client(session),
        session["tuner"],
        span(max(0, now - session["since"] * 1_000)),
        size(max(session["bytes"], gauge.get("bytes", 0))),
        f"{gauge.get('bitrate_now', 0) / 1e6:.1f} Mbit/s",
        session["reason"],
    )


def _channel(session: Document) -> str:
    number, name = pick(session, "channel", "guide_number"), pick(session, "channel", "name")
    return f"{number or ''} {name or ''}".strip()


def _client(session: Document) -> str:
    name, address = pick(session, "client", "name"), pick(session, "client", "address")
    return f"{name or ''} {address or ''}".strip()

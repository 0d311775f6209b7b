"""How a difference between two moments is told."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final

from plexbridge.commands.moments import clock, shown_with_zone, size, span
from plexbridge.commands.output import line, session_id, table

Document = Mapping[str, Any]

SHOWN_MAX: Final = 50
"""Sessions shown that began, and that ended; `--json` has all."""


def tell_difference(changed: Document, zone: tzinfo | None) -> None:
    """Tables of what changed; one line where nothing did."""
    start, end = changed["from"], changed["to"]
    line(
        f"{shown_with_zone(start['at'] * 1_000, zone)}  #{start['position']}  →  "
        f"{shown_with_zone(end['at'] * 1_000, zone)}  #{end['position']}  "
        f"({span(max(0, end['at'] - start['at']) * 1_000)})"
    )
    sessions = changed["sessions"]
    parts = (
        ("TUNER FROM TO", [_tuner(row) for row in changed["tuners"]]),
        ("BEGAN SESSION CHANNEL CLIENT TUNER EVIDENCE", _newest(sessions["begun"], _begun, zone)),
        ("ENDED SESSION WHY BYTES EVIDENCE", _newest(sessions["ended"], _ended, zone)),
        ("SESSION CHANNEL CHANGE", [_changed(row) for row in sessions["changed"]]),
        (
            "SOURCE CHANGE",
            [(row["id"], field_changes(row["fields"])) for row in changed["sources"]],
        ),
        ("TOTAL FROM TO", [_total(name, row) for name, row in changed["totals"].items()]),
    )
    for columns, rows in parts:
        if rows:
            line("")
            table(columns.split(), rows)
    for name in ("begun", "ended"):
        hidden = len(sessions[name]) - SHOWN_MAX
        if hidden > 0:
            line(f"… and {hidden} more that {'began' if name == 'begun' else name}, earlier")
    if not any(rows for _, rows in parts):
        line("nothing changed")


def _newest(rows: Any, told: Any, zone: tzinfo | None) -> list[tuple[object, ...]]:
    return [told(row, zone) for row in rows[-SHOWN_MAX:]]


def _channel(channel: Document | None) -> str:
    return "" if channel is None else f"{channel['guide_number']} {channel['name']}".strip()


def _tuner(row: Document) -> tuple[object, ...]:
    return row["tuner"], _state(row["from"]), _state(row["to"])


def tuner_change(row: Document) -> str:
    """A tuner that changed, in a line."""
    return f"tuner {row['tuner']} {_state(row['from'])} → {_state(row['to'])}"


def _state(tuner: Document | None) -> str:
    if tuner is None:
        return "none"
    return f"{tuner['state']} {_channel(tuner['channel'])}".strip()


def _begun(row: Document, zone: tzinfo | None) -> tuple[object, ...]:
    client = f"{row['client']['name']} {row['client']['address']}".strip()
    when, id_ = clock(row["at"] * 1_000, zone), session_id(row["id"])
    return when, id_, _channel(row["channel"]), client, row["tuner"], f"#{row['pos']}"


def _ended(row: Document, zone: tzinfo | None) -> tuple[object, ...]:
    why, when = f"{row['reason']} · {row['detail']}", clock(row["at"] * 1_000, zone)
    return when, session_id(row["id"]), why, size(row["bytes"]), f"#{row['pos']}"


def _changed(row: Document) -> tuple[object, ...]:
    return session_id(row["id"]), _channel(row["channel"]), field_changes(row["fields"])


def field_changes(fields: Document) -> str:
    """What of one thing changed, in a line."""
    return ", ".join(
        f"{name} {_value(name, one['from'])} → {_value(name, one['to'])}"
        for name, one in fields.items()
    )


def _total(name: str, row: Document) -> tuple[object, ...]:
    return name, _value(name, row["from"]), _value(name, row["to"])


def _value(name: str, value: object) -> str:
    if name.rpartition(".")[2] == "bytes" and isinstance(value, int):
        return size(value)
    if isinstance(value, Mapping):
        return " ".join(str(part) for key, part in value.items() if key != "at")
    return "–" if value is None else str(value)

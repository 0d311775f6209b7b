"""The account of one session, as a document: why it ended, its figures, its lanes and its events.

Pure over the evidence. What the page of a session shows is this, and nothing else.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from events.envelope import Recorded
from events.machine import ACTIVITY, ENDED, NEW
from plexbridge.audit.event_json import event_json
from plexbridge.audit.evidence import Evidence
from plexbridge.audit.lanes import lanes
from plexbridge.audit.story import LetGo, figures, let_go, story
from projections.words import explain

Document = dict[str, Any]

EVENTS_MAX: Final = 1_000
"""Events told one by one; runs of mere activity count as one. The download holds them all."""


def account(evidence: Evidence, *, now: int) -> Document:
    """Times in Unix milliseconds. `now` (µs): until when an open session's lanes are drawn."""
    rows = evidence.session
    first, last = rows[0], rows[-1]
    asked = first.payload
    ended = last.dst == ENDED
    until = max(last.at, now)
    if ended:
        until = max([last.at, *(row.at for row in evidence.following)])
    released = let_go(last, asked["channel"]["id"], evidence.following) if ended else LetGo()
    numbers = figures(rows)
    if not ended:
        numbers["duration_ms"] = (until - first.at) // 1_000
    cause = next((row for row in reversed(rows) if row.type != ACTIVITY), last)
    words = explain(
        cause.payload.get("reason", ""), cause.payload.get("detail", ""), asked["client"]["name"]
    )
    told = list(_told(evidence))
    return {
        "id": first.stream.removeprefix("session-"),
        "state": last.dst or NEW,
        "position": max(last.pos, *(row.pos for row in [last, *evidence.following])),
        "channel": asked["channel"],
        "client": {name: asked["client"][name] for name in ("address", "user_agent", "name")},
        "kind": asked["kind"],
        "tuner": _latest(rows, "tuner"),
        "source": _source(evidence),
        "started_at": first.at // 1_000,
        "ended_at": last.at // 1_000 if ended else None,
        "reason": last.payload["reason"] if ended else None,
        "detail": last.payload["detail"] if ended else None,
        "words": {"text": words.text, "mends": words.mends} if ended else None,
        "evidence": last.pos,
        "causes": [event_json(row) for row in evidence.led_to_it],
        "figures": numbers,
        "cleanup": released.as_json() if ended else None,
        "steps": [step.as_json() for step in story(rows)],
        "lanes": {
            "from": first.at // 1_000,
            "to": until // 1_000,
            "lanes": [lane.as_json() for lane in lanes(rows, evidence.channel, until=until)],
        },
        "events": told[:EVENTS_MAX],
        "events_left_out": max(0, len(told) - EVENTS_MAX),
    }


def _latest(rows: Sequence[Recorded], name: str) -> Any:
    return next(row.payload[name] for row in reversed(rows) if name in row.payload)


def _source(evidence: Evidence) -> str:
    """Where it was read from last."""
    changed = (row for row in reversed(evidence.channel) if row.type == "source_changed")
    moved = next(changed, None)
    return str(moved.payload["source"] if moved else _latest(evidence.session, "source"))


def _told(evidence: Evidence) -> Iterator[Document]:
    """Events of the session and of its relay, in the log's order; activity that changed nothing
    is told once for each run of it."""
    run: list[Recorded] = []
    for row in sorted([*evidence.session, *evidence.channel], key=lambda row: row.pos):
        if row.type == ACTIVITY and row.src == row.dst:
            run.append(row)
            continue
        if run:
            yield _one(run, evidence)
            run = []
        yield _one([row], evidence)
    if run:
        yield _one(run, evidence)


def _one(run: Sequence[Recorded], evidence: Evidence) -> Document:
    first, last = run[0], run[-1]
    cause = None if first.cause is None else evidence.positions.get(first.cause)
    return {
        **event_json(last),
        "pos": first.pos,
        "at": first.at // 1_000,
        "last_pos": last.pos,
        "last_at": last.at // 1_000,
        "count": len(run),
        "cause_pos": cause,
    }


def anonymous(document: Document, version: str) -> str:
    """The account as text for a public report: without addresses, names of channels and of
    sources. Markdown."""
    numbers, words = document["figures"], document["words"]
    start = document["started_at"]
    lines = [
        f"PlexBridge {version}, session {document['id']}",
        f"Player: {document['client']['user_agent'] or 'not said'}, asked by /{document['kind']}",
        f"State: {document['state']}"
        + (f", {document['reason']} ({document['detail']}): {words['text']}" if words else ""),
        f"Figures: {numbers['duration_ms']} ms, {numbers['bytes']} bytes, "
        f"first byte after {_ms(numbers['first_byte_ms'])}, {numbers['errors']} errors",
    ]
    if document["cleanup"] is not None:
        freed = document["cleanup"]
        lines.append(
            f"Clean-up: tuner free after {_ms(freed['tuner_returned_after_ms'])}, "
            f"upstream closed after {_ms(freed['upstream_closed_after_ms'])}"
        )
    table = ["", "| ms | event | step | why |", "|---:|---|---|---|"]
    for event in document["events"]:
        why = " · ".join(str(event[name]) for name in ("reason", "detail") if event[name])
        step = f"{event['src']} → {event['dst']}" if event["dst"] else ""
        times = f" ×{event['count']}" if event["count"] > 1 else ""
        table.append(f"| {event['at'] - start} | {event['type']}{times} | {step} | {why} |")
    return "\n".join([*lines, *table, ""])


def _ms(value: int | None) -> str:
    return "–" if value is None else f"{value} ms"

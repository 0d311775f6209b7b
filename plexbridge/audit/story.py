"""One session's story: its steps with how long each lasted, what led to its end, its figures.

Pure over recorded events; every step names its position in the log as evidence.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.envelope import Recorded
from events.machine import ACTIVITY, CONNECT, ENDED, ERROR, NEW

CAUSES_MAX: Final = 8
"""Causes told of an end: enough to reach what began it, few enough to read."""

LINKS_MAX: Final = 1_000
"""Links followed to find them; a session's activity, a link each, is passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryStep:
    """A change of state, or an end of a connection."""

    pos: int
    at: int
    trigger: str
    state: str
    """What it led to."""
    text: str
    lasted_us: int | None
    """Until the next step; None for the last one."""

    def as_json(self) -> dict[str, Any]:
        """For `--json`; Unix milliseconds."""
        return {
            "pos": self.pos,
            "at": self.at // 1_000,
            "trigger": self.trigger,
            "state": self.state,
            "text": self.text,
            "lasted_ms": None if self.lasted_us is None else self.lasted_us // 1_000,
        }


def story(rows: Sequence[Recorded]) -> list[StoryStep]:
    """The steps of one session's stream; activity that changed nothing is left out."""
    told = [row for row in rows if not _changed_nothing(row)]
    ends = [row.at for row in told[1:]]
    return [
        StoryStep(
            pos=row.pos,
            at=row.at,
            trigger=row.type,
            state=row.dst or NEW,
            text=_text(row),
            lasted_us=end - row.at if end is not None else None,
        )
        for row, end in zip(told, [*ends, None], strict=True)
    ]


def _changed_nothing(row: Recorded) -> bool:
    return row.type == ACTIVITY and row.src == row.dst


def _text(row: Recorded) -> str:
    data = row.payload
    if row.type == CONNECT:
        client, again = data["client"], "came back, " if data["resumed"] else ""
        waited = f", after waiting {data['waited_ms']} ms" if data["waited_ms"] else ""
        who = client["name"] or client["user_agent"] or "a player"
        return f"{again}{who} at {client['address']}, tuner {data['tuner']}{waited}"
    if row.type == ACTIVITY:
        first = data.get("first_byte_ms")
        return "bytes flow again" if first is None else f"first byte after {first} ms"
    kept = ", kept for its grace" if row.dst != ENDED else ""
    return f"{data['reason']} · {data['detail']}{kept}"


def causes(last: Recorded, find: Callable[[bytes], Recorded | None]) -> list[Recorded]:
    """What led to `last`, nearest first; ends at an event without a cause, or one not held."""
    walked: list[Recorded] = []
    cause = last.cause
    for _ in range(LINKS_MAX):
        row = None if cause is None else find(cause)
        if row is None or len(walked) == CAUSES_MAX:
            break
        if not _changed_nothing(row):
            walked.append(row)
        cause = row.cause
    return walked


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo:
    """What followed an end on its channel; None where it did not, or not yet."""

    tuner_after_us: int | None = None
    why: str | None = None
    upstream_after_us: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        tuner, upstream = self.tuner_after_us, self.upstream_after_us
        return {
            "tuner_returned_after_ms": None if tuner is None else tuner // 1_000,
            "why": self.why,
            "upstream_closed_after_ms": None if upstream is None else upstream // 1_000,
        }


def let_go(end: Recorded, channel: str, following: Iterable[Recorded]) -> LetGo:
    """When the relay of an ended session returned its tuner and closed its upstream.

    `following`: events behind the end. Stops where the channel is watched again: then the relay
    goes on for others.
    """
    tuner_after_us = why = None
    for row in following:
        if row.type == CONNECT and row.payload["channel"]["id"] == channel:
            break
        if row.stream != f"channel-{channel}":
            continue
        if row.type == "tuner_released" and tuner_after_us is None:
            tuner_after_us, why = row.at - end.at, row.payload["why"]
        elif row.type == "upstream_closed" and tuner_after_us is not None:
            return LetGo(tuner_after_us=tuner_after_us, why=why, upstream_after_us=row.at - end.at)
    return LetGo(tuner_after_us=tuner_after_us, why=why)


def figures(rows: Sequence[Recorded]) -> dict[str, Any]:
    """The numbers of one session, as recorded: times in ms, rates in bits per second."""
    first, last = rows[0], rows[-1]
    counted = [row.payload for row in rows if row.type != CONNECT]
    size = max((data["bytes"] for data in counted), default=0)
    first_byte = next((d["first_byte_ms"] for d in counted if "first_byte_ms" in d), None)
    accepted_at = max((data["accepted_at"] for data in counted), default=first.at)
    flowed_us = accepted_at - first.at
    return {
        "duration_ms": (last.at - first.at) // 1_000,
        "waited_ms": first.payload.get("waited_ms"),
        "first_byte_ms": first_byte,
        "bytes": size,
        "mean_bitrate": size * 8_000_000 // flowed_us if flowed_us > 0 else None,
        "errors": sum(row.type == ERROR for row in rows),
    }

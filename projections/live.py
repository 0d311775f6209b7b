"""Who watches what now: open sessions, and the tuners that relays hold."""

from collections.abc import Callable
from typing import Any, Final, cast

from events.deadlines import deadline
from events.envelope import Recorded
from events.ids import ChannelId, ConnectionId, SessionId, UnixMicros
from events.machine import ACTIVE, ENDED, ERROR
from events.payloads import (
    ActivityData,
    ConnectData,
    EndData,
    LeasedData,
    ReleasedData,
    SourceChangedData,
)
from events.policy import Policy
from events.world import Session
from projections.words import explain

Row = dict[str, Any]

FREE: Final = "free"
LINGERING: Final = "lingering"
IN_USE: Final = "active"


class Live:
    """The state is plain data, so that it can be stored and compared as it is."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self.state: dict[str, Any] = state or {
            "policy": Policy().as_payload(),
            "sessions": {},
            "leases": {},
            "freed": {},
        }
        self.touched: dict[str, Row] = {}
        """Documents of sessions that changed since somebody last took them, by id."""
        self.handlers: dict[str, Callable[[Recorded], None]] = {
            "connect": self._connect,
            "activity": self._activity,
            "error": self._ended,
            "disconnect": self._ended,
            "reclaim": self._ended,
            "tuner_leased": self._leased,
            "tuner_released": self._released,
            "source_changed": self._source_changed,
            "policy_set": self._policy,
        }

    def row(self, event: Recorded) -> Row | None:
        """The open session that an event of a session's stream is about."""
        found: Row | None = self.state["sessions"].get(event.stream[8:])
        return found

    def documents(self) -> list[Row]:
        """Open sessions, the oldest first."""
        policy = Policy.from_payload(self.state["policy"])
        return [document(row, policy) for row in self.state["sessions"].values()]

    def tuners(self) -> list[Row]:
        """One row per tuner, in use or not."""
        by_tuner = {lease["tuner"]: (c, lease) for c, lease in self.state["leases"].items()}
        there = range(self.state["policy"]["tuners"])
        # In use since before there were fewer; gone with its last viewer.
        beyond = sorted(number for number in by_tuner if number not in there)
        return [
            self._tuner(number, *by_tuner.get(number, (None, None))) for number in (*there, *beyond)
        ]

    def _tuner(self, number: int, channel: str | None, lease: Row | None) -> Row:
        if lease is None or channel is None:
            freed = self.state["freed"].get(str(number), {})
            return {
                "tuner": number,
                "state": FREE,
                "channel": None,
                "sessions": [],
                "leased_at": None,
                "client_address": None,
                "freed_at": freed.get("at"),
                "freed_why": freed.get("why"),
            }
        first = self.state["sessions"].get(lease["sessions"][0]) if lease["sessions"] else None
        return {
            "tuner": number,
            "state": IN_USE if lease["sessions"] else LINGERING,
            "channel": lease["channel"] or {"id": channel, "guide_number": "", "name": channel},
            "sessions": list(lease["sessions"]),
            "leased_at": lease["leased_at"],
            "client_address": first and first["client"]["address"],
            "freed_at": None,
            "freed_why": None,
        }

    def _connect(self, event: Recorded) -> None:
        data = cast(ConnectData, event.payload)
        sessions = self.state["sessions"]
        id_ = event.stream[8:]
        row = sessions.get(id_)
        if row is None:
            client = data["client"]
            row = sessions[id_] = {
                "id": id_,
                "channel": dict(data["channel"]),
                "client": {
                    "address": client["address"],
                    "user_agent": client["user_agent"],
                    "name": client["name"],
                },
                "kind": data["kind"],
                "started_at": event.at,
                "first_byte_ms": None,
                "first_byte_at": None,
                "bytes": 0,
                "errors": 0,
                "accepted_at": event.at,
            }
            lease = self.state["leases"][data["channel"]["id"]]
            lease["sessions"].append(id_)
            lease["channel"] = dict(data["channel"])
        row |= {
            "state": event.dst,
            "since": event.at,
            "reason": None,
            "detail": None,
            "tuner": data["tuner"],
            "source": data["source"],
            "connected_at": event.at,
        }
        self._touch(row)

    def _activity(self, event: Recorded) -> None:
        data = cast(ActivityData, event.payload)
        row = self.state["sessions"][event.stream[8:]]
        if row["state"] != ACTIVE:
            row["state"], row["since"] = ACTIVE, event.at
            row["reason"] = row["detail"] = None
        row["bytes"], row["accepted_at"] = data["bytes"], data["accepted_at"]
        if "first_byte_ms" in data and row["first_byte_ms"] is None:
            row["first_byte_ms"] = data["first_byte_ms"]
            row["first_byte_at"] = data["accepted_at"]
        self._touch(row)

    def _ended(self, event: Recorded) -> None:
        data = cast(EndData, event.payload)
        row = self.state["sessions"][event.stream[8:]]
        if row["state"] != event.dst:
            row["state"], row["since"] = event.dst, event.at
        row["reason"], row["detail"] = data["reason"], data["detail"]
        row["bytes"], row["accepted_at"] = data["bytes"], data["accepted_at"]
        row["errors"] += event.type == ERROR
        if event.dst == ENDED:
            row["ended_at"] = event.at
            del self.state["sessions"][row["id"]]
            self.state["leases"][row["channel"]["id"]]["sessions"].remove(row["id"])
        self._touch(row)

    def _touch(self, row: Row) -> None:
        self.touched[row["id"]] = row

    def _leased(self, event: Recorded) -> None:
        data = cast(LeasedData, event.payload)
        self.state["leases"][event.stream[8:]] = {
            "tuner": data["tuner"],
            "source": data["source"],
            "leased_at": event.at // 1_000,
            "sessions": [],
            "channel": None,
        }

    def _released(self, event: Recorded) -> None:
        data = cast(ReleasedData, event.payload)
        del self.state["leases"][event.stream[8:]]
        self.state["freed"][str(data["tuner"])] = {"at": event.at // 1_000, "why": data["why"]}

    def _source_changed(self, event: Recorded) -> None:
        source = cast(SourceChangedData, event.payload)["source"]
        lease = self.state["leases"][event.stream[8:]]
        lease["source"] = source
        for session in lease["sessions"]:
            row = self.state["sessions"][session]
            row["source"] = source
            self._touch(row)

    def _policy(self, event: Recorded) -> None:
        self.state["policy"] = dict(event.payload)
        for row in self.state["sessions"].values():  # their deadlines are others now
            self._touch(row)


assert len("session-") == len("channel-") == 8, "stream prefixes are cut by length"


def document(row: Row, policy: Policy) -> Row:
    """A session as it is shown. Times are Unix milliseconds, rates bits per second."""
    words = None
    if row["reason"] is not None:
        words = explain(row["reason"], row["detail"], row["client"]["name"])
    return {
        "id": row["id"],
        "state": row["state"],
        "since": row["since"] // 1_000,
        "reason": row["reason"],
        "detail": row["detail"],
        "words": words and {"text": words.text, "mends": words.mends},
        "channel": row["channel"],
        "client": row["client"],
        "kind": row["kind"],
        "tuner": row["tuner"],
        "source": row["source"],
        "started_at": row["started_at"] // 1_000,
        "ended_at": row["ended_at"] // 1_000 if "ended_at" in row else None,
        "first_byte_ms": row["first_byte_ms"],
        "bytes": row["bytes"],
        "bitrate": _bitrate(row),
        "errors": row["errors"],
        "next_deadline": _next_deadline(row, policy),
    }


def _bitrate(row: Row) -> int | None:
    """The mean since the first byte."""
    if row["first_byte_at"] is None:
        return None
    span_us = row["accepted_at"] - row["first_byte_at"]
    return round(row["bytes"] * 8_000_000 / span_us) if span_us > 0 else None


def _next_deadline(row: Row, policy: Policy) -> Row | None:
    if row["state"] == ENDED:
        return None
    due = deadline(
        Session(
            id=SessionId(row["id"]),
            state=row["state"],
            channel=ChannelId(row["channel"]["id"]),
            client_key="",
            address="",
            user_agent="",
            identified=False,
            single_viewer=False,
            connection=ConnectionId(0),
            started_at=UnixMicros(row["started_at"]),
            connected_at=UnixMicros(row["connected_at"]),
            accepted_at=UnixMicros(row["accepted_at"]),
            recorded_at=UnixMicros(row["accepted_at"]),
        ),
        policy,
    )
    return {
        "trigger": due.trigger,
        "reason": due.reason,
        "after_ms": due.after_ms,
        "counted_from": due.counted_from // 1_000,
    }

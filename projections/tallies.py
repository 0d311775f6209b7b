"""What adds up: sources, cleanup figures, totals, and who just left."""

from collections.abc import Callable
from typing import Any, Final, cast

from events.envelope import Recorded
from events.machine import ENDED, RECLAIM
from events.payloads import EndData, LeasedData, RefusedData, ReleasedData, SourceChangedData
from events.policy import Policy
from projections.live import Live, Row, document

JUST_ENDED_KEPT: Final = 20
"""What a person still remembers."""

CLEANUPS_KEPT: Final = 500
"""Per reason, the newest: enough for a 95th percentile."""

CHANNELS_KEPT: Final = 1_000
"""Channels with totals; the one watched longest ago is forgotten first."""

SOURCES_KEPT: Final = 100
"""Provider accounts; a household has a handful."""

WAITED_FOR: Final = frozenset({"client_stalled", "peer_vanished", "recovery_exhausted", "swept"})
"""Details of ends that came of silence. A person may give the same reasons, and waits for none."""

TARGETS_S: Final = {"orphaned": 60.0, "stale": 60.0, "forced": 2.0, "manual": 2.0}
"""The seed's promises; any other end: 5 s."""

Handlers = dict[str, Callable[[Recorded], None]]


class Sources:
    """Provider accounts: connections, refreshes, the last trouble."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self.state: dict[str, Any] = {} if state is None else state
        self.handlers: Handlers = {
            "tuner_leased": self._leased,
            "tuner_released": self._released,
            "source_changed": self._changed,
            "upstream_lost": self._lost,
            "refreshed": self._refreshed,
            "refresh_failed": self._failed,
        }

    def documents(self) -> list[Row]:
        """By id."""
        return [{"id": source, **row} for source, row in sorted(self.state.items())]

    def _row(self, source: str) -> Row:
        row = self.state.pop(source, None) or {
            "connections": 0,
            "allowed": 0,
            "refreshed_at": None,
            "entries": None,
            "problem": None,
            "last_lost": None,
        }
        self.state[source] = row
        idle = [name for name, one in self.state.items() if not one["connections"]]
        if len(self.state) > SOURCES_KEPT and idle:
            del self.state[idle[0]]
        return cast(Row, row)

    def _leased(self, event: Recorded) -> None:
        data = cast(LeasedData, event.payload)
        row = self._row(data["source"])
        row["connections"] += 1
        row["allowed"] = data["allowed"]

    def _released(self, event: Recorded) -> None:
        self._row(cast(ReleasedData, event.payload)["source"])["connections"] -= 1

    def _changed(self, event: Recorded) -> None:
        data = cast(SourceChangedData, event.payload)
        self._row(data["before"])["connections"] -= 1
        row = self._row(data["source"])
        row["connections"] += 1
        row["allowed"] = data["allowed"]

    def _lost(self, event: Recorded) -> None:
        data = event.payload
        self._row(data["source"])["last_lost"] = {
            "at": event.at // 1_000,
            "reason": data["reason"],
            "detail": data["detail"],
        }

    def _refreshed(self, event: Recorded) -> None:
        if event.stream.startswith("source-"):
            row = self._row(event.stream.removeprefix("source-"))
            row["refreshed_at"], row["problem"] = event.at // 1_000, None
            row["entries"] = event.payload.get("entries")

    def _failed(self, event: Recorded) -> None:
        row = self._row(event.stream.removeprefix("source-"))
        row["problem"] = event.payload.get("why")


class Ends:
    """Ended sessions: the last few, how long their cleanup took, and how many there were."""

    def __init__(self, live: Live, state: dict[str, Any] | None = None) -> None:
        self._live = live
        self.state: dict[str, Any] = state or {
            "just_ended": [],
            "cleanup": {},
            "sessions": 0,
            "ended": {},
            "refused": {},
            "bytes": 0,
            "channels": {},
            "letting_go": {},
        }
        self.handlers: Handlers = {
            "connect": self._connect,
            "tuner_released": self._released,
            "error": self._end,
            "disconnect": self._end,
            "reclaim": self._end,
            "refused": self._refused,
        }

    def just_ended(self) -> list[Row]:
        """The newest first, each with how long after it its tuner was free: None while it is not,
        and where others went on watching the channel."""
        policy = Policy.from_payload(self._live.state["policy"])
        return [
            {**document(row, policy), "tuner_freed_after_ms": row["tuner_freed_after_ms"]}
            for row in reversed(self.state["just_ended"])
        ]

    def cleanup(self) -> Row:
        """Seconds by reason, against the seed's promises."""
        return {
            reason: {
                "count": row["count"],
                "p50_s": _percentile(row["ms"], 50) / 1_000,
                "p95_s": _percentile(row["ms"], 95) / 1_000,
                "max_s": row["max_ms"] / 1_000,
                "target_s": TARGETS_S.get(reason, 5.0),
            }
            for reason, row in sorted(self.state["cleanup"].items())
        }

    def totals(self) -> Row:
        """Since the log began."""
        return {
            "sessions": self.state["sessions"],
            "ended": dict(sorted(self.state["ended"].items())),
            "refused": dict(sorted(self.state["refused"].items())),
            "bytes": self.state["bytes"],
            "channels": [{"id": id_, **row} for id_, row in sorted(self.state["channels"].items())],
        }

    def _connect(self, event: Recorded) -> None:
        if event.ver != 1:
            return
        self.state["sessions"] += 1
        channel = event.payload["channel"]
        channels = self.state["channels"]
        row = channels.pop(channel["id"], None) or {"sessions": 0, "bytes": 0}
        row |= {"guide_number": channel["guide_number"], "name": channel["name"]}
        row["sessions"] += 1
        channels[channel["id"]] = row
        if len(channels) > CHANNELS_KEPT:
            del channels[next(iter(channels))]

    def _end(self, event: Recorded) -> None:
        """Runs before `Live` forgets the session."""
        if event.dst != ENDED:
            return
        data = cast(EndData, event.payload)
        row = self._live.row(event)
        assert row is not None, f"{event.stream} ends and was never open"
        reason = data["reason"]
        self.state["ended"][reason] = self.state["ended"].get(reason, 0) + 1
        self.state["bytes"] += data["bytes"]
        channel = self.state["channels"].get(row["channel"]["id"])
        if channel is not None:
            channel["bytes"] += data["bytes"]
        self._clean(reason, event, data)
        ended = {
            **row,
            "state": ENDED,
            "since": event.at,
            "reason": reason,
            "detail": data["detail"],
            "bytes": data["bytes"],
            "accepted_at": data["accepted_at"],
            "errors": row["errors"] + (event.type == "error"),
            "ended_at": event.at,
            "tuner_freed_after_ms": None,
        }
        if self._live.state["leases"][row["channel"]["id"]]["sessions"] == [row["id"]]:
            self.state["letting_go"][row["channel"]["id"]] = row["id"]
        self.state["just_ended"] = [*self.state["just_ended"], ended][-JUST_ENDED_KEPT:]

    def _released(self, event: Recorded) -> None:
        last = self.state["letting_go"].pop(event.stream[8:], None)
        for row in self.state["just_ended"]:
            if row["id"] == last:
                row["tuner_freed_after_ms"] = (event.at - row["ended_at"]) // 1_000

    def _clean(self, reason: str, event: Recorded, data: EndData) -> None:
        """From what made it end to its end: a deadline's cause is the last accepted byte; any
        other end is its own cause, and its claim goes in the same append."""
        waited = event.type == RECLAIM and data["detail"] in WAITED_FOR
        took_ms = (event.at - data["accepted_at"]) // 1_000 if waited else 0
        row = self.state["cleanup"].setdefault(reason, {"count": 0, "max_ms": 0, "ms": []})
        row["count"] += 1
        row["max_ms"] = max(row["max_ms"], took_ms)
        row["ms"] = [*row["ms"], took_ms][-CLEANUPS_KEPT:]

    def _refused(self, event: Recorded) -> None:
        rule = cast(RefusedData, event.payload)["rule"]
        self.state["refused"][rule] = self.state["refused"].get(rule, 0) + 1


def _percentile(values: list[int], percent: int) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0

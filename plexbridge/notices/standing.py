"""How sources and guides stand, as far as people are told of it: what has to last before it is
worth telling. Pure; the state is plain data.
"""

from collections.abc import Collection, Iterator
from typing import Any, Final

from events.envelope import Recorded
from events.ids import Position, UnixMicros
from plexbridge.notices.kinds import Kind, Occurrence, plain
from projections.words import explain

US_PER_S: Final = 1_000_000

DOWN_AFTER_S: Final = 120
"""A source that failed is read again after a minute: what mends itself by then is nobody's news."""

CHANNELS_FAILING: Final = 2
"""One channel that gives nothing is that channel's trouble; two in a row without one that plays
are the source's."""

STALE_BEFORE_S: Final = 24 * 3_600
"""A guide that ends sooner shows empty hours tonight; providers renew theirs twice a day."""

GUIDES_LOOKED_AT_AFTER_S: Final = 600
"""After a start guides are read first: what is old after a long stop may be new in a minute."""

ROWS_MAX: Final = 100
"""Sources and guides; a household has a handful."""

_OF_ONE_CHANNEL: Final = frozenset(
    ("upstream_http_404", "upstream_http_410", "upstream_bad_url", "upstream_forbidden_address")
)
"""What says nothing of the account."""

Row = dict[str, Any]


class Sources:
    """Down: its list cannot be read, or nothing of it can be played, for `DOWN_AFTER_S`."""

    def __init__(self, state: dict[str, Row] | None = None) -> None:
        self.state: dict[str, Row] = {} if state is None else state

    def listed(self, event: Recorded) -> Iterator[Occurrence]:
        """`refreshed`."""
        yield from self._better(event.stream.removeprefix("source-"), event, "list")

    def not_listed(self, event: Recorded) -> None:
        """`refresh_failed`."""
        why = str(event.payload.get("why", "no reason is recorded"))
        self._worse(event.stream.removeprefix("source-"), event, "list", why)

    def plays(self, event: Recorded) -> Iterator[Occurrence]:
        """`upstream_first_byte`."""
        source = str(event.payload["source"])
        row = self.state.get(source)
        if row is not None:
            row["failing"] = []
            yield from self._better(source, event, "play")

    def lost(self, event: Recorded) -> None:
        """`upstream_lost`."""
        data = event.payload
        detail = str(data.get("detail", ""))
        of_source = detail.startswith("upstream_") and detail not in _OF_ONE_CHANNEL
        if data.get("gave_bytes") or not of_source:
            return
        source = str(data["source"])
        row = self._row(source)
        if event.stream not in row["failing"]:
            row["failing"] = [*row["failing"], event.stream][-CHANNELS_FAILING:]
        if len(row["failing"]) == CHANNELS_FAILING:
            words = explain(str(data.get("reason", "")), detail)
            self._worse(source, event, "play", f"{words.text}, on several channels")

    def only(self, known: Collection[str]) -> None:
        """Forget those that are in no setting any more."""
        for gone in self.state.keys() - set(known):
            del self.state[gone]

    def forget_old(self, before: UnixMicros) -> None:
        """Forget trouble that began earlier and was not told; it comes again, if it lasts."""
        for row in self.state.values():
            if not row["told"] and _since(row) < before:
                row["list"] = row["play"] = None

    def due(self, now: UnixMicros) -> Iterator[Occurrence]:
        """Those that have been down for long enough."""
        for source, row in self.state.items():
            if row["told"] or _since(row) + DOWN_AFTER_S * US_PER_S > now:
                continue
            row["told"] = True
            trouble = row["list"] or row["play"]
            what = "its list cannot be read" if row["list"] else "it gives no video"
            yield Occurrence(
                kind=Kind.SOURCE_DOWN,
                subject=source,
                title=f"Source down: {plain(source)}",
                text=f"{plain(source)} has been down for {DOWN_AFTER_S // 60} minutes: {what}. "
                f"{trouble['why']}.",
                # When it was seen to have lasted: that is the news.
                at=UnixMicros(_since(row) + DOWN_AFTER_S * US_PER_S),
                position=Position(trouble["pos"]),
                path="sources",
                source=source,
            )

    def next_due(self) -> UnixMicros | None:
        """When one may have been down for long enough."""
        ends = [
            UnixMicros(_since(row) + DOWN_AFTER_S * US_PER_S)
            for row in self.state.values()
            if not row["told"] and _since(row) < _NEVER
        ]
        return min(ends, default=None)

    def _row(self, source: str) -> Row:
        row = self.state.get(source)
        if row is None:
            if len(self.state) >= ROWS_MAX:
                del self.state[next(iter(self.state))]
            row = self.state[source] = {"list": None, "play": None, "failing": [], "told": False}
        return row

    def _worse(self, source: str, event: Recorded, side: str, why: str) -> None:
        row = self._row(source)
        began = row[side] or {"at": event.at, "pos": event.pos}
        row[side] = {**began, "why": why.rstrip(".")}

    def _better(self, source: str, event: Recorded, side: str) -> Iterator[Occurrence]:
        row = self.state.get(source)
        if row is None or row[side] is None:
            return
        since, row[side] = _since(row), None
        if not row["told"] or _since(row) < _NEVER:
            return
        row["told"] = False
        minutes = (event.at - since) // (60 * US_PER_S)
        yield Occurrence(
            kind=Kind.SOURCE_UP,
            subject=source,
            title=f"Source up again: {plain(source)}",
            text=f"{plain(source)} works again; it was down for {minutes} minutes.",
            at=event.at,
            position=event.pos,
            path="sources",
            source=source,
        )


_NEVER: Final = 1 << 62


def _since(row: Row) -> int:
    return min((trouble["at"] for trouble in (row["list"], row["play"]) if trouble), default=_NEVER)


class Guides:
    """Stale: the last programme begins within `STALE_BEFORE_S`. Told once, until it is renewed."""

    def __init__(self, state: dict[str, Row] | None = None) -> None:
        self.state: dict[str, Row] = {} if state is None else state
        self.looked_at_from = UnixMicros(0)

    def read(self, event: Recorded) -> None:
        """`refreshed`."""
        data = event.payload
        row = self._row(str(data["guide"]))
        row |= {"latest": int(data["latest"]), "matched": bool(data["matched"])}
        row |= {"pos": event.pos, "why": ""}
        if row["told"]:
            row["told"] = False
            stale_at = _stale_at(row)
            row["told"] = stale_at is not None and stale_at <= event.at

    def seed(self, guide: str, latest_s: int | None, matched: bool) -> None:
        """How far a guide reaches that nothing is known of yet. `latest_s`: the beginning of its
        last programme."""
        row = self._row(guide)
        if row["latest"] is None and latest_s is not None:
            row |= {"latest": latest_s, "matched": matched}

    def not_read(self, event: Recorded) -> None:
        """`refresh_failed`."""
        row = self._row(str(event.payload["guide"]))
        row["why"], row["pos"] = str(event.payload.get("why", "")), event.pos

    def only(self, known: Collection[str]) -> None:
        """Forget those that are in no setting any more."""
        for gone in self.state.keys() - set(known):
            del self.state[gone]

    def due(self, now: UnixMicros) -> Iterator[Occurrence]:
        """Those that are stale by now."""
        for number, (guide, row) in enumerate(self.state.items(), 1):
            stale_at = _stale_at(row)
            if stale_at is None or max(stale_at, self.looked_at_from) > now:
                continue
            row["told"] = True
            name = "The programme guide" if len(self.state) == 1 else f"Programme guide {number}"
            failed = f" The last reading failed: {row['why'].rstrip('.')}." if row["why"] else ""
            yield Occurrence(
                kind=Kind.GUIDE_STALE,
                subject=guide,
                title=f"{name} is stale",
                text=f"{name} {_reach(row, now)}.{failed}",
                at=now,
                position=Position(row["pos"]),
                path="sources",
            )

    def next_due(self) -> UnixMicros | None:
        """When one becomes stale."""
        ends = [end for row in self.state.values() if (end := _stale_at(row)) is not None]
        return max(min(ends), self.looked_at_from) if ends else None

    def _row(self, guide: str) -> Row:
        row = self.state.get(guide)
        if row is None:
            if len(self.state) >= ROWS_MAX:
                del self.state[next(iter(self.state))]
            row = self.state[guide] = {
                "latest": None,
                "matched": False,
                "pos": 0,
                "why": "",
                "told": False,
            }
        return row


def _stale_at(row: Row) -> UnixMicros | None:
    """None: told already, or not known."""
    if row["told"]:
        return None
    if row["latest"] is None:
        return _ALWAYS if row["why"] else None
    return UnixMicros((row["latest"] - STALE_BEFORE_S) * US_PER_S) if row["matched"] else _ALWAYS


_ALWAYS: Final = UnixMicros(0)


def _reach(row: Row, now: UnixMicros) -> str:
    if row["latest"] is None:
        return "could not be read yet"
    if not row["matched"]:
        return "has nothing for any channel of the lineup"
    hours = (row["latest"] - now // US_PER_S) // 3_600
    return f"ends in {hours} hours" if hours > 0 else "has come to its end"

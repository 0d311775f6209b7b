"""What was watched in a span of time: the sessions that ended in it, what they add up to, and how
many there were at once.

Asks the stored rows of sessions, one JSON document each, in SQL and off the event loop. Refuses to
know how it is shown.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from plexbridge.log.driver import Connection
from plexbridge.log.reader import SqliteReader

Row = dict[str, Any]

GROUPS_SHOWN: Final = 20
"""Channels, clients and sources with totals of their own: what a person compares."""

CHART_POINTS: Final = 120
"""Points of a chart: one for every few pixels."""

WORDS_MAX: Final = 8
"""Words looked for at once; each is matched against every session of the span."""

_NAMED: Final = {
    "channel_name": "json_extract(document, '$.channel.name')",
    "client_name": "json_extract(document, '$.client.name')",
    "source": "json_extract(document, '$.source')",
}
_TEXT: Final = " || ' ' || ".join(
    (
        "guide_number",
        _NAMED["channel_name"],
        "client",
        f"coalesce({_NAMED['client_name']}, '')",
        "coalesce(json_extract(document, '$.client.user_agent'), '')",
        _NAMED["source"],
        "coalesce(reason, '')",
        "coalesce(detail, '')",
        "coalesce(json_extract(document, '$.words.text'), '')",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which sessions; times in Unix milliseconds."""

    since: int
    """The first moment of the span."""
    until: int
    """The first moment behind it."""
    channel: str | None = None
    """An id or a guide number."""
    client: str | None = None
    """An address or a player's name."""
    reason: str | None = None
    text: str = ""
    """Words, all of which are in what is shown of a session. Letters beyond ASCII match as they
    are written."""


Part = tuple[str, tuple[str | int, ...]]
"""Of a WHERE clause: SQL and its values."""


def _of(asked: Asked) -> Part:
    """Whose sessions, whenever they were."""
    parts: list[Part] = []
    if asked.channel is not None:
        parts.append(("(channel = ? OR guide_number = ?)", (asked.channel, asked.channel)))
    if asked.client is not None:
        parts.append((f"(client = ? OR {_NAMED['client_name']} = ?)", (asked.client,) * 2))
    if asked.reason is not None:
        parts.append(("reason = ?", (asked.reason,)))
    parts += [
        (f"({_TEXT}) LIKE ? ESCAPE '~'", (f"%{_escaped(word)}%",))
        for word in asked.text.split()[:WORDS_MAX]
    ]
    return " AND ".join(["1", *(sql for sql, _ in parts)]), tuple(v for _, vs in parts for v in vs)


def _escaped(word: str) -> str:
    for wild in "~%_":
        word = word.replace(wild, f"~{wild}")
    return word


def _ended(asked: Asked) -> Part:
    sql, values = _of(asked)
    return f"ended_at >= ? AND ended_at < ? AND {sql}", (asked.since, asked.until, *values)


def page(
    connection: Connection, asked: Asked, *, limit: int, after: tuple[int, str] | None
) -> list[Row]:
    """Documents of the sessions that ended, the newest end first; those behind `after`, the end
    and the id of one."""
    sql, values = _ended(asked)
    if after is not None:
        sql, values = f"{sql} AND (ended_at, id) < (?, ?)", (*values, *after)
    rows = connection.execute(
        f"SELECT document FROM sessions WHERE {sql} ORDER BY ended_at DESC, id DESC LIMIT ?",
        (*values, limit),
    )
    return [orjson.loads(row[0]) for row in rows]


def totals(connection: Connection, asked: Asked, failures: Iterable[str]) -> Row:
    """What the sessions that ended add up to: in all, and by channel, client and source, the
    longest watched first. Times in milliseconds."""
    sql, values = _ended(asked)
    bad = tuple(failures)
    rows = connection.execute(
        f"SELECT channel, max(guide_number), max({_NAMED['channel_name']}), client, "
        f"{_NAMED['client_name']}, {_NAMED['source']}, count(*), sum(ended_at - started_at), "
        f"sum(bytes), sum(reason IN ({','.join('?' * len(bad))})) "
        f"FROM sessions WHERE {sql} GROUP BY channel, client, 5, 6",
        (*bad, *values),
    )
    whole = Sums()
    channels, clients, sources = Groups(), Groups(), Groups()
    for channel, number, name, address, player, source, *figures in rows:
        for sums in (
            whole,
            channels.of(channel, id=channel, guide_number=number, name=name),
            clients.of((address, player), address=address, name=player),
            sources.of(source, id=source),
        ):
            sums.add(figures)
    return {
        **whole.row(),
        "channels": channels.rows(),
        "clients": clients.rows(),
        "sources": sources.rows(),
    }


class Sums:
    """What some sessions add up to, beside what they are called."""

    def __init__(self, **names: Any) -> None:
        self._names = names
        self._figures = [0, 0, 0, 0]

    def add(self, figures: Sequence[int]) -> None:
        """Sessions, milliseconds, bytes, failures."""
        self._figures = [sum(pair) for pair in zip(self._figures, figures, strict=True)]

    def row(self) -> Row:
        """For the answer."""
        figures = dict(
            zip(("sessions", "watched_ms", "bytes", "failed"), self._figures, strict=True)
        )
        return {**self._names, **figures}


class Groups:
    """Sums by what sessions have in common."""

    def __init__(self) -> None:
        self._by_key: dict[Any, Sums] = {}

    def of(self, key: Any, **names: Any) -> Sums:
        """The sums of one group."""
        if key not in self._by_key:
            self._by_key[key] = Sums(**names)
        return self._by_key[key]

    def rows(self) -> list[Row]:
        """The longest watched first."""
        rows = [sums.row() for sums in self._by_key.values()]
        return sorted(rows, key=lambda row: -row["watched_ms"])[:GROUPS_SHOWN]


def _chart_sql(of: str) -> str:
    """Each session is a step up where it begins and one down where it ends, of one viewer and of
    its mean rate. An end at the moment of a start comes first: one tuner changed hands."""
    return f"""
      WITH spans(s, e, rate) AS (
        SELECT max(started_at, ?1), min(coalesce(ended_at, ?2), ?2),
               bytes * 8000.0 / max(1, coalesce(ended_at, ?2) - started_at)
          FROM sessions
          WHERE started_at < ?2 AND (ended_at IS NULL OR ended_at > ?1) AND {of}),
      steps(t, d, r) AS (
        SELECT s, 1, rate FROM spans UNION ALL SELECT e, -1, -rate FROM spans WHERE e < ?2),
      running(t, d, r, n) AS (
        SELECT t, d, r, sum(d) OVER (ORDER BY t, d ROWS UNBOUNDED PRECEDING) FROM steps)
      SELECT (t - ?1) / ?3, max(n), sum(d), sum(r), sum(r * (t - ?1) / 1000.0)
        FROM running GROUP BY 1 ORDER BY 1"""


def chart(connection: Connection, asked: Asked, *, points: int = CHART_POINTS) -> Row:
    """The most sessions at once in each part of the span, open ones among them, and the bits per
    second that all of them took, each session's bytes spread evenly over its time."""
    since = asked.since
    width_ms = max(1, -(-(asked.until - since) // points))
    of, values = _of(asked)
    first, *others = of.split("?")
    of = first + "".join(f"?{number}{part}" for number, part in enumerate(others, start=4))
    rows = connection.execute(_chart_sql(of), (since, asked.until, width_ms, *values))
    return {"from": since, "width_ms": width_ms, **_series(rows, width_ms / 1_000, points)}


def _series(rows: Iterable[tuple[Any, ...]], width_s: float, points: int) -> dict[str, list[int]]:
    by_part = {row[0]: row[1:] for row in rows}
    at_once, bits_per_s = [], []
    level, rate, moment, before = 0, 0.0, 0.0, 0.0
    for part in range(points):
        top, change, step, weighted = by_part.get(part, (0, 0, 0.0, 0.0))
        at_once.append(max(level, top))
        level += change
        rate += step
        moment += weighted
        until_now = rate * (part + 1) * width_s - moment
        bits_per_s.append(max(0, round((until_now - before) / width_s)))
        before = until_now
    return {"at_once": at_once, "bits_per_s": bits_per_s}


class History:
    """Used on the event loop."""

    def __init__(
        self,
        reader: SqliteReader,
        save: Callable[[], Awaitable[None]],
        *,
        failures: frozenset[str],
    ) -> None:
        """`save` stores what changed last; `failures`: reasons that count as one."""
        self._reader = reader
        self._save = save
        self._failures = sorted(failures)

    async def find(
        self, asked: Asked, *, limit: int, after: tuple[int, str] | None = None
    ) -> tuple[Asked, Row]:
        """The span as it was looked at, which begins with the first session there is, and
        `{sessions, next_after, totals, chart}`. While the log cannot store, sessions that changed
        last are told as they were before."""
        await self._save()

        def ask(connection: Connection) -> tuple[Asked, Row]:
            [(first,)] = connection.execute("SELECT min(started_at) FROM sessions")
            since = min(max(asked.since, first or 0), asked.until - 1)
            begun = replace(asked, since=since)
            found = page(connection, begun, limit=limit + 1, after=after)
            shown = found[:limit]
            last = shown[-1] if shown and len(found) > limit else None
            return begun, {
                "sessions": shown,
                "next_after": last and f"{last['ended_at']}-{last['id']}",
                "totals": totals(connection, begun, self._failures),
                "chart": chart(connection, begun),
            }

        return await asyncio.to_thread(self._reader.query, ask)

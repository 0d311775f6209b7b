"""What was watched in a span: found, added up and drawn, compared with counting by hand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from events.reasons import ERRORS
from plexbridge.control.history import GROUPS_SHOWN, Asked, History, chart
from plexbridge.control.projector import Projector
from plexbridge.log.sqlite import SqliteLog
from tests.core.given import at, given, stop, took, tune, vlc
from tests.core.histories import household
from tests.service.test_projector import with_ids

FAILURES = ERRORS | {"stale", "orphaned"}
Row = dict[str, Any]


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    """An empty one."""
    made = SqliteLog(tmp_path / "plexbridge.db", durability="relaxed")
    yield made
    await made.close()


@pytest.fixture
async def projector(log: SqliteLog) -> AsyncIterator[Projector]:
    """Started."""
    made = Projector(log)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def history(log: SqliteLog, projector: Projector) -> History:
    """Over the same log."""
    return History(log.reader, projector.save, failures=frozenset(FAILURES))


async def lived(log: SqliteLog, projector: Projector, seed: int) -> tuple[list[Row], int]:
    """A household's sessions, and the moment behind its last event (ms)."""
    home = household(seed, 300)
    for append in home.appends:
        await log.append(append)
    return await projector.sessions(limit=10_000), home.events[-1].at // 1_000 + 1


def ended_in(rows: list[Row], since: int, until: int) -> list[Row]:
    """The newest end first."""
    found = [row for row in rows if row["ended_at"] and since <= row["ended_at"] < until]
    return sorted(found, key=lambda row: (row["ended_at"], row["id"]), reverse=True)


@pytest.mark.parametrize("seed", range(3))
async def test_sessions_are_found_by_what_one_asks_and_turned_over(
    log: SqliteLog, projector: Projector, history: History, seed: int
) -> None:
    """Each filter alone; page by page nothing is left out or told twice."""
    rows, end = await lived(log, projector, seed)
    begin = min(row["started_at"] for row in rows)
    middle = (begin + end) // 2
    everything = ended_in(rows, 0, end)
    assert len(everything) > 20

    async def found(**given: Any) -> list[Row]:
        asked = Asked(**{"since": 0, "until": end, **given})
        sessions: list[Row] = (await history.find(asked, limit=10_000))[1]["sessions"]
        return sessions

    assert await found() == everything
    assert await found(since=middle) == ended_in(rows, middle, end)
    assert await found(until=middle) == ended_in(rows, 0, middle)
    assert await found(channel="3") == [r for r in everything if r["channel"]["id"] == "3"]
    assert await found(client="10.0.0.7") == [
        row for row in everything if row["client"]["address"] == "10.0.0.7"
    ]
    assert await found(client="VLC/3") == [r for r in everything if r["client"]["name"] == "VLC/3"]
    reason = everything[0]["reason"]
    assert await found(reason=reason) == [row for row in everything if row["reason"] == reason]
    assert await found(text=" vlc  Channel") == [
        row for row in everything if row["client"]["name"] == "VLC/3"
    ]
    assert await found(text="%") == await found(text="_x") == []

    turned: list[Row] = []
    after = None
    while True:
        asked = Asked(since=0, until=end)
        _, page = await history.find(asked, limit=7, after=after)
        turned += page["sessions"]
        if page["next_after"] is None:
            break
        ended_at, _, id_ = page["next_after"].partition("-")
        after = int(ended_at), id_
    assert turned == everything


@pytest.mark.parametrize("seed", range(3))
async def test_totals_are_the_sums_of_the_rows(
    log: SqliteLog, projector: Projector, history: History, seed: int
) -> None:
    """In all, by channel, by client and by source; of the filtered rows only."""
    rows, end = await lived(log, projector, seed)

    def sums(of: list[Row]) -> Row:
        return {
            "sessions": len(of),
            "watched_ms": sum(row["ended_at"] - row["started_at"] for row in of),
            "bytes": sum(row["bytes"] for row in of),
            "failed": sum(row["reason"] in FAILURES for row in of),
        }

    for channel in (None, "2"):
        asked = Asked(since=0, until=end, channel=channel)
        _, found = await history.find(asked, limit=1)
        meant = [row for row in ended_in(rows, 0, end) if channel in (None, row["channel"]["id"])]
        told = found["totals"]
        assert {name: told[name] for name in sums([])} == sums(meant)
        for group, key in (
            ("channels", lambda row: row["channel"]["id"]),
            ("sources", lambda row: row["source"]),
        ):
            assert {one["id"]: {n: one[n] for n in sums([])} for one in told[group]} == {
                value: sums([row for row in meant if key(row) == value])
                for value in {key(row) for row in meant}
            }
        clients = {(one["address"], one["name"]): one["sessions"] for one in told["clients"]}
        assert sum(clients.values()) == len(meant)
        watched = [one["watched_ms"] for one in told["channels"]]
        assert watched == sorted(watched, reverse=True)
        assert len(watched) <= GROUPS_SHOWN


@pytest.mark.parametrize("seed", range(6))
async def test_the_chart_counts_everybody_and_every_byte(
    log: SqliteLog, projector: Projector, seed: int
) -> None:
    """The most at once in each part, and the bytes of all sessions over their time."""
    rows, end = await lived(log, projector, seed)
    await projector.save()
    begin = min(row["started_at"] for row in rows)
    begin, end = begin + (end - begin) // 7, end - (end - begin) // 9
    asked = Asked(since=begin, until=end)
    drawn = await asyncio.to_thread(log.reader.query, lambda it: chart(it, asked, points=30))
    width = drawn["width_ms"]

    def watching(moment: int) -> int:
        return sum(
            row["started_at"] <= moment and (row["ended_at"] or end) > moment
            for row in rows
            if row["started_at"] < (row["ended_at"] or end)
        )

    for part, told in enumerate(drawn["at_once"]):
        first, last = begin + part * width, min(begin + (part + 1) * width, end)
        moments = {first, *(row["started_at"] for row in rows)}
        seen = [watching(moment) for moment in moments if first <= moment < last]
        assert told >= max(seen, default=0)
        # Sessions that began and ended within one millisecond may have been there as well.
        brief = sum(row["started_at"] == row["ended_at"] for row in rows)
        assert told <= max(seen, default=0) + brief

    bits = sum(rate * width / 1_000 for rate in drawn["bits_per_s"])
    spread = 0.0
    for row in rows:
        stop = row["ended_at"] or end
        inside = min(stop, end) - max(row["started_at"], begin)
        if inside > 0:
            spread += 8 * row["bytes"] * inside / max(1, stop - row["started_at"])
    assert bits == pytest.approx(spread, rel=0.01, abs=width)


async def test_a_tuner_that_changes_hands_is_one_viewer(
    log: SqliteLog, projector: Projector, history: History
) -> None:
    """An end and a start in the same moment are not two at once."""
    story = given(tuners=1).after(
        *(tune("s1", client=vlc()), took("s1", 9_000, second=1)),
        *(tune("s2", "2", second=2, client=vlc()), stop("s2", second=4)),
    )
    await log.append(with_ids(story.events))
    _, found = await history.find(Asked(since=0, until=at(5) // 1_000), limit=9)
    assert [row["detail"] for row in found["sessions"]] == ["asked", "superseded"]
    assert set(found["chart"]["at_once"]) == {0, 1}


async def test_nothing_was_watched(history: History) -> None:
    """An empty log has empty figures."""
    asked, found = await history.find(Asked(since=0, until=1_000), limit=9)
    assert (asked.since, asked.until) == (0, 1_000)
    assert found["sessions"] == []
    assert (found["totals"]["sessions"], found["totals"]["bytes"]) == (0, 0)
    assert set(found["chart"]["at_once"]) == set(found["chart"]["bits_per_s"]) == {0}


async def test_a_span_that_ended_before_the_log_began_is_empty(
    log: SqliteLog, projector: Projector, history: History
) -> None:
    """And raises nothing."""
    await log.append(with_ids(given().after(tune("s1"), stop("s1", second=4)).events))
    _, found = await history.find(Asked(since=0, until=1_000), limit=9)
    assert (found["sessions"], set(found["chart"]["at_once"])) == ([], {0})

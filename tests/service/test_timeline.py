"""The axis of time: what it holds, what is marked on it, and the moments to step to."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from events.commands import Recover, Started
from events.ids import SessionId
from events.policy import Policy
from plexbridge.audit.account import account
from plexbridge.audit.evidence import gather
from plexbridge.control.projector import Projector
from plexbridge.control.prunes import cut_before, prune
from plexbridge.control.seals import first_moment
from plexbridge.control.timeline import Timeline, neighbours
from plexbridge.log.sqlite import SqliteLog
from plexbridge.web.feed import Feed
from tests.core.given import at, closed, given, lost, opened, progress, stop, took, tune, vlc
from tests.core.stamped_history import stamped_household
from tests.service.test_projector import with_ids

FAILURES = frozenset({"stream_failed", "orphaned"})


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    """An empty one."""
    made = SqliteLog(tmp_path / "plexbridge.db", durability="relaxed")
    yield made
    await made.close()


@pytest.fixture
async def timeline(log: SqliteLog) -> AsyncIterator[Timeline]:
    """Over the log, with a projector at work."""
    projector = Projector(log)
    await projector.start()
    yield Timeline(log.reader, projector.save, failures=FAILURES)
    await projector.close()


async def test_an_empty_log_holds_nothing(log: SqliteLog, timeline: Timeline) -> None:
    """And has nowhere to step to."""
    assert tuple(await timeline.extent()) == (0, 0, 0)
    around = await timeline.neighbours(0)
    assert (around.before, around.after, around.happened) == (None, None, None)
    assert set((await timeline.marks(0, 1))["ended"]) == {0}


async def test_marks_stand_where_it_happened(log: SqliteLog, timeline: Timeline) -> None:
    """Ends by their class, refusals, starts and stops of the bridge; those of the span only."""
    policy = Policy(tuners=1, admission_wait_ms=0)
    story = given(policy)
    started = Started(at=at(0), version="1", machine="m", policy=policy, facts=())
    story.after(started, tune("s1", second=10), took("s1", 9, second=11), closed("s1", second=20))
    story.after(tune("s2", second=30), opened(second=31), took("s2", 9, second=31))
    story.after(tune("s3", "9", second=40))  # refused: the only tuner is taken
    story.after(stop("s2", second=50), tune("s4", second=60), opened(second=60))
    story.after(lost(second=70, lease=story.world.leases["1"].ver, gave_bytes=False))
    await log.append(with_ids(story.events))
    begin = at(0) // 1_000
    axis = await timeline.marks(begin, begin + 240_000)
    assert axis["width_ms"] == 1_000

    def where(name: str) -> list[int]:
        return [second for second, count in enumerate(axis[name]) if count]

    assert where("ended") == [20, 50]
    assert where("failed") == [70]
    assert where("refused") == [40]
    assert where("bridge") == [0]
    assert where("at_once") == [*range(10, 21), *range(30, 51), *range(60, 71)]
    later = await timeline.marks(begin + 45_000, begin + 55_000)
    assert (sum(later["ended"]), sum(later["refused"]), sum(later["bridge"])) == (1, 0, 0)
    extent = await timeline.extent()
    assert extent.first == begin
    assert extent.position == len(story.events)


@pytest.mark.parametrize("seed", range(3))
async def test_one_steps_from_decision_to_decision(log: SqliteLog, seed: int) -> None:
    """Forwards through all that changed something, and the same way back; bytes that went on
    flowing are passed over, and no decision is seen half."""
    appends = stamped_household(seed, 150).appends
    for append in appends:
        await log.append(append)
    ends, pos = [], 0
    for append in appends:
        pos += len(append)
        if any(event.type != "activity" or event.src != event.dst for event in append):
            ends.append(pos)

    def walk(name: str, start: int) -> list[int]:
        seen = []
        here: int | None = start
        while True:
            here = getattr(neighbours(log.reader, here), name)
            if here is None:
                return seen
            seen.append(here)

    forwards = await asyncio.to_thread(walk, "after", 0)
    assert forwards[-1] == ends[-1]
    assert set(forwards) <= set(ends)
    # Decisions of the very same moment are one step: nobody could have seen what was between them.
    assert len(forwards) > 0.8 * len(ends)
    backwards = await asyncio.to_thread(walk, "before", pos + 1)
    assert [one for one in reversed(backwards) if one] == forwards
    assert backwards[-1] == 0


async def test_what_happened_last_is_told(log: SqliteLog, timeline: Timeline) -> None:
    """The event at the position itself."""
    story = given().after(tune("s1", client=vlc()), took("s1", 9, second=1))
    story.after(Recover(at=at(2)))
    await log.append(with_ids(story.events))
    around = await timeline.neighbours(3)
    assert around.happened is not None
    assert around.happened.type == "activity"
    assert progress(9, 1).bytes == around.happened.payload["bytes"]


async def test_a_pruned_log_begins_at_its_cut(log: SqliteLog, timeline: Timeline) -> None:
    """There is nothing to step to before it, and the feed says so; sessions that are gone have no
    story, the others' stories are whole."""
    happened = stamped_household(7, 400)
    for append in happened.appends:
        await log.append(append)
    cut = await asyncio.to_thread(cut_before, log.reader, 200)
    assert cut is not None

    async def note(stream: str, type_: str, payload: Mapping[str, Any]) -> bool:
        last = happened.events[-1]
        ver = await asyncio.to_thread(log.reader.version, stream) + 1
        told = {"stream": stream, "type": type_, "payload": payload, "ver": ver}
        await log.append([replace(last, **told, src=None, dst=None, machine=None, id=b"n" * 16)])
        return True

    assert await prune(log, note, cut, why="test")
    first = await asyncio.to_thread(log.reader.query, first_moment)
    assert first > 50
    gone_from_the_feed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with aclosing(Feed(log).follow(7, None, gone_from_the_feed)) as following:
        assert await anext(following) == (first, {"gap": {"after": 7, "next": first + 1}})
        assert (await anext(following))[0] == first + 1
    around = await timeline.neighbours(first)
    assert around.before is None
    assert around.after is not None
    assert (await timeline.neighbours(around.after)).before == first
    assert (await timeline.extent()).first == (log.reader.read(first, 1))[0].at // 1_000
    gone = {e.stream[8:] for e in happened.events[:first] if e.stream.startswith("session-")}
    kept = {e.stream[8:] for e in happened.events[first:] if e.stream.startswith("session-")}
    for session in sorted(gone | kept):
        evidence = await asyncio.to_thread(
            partial(gather, log.reader, SessionId(session), up_to=10**9)
        )
        assert (evidence is None) == (session not in kept)
        if evidence is not None:
            assert (
                account(evidence, now=evidence.session[-1].at)["steps"][0]["state"] == "connecting"
            )

"""The contract of an event log, for each log there is: what is acknowledged is there, in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from log_rigs import START_US, MemoryRig, Rig, SqliteRig, event

from events.codec import GENESIS, NotCanonical, encode
from events.envelope import NewEvent, Recorded
from plexbridge.log.batch import MAX_WAITING_EVENTS
from plexbridge.log.memory import Outcome
from plexbridge.log.port import Durable, EventLog, Head, LogUnavailable, VersionConflict
from plexbridge.log.verify import verify_chain


@pytest.fixture(params=["sqlite", "memory"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return SqliteRig(tmp_path / "plexbridge.db") if request.param == "sqlite" else MemoryRig()


@pytest.fixture
async def log(rig: Rig) -> AsyncIterator[EventLog]:
    opened = rig.open()
    yield opened
    await opened.close()


async def outcomes(futures: Sequence["asyncio.Future[Durable]"]) -> list[Durable | BaseException]:
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_an_empty_log_starts_at_nothing(log: EventLog) -> None:
    """Position 0, the genesis hash, no versions, no moment."""
    reader = log.reader
    assert reader.head() == Head(0, GENESIS)
    assert (reader.first(), reader.version("session-a"), reader.position_at(START_US)) == (1, 0, 0)
    assert reader.read(0, 10) == reader.read_stream("session-a") == []


async def test_what_is_appended_is_read_back_field_by_field(log: EventLog) -> None:
    """Every field of the envelope survives, absent ones as absent, the payload as its JSON."""
    sent = [
        event("session-a", 1, src="new", dst="connecting", type="connect", fence=7, node="attic"),
        event("channel-b", 1, src=None, dst=None, machine=None, corr=None, payload={}),
    ]
    stored = await log.append(sent)
    assert list(stored) == log.reader.read(0, 10)
    for new, row in zip(sent, stored, strict=True):
        for name in set(Recorded._fields) - {"pos", "data", "hash"}:
            assert getattr(row, name) == getattr(new, name)
        assert row.data == encode(new.payload)
        assert row.payload == new.payload
    assert log.reader.head() == Head(2, stored[-1].hash)


async def test_positions_are_dense_and_versions_count_up_per_stream(log: EventLog) -> None:
    """Whatever is interleaved, the whole log counts 1, 2, 3 and so does each stream."""
    await outcomes([log.append([event(f"session-{n % 3}", 1 + n // 3)]) for n in range(30)])
    rows = log.reader.read(0, 100)
    assert [row.pos for row in rows] == list(range(1, 31))
    for stream in ("session-0", "session-1", "session-2"):
        assert [row.ver for row in rows if row.stream == stream] == list(range(1, 11))
        assert log.reader.version(stream) == 10


async def test_a_stale_append_fails_alone(log: EventLog) -> None:
    """A version conflict names both versions; what was asked before and after is stored."""
    good, stale, other = await outcomes(
        [
            log.append([event("session-a", 1)]),
            log.append([event("session-b", 1), event("session-a", 1)]),
            log.append([event("session-c", 1)]),
        ]
    )
    assert isinstance(stale, VersionConflict)
    assert (stale.stream, stale.expected, stale.actual) == ("session-a", 0, 1)
    assert [row.stream for row in log.reader.read(0, 10)] == ["session-a", "session-c"]
    assert isinstance(good, tuple)
    assert isinstance(other, tuple)


async def test_a_gap_in_versions_is_a_conflict(log: EventLog) -> None:
    """Neither a stream nor an append within itself may skip a version."""
    answers = await outcomes(
        [
            log.append([event("session-a", 2)]),
            log.append([event("session-b", 1), event("session-b", 3)]),
        ]
    )
    assert [type(answer) for answer in answers] == [VersionConflict, VersionConflict]
    assert log.reader.read(0, 10) == []


async def test_one_append_spans_streams_and_stands_or_falls_as_one(log: EventLog) -> None:
    """Session, tuner and channel events that belong together get neighbouring positions."""
    stored = await log.append([event("session-a", 1), event("channel-x", 1), event("session-a", 2)])
    assert [(row.pos, row.stream, row.ver) for row in stored] == [
        (1, "session-a", 1),
        (2, "channel-x", 1),
        (3, "session-a", 2),
    ]
    with pytest.raises(VersionConflict):
        await log.append([event("channel-x", 2), event("session-a", 9)])
    assert log.reader.head().pos == 3
    assert log.reader.version("channel-x") == 1


async def test_a_retry_resolves_to_what_was_stored(log: EventLog) -> None:
    """The same ids again add nothing, whether the first try is durable or still on its way."""
    both = [event("session-a", 1), event("channel-x", 1)]
    first, again = await outcomes([log.append(both), log.append(both)])
    later = await log.append(both)
    assert first == again == later
    assert log.reader.head().pos == 2


async def test_an_append_of_nothing_is_durable_at_once(log: EventLog) -> None:
    """It resolves in its turn and leaves no trace."""
    assert await log.append([]) == ()
    assert log.reader.head().pos == 0


async def test_a_payload_that_is_no_json_is_the_askers_fault(log: EventLog) -> None:
    """It raises where it was asked, queues nothing, and the log goes on."""
    with pytest.raises(TypeError):
        log.append([event("session-a", 1, payload={"when": object()})])
    with pytest.raises(NotCanonical):
        log.append([event("session-a\0b", 1)])
    assert len(await log.append([event("session-a", 1)])) == 1


async def test_futures_resolve_in_the_order_of_the_calls(log: EventLog) -> None:
    """Also where some of them fail."""
    done: list[int] = []

    def note(number: int) -> Callable[["asyncio.Future[Durable]"], None]:
        return lambda _: done.append(number)

    futures = []
    for number in range(200):
        ver = 7 if number % 10 == 3 else 1
        futures.append(log.append([event(f"session-{number}", ver)]))
        futures[-1].add_done_callback(note(number))
    await outcomes(futures)
    assert done == list(range(200))


async def test_listeners_hear_everything_in_order_before_the_askers(log: EventLog) -> None:
    """Each durable event once, in position order, and before its future resolves."""
    heard: list[int] = []
    late: list[int] = []
    log.subscribe(lambda rows: heard.extend(row.pos for row in rows))

    async def ask(number: int) -> None:
        for ver in range(1, 6):
            [row] = await log.append([event(f"session-{number}", ver)])
            if row.pos not in heard:
                late.append(row.pos)

    await asyncio.gather(*(ask(number) for number in range(20)))
    assert heard == list(range(1, 101))
    assert late == []


async def test_a_listener_that_raises_harms_nobody_else(log: EventLog) -> None:
    """The loop's exception handler hears of it; other listeners and the asker get theirs."""
    reported: list[object] = []
    heard: list[Durable] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def broken(rows: Durable) -> None:
        raise ValueError("a dashboard broke")

    log.subscribe(broken)
    log.subscribe(heard.append)
    stored = await log.append([event("session-a", 1)])
    assert heard == [stored]
    assert [str(error) for error in reported] == ["a dashboard broke"]


async def test_an_asker_that_gave_up_is_passed_over(log: EventLog) -> None:
    """Cancelling the wait neither unstores the event nor disturbs the next asker."""
    first = log.append([event("session-a", 1)])
    second = log.append([event("session-a", 2)])
    first.cancel()
    assert [row.ver for row in await second] == [2]
    assert log.reader.version("session-a") == 2


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.UNKNOWN])
async def test_after_a_failure_everything_fails_until_resumed(
    rig: Rig, log: EventLog, outcome: Outcome
) -> None:
    """Later decisions rest on earlier ones: none is stored until the caller has folded anew."""
    await log.append([event("session-a", 1)])
    rig.faults.next = outcome
    failing = [event("session-a", 2)]
    first = log.append(failing)
    with pytest.raises(LogUnavailable):
        await first
    with pytest.raises(LogUnavailable):
        await log.append([event("session-b", 1)])
    log.resume()
    stored = await log.append(failing)
    assert [(row.pos, row.ver) for row in stored] == [(2, 2)]
    await log.append([event("session-b", 1)])
    assert [row.stream for row in log.reader.read(0, 9)] == ["session-a", "session-a", "session-b"]
    assert list(verify_chain(log.reader)) == []


async def test_listeners_hear_what_an_unknown_commit_stored(rig: Rig, log: EventLog) -> None:
    """Nobody was told it is durable: it is heard at resume, so that no position is missed."""
    heard: list[int] = []
    log.subscribe(lambda rows: heard.extend(row.pos for row in rows))
    await log.append([event("session-a", 1)])
    rig.faults.next = Outcome.UNKNOWN
    await outcomes([log.append([event("session-a", 2)])])
    assert heard == [1]
    log.resume()
    await log.append([event("session-a", 3)])
    assert heard == [1, 2, 3]


async def test_resuming_a_healthy_log_changes_nothing(log: EventLog) -> None:
    """Before, between and after appends."""
    log.resume()
    first = log.append([event("session-a", 1)])
    log.resume()
    assert [row.pos for row in await first] == [1]
    assert [row.pos for row in await log.append([event("session-a", 2)])] == [2]


async def test_a_full_queue_refuses_in_turn_and_until_resumed(log: EventLog) -> None:
    """The bound is named, what waited before is stored, and the next append is refused as well."""
    waiting = [event("session-a", ver) for ver in range(1, MAX_WAITING_EVENTS + 1)]
    futures = [log.append(waiting[:-1]), log.append([waiting[-1]])]
    beyond = log.append([event("session-b", 1)])
    after = log.append([])
    with pytest.raises(LogUnavailable, match="queue full: 10000 events"):
        await beyond
    assert all(future.done() for future in futures)
    with pytest.raises(LogUnavailable, match="queue full"):
        await after
    assert log.reader.head().pos == MAX_WAITING_EVENTS
    log.resume()
    assert len(await log.append([event("session-b", 1)])) == 1


async def test_pages_and_streams_are_read_in_order(log: EventLog) -> None:
    """`after` excludes, `limit` bounds, beyond the end there is nothing."""
    await log.append([event(f"session-{n % 2}", 1 + n // 2) for n in range(10)])
    reader = log.reader
    assert [row.pos for row in reader.read(3, 4)] == [4, 5, 6, 7]
    assert [row.pos for row in reader.read(8, 100)] == [9, 10]
    assert reader.read(10, 5) == []
    assert [row.ver for row in reader.read_stream("session-1", 2, 2)] == [3, 4]
    assert reader.read_stream("session-9") == []


@pytest.mark.parametrize(
    "times",
    [
        [10, 20, 20, 30],
        [10, 20, 30, 5, 15, 25, 35],
        [50, 40, 30, 20, 10],
        [10, 30, 20, 20, 5, 60, 60, 1],
    ],
)
async def test_a_moment_names_the_last_event_at_or_before_it(
    log: EventLog, times: list[int]
) -> None:
    """Also where the clock stepped back: positions order the log, never times."""
    for number, at in enumerate(times):
        await log.append([event("session-a", number + 1, at=at)])
    for moment in range(70):
        at_or_before = [n + 1 for n, at in enumerate(times) if at <= moment]
        assert log.reader.position_at(moment) == max(at_or_before, default=0)


async def test_four_appenders_racing_for_one_stream_have_one_winner_per_version(
    log: EventLog,
) -> None:
    """Losers learn the version and try again; the stream has no gap and nobody's event twice."""
    won: list[tuple[int, int]] = []

    async def race(racer: int) -> None:
        wins = 0
        expected = 1
        while wins < 25:
            try:
                [row] = await log.append([event("session-a", expected, fence=racer)])
            except VersionConflict as conflict:
                expected = conflict.actual + 1
            else:
                won.append((row.ver, racer))
                wins += 1
                expected = row.ver + 1

    await asyncio.gather(*(race(racer) for racer in range(4)))
    assert sorted(ver for ver, _ in won) == list(range(1, 101))
    rows = log.reader.read_stream("session-a")
    assert [(row.ver, row.fence) for row in rows] == sorted(won)


async def test_the_chain_of_a_log_verifies_from_any_position(log: EventLog) -> None:
    """Whole or from the middle, with progress told by position."""
    batch: list[NewEvent] = [event(f"session-{n % 7}", 1 + n // 7) for n in range(70)]
    await log.append(batch)
    told: list[int] = []
    assert list(verify_chain(log.reader, progress=told.append)) == []
    assert told == [70]
    for after in (1, 30, 69, 70):
        assert list(verify_chain(log.reader, after=after)) == []
    [finding] = verify_chain(log.reader, after=71)
    assert (finding.pos, finding.rule) == (71, "position")


async def test_closing_stores_what_waits(rig: Rig) -> None:
    """No append made before it is dropped; closing twice is fine."""
    log = rig.open()
    futures = [log.append([event("session-a", ver)]) for ver in range(1, 100)]
    await log.close()
    await log.close()
    stored = await outcomes(futures)
    assert [row.pos for [row] in stored] == list(range(1, 100))  # type: ignore[misc]

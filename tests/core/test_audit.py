"""What the audit sees: nothing in a sound history, and each broken promise at its position."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from events.codec import GENESIS, encode, hash_of
from events.commands import Command, Recover, ShutDown, Started
from events.envelope import NewEvent, Recorded
from events.ids import Position
from events.machine import MACHINE_ID
from events.policy import Policy
from plexbridge.audit.checks import check, promises
from plexbridge.audit.findings import Finding, Kind
from plexbridge.audit.replaying import replay, steps
from plexbridge.audit.report import Report, audit
from plexbridge.audit.story import causes, figures, let_go, story
from plexbridge.log.memory import MemoryReader
from tests.core.given import (
    at,
    closed,
    completed,
    first_byte,
    given,
    in_trouble,
    linger_over,
    lost,
    opened,
    progress,
    reported,
    socket_gone,
    stop,
    took,
    tune,
    watching,
)

POLICY = Policy()


def begun(second: float = 0, policy: Policy = POLICY) -> Started:
    """The bridge starts."""
    return Started(at=at(second), version="1", machine=MACHINE_ID, policy=policy)


def rows_of(events: Iterable[NewEvent]) -> list[Recorded]:
    """Decided events as the log's writer records them, each caused by the one before."""
    rows: list[Recorded] = []
    previous = GENESIS
    for pos, event in enumerate(events, 1):
        row = Recorded(
            pos=Position(pos),
            stream=event.stream,
            ver=event.ver,
            type=event.type,
            schema=event.schema,
            src=event.src,
            dst=event.dst,
            machine=event.machine,
            at=event.at,
            id=pos.to_bytes(16, "big"),
            corr=None,
            cause=rows[-1].id if rows else None,
            actor=event.actor,
            node=event.node,
            fence=event.fence,
            data=encode(event.payload),
            hash=b"",
        )
        previous = hash_of(previous, row)
        rows.append(row._replace(hash=previous))
    return rows


def history(*commands: Command, policy: Policy = POLICY) -> list[Recorded]:
    """What is recorded when the bridge starts and these follow."""
    return rows_of(given(policy).after(begun(policy=policy), *commands).events)


WATCHED = (
    tune("s1", second=1),
    opened(second=1.2),
    first_byte(second=1.3),
    took("s1", 1_000, second=1.4),
    took("s1", 9_000, second=12),
    closed("s1", second=20, seen=progress(9_500, 20)),
)
LINGERED = (*WATCHED, linger_over(second=25), socket_gone(second=25.1))


def altered(
    rows: list[Recorded], pos: int, /, payload: dict[str, Any] | None = None, **fields: Any
) -> list[Recorded]:
    """The same history with other contents at one position; its hash does not matter here."""
    row = rows[pos - 1]
    data = row.data if payload is None else orjson.dumps({**row.payload, **payload})
    changed = row._replace(data=data, **fields)
    return [*rows[: pos - 1], changed, *rows[pos:]]


def position(rows: list[Recorded], type_: str, nth: int = 0) -> int:
    """Where the nth event of a type stands."""
    return [row.pos for row in rows if row.type == type_][nth]


def found(rows: Iterable[Recorded]) -> list[Finding]:
    """Everything that is found."""
    return list(check(promises(), rows))


def only(rows: Iterable[Recorded]) -> Finding:
    """The one thing that is found."""
    [finding] = found(rows)
    return finding


@pytest.mark.parametrize(
    "commands",
    [
        (),
        WATCHED,
        LINGERED,
        (*LINGERED, tune("s2", second=30), ShutDown(at=at(31), progress=())),
        (*WATCHED[:4], stop("s1", second=9), socket_gone(second=9.1)),
        (*WATCHED[:4], Recover(at=at(9_000)), begun(9_000)),
        (*WATCHED[:4], lost(second=5), opened(second=6, attempt=2)),
        (*WATCHED[:4], reported("s1", "somehow", second=5)),
        (*WATCHED[:4], completed(second=5)),
    ],
    ids=[
        "nothing",
        "lingering",
        "lingered",
        "shutdown",
        "stopped",
        "recovered",
        "recovering",
        "reported",
        "completed",
    ],
)
def test_a_sound_history_shows_nothing(commands: tuple[Command, ...]) -> None:
    """Whatever its sessions came to, and whether or not they are still open."""
    assert found(history(*commands)) == []
    assert replay(history(*commands)).illegal == 0


def test_a_step_its_machine_does_not_know_is_found() -> None:
    """The machine is the one that the event names."""
    rows = history(*WATCHED)
    pos = position(rows, "activity")
    finding = next(one for one in found(altered(rows, pos, type="connect")))
    assert (finding.check, finding.pos) == ("steps", pos)
    assert "has no step connect: connecting → active" in finding.text


def test_a_step_that_leaves_another_state_than_it_was_in_is_found() -> None:
    """The stored source is compared with where the step before led to."""
    rows = history(*WATCHED)
    pos = position(rows, "disconnect")
    finding = only(altered(rows, pos, src="connecting"))
    assert (finding.check, finding.kind, finding.pos) == ("steps", Kind.PROBLEM, pos)
    assert "leaves connecting, but it was active since #" in finding.text


def test_a_step_of_an_unknown_machine_is_not_fine_and_no_problem_either() -> None:
    """This version cannot tell."""
    rows = history(*WATCHED)
    pos = position(rows, "disconnect")
    finding = only(altered(rows, pos, machine="0123456789ab"))
    assert (finding.check, finding.kind, finding.pos) == ("steps", Kind.UNCHECKED, pos)
    result = replay(altered(rows, pos, machine="0123456789ab"))
    assert (result.illegal, result.unknown) == (0, 1)


def test_a_second_terminal_event_is_found() -> None:
    """It is an illegal step as well."""
    rows = history(*WATCHED)
    end = rows[position(rows, "disconnect") - 1]
    again = end._replace(pos=Position(len(rows) + 1), ver=end.ver + 1)
    findings = {finding.check: finding for finding in found([*rows, again])}
    assert set(findings) == {"steps", "endings"}
    assert findings["endings"].pos == again.pos
    assert f"it ended at #{end.pos}" in findings["endings"].text


def test_what_outlives_a_start_is_found() -> None:
    """A start ends every session and returns every lease that it finds."""
    rows = history(*WATCHED[:4])
    started = rows[0]._replace(pos=Position(len(rows) + 1), ver=3)
    assert [finding.check for finding in found([*rows, started])] == ["endings", "leases"]


def test_a_lease_that_returns_twice_is_found() -> None:
    """The second return gives back what nobody holds."""
    rows = history(*LINGERED)
    released = rows[position(rows, "tuner_released") - 1]
    again = released._replace(pos=Position(len(rows) + 1), ver=99)
    finding = only([*rows, again])
    assert (finding.check, finding.pos) == ("leases", again.pos)


def test_a_lease_that_never_returned_is_found() -> None:
    """When its channel takes a tuner again."""
    rows = history(*LINGERED, tune("s2", second=40))
    pos = position(rows, "tuner_released")
    findings = found([row for row in rows if row.pos != pos])
    assert [(one.check, one.pos) for one in findings] == [
        ("leases", position(rows, "tuner_leased", 1))
    ]


def test_a_tuner_returned_under_a_session_is_found() -> None:
    """A lease outlives its sessions, never the other way round."""
    rows = history(*LINGERED)
    pos = position(rows, "disconnect")
    findings = found([row for row in rows if row.pos != pos])
    assert [(one.check, one.pos) for one in findings] == [
        ("leases", position(rows, "tuner_released"))
    ]


def test_more_tuners_than_the_policy_allows_are_found() -> None:
    """The policy is the one in force then, not today's."""
    two = (tune("s1", "1", second=1), tune("s2", "2", second=2))
    rows = history(*two, policy=Policy(tuners=2))
    assert found(rows) == []
    finding = only(altered(rows, position(rows, "policy_set"), {"tuners": 1}))
    assert (finding.check, finding.pos) == ("limits", position(rows, "tuner_leased", 1))


def test_one_tuner_given_twice_is_found() -> None:
    """At the second lease."""
    rows = history(tune("s1", "1", second=1), tune("s2", "2", second=2))
    pos = position(rows, "tuner_leased", 1)
    findings = found(altered(rows, pos, {"tuner": 0}))
    assert ("limits", pos) in [(one.check, one.pos) for one in findings]


def test_a_source_over_its_limit_is_found() -> None:
    """By counting, and not by what the lease says of itself."""
    two = (
        tune("s1", "1", second=1, sources=[("p", 2)]),
        tune("s2", "2", second=2, sources=[("p", 2)]),
    )
    rows = history(*two)
    assert found(rows) == []
    pos = position(rows, "tuner_leased", 1)
    finding = only(altered(rows, pos, {"allowed": 1, "in_use": 1}))
    assert (finding.check, finding.pos) == ("limits", pos)
    assert "2 connections of source p; 1 are allowed" in finding.text


def test_more_sessions_than_allowed_are_found() -> None:
    """`MAX_CONCURRENT_STREAMS`."""
    rows = history(tune("s1", second=1), tune("s2", second=2), policy=Policy(max_sessions=2))
    assert found(rows) == []
    finding = only(altered(rows, position(rows, "policy_set"), {"max_sessions": 1}))
    assert (finding.check, finding.pos) == ("limits", position(rows, "connect", 1))


@pytest.mark.parametrize(
    ("end", "late_s"),
    [
        (stop("s1", second=10), 2.0),
        (closed("s1", second=10), 5.0),
    ],
    ids=["forced", "disconnected"],
)
def test_a_slow_clean_up_is_found(end: Command, late_s: float) -> None:
    """Just within the bound it is fine; lingering by policy does not count."""
    commands: list[Command] = [*WATCHED[:4], end]
    closed_at = 10.0
    if late_s == 5.0:
        commands.append(linger_over(second=15))
        closed_at = 15.0
    assert found(history(*commands, socket_gone(second=closed_at + late_s))) == []
    rows = history(*commands, socket_gone(second=closed_at + late_s + 0.01))
    finding = only(rows)
    assert (finding.check, finding.pos) == ("cleanup", position(rows, "upstream_closed"))
    assert f"{late_s:g} s are promised" in finding.text


def test_an_upstream_that_was_never_closed_is_found() -> None:
    """Once the log goes on for longer than the bound; a log that ends there proves nothing."""
    stopped = (*WATCHED[:4], stop("s1", second=10))
    assert found(history(*stopped, tune("s2", "2", second=11.9))) == []
    finding = only(history(*stopped, tune("s2", "2", second=12.1)))
    assert finding.check == "cleanup"
    assert "was not closed" in finding.text


def test_a_payload_that_says_too_little_is_not_fine() -> None:
    """Every check that needed it says so."""
    rows = history(*WATCHED)
    pos = position(rows, "tuner_leased")
    findings = found([row._replace(data=b"{}") if row.pos == pos else row for row in rows])
    assert findings
    assert {Kind.UNCHECKED} == {one.kind for one in findings if one.pos == pos}
    broken = found([row._replace(data=b"{") if row.pos == pos else row for row in rows])
    assert ("payloads", Kind.UNCHECKED, pos) in [(o.check, o.kind, o.pos) for o in broken]


def report_of(rows: list[Recorded], *extra: Finding) -> Report:
    """A whole audit of these rows."""
    reader = MemoryReader()
    reader.add(rows)
    return audit(reader, projections=lambda: extra)


def test_a_whole_audit_of_a_sound_log_is_fine() -> None:
    """And says how much it looked at."""
    report = report_of(history(*LINGERED))
    assert (report.found, report.unchecked, report.broken) == (0, 0, False)
    examined = {result.name: result.examined for result in report.results}
    assert examined["chain"] == report.head.pos == len(history(*LINGERED))
    assert (examined["endings"], examined["leases"]) == (1, 1)


@pytest.mark.parametrize("pos", range(1, len(history(*LINGERED)) + 1))
def test_an_altered_event_is_named_whichever_it_is(pos: int) -> None:
    """The chain breaks there; nothing else is asked of a log that is not what was written."""
    rows = history(*LINGERED)
    report = report_of(altered(rows, pos, actor="somebody"))
    assert report.broken
    [chain_result, *others] = report.results
    assert chain_result.findings[0].pos == pos
    assert all(result.unchecked and not result.found for result in others)


def test_a_dropped_event_is_named() -> None:
    """The gap is at the position behind it."""
    rows = history(*LINGERED)
    report = report_of([row for row in rows if row.pos != 4])
    assert report.broken
    assert report.results[0].findings[0].pos == 5


def test_projections_count_like_any_other_check() -> None:
    """One that differs from its rebuild is something found."""
    differs = Finding(check="projections", pos=None, text="sessions differs")
    report = report_of(history(*WATCHED), differs)
    assert (report.found, report.broken) == (1, False)


def test_a_story_names_each_step_how_long_it_lasted_and_its_evidence() -> None:
    """Activity that changed nothing is left out."""
    rows = history(*WATCHED)
    session = [row for row in rows if row.stream == "session-s1"]
    told = story(session)
    assert [(step.trigger, step.state, step.lasted_us) for step in told] == [
        ("connect", "connecting", 400_000),
        ("activity", "active", 18_600_000),
        ("disconnect", "ended", None),
    ]
    assert [step.pos for step in told] == [session[0].pos, session[1].pos, session[-1].pos]
    assert told[1].text == "first byte after 400 ms"
    assert told[2].text == "client_disconnect · client_closed"


def test_causes_are_walked_back_and_end_where_none_is_known() -> None:
    """Nearest first; activity that changed nothing is passed over."""
    rows = history(*WATCHED)
    by_id = {row.id: row for row in rows}
    assert [row.type for row in causes(rows[-1], by_id.get)] == [
        "activity",
        "upstream_first_byte",
        "upstream_opened",
        "connect",
        "tuner_leased",
        "policy_set",
        "started",
    ]
    assert [row.type for row in rows].count("activity") == 2
    assert causes(rows[-1], lambda _: None) == []


def test_what_an_end_let_go_of() -> None:
    """When the tuner returned and when the upstream closed; not across a session that joined."""
    rows = history(*LINGERED)
    end = position(rows, "disconnect")
    told = let_go(rows[end - 1], "1", rows[end:])
    assert (told.why, told.tuner_after_us, told.upstream_after_us) == (
        "linger_over",
        5_000_000,
        5_100_000,
    )
    joined = history(*WATCHED, tune("s2", second=22), stop("s2", second=23))
    end = position(joined, "disconnect")
    assert let_go(joined[end - 1], "1", joined[end:]).tuner_after_us is None


def test_figures_of_a_session() -> None:
    """As recorded, in milliseconds and bits per second."""
    rows = [row for row in history(*WATCHED) if row.stream == "session-s1"]
    assert figures(rows) == {
        "duration_ms": 19_000,
        "waited_ms": 0,
        "first_byte_ms": 400,
        "bytes": 9_500,
        "mean_bitrate": 4_000,
        "errors": 0,
    }


def test_a_replay_tells_the_state_each_session_was_left_in() -> None:
    """And which machine decided how many steps."""
    rows = rows_of(in_trouble("s1", "s2").events)
    result = replay(rows)
    assert result.sessions == {"s1": "recovering", "s2": "recovering"}
    assert result.open == 2
    assert result.machines == {MACHINE_ID: result.events}
    assert all(step.verdict.legal for step in steps(rows))
    assert replay(rows_of(watching("s1").events)).sessions == {"s1": "active"}

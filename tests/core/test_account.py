"""The account of a session: its lanes, its events and their causes, and what a report hides."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from events.commands import Command
from events.envelope import Recorded
from plexbridge.audit.account import account, anonymous
from plexbridge.audit.evidence import Evidence
from plexbridge.audit.lanes import Lane, lanes
from plexbridge.audit.story import causes
from plexbridge.web.event_words import event_words
from plexbridge.web.lane_drawing import drawn
from tests.core.given import (
    START,
    Story,
    at,
    closed,
    first_byte,
    given,
    linger_over,
    lost,
    moves,
    opened,
    socket_gone,
    stop,
    took,
    tune,
    vlc,
)
from tests.core.histories import household, recorded
from tests.core.stamped_history import chained, stamped_household

Row = dict[str, Any]


def evidence_of(rows: list[Recorded], session: str) -> Evidence:
    """Of one session, from a whole history: what the log would be asked for."""
    own = [row for row in rows if row.stream == f"session-{session}"]
    channel = f"channel-{own[0].payload['channel']['id']}"
    ended = own[-1].dst == "ended"
    by_id = {row.id: row for row in rows}
    return Evidence(
        session=own,
        channel=[row for row in rows if row.stream == channel],
        following=[row for row in rows if ended and row.pos > own[-1].pos],
        led_to_it=causes(own[-1], by_id.get),
        positions={row.id: row.pos for row in rows},
    )


def told(story: Story, session: str = "s1", *, now: float = 100) -> Row:
    """The account after a story."""
    return account(evidence_of(recorded(story.events), session), now=at(now))


def lane(document: Row, name: str) -> list[tuple[float, float, str, str]]:
    """A lane's parts: seconds of the story, tone, words."""
    [found] = [one for one in document["lanes"]["lanes"] if one["name"] == name]
    start = START / 1_000
    return [
        ((part["from"] - start) / 1e3, (part["to"] - start) / 1e3, part["tone"], part["text"])
        for part in found["parts"]
    ]


def test_a_session_that_watched_and_left() -> None:
    """Each lane from its first moment to its last; the relay lingered, and then let go."""
    story = given(linger_ms=5_000).after(
        *(tune("s1", client=vlc()), opened(second=0.5), first_byte(second=1)),
        *(took("s1", 1_000, second=1), took("s1", 900_000, second=30)),
        *(closed("s1", second=31), linger_over(second=36), socket_gone(second=36.5)),
    )
    document = told(story)
    assert lane(document, "state") == [
        (0, 1, "wait", "connecting"),
        (1, 31, "good", "active"),
        (31, 31, "plain", "ended"),
    ]
    assert lane(document, "client") == [
        (1, 1, "good", "first byte after 1000 ms"),
        (0, 31, "good", "VLC/3"),
        (31, 31, "plain", "client_closed"),
    ]
    assert lane(document, "tuner") == [
        (0, 36, "good", "tuner 0"),
        (36, 36, "plain", "free: linger_over"),
    ]
    assert lane(document, "upstream") == [
        (1, 1, "good", "video after 70 ms"),
        (0.5, 36.5, "good", "p"),
    ]
    assert document["lanes"]["to"] == at(36.5) // 1_000
    assert document["words"] == {"text": "VLC/3 closed its connection", "mends": ""}
    assert document["cleanup"]["tuner_returned_after_ms"] == 5_000
    assert document["cleanup"]["upstream_closed_after_ms"] == 5_500
    assert document["figures"]["duration_ms"] == 31_000
    assert (document["state"], document["ended_at"]) == ("ended", at(31) // 1_000)


def test_an_upstream_in_trouble_is_seen_on_its_lane() -> None:
    """The loss and its cause, the way to another source, the state meanwhile; open until now."""
    story = given().after(
        tune("s1", sources=(("p", 0), ("q", 0))), opened(second=1), first_byte(second=1)
    )
    story.after(took("s1", 1_000, second=1), lost(second=10), moves("q", second=11))
    story.after(opened(second=12, attempt=2), first_byte(second=13, attempt=2))
    story.after(took("s1", 2_000, second=13))
    document = told(story, now=20)
    assert [part[2:] for part in lane(document, "state")] == [
        ("wait", "connecting"),
        ("good", "active"),
        ("wait", "recovering"),
        ("good", "active"),
    ]
    assert lane(document, "state")[-1][1] == 20
    assert lane(document, "upstream") == [
        (1, 1, "good", "video after 70 ms"),
        (1, 10, "good", "p"),
        (10, 10, "bad", "upstream_reset"),
        (11, 11, "plain", "to q"),
        (13, 13, "good", "video after 70 ms"),
        (12, 20, "good", "q"),
    ]
    assert document["source"] == "q"
    assert (document["ended_at"], document["words"], document["cleanup"]) == (None, None, None)
    assert document["figures"]["duration_ms"] == 20_000


def test_what_a_relay_did_before_is_drawn_from_the_sessions_start_on() -> None:
    """A viewer who joins a channel that is watched already."""
    story = given().after(tune("s1"), opened(second=1), first_byte(second=1))
    story.after(took("s1", 9, second=1), tune("s2", second=50), took("s2", 9, second=50.02))
    document = told(story, "s2", now=60)
    assert lane(document, "tuner") == [(50, 60, "good", "tuner 0")]
    assert lane(document, "upstream") == [(50, 60, "good", "p")]


def test_bytes_that_flow_on_are_told_once() -> None:
    """With how often, and up to where; nothing else is left out."""
    story = given().after(tune("s1"), opened(second=1), first_byte(second=1))
    for second in range(1, 62, 10):
        story.after(took("s1", second * 1_000, second=second))
    story.after(stop("s1", second=70))
    document = told(story)
    run = next(event for event in document["events"] if event["count"] > 1)
    assert (run["type"], run["count"], run["last_pos"] - run["pos"]) == ("activity", 6, 5)
    assert event_words(run) == "61 kB by now"
    assert sum(event["count"] for event in document["events"]) == len(story.events)
    assert document["events_left_out"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_session_of_any_history_has_an_account(seed: int) -> None:
    """At each of its moments: states follow one another without a gap, every cause is a position
    before its effect, each event has words, all is drawn in order and inside."""
    rows = chained([event for append in stamped_household(seed, 120).appends for event in append])
    sessions = {row.stream[8:] for row in rows if row.stream.startswith("session-")}
    assert len(sessions) > 5
    for session in sessions:
        own = [row.pos for row in rows if row.stream == f"session-{session}"]
        for cut in {own[0], own[len(own) // 2], own[-1], rows[-1].pos}:
            known = [row for row in rows if row.pos <= cut]
            document = account(evidence_of(known, session), now=known[-1].at + 1_000_000)
            states = next(one for one in document["lanes"]["lanes"] if one["name"] == "state")
            parts = states["parts"]
            assert all(a["to"] == b["from"] for a, b in pairwise(parts))
            assert parts[-1]["text"] == document["state"]
            for event in document["events"]:
                assert event["cause_pos"] is None or event["cause_pos"] < event["pos"]
                assert isinstance(event_words(event), str)
            drawing = drawn(document["lanes"])
            for one in drawing["lanes"]:
                places = [float(span["x"].rstrip("%")) for span in one["spans"]]
                assert places == sorted(places)
                assert all(0 <= place <= 100 for place in places)
            assert anonymous(document, "1").startswith("PlexBridge 1, session ")


def test_a_public_report_names_nobody() -> None:
    """No address, no channel's name, no source; but what happened, step by step."""
    story = given().after(
        tune("s1", sources=(("secret-account", 0),), client=vlc("10.0.0.77")),
        *(opened(second=1), first_byte(second=1), took("s1", 9_000, second=1)),
        stop("s1", second=70),
    )
    text = anonymous(told(story), "1.2.3")
    for secret in ("10.0.0.77", "Channel 1", "secret-account", "http:"):
        assert secret not in text
    assert "| 70000 | reclaim | active → ended | manual · asked |" in text
    assert "Player: VLC/3, asked by /auto" in text


@pytest.mark.parametrize("seed", range(3))
def test_every_event_says_something_or_nothing(seed: int) -> None:
    """Every type that the rules write; those of other versions say nothing and raise nothing."""
    for row in recorded(household(seed, 200).events):
        event = {"type": row.type, "data": row.payload}
        assert "{" not in event_words(event)
    assert event_words({"type": "of_another_time", "data": {}}) == ""


def test_many_attempts_are_drawn_up_to_a_bound() -> None:
    """An evening of failing upstreams is told by its number."""
    story = given().after(tune("s1"), opened(second=1), first_byte(second=1))
    story.after(took("s1", 1_000, second=1))
    more: Callable[..., Command]
    for attempt in range(2, 200):
        for more in (lost, opened):
            story.after(more(second=1 + attempt / 100, attempt=attempt))
        story.after(took("s1", 1_000 + attempt, second=1 + attempt / 100))
    rows = recorded(story.events)
    own = [row for row in rows if row.stream == "session-s1"]
    made: list[Lane] = lanes(own, [r for r in rows if r.stream == "channel-1"], until=rows[-1].at)
    upstream = made[3].as_json()
    assert upstream["count"] > len(upstream["parts"]) == 300

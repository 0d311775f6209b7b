"""What a page is told of sessions, sources and sums: exact fields, honest figures, bounds."""

from typing import Any

import orjson
import pytest

from events.commands import Note, Recover
from events.deadlines import deadline
from events.envelope import Recorded
from events.ids import UnixMicros
from projections.folding import Folding
from projections.live import Row
from projections.tallies import CHANNELS_KEPT, CLEANUPS_KEPT, JUST_ENDED_KEPT, SOURCES_KEPT
from tests.core.given import (
    START,
    Story,
    at,
    closed,
    first_byte,
    given,
    in_trouble,
    lost,
    opened,
    player,
    reported,
    stop,
    took,
    tune,
    watching,
)
from tests.core.histories import household, recorded

SEEDS = range(6)
START_MS = START // 1_000
SHOWN_OF_A_SESSION = {
    *("id", "state", "since", "reason", "detail", "channel", "client", "tuner", "source"),
    *("started_at", "ended_at", "first_byte_ms", "bytes", "bitrate", "errors", "next_deadline"),
    *("words", "kind"),
}
"""DESIGN 8.3, and beside it the words and the route."""


def folded(events: list[Recorded]) -> Folding:
    """All of a history."""
    folding = Folding()
    for event in events:
        folding.fold(event)
    return folding


def shown(story: Story) -> Row:
    """The dashboard after a story, under the default policy."""
    return folded(recorded(story.events)).shown.document()


def only(rows: list[Row]) -> Row:
    """The one there is."""
    [row] = rows
    return row


@pytest.mark.parametrize("seed", SEEDS)
def test_a_session_is_shown_with_the_same_fields_everywhere_and_never_with_its_key(
    seed: int,
) -> None:
    """Open, or just ended (then also how soon its tuner was free); what makes two requests one
    viewer is nobody's business."""
    folding = Folding()
    for event in recorded(household(seed, 200).events):
        folding.fold(event)
        document = folding.shown.document()
        freed = [row.pop("tuner_freed_after_ms") for row in document["just_ended"]]
        assert all(ms is None or ms >= 0 for ms in freed)
        for row in (*document["sessions"], *document["just_ended"]):
            assert row.keys() == SHOWN_OF_A_SESSION
            assert row["client"].keys() == {"address", "user_agent", "name"}
            assert (row["ended_at"] is None) == (row["next_deadline"] is not None)
        assert b"id:a" not in orjson.dumps(document), "a client's key is shown"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_next_deadline_is_the_one_the_rules_will_apply(seed: int) -> None:
    """At every position, with the policy in force and from recorded facts alone."""
    folding = Folding()
    for event in recorded(household(seed, 200).events):
        folding.fold(event)
        for row in folding.shown.document()["sessions"]:
            due = deadline(folding.decided.sessions[row["id"]], folding.decided.policy)
            assert row["next_deadline"] == {
                "trigger": due.trigger,
                "reason": due.reason,
                "after_ms": due.after_ms,
                "counted_from": due.counted_from // 1_000,
            }


def test_an_event_that_nothing_is_shown_of_only_moves_the_position() -> None:
    """Also one whose type this release does not know."""
    events = recorded(watching("s1").events)
    before = folded(events).shown.document()
    unknown = events[-1]._replace(
        pos=len(events) + 1, stream="lineup", ver=1, type="painted", data=b"{}"
    )
    after = folded([*events, unknown]).shown.document()
    assert after == before | {"position": unknown.pos}


def test_a_session_that_recovered_has_no_trouble_to_tell() -> None:
    """What is over is counted, and not shown as if it were now."""
    row = only(shown(in_trouble("s1").after(took("s1", 2_000, second=3)))["sessions"])
    assert (row["state"], row["reason"], row["detail"]) == ("active", None, None)
    assert row["errors"] == 1


def test_a_session_that_its_client_comes_back_to_goes_on() -> None:
    """Same id, same start, same first byte; the wait for bytes counts from the new connect."""
    story = watching("s1", keep_alive=True).after(reported("s1", "admin", second=2))
    assert only(shown(story)["sessions"])["words"]["text"] == "a program reported: admin"
    story.after(tune("s2", second=4, client=player("player of s1")))
    row = only(shown(story)["sessions"])
    assert (row["id"], row["state"]) == ("s1", "connecting")
    assert (row["started_at"], row["since"]) == (START_MS, START_MS + 4_000)
    assert row["first_byte_ms"] == 1_000
    assert row["reason"] is None
    assert row["next_deadline"]["counted_from"] == START_MS + 4_000


def test_an_error_that_ends_a_session_counts_as_its_error() -> None:
    """It failed before its first byte."""
    story = given().after(tune("s1"), lost(second=1, gave_bytes=False))
    assert only(shown(story)["just_ended"])["errors"] == 1


def test_a_source_says_what_is_used_what_is_allowed_and_what_went_wrong_last() -> None:
    """Connections, the last loss, the last refresh."""

    def note(type_: str, second: int, **payload: Any) -> Note:
        return Note(at=at(second), stream="source-p", type=type_, payload=tuple(payload.items()))

    story = given().after(tune("s1", sources=[("p", 3)]), opened(second=1), first_byte(second=1))
    story.after(took("s1", 9, second=1), note("refreshed", 2, entries=420), lost(second=3))
    row = only(shown(story)["sources"])
    assert (row["id"], row["connections"], row["allowed"]) == ("p", 1, 3)
    assert (row["entries"], row["refreshed_at"]) == (420, START_MS + 2_000)
    assert row["last_lost"] == {
        "at": START_MS + 3_000,
        "reason": "stream_failed",
        "detail": "upstream_reset",
    }
    story.after(note("refresh_failed", 4, why="HTTP 503"))
    row = only(shown(story)["sources"])
    assert row["problem"] == "HTTP 503"
    assert row["refreshed_at"] == START_MS + 2_000, "the last good one is still in force"
    assert only(shown(story.after(note("refreshed", 5, entries=1)))["sources"])["problem"] is None


def test_an_end_that_nobody_waited_for_takes_no_time() -> None:
    """A person may give any of the reasons, also one the bridge gives after waiting."""
    for reason in ("orphaned", "stale"):
        story = watching("s1", second=1).after(stop("s1", second=22, reason=reason))
        assert shown(story)["cleanup"][reason]["max_s"] == 0


def test_a_crash_is_no_slow_cleanup() -> None:
    """While the bridge did not run, it held nothing."""
    story = watching("s1", second=1)
    story.after(Recover(at=UnixMicros(START + 9_000_000_000)))
    assert shown(story)["cleanup"]["orphaned"]["max_s"] == 0


def test_what_adds_up_is_bounded() -> None:
    """However many channels, sources and sessions there ever were."""
    story = given(tuners=1, linger_ms=0)
    sessions = max(CHANNELS_KEPT, CLEANUPS_KEPT) + 5
    for number in range(1, sessions + 1):
        source = f"p{number % (SOURCES_KEPT * 2)}"
        story.after(
            tune(f"s{number}", str(number), second=number, sources=[(source, 0)]),
            closed(f"s{number}", second=number),
        )
    folding = folded(recorded(story.events))
    document = folding.shown.document()
    assert len(document["just_ended"]) == JUST_ENDED_KEPT
    assert len(document["sources"]) == SOURCES_KEPT
    channels = document["totals"]["channels"]
    assert len(channels) == CHANNELS_KEPT
    assert "1" not in {row["id"] for row in channels}, "the one watched longest ago goes first"
    assert document["totals"]["sessions"] == sessions
    assert document["cleanup"]["client_disconnect"]["count"] == sessions
    assert len(folding.shown.ends.state["cleanup"]["client_disconnect"]["ms"]) == CLEANUPS_KEPT
    assert not document["sessions"]

"""What people are told of, decided from recorded events."""

from dataclasses import replace

import pytest

from events.commands import Note, Recover
from events.envelope import Recorded
from events.ids import ChannelId, Position
from plexbridge.notices.coalescing import WINDOW_S
from plexbridge.notices.deciding import Deciding
from plexbridge.notices.kinds import NAME_CHARS_MAX, Kind, Notice, plain
from plexbridge.notices.standing import (
    DOWN_AFTER_S,
    GUIDES_LOOKED_AT_AFTER_S,
    STALE_BEFORE_S,
)
from tests.core.given import START, Story, at, given, lost, player, tune, vlc, watching
from tests.core.histories import household, recorded
from tests.core.notice_rules import kinds, note, of_story, told

START_S = START // 1_000_000


def only(notices: list[tuple[float, Notice]]) -> Notice:
    """The one there is."""
    [(_, notice)] = notices
    return notice


def fails(
    story: Story, session: str, channel: str, second: float, detail: str = "upstream_refused"
) -> Story:
    """A player asks, and its channel gives nothing."""
    story.after(tune(session, channel, second=second))
    lease = story.world.leases[ChannelId(channel)].ver
    gone = lost(channel, second=second + 0.1, lease=lease, gave_bytes=False)
    return story.after(replace(gone, detail=detail))


def test_a_session_that_failed_is_told_with_what_and_whom_and_why() -> None:
    """In words, with the ids of what it is about and a way to its story."""
    story = given().after(tune("s1", client=vlc()), lost(second=1, gave_bytes=False))
    notice = only(of_story(story, until=5))
    assert notice.document("http://tv:3000/x") == {
        "kind": "session_failed",
        "title": "Session failed: 1 Channel 1",
        "text": "VLC/3 at 10.0.0.7 lost 1 Channel 1: the provider cut the connection. "
        "Who can mend it: the provider.",
        "at": START // 1_000 + 1_000,
        "position": notice.what.position,
        "session": "s1",
        "source": "p",
        "channel": "1",
        "more": 0,
        "url": "http://tv:3000/x/sessions/s1",
    }


def test_what_the_viewer_did_is_no_failure() -> None:
    """A closed player, a person's stop, a stop of the bridge, a channel that nobody knows."""
    events = []
    for seed in range(4):
        events = recorded(household(seed, 150).events)
        ends = {event.pos: event for event in events if event.dst == "ended"}
        for _, notice in told(events, until=events[-1].at / 1e6 - START_S + 1, step=50):
            if notice.what.kind is Kind.SESSION_FAILED and notice.what.session is not None:
                reason = ends[notice.what.position].payload["reason"]
                assert reason not in ("client_disconnect", "manual", "shutdown", "orphaned")


def test_a_refusal_for_want_of_room_is_told_with_who_holds_it() -> None:
    """A wrong number is not."""
    story = watching("s1", tuners=1, admission_wait_ms=0)
    story.after(tune("s2", "2", second=2, client=player("k2", address="10.0.0.8")))
    notice = only(of_story(story, until=5))
    assert (notice.what.kind, notice.what.title) == (Kind.TUNERS_BUSY, "All tuners are in use")
    assert "Lavf/60 at 10.0.0.8 wanted 2 Channel 2 and was refused: 1 of 1" in notice.text
    assert notice.text.endswith("Watched now: 1 Channel 1.")


def test_a_source_is_down_once_it_stayed_down_and_up_only_if_that_was_told() -> None:
    """A reading that fails and is mended by the next one is nobody's news."""
    story = given().after(
        note("source-p", "refresh_failed", 0, why="HTTP 503"),
        note("source-p", "refreshed", 60, entries=4),
    )
    assert of_story(story, until=600) == []
    story.after(
        note("source-p", "refresh_failed", 700, why="HTTP 503."),
        note("source-p", "refresh_failed", 760, why="no answer"),
        note("source-q", "refreshed", 900, entries=4),
        note("source-p", "refreshed", 1_000, entries=4),
    )
    notices = of_story(story, until=1_200)
    assert kinds(notices) == [(700.0 + DOWN_AFTER_S, "source_down"), (1_000.0, "source_up")]
    down, up = (notice for _, notice in notices)
    assert down.text == "p has been down for 2 minutes: its list cannot be read. no answer."
    assert up.text == "p works again; it was down for 5 minutes."
    assert (down.what.source, up.what.source) == ("p", "p")


def test_one_channel_that_gives_nothing_is_not_its_source() -> None:
    """Two in a row are, until one of the source's channels plays again."""
    story = given(tuners=4)
    for second in (1, 3, 5):
        fails(story, f"s{second}", "1", second)
    fails(story, "s6", "3", 6, "upstream_http_404")
    before = [one for one in of_story(story, until=400) if one[1].what.kind is Kind.SOURCE_DOWN]
    assert before == []
    fails(story, "s8", "2", 8)
    down = [one for one in of_story(story, until=400) if one[1].what.kind is Kind.SOURCE_DOWN]
    assert kinds(down) == [(8.5 + DOWN_AFTER_S, "source_down")]
    assert "it gives no video" in down[0][1].text


def test_a_guide_is_stale_a_day_before_it_ends_and_is_told_once() -> None:
    """A reading that renews it makes it new; until then it is not told again."""
    latest = START_S + STALE_BEFORE_S + 3_600

    def read(second: float, latest_s: int, matched: int = 9) -> Note:
        facts = {"guide": "g", "place": "***", "latest": latest_s, "matched": matched}
        return note("guide", "refreshed", second, **facts)

    story = given().after(
        read(0, latest),
        note("guide", "refresh_failed", 1_000, guide="g", why="HTTP 503"),
        read(5_000, latest),
        note("guide", "refresh_failed", 6_000, guide="g", why="HTTP 503"),
    )
    notices = of_story(story, until=20_000, step=10)
    assert kinds(notices) == [(3_600.0, "guide_stale")]
    assert only(notices).text == (
        "The programme guide ends in 24 hours. The last reading failed: HTTP 503."
    )
    story.after(read(20_000, latest + STALE_BEFORE_S), read(40_000, latest, matched=0))
    again = of_story(story, until=50_000, step=10)
    assert kinds(again) == [(3_600.0, "guide_stale"), (40_000.0, "guide_stale")]
    assert "nothing for any channel" in again[1][1].text


def test_our_own_bugs_are_told() -> None:
    """A leak that the sweep found, a fold that raised, and a session that ends twice."""
    story = watching("s1").after(
        note("bridge", "swept", 2, what="lease_without_relay", of="1"),
        note("bridge", "projection_parked", 3, name="dashboard", position=7, fault="KeyError"),
        lost(second=4),
    )
    story.after(Recover(at=at(5)))
    events = recorded(story.events)
    end = next(event for event in events if event.dst == "ended")
    twice = end._replace(pos=Position(len(events) + 1))
    found = [
        notice.what.subject
        for _, notice in told([*events, twice], until=10)
        if notice.what.kind is Kind.AUDIT_FINDING
    ]
    assert found == ["lease_without_relay", "projection_parked", "second_end"]


def test_a_crash_is_told_once_however_many_watched() -> None:
    """Their ends are part of it."""
    story = watching("s1", "s2", "s3").after(Recover(at=at(9)))
    notice = only(of_story(story, until=12))
    assert notice.what.title == "The bridge was killed while it ran"
    assert "ended with it: 3." in notice.text


def test_after_a_long_stop_the_past_is_not_told_and_the_present_is() -> None:
    """What waited is dropped, what is older than a quarter of an hour is folded in silence, what
    was told to be down is told when it is up."""
    story = given().after(note("source-p", "refresh_failed", 0, why="HTTP 503"))
    story.after(note("source-q", "refresh_failed", 125, why="HTTP 503"))
    fails(story, "s1", "1", 126)
    desk = Deciding(Position(0))
    first = told(recorded(story.events), until=130, deciding=desk)
    assert [kind for _, kind in kinds(first)] == ["source_down", "session_failed"]
    fails(story, "s2", "1", 131)
    day = 86_400
    after = Deciding.load(desk.dump(), at(day))
    assert after is not None
    assert after.fold(recorded(story.events), at(day)) == []
    assert after.due(at(day)) == []
    assert after.due(at(day + GUIDES_LOOKED_AT_AFTER_S + WINDOW_S)) == []
    story.after(note("source-p", "refreshed", day + 60, entries=4))
    story.after(note("source-q", "refreshed", day + 61, entries=4))
    up = after.fold(recorded(story.events), at(day + 61))
    assert [(one.what.kind, one.what.source) for one in up] == [(Kind.SOURCE_UP, "p")]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_kept_and_read_back_decides_the_same(seed: int) -> None:
    """Stopped after any event, and gone on from what was kept, nothing is told twice and nothing
    less."""
    events = recorded(household(seed, 250).events)
    whole, parts = Deciding(Position(0)), Deciding(Position(0))
    for event in events:
        now = event.at
        in_one = whole.fold([event], now) + whole.due(now)
        in_parts = parts.fold([event], now) + parts.due(now)
        assert in_one == in_parts
        loaded = Deciding.load(parts.dump(), now)
        assert loaded is not None
        loaded.watch._ended = parts.watch._ended
        parts = loaded


def test_what_cannot_be_read_back_is_not_used() -> None:
    """Another form, or damaged: the past is not told."""
    kept = Deciding(Position(7)).dump()
    for broken in ({}, kept | {"form": 99}, kept | {"windows": [{}]}, kept | {"watch": 3}):
        assert Deciding.load(broken, at(0)) is None


def test_a_name_is_one_short_line() -> None:
    """Whoever chose it, and whatever it is meant to do to a phone."""
    assert plain("a\n\x1b[31m  b") == "a [31m b"
    assert len(plain("x" * 10_000)) == NAME_CHARS_MAX


def test_events_that_nothing_is_told_of_only_move_the_position() -> None:
    """Also of a type that this release does not know."""
    events = recorded(watching("s1").events)
    unknown = Recorded._make(
        (99, "x", 1, "painted", 1, None, None, None, at(1), b"", None, None, "", "", 0, b"{}", b"")
    )
    desk = Deciding(Position(0))
    assert desk.fold([*events, unknown], at(1)) == []
    assert desk.position == 99

"""Which segment comes next, over reloads, resets and holes."""

import pytest

from plexbridge.relay.hls.parsing import parse_playlist
from plexbridge.relay.hls.plan import SKIPS_IN_A_ROW_MAX, Plan
from plexbridge.relay.hls.playlist import MediaPlaylist


def window(
    first: int,
    count: int,
    *,
    target: int = 4,
    name: str = "s",
    ended: bool = False,
    tags: dict[int, str] | None = None,
    head: str = "",
) -> MediaPlaylist:
    """Segments `first`, `first` + 1, … of 4 s."""
    lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{target}", f"#EXT-X-MEDIA-SEQUENCE:{first}", head]
    for number in range(first, first + count):
        lines += [(tags or {}).get(number, ""), "#EXTINF:4", f"{name}{number}.ts?t={first}"]
    if ended:
        lines.append("#EXT-X-ENDLIST")
    playlist = parse_playlist("\n".join(lines), "http://a/")
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def taken(plan: Plan) -> list[tuple[int, bool]]:
    """Everything that is planned now."""
    found: list[tuple[int, bool]] = []
    while (planned := plan.next()) is not None:
        found.append((planned.segment.sequence, planned.fresh))
        plan.delivered()
    return found


def test_a_live_playlist_is_joined_three_target_durations_from_its_end() -> None:
    """And is not finished when it has been read."""
    plan = Plan(window(10, 8), began_s=0)
    assert taken(plan) == [(15, True), (16, False), (17, False)]
    assert not plan.finished


def test_a_short_live_playlist_is_joined_at_its_beginning() -> None:
    """There is no more of it."""
    assert taken(Plan(window(10, 2), began_s=0)) == [(10, True), (11, False)]


def test_a_finite_playlist_is_played_whole() -> None:
    """From the first segment to the last, whatever EXT-X-START says."""
    plan = Plan(window(0, 8, ended=True, head="#EXT-X-START:TIME-OFFSET=-4"), began_s=0)
    assert [sequence for sequence, _ in taken(plan)] == list(range(8))
    assert plan.finished
    assert plan.reload_at_s is None


@pytest.mark.parametrize(("offset", "first"), [("-7", 16), ("-1000", 10), ("9", 12), ("999", 17)])
def test_a_live_playlist_may_say_where_to_start(offset: str, first: int) -> None:
    """From its end, or from its beginning."""
    plan = Plan(window(10, 8, head=f"#EXT-X-START:TIME-OFFSET={offset}"), began_s=0)
    assert taken(plan)[0] == (first, True)


def test_a_reload_brings_only_what_is_new() -> None:
    """By the numbers, because addresses may change."""
    plan = Plan(window(10, 3), began_s=0)
    taken(plan)
    plan.reloaded(window(11, 4, name="other"), began_s=4)
    assert taken(plan) == [(13, False), (14, False)]


def test_reloads_are_a_target_duration_apart_and_half_of_it_when_nothing_changed() -> None:
    """RFC 8216 section 6.3.4."""
    plan = Plan(window(10, 3), began_s=100)
    assert plan.reload_at_s == 104
    plan.reloaded(window(10, 3), began_s=104)
    assert plan.reload_at_s == 106
    plan.reloaded(window(11, 3), began_s=106)
    assert plan.reload_at_s == 110
    plan.reload_failed("hls_playlist_http_503", began_s=110)
    assert plan.reload_at_s == 112


def test_a_playlist_that_does_not_change_is_stale_after_three_target_durations() -> None:
    """Once everything in it was played; the word is that of the last failed reload, if any."""
    plan = Plan(window(10, 3), began_s=0)
    plan.reloaded(window(10, 3), began_s=11.9)
    assert plan.failure(12) is None, "there is something left to play"
    taken(plan)
    assert plan.failure(11.9) is None
    assert plan.failure(12) == "hls_stale"
    plan.reload_failed("hls_playlist_http_403", began_s=12)
    assert plan.failure(12) == "hls_playlist_http_403"
    plan.reloaded(window(11, 3), began_s=12.5)
    taken(plan)
    assert plan.failure(13) is None


def test_a_window_that_has_moved_on_is_joined_anew() -> None:
    """Three target durations from its end, and what comes does not go on from what was."""
    plan = Plan(window(10, 3), began_s=0)
    taken(plan)
    plan.reloaded(window(50, 6), began_s=60)
    assert taken(plan) == [(53, True), (54, False), (55, False)]


def test_numbers_that_fall_back_are_another_beginning() -> None:
    """An encoder was restarted."""
    plan = Plan(window(500, 3), began_s=0)
    taken(plan)
    plan.reloaded(window(0, 2, name="new"), began_s=4)
    assert taken(plan) == [(0, True), (1, False)]
    plan = Plan(window(2, 3), began_s=0)
    taken(plan)
    plan.reloaded(window(0, 4, name="new"), began_s=4)
    assert taken(plan) == [(1, True), (2, False), (3, False)]


def test_an_older_copy_from_another_cache_changes_nothing() -> None:
    """Nothing is played twice, and it counts as no change."""
    plan = Plan(window(10, 5), began_s=0)
    taken(plan)
    plan.reloaded(window(9, 5), began_s=4)
    assert taken(plan) == []
    assert plan.reload_at_s == 6
    plan.reloaded(window(11, 5), began_s=6)
    assert taken(plan) == [(15, False)]


def test_a_discontinuity_is_seen_by_its_tag() -> None:
    """Where the playlist does not count them, numbers of different reloads mean nothing."""
    plan = Plan(window(10, 3, tags={12: "#EXT-X-DISCONTINUITY"}), began_s=0)
    assert taken(plan) == [(10, True), (11, False), (12, True)]
    plan.reloaded(window(13, 1), began_s=4)
    assert taken(plan) == [(13, False)]


def test_a_discontinuity_whose_tag_has_left_the_window_is_seen_by_its_number() -> None:
    """EXT-X-DISCONTINUITY-SEQUENCE says so."""
    plan = Plan(window(10, 3, head="#EXT-X-DISCONTINUITY-SEQUENCE:7"), began_s=0)
    taken(plan)
    plan.reloaded(window(13, 2, head="#EXT-X-DISCONTINUITY-SEQUENCE:8"), began_s=4)
    assert taken(plan) == [(13, True), (14, False)]


def test_a_gap_is_left_out_and_what_follows_does_not_go_on() -> None:
    """EXT-X-GAP: asking for it would be in vain."""
    plan = Plan(window(10, 3, tags={11: "#EXT-X-GAP"}), began_s=0)
    assert taken(plan) == [(10, True), (12, True)]


def test_segments_that_do_not_come_are_skipped_until_there_are_too_many() -> None:
    """In a row; one that came whole forgives the others."""
    plan = Plan(window(0, 20, ended=True), began_s=0)
    for _ in range(SKIPS_IN_A_ROW_MAX):
        plan.next()
        plan.skipped("hls_segment_http_404")
    assert plan.failure(0) is None
    planned = plan.next()
    assert planned is not None
    assert planned.fresh
    plan.delivered()
    for _ in range(SKIPS_IN_A_ROW_MAX + 1):
        assert plan.failure(0) is None
        plan.next()
        plan.skipped("hls_segment_http_404")
    assert plan.failure(0) == "hls_segment_http_404"


def test_a_playlist_that_is_empty_yet_is_waited_for() -> None:
    """And then joined where a live playlist is."""
    plan = Plan(window(0, 0), began_s=0)
    assert taken(plan) == []
    assert not plan.finished
    assert plan.failure(5) is None
    plan.reloaded(window(0, 5), began_s=4)
    assert taken(plan) == [(2, True), (3, False), (4, False)]


def test_an_end_that_is_added_later_ends_it() -> None:
    """What is left is played first."""
    plan = Plan(window(0, 3), began_s=0)
    taken(plan)
    plan.reloaded(window(1, 3, ended=True), began_s=4)
    assert not plan.finished
    assert taken(plan) == [(3, False)]
    assert plan.finished

"""The dashboard as a fold: what it shows, and that keeping it half-way changes nothing."""

from random import Random
from typing import Any

import orjson
import pytest

from events.envelope import Recorded
from events.machine import ENDED
from events.reasons import ERRORS, INTENTIONAL
from events.world import World, fold
from projections import world_state
from projections.dashboard import Dashboard
from projections.folding import Folding
from projections.tallies import JUST_ENDED_KEPT
from projections.words import explain
from projections.world_state import Decided
from tests.core.given import (
    Story,
    closed,
    expire,
    first_byte,
    given,
    linger_over,
    lost,
    opened,
    progress,
    stop,
    took,
    tune,
    vlc,
)
from tests.core.histories import household, recorded

SEEDS = range(12)


def shown(story: Story) -> dict[str, Any]:
    """What the dashboard shows after a story."""
    return folded(recorded(story.events)).document()


def folded(rows: list[Recorded]) -> Dashboard:
    """The dashboard after these events."""
    dashboard = Dashboard()
    for row in rows:
        dashboard.fold(row)
    return dashboard


def text(document: Any) -> bytes:
    """A document byte for byte."""
    return orjson.dumps(document)


@pytest.mark.parametrize("seed", SEEDS)
def test_stored_and_loaded_at_any_position_it_goes_on_the_same(seed: int) -> None:
    """Dump and load are exact, for what is shown and for what is decided on."""
    rows = recorded(household(seed, 150).events)
    random = Random(seed)
    cuts = sorted(random.sample(range(len(rows)), 5))
    straight, broken = Folding(), Folding()
    for position, row in enumerate(rows):
        straight.fold(row)
        if position in cuts:
            loaded = Folding.load(broken.dump())
            assert loaded is not None
            assert loaded.decided == broken.decided
            assert loaded.shown.dump() == broken.shown.dump()
            broken = loaded
        broken.fold(row)
        assert text(broken.shown.document()) == text(straight.shown.document())
    assert broken.decided == straight.decided
    assert broken.dump() == straight.dump()


@pytest.mark.parametrize("seed", SEEDS)
def test_it_shows_what_the_decided_state_holds(seed: int) -> None:
    """Two folds of one log agree at every position: sessions, states, tuners, connections."""
    folding = Folding()
    for row in recorded(household(seed, 150).events):
        folding.fold(row)
        document, world = folding.shown.document(), folding.decided
        assert [(one["id"], one["state"]) for one in document["sessions"]] == [
            (session.id, session.state) for session in world.sessions.values()
        ]
        held = {one["tuner"]: one for one in document["tuners"] if one["state"] != "free"}
        assert {number: one["channel"]["id"] for number, one in held.items()} == {
            lease.tuner: lease.channel for lease in world.leases.values()
        } or row.type == "tuner_leased"
        for lease in world.leases.values():
            assert held[lease.tuner]["sessions"] == lease.sessions
        connections = sum(one["connections"] for one in document["sources"])
        assert connections == len(world.leases)
        assert len(document["tuners"]) == world.policy.tuners


@pytest.mark.parametrize("seed", SEEDS)
def test_totals_are_the_sums_of_what_was_recorded(seed: int) -> None:
    """Counted anew from the events."""
    rows = recorded(household(seed, 400).events)
    totals = folded(rows).document()["totals"]
    ends = [row for row in rows if row.dst == ENDED]
    connects = [row for row in rows if row.type == "connect" and row.ver == 1]
    assert totals["sessions"] == len(connects)
    assert sum(totals["ended"].values()) == len(ends)
    assert totals["bytes"] == sum(row.payload["bytes"] for row in ends)
    assert sum(one["bytes"] for one in totals["channels"]) == totals["bytes"]
    assert sum(one["sessions"] for one in totals["channels"]) == totals["sessions"]
    assert sum(totals["refused"].values()) == sum(row.type == "refused" for row in rows)


def test_an_empty_log_shows_free_tuners_and_nothing_else() -> None:
    """Position 0 is a position."""
    document = Dashboard().document()
    assert document["position"] == document["at"] == 0
    assert [one["state"] for one in document["tuners"]] == ["free"] * 4
    assert document["sessions"] == document["sources"] == document["just_ended"] == []
    assert document["totals"]["sessions"] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_two_states_of_different_positions_go_on_together(seed: int) -> None:
    """Each takes only the events behind its own."""
    rows = recorded(household(seed, 150).events)
    whole, shown, decided = Folding(), Dashboard(), Decided()
    for row in rows:
        whole.fold(row)
        if row.pos <= len(rows) // 3:
            shown.fold(row)
        if row.pos <= len(rows) // 2:
            decided.fold(row)
    for folding in (Folding(shown, decided), Folding(Dashboard(), decided)):
        for row in rows[folding.position :]:
            folding.fold(row)
        assert folding.dump() == whole.dump()


def test_a_stored_state_of_another_version_is_not_loaded() -> None:
    """It is folded anew instead."""
    dumped = Folding().dump()
    renamed = {(name, version + 1): state for (name, version), state in dumped.items()}
    assert Folding.load(renamed) is None


def test_a_world_is_stored_whole() -> None:
    """Also what is only remembered: refusals, ended sessions, versions."""
    story = given(tuners=1, admission_wait_ms=0).after(
        *(tune("s1"), tune("s2", "2"), opened(second=1), first_byte(second=1)),
        *(took("s1", 10, second=1), stop("s1", second=2), tune("s3", "3", second=3)),
    )
    assert story.world.refused
    assert story.world.ended
    assert world_state.load(world_state.dump(story.world)) == story.world
    assert fold(recorded(story.events), story.world.policy) == story.world
    assert world_state.load(world_state.dump(World())) == World()


def test_a_tuner_is_active_then_lingers_then_is_free() -> None:
    """With who holds it, since when, and why it was returned."""
    story = given(linger_ms=5_000).after(
        tune("s1", client=vlc("10.0.0.7")), opened(second=1), first_byte(second=1)
    )
    tuner = shown(story)["tuners"][0]
    assert (tuner["state"], tuner["sessions"]) == ("active", ["s1"])
    assert tuner["client_address"] == "10.0.0.7"
    assert tuner["channel"] == {"id": "1", "guide_number": "1", "name": "Channel 1"}
    assert tuner["leased_at"] == story.events[0].at // 1_000
    story.after(took("s1", 10, second=1), closed("s1", second=2))
    tuner = shown(story)["tuners"][0]
    assert (tuner["state"], tuner["sessions"], tuner["client_address"]) == ("lingering", [], None)
    assert tuner["channel"]["guide_number"] == "1"
    story.after(linger_over(second=8))
    tuner = shown(story)["tuners"][0]
    assert (tuner["state"], tuner["channel"], tuner["leased_at"]) == ("free", None, None)
    assert tuner["freed_why"] == "linger_over"
    assert tuner["freed_at"] == story.events[-1].at // 1_000


def test_a_session_shows_its_next_deadline_and_what_it_counts_from() -> None:
    """The same that the rules go by, in each state."""
    story = given().after(tune("s1"))

    def due() -> tuple[Any, ...]:
        [session] = shown(story)["sessions"]
        then = session["next_deadline"]
        start = story.events[0].at // 1_000
        return (
            *(session["state"], then["trigger"], then["reason"], then["after_ms"]),
            then["counted_from"] - start,
        )

    assert due() == ("connecting", "error", "timeout", 5_000, 0)
    story.after(opened(second=1), first_byte(second=1), took("s1", 10, second=2))
    assert due() == ("active", "reclaim", "orphaned", 20_000, 2_000)
    story.after(lost(second=5))
    assert due() == ("recovering", "reclaim", "stale", 30_000, 2_000)
    [session] = shown(story)["sessions"]
    assert session["words"] == {"text": "the provider cut the connection", "mends": "the provider"}
    assert session["errors"] == 1


def test_a_session_shows_its_first_byte_and_its_mean_rate() -> None:
    """From the first accepted byte to the last recorded one."""
    story = given().after(
        *(tune("s1"), opened(second=0.5), first_byte(second=0.5)),
        *(took("s1", 1_000, second=1), took("s1", 2_000_000, second=11)),
    )
    [session] = shown(story)["sessions"]
    assert session["first_byte_ms"] == 1_000
    assert session["bytes"] == 2_000_000
    assert session["bitrate"] == 1_600_000


def test_who_just_left_is_told_in_words_the_newest_first() -> None:
    """The last twenty; with final figures and when."""
    story = given()
    for number in range(1, JUST_ENDED_KEPT + 3):
        second = number * 10.0
        story.after(tune(f"s{number}", second=second, client=vlc()))
        lease = story.world.leases[next(iter(story.world.leases))].ver
        story.after(
            opened(second=second, lease=lease),
            took(f"s{number}", 5, second=second + 1),
            stop(f"s{number}", second=second + 2),
        )
    document = shown(story)
    ended = document["just_ended"]
    assert [one["id"] for one in ended] == [f"s{number}" for number in range(22, 2, -1)]
    assert ended[0]["words"] == {"text": "stopped by hand", "mends": ""}
    assert (ended[0]["state"], ended[0]["bytes"]) == ("ended", 5)
    assert ended[0]["ended_at"] == document["at"]
    assert ended[0]["next_deadline"] is None


def test_who_just_left_is_told_with_how_soon_the_tuner_was_free() -> None:
    """At once, or after lingering; not where others stayed, or came before it was let go."""
    story = given(linger_ms=5_000).after(
        *(tune("s1"), tune("s2"), opened(second=1), first_byte(second=1)),
        *(took("s1", 5, second=1), took("s2", 5, second=1), closed("s1", second=2)),
        closed("s2", second=3),
    )

    def freed() -> dict[str, int | None]:
        return {one["id"]: one["tuner_freed_after_ms"] for one in shown(story)["just_ended"]}

    assert freed() == {"s1": None, "s2": None}
    story.after(tune("s3", second=5), took("s3", 5, second=6), closed("s3", second=7))
    story.after(linger_over(second=12.04))
    assert freed() == {"s1": None, "s2": None, "s3": 5_040}
    story.after(tune("s4", second=20), stop("s4", second=21))
    assert freed()["s4"] == 0
    assert folded(recorded(story.events)).ends.state["letting_go"] == {}


@pytest.mark.parametrize("reason", sorted(INTENTIONAL | ERRORS))
def test_every_reason_has_words_with_any_detail(reason: str) -> None:
    """A cause without words of its own says what is known; never an empty sentence."""
    for detail in ("asked", "client_closed", "upstream_http_509", "upstream_http_500", "new_one"):
        assert explain(reason, detail, "VLC").text
        assert "{" not in explain(reason, detail, "").text


def test_cleanup_figures_against_the_promises() -> None:
    """A deadline's end took from the last accepted byte; any other end is its own cause."""
    story = given(linger_ms=0)
    for number in range(1, 21):
        begun = number * 100.0
        story.after(tune(f"s{number}", second=begun, client=vlc()))
        lease = story.world.leases[next(iter(story.world.leases))].ver
        story.after(
            opened(second=begun, lease=lease),
            first_byte(second=begun, lease=lease),
            took(f"s{number}", 5, second=begun),
            expire(f"s{number}", second=begun + 20 + number / 10, seen=progress(5, begun)),
        )
    story.after(tune("s50", second=9_000), stop("s50", second=9_001, reason="forced"))
    cleanup = shown(story)["cleanup"]
    assert cleanup["orphaned"] == {
        "count": 20,
        "p50_s": 21.1,
        "p95_s": 22.0,
        "max_s": 22.0,
        "target_s": 60.0,
    }
    assert cleanup["forced"] == {
        "count": 1,
        "p50_s": 0.0,
        "p95_s": 0.0,
        "max_s": 0.0,
        "target_s": 2.0,
    }

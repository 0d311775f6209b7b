"""What is good, what is to be looked at and what could not be checked, by figures alone."""

from dataclasses import replace

import pytest

from plexbridge.web.health_lines import (
    LOOKS_FEW,
    InMemory,
    Quantiles,
    Storage,
    cleanup_rows,
    memory_lines,
    quantiles,
    storage_lines,
    timing_lines,
)
from plexbridge.web.source_states import DAY_MS, guide_line, source_line
from plexbridge.web.sources_page import source_row
from plexbridge.web.verdicts import Verdict, relative

NOW = 1_800_000_000_000
WELL = InMemory(
    storing=True,
    facts_waiting=0,
    parked=None,
    durable=10,
    folded=10,
    drift=0,
    swept=0,
    channels=2,
    listed=2,
    stopping=False,
    broadcast_errors=0,
    subscribers=1,
)
STORED = Storage(log_bytes=1_000, first=1, last=10, disk_free_bytes=10**10, disk_bytes=10**11)
SOURCE = {
    "id": "a-1",
    "entries": 3,
    "problem": None,
    "status": "Active",
    "expires_at": NOW + 30 * DAY_MS,
}
GUIDE = {"name": "Guide 1", "programmes": 9, "matched": 2, "problem": None, "ends_at": NOW + DAY_MS}


def test_a_bridge_that_is_well_has_nothing_to_look_at() -> None:
    """Every line says so."""
    lines = [*memory_lines(WELL), *storage_lines(STORED, "", 0)]
    assert {line.verdict for line in lines} == {Verdict.GOOD}
    assert not any(line.mends for line in lines)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"storing": False, "facts_waiting": 3}, "Storing events"),
        ({"parked": "event 7: KeyError"}, "Projections"),
        ({"durable": 5_000}, "Projections"),
        ({"drift": 1}, "Sockets against sessions"),
        ({"swept": 1}, "Sweep"),
        ({"channels": 0}, "Lineup"),
        ({"stopping": True}, "Serving"),
        ({"broadcast_errors": 1}, "Live feeds"),
    ],
)
def test_each_trouble_is_one_line_that_says_who_mends_it(
    change: dict[str, object], name: str
) -> None:
    """No other line is touched by it."""
    lines = memory_lines(replace(WELL, **change))  # type: ignore[arg-type]
    assert [line.name for line in lines if line.verdict is Verdict.LOOK] == [name]
    assert all(line.mends for line in lines if line.verdict is Verdict.LOOK)


def test_a_disk_that_cannot_be_asked_is_not_good() -> None:
    """It could not be checked, and the reason is said."""
    lines = storage_lines(None, "no access", 0)
    assert [(line.verdict, line.words) for line in lines] == [(Verdict.UNKNOWN, "no access")] * 2


def test_a_full_disk_and_a_log_over_its_bound_are_looked_at() -> None:
    """The bound is a fifth above what retention keeps, for it prunes at night."""
    full = replace(STORED, disk_free_bytes=10**8, log_bytes=130_000_000)
    assert [line.verdict for line in storage_lines(full, "", 100)] == [Verdict.LOOK] * 2
    kept = replace(STORED, log_bytes=119_000_000)
    assert [line.verdict for line in storage_lines(kept, "", 100)] == [Verdict.GOOD] * 2


def test_quantiles_are_the_bounds_of_their_buckets() -> None:
    """Never a figure between two bounds, which nobody measured."""
    inf = float("inf")
    buckets = [(0.001, 50.0), (0.01, 94.0), (0.1, 96.0), (inf, 100.0)]
    assert quantiles(buckets) == Quantiles(100, 0.001, 0.1)
    assert quantiles([(0.001, 0.0), (inf, 20.0)]) == Quantiles(20, inf, inf)
    assert quantiles([(0.001, 0.0), (inf, 0.0)]).count == 0


@pytest.mark.parametrize(
    ("count", "p95_s", "verdict"),
    [
        (0, 0.0, Verdict.UNKNOWN),
        (LOOKS_FEW - 1, 5.0, Verdict.UNKNOWN),
        (LOOKS_FEW, 0.1, Verdict.GOOD),
        (LOOKS_FEW, 0.25, Verdict.LOOK),
        (LOOKS_FEW, float("inf"), Verdict.LOOK),
    ],
)
def test_lateness_is_judged_once_it_was_looked_at_often(
    count: int, p95_s: float, verdict: Verdict
) -> None:
    """Few looks at a start say nothing."""
    loop, _ = timing_lines(Quantiles(count, 0.001, p95_s), Quantiles(0, 0.0, 0.0))
    assert loop.verdict is verdict


def test_cleanup_is_judged_by_its_promise() -> None:
    """Bars are shares of it and never longer; the slowest alone is told, and is no alarm."""
    row = {"count": 20, "p50_s": 1.0, "p95_s": 2.0, "max_s": 9.0, "target_s": 5.0}
    kept, broken = cleanup_rows({"kept": row, "broken": {**row, "p95_s": 6.0}})
    assert (kept["line"]["verdict"], kept["p95_percent"], kept["max_percent"]) == ("good", 40, 100)
    assert "the slowest took longer" in kept["line"]["words"]
    assert (broken["line"]["verdict"], broken["p95_percent"]) == ("look here", 100)


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({}, Verdict.GOOD, "in force"),
        ({"entries": None}, Verdict.UNKNOWN, "not read yet"),
        ({"problem": "account a: expired; renew it"}, Verdict.LOOK, "(what it listed before"),
        ({"problem": "playlist a: no", "entries": None}, Verdict.LOOK, "(nothing of it serves)"),
        ({"status": "Banned"}, Verdict.LOOK, "is banned"),
        ({"expires_at": NOW + 3 * DAY_MS}, Verdict.LOOK, "ends in 3 days"),
        ({"expires_at": NOW - 3 * DAY_MS}, Verdict.LOOK, "ended 3 days ago"),
        ({"expires_at": None, "status": None}, Verdict.GOOD, "in force"),
    ],
)
def test_a_source_stands_as_its_provider_and_its_reading_say(
    change: dict[str, object], verdict: Verdict, words: str
) -> None:
    """Whoever can mend it is said wherever there is something to mend."""
    line = source_line({**SOURCE, **change}, NOW)
    assert line.verdict is verdict
    assert words in line.words
    assert bool(line.mends) == (verdict is Verdict.LOOK)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.GOOD),
        ({"ends_at": NOW + DAY_MS - 1}, Verdict.LOOK),
        ({"matched": 0}, Verdict.LOOK),
        ({"problem": "guide a: HTTP status 503"}, Verdict.LOOK),
        ({"programmes": None}, Verdict.UNKNOWN),
    ],
)
def test_a_guide_that_ends_today_is_looked_at(change: dict[str, object], verdict: Verdict) -> None:
    """So is one that no channel is in."""
    assert guide_line({**GUIDE, **change}, NOW).verdict is verdict


def test_the_last_trouble_in_a_stream_is_told_in_words_with_who_mends_it() -> None:
    """And the connections as a share of the limit, where one is known."""
    told = {**SOURCE, "connections": 3, "refreshed_at": NOW - 3_600_000, "next_refresh_ms": None}
    lost = {"at": NOW - 180_000, "reason": "stream_failed", "detail": "upstream_http_509"}
    row = source_row({**told, "allowed": 2}, lost, NOW)
    assert row["lost"] == {
        "text": "the provider said 509",
        "mends": "the account's connection limit",
    }
    assert row["lost_at"] == {"at": NOW - 180_000, "words": "3 min ago"}
    assert (row["used_percent"], row["refreshed"]["words"], row["next"]) == (
        100,
        "60 min ago",
        None,
    )
    assert source_row({**told, "allowed": 0}, None, NOW)["used_percent"] is None


@pytest.mark.parametrize(
    ("ms", "told"),
    [
        (0, "just now"),
        (-59_999, "just now"),
        (59_999, "in a moment"),
        (-60_000, "1 min ago"),
        (7_200_000, "in 2 h"),
        (-47 * 3_600_000, "47 h ago"),
        (12 * DAY_MS, "in 12 days"),
        (-730 * DAY_MS, "2 years ago"),
    ],
)
def test_moments_are_said_as_seen_from_now(ms: int, told: str) -> None:
    """In the unit that a person would use."""
    assert relative(NOW + ms, NOW) == told

"""The guide's grid: every column filled once, nothing lost, whatever the times are."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plexbridge.web.guide_grid import COLUMN_MS, cells, columns_of, heads, now_and_next

BEGIN, HOURS = 1_000 * COLUMN_MS, 3
UNTIL = BEGIN + HOURS * 12 * COLUMN_MS
MINUTE = 60_000


def at(minute: float) -> int:
    """A minute of the window."""
    return BEGIN + int(minute * MINUTE)


def show(start: float, stop: float, title: str = "x") -> dict[str, Any]:
    """A programme by its minutes."""
    return {"start": at(start), "stop": at(stop), "title": title}


def laid(*programmes: dict[str, Any], now: float = -1) -> list[tuple[int, str]]:
    """Spans and titles of a row."""
    row = cells(programmes, BEGIN, UNTIL, at(now))
    return [(cell.span, "+".join(one["title"] for one in cell.programmes)) for cell in row]


def test_programmes_stand_over_their_time() -> None:
    """Gaps are told as gaps; what reaches over an edge of the window is cut there, and says so."""
    row = (show(-30, 20, "a"), show(20, 50, "b"), show(80, 200, "c"))
    assert laid(*row) == [(4, "a"), (6, "b"), (6, ""), (20, "c")]
    first, *_, last = cells(row, BEGIN, UNTIL, at(0))
    assert (first.begins_before, first.goes_on, first.is_now) == (True, False, True)
    assert (last.begins_before, last.goes_on, last.is_now) == (False, True, False)
    assert laid() == [(36, "")]


def test_what_is_shorter_than_a_column_shares_a_cell() -> None:
    """Behind the one before it; at the beginning of the row with the next."""
    assert laid(show(0, 1, "a"), show(1, 30, "b"), show(30, 31, "c"), show(31, 60, "d")) == [
        (6, "a+b+c"),
        (6, "d"),
        (24, ""),
    ]
    assert laid(show(178, 179, "late")) == [(36, "late")]


@given(st.lists(st.integers(0, 400), max_size=40), st.integers(0, 36))
def test_the_columns_add_up_and_no_programme_is_lost(minutes: list[int], now: int) -> None:
    """For any times that follow each other, also many within one column."""
    edges = sorted({minute - 100 for minute in minutes})
    shows = [show(a, b) for a, b in pairwise(edges)]
    inside = [one for one in shows if one["stop"] > BEGIN and one["start"] < UNTIL]
    row = cells(inside, BEGIN, UNTIL, at(now * 5))
    assert sum(cell.span for cell in row) == columns_of(BEGIN, UNTIL)
    assert all(cell.span > 0 for cell in row)
    assert [one for cell in row for one in cell.programmes] == inside


def test_the_heads_stand_over_all_columns() -> None:
    """A window that is no number of half hours ends with a shorter one."""
    assert heads(BEGIN, UNTIL) == [(at(30 * n), 6) for n in range(6)]
    assert heads(BEGIN, at(40)) == [(at(0), 6), (at(30), 2)]


def test_now_and_next() -> None:
    """Also where the next one begins behind the window, or nothing is on."""
    shows, later = [show(0, 60, "a"), show(90, 170, "b")], show(200, 260, "c")
    told = {
        minute: tuple(one and one["title"] for one in now_and_next(shows, later, at(minute)))
        for minute in (30, 70, 100, 180)
    }
    assert told == {30: ("a", "b"), 70: (None, "b"), 100: ("b", "c"), 180: (None, "c")}
    assert now_and_next([], None, at(0)) == (None, None)

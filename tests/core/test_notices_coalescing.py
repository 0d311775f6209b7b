"""Often is told seldom: never twice in a window, and nothing is lost by that."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from events.ids import Position, UnixMicros
from plexbridge.notices.coalescing import (
    SUBJECTS_MAX,
    TELL_WITHIN_S,
    US_PER_S,
    WINDOW_S,
    Coalescing,
)
from plexbridge.notices.kinds import Kind, Notice, Occurrence

HAPPENED = st.lists(
    st.tuples(
        st.integers(0, 4 * WINDOW_S),
        st.sampled_from((Kind.SESSION_FAILED, Kind.SOURCE_DOWN)),
        st.integers(0, 2 * SUBJECTS_MAX),
    ),
    max_size=80,
)


def moment(second: int) -> UnixMicros:
    """A second of the test."""
    return UnixMicros(1_700_000_000 * US_PER_S + second * US_PER_S)


def occurrence(second: int, kind: Kind = Kind.SESSION_FAILED, subject: str = "a") -> Occurrence:
    """Something that happened then."""
    return Occurrence(
        kind=kind,
        subject=subject,
        title="t",
        text="It happened.",
        at=moment(second),
        position=Position(1),
        path="",
    )


def notices_of(happened: list[tuple[int, Kind, int]]) -> list[tuple[int, Notice]]:
    """All that is told, looked at every 100 s and with everything that happens."""
    coalescing, told = Coalescing(), []
    looks = [(second, None) for second in range(0, 7 * WINDOW_S, 100)]
    things = [(second, occurrence(second, kind, str(of))) for second, kind, of in happened]
    for second, thing in sorted([*looks, *things], key=lambda one: one[0]):
        told += [(second, notice) for notice in coalescing.due(moment(second))]
        if thing is not None:
            told += [(second, notice) for notice in coalescing.take(thing, moment(second))]
    assert coalescing.next_due() is None, "nothing waits at the end"
    return told


@settings(max_examples=150, deadline=None)
@given(HAPPENED)
def test_no_two_notices_of_one_kind_and_subject_within_the_window(
    happened: list[tuple[int, Kind, int]],
) -> None:
    """Whatever happens, and in whatever order; and of one kind never more than its bound."""
    last: dict[tuple[Kind, str], int] = {}
    of_kind: dict[Kind, list[int]] = defaultdict(list)
    for second, notice in notices_of(happened):
        key = (notice.what.kind, notice.what.subject)
        assert second - last.get(key, -WINDOW_S) >= WINDOW_S
        last[key] = second
        of_kind[notice.what.kind].append(second)
    for seconds in of_kind.values():
        for second in seconds:
            within = [one for one in seconds if second <= one < second + WINDOW_S]
            assert len(within) <= 2 * (SUBJECTS_MAX + 1)


@settings(max_examples=150, deadline=None)
@given(HAPPENED)
def test_everything_that_happened_is_told_or_counted(
    happened: list[tuple[int, Kind, int]],
) -> None:
    """By kind, the notices and what they count make up all of it."""
    told: dict[Kind, int] = defaultdict(int)
    for _, notice in notices_of(happened):
        told[notice.what.kind] += 1 + notice.more
    happened_by_kind: dict[Kind, int] = defaultdict(int)
    for _, kind, _ in happened:
        happened_by_kind[kind] += 1
    assert told == happened_by_kind


def test_the_first_is_told_at_once_and_the_rest_at_the_end_of_the_window() -> None:
    """With the newest in words and the others as a number."""
    coalescing = Coalescing()
    assert len(list(coalescing.take(occurrence(0), moment(0)))) == 1
    for second in (1, 2, 3):
        assert list(coalescing.take(occurrence(second), moment(second))) == []
    assert list(coalescing.due(moment(WINDOW_S - 1))) == []
    assert coalescing.next_due() == moment(WINDOW_S)
    [rest] = coalescing.due(moment(WINDOW_S))
    assert (rest.what.at, rest.more) == (moment(3), 2)
    assert rest.text == "It happened. And 2 more of this kind shortly before."
    assert list(coalescing.take(occurrence(WINDOW_S + 1), moment(WINDOW_S + 1))) == []


def test_many_subjects_at_once_become_one_more() -> None:
    """A provider that is gone takes a dozen channels with it."""
    coalescing, told = Coalescing(), []
    for number in range(30):
        told += list(coalescing.take(occurrence(0, subject=str(number)), moment(0)))
    assert len(told) == SUBJECTS_MAX + 1
    [rest] = coalescing.due(moment(WINDOW_S))
    assert 1 + rest.more == 30 - len(told)


def test_what_is_old_when_it_is_looked_at_is_not_told() -> None:
    """Nor what was counted long ago."""
    coalescing = Coalescing()
    assert list(coalescing.take(occurrence(0), moment(TELL_WITHIN_S + 1))) == []
    list(coalescing.take(occurrence(0), moment(0)))
    list(coalescing.take(occurrence(1), moment(1)))
    assert list(coalescing.due(moment(WINDOW_S + TELL_WITHIN_S + 1))) == []


def test_a_clock_that_was_set_back_keeps_no_window_open_for_ever() -> None:
    """What is kept says when it ends; that is never more than a window away."""
    before, after = Coalescing(), Coalescing()
    list(before.take(occurrence(50_000), moment(50_000)))
    after.load(before.dump(), moment(0))
    assert list(after.take(occurrence(1), moment(1))) == []
    assert len(list(after.due(moment(WINDOW_S)))) == 1


def test_one_that_was_told_among_the_others_is_not_told_again_by_itself() -> None:
    """Though by then there is room for it: not before that window is over, too."""
    coalescing = Coalescing()
    for number in range(SUBJECTS_MAX):
        list(coalescing.take(occurrence(0, subject=str(number)), moment(0)))
    late = WINDOW_S - 1
    [told] = coalescing.take(occurrence(late, subject="z"), moment(late))
    assert told.what.subject == "z"
    again = WINDOW_S + 1
    assert list(coalescing.take(occurrence(again, subject="z"), moment(again))) == []
    [later] = coalescing.due(moment(late + WINDOW_S))
    assert later.what.at == moment(again)

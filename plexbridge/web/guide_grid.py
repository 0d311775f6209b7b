"""How a window of the guide is laid out: columns of five minutes, programmes as cells over some of
them. Pure.

A table says it with spans alone: no style stands in the page. What is shorter than a column shares
the cell before it, or behind it where there is none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

COLUMN_MS: Final = 300_000
"""Most programmes begin at a multiple of it."""

HEADS_EVERY: Final = 6
"""Columns under one time: half an hour."""

Programme = dict[str, Any]
"""As `guide_documents.brief_document` tells it."""


@dataclass(slots=True)
class Cell:
    """Some columns of a channel's row."""

    span: int
    programmes: list[Programme] = field(default_factory=list)
    """Without any: nothing is known of that time."""
    is_now: bool = False
    begins_before: bool = False
    """Before the window."""
    goes_on: bool = False
    """Behind it."""


def cells(programmes: Iterable[Programme], begin: int, until: int, now: int) -> list[Cell]:
    """The row of a channel; together as many columns as the window has. Times in Unix
    milliseconds."""
    columns = columns_of(begin, until)
    found: list[Cell] = []
    short: list[Programme] = []
    edge = 0
    for one in programmes:
        first = max(edge, _column(one["start"] - begin))
        last = min(columns, _column(one["stop"] - begin))
        if last <= first:
            (found[-1].programmes if found and found[-1].programmes else short).append(one)
            continue
        if first > edge:
            found.append(Cell(first - edge))
        found.append(Cell(last - first, [*short, one]))
        short, edge = [], last
    if edge < columns:
        found.append(Cell(columns - edge, short))
    for cell in found:
        told = cell.programmes
        cell.is_now = any(one["start"] <= now < one["stop"] for one in told)
        cell.begins_before = bool(told) and told[0]["start"] < begin
        cell.goes_on = bool(told) and told[-1]["stop"] > until
    return found


def columns_of(begin: int, until: int) -> int:
    """Columns of a window."""
    return max(1, _column(until - begin))


def heads(begin: int, until: int) -> list[tuple[int, int]]:
    """The times over the columns: each with how many columns it stands over."""
    columns = columns_of(begin, until)
    return [
        (begin + at * COLUMN_MS, min(HEADS_EVERY, columns - at))
        for at in range(0, columns, HEADS_EVERY)
    ]


def now_and_next(
    programmes: Sequence[Programme], following: Programme | None, at: int
) -> tuple[Programme | None, Programme | None]:
    """What is on at a moment, and what comes after."""
    every = [*programmes, *([following] if following is not None else [])]
    on = next((one for one in every if one["start"] <= at < one["stop"]), None)
    after = at if on is None else on["stop"] - 1
    return on, next((one for one in every if one["start"] > after), None)


def _column(ms: int) -> int:
    """The nearest edge between columns."""
    return (ms + COLUMN_MS // 2) // COLUMN_MS

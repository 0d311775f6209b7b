"""From two moments to a range of positions."""

from datetime import tzinfo
from typing import Annotated

import typer

from plexbridge.clock import SteadyClock
from plexbridge.commands.moments import parse_moment
from plexbridge.log.reader import SqliteReader

From = Annotated[
    str | None,
    typer.Option("--from", "--since", metavar="WHEN", help="From this moment: 03:12, '2h ago', …"),
]
To = Annotated[str | None, typer.Option("--to", metavar="WHEN", help="Up to this moment.")]
Before = Annotated[
    str,
    typer.Option("--before", metavar="WHEN", help="Everything before: '90d ago', an ISO time, …"),
]


def first_at(reader: SqliteReader, text: str, zone: tzinfo | None = None) -> int:
    """The first position at or after a moment.

    Raises:
        NotUnderstood: it is no moment.
    """
    moment = parse_moment(text, SteadyClock().now(), zone)
    if moment.position is not None:
        return max(1, moment.position)
    assert moment.at is not None, "a moment is a position or a time"
    return max(reader.base().pos, reader.position_at(moment.at - 1)) + 1


def last_at(reader: SqliteReader, text: str, zone: tzinfo | None = None) -> int:
    """The last position at or before a moment.

    Raises:
        NotUnderstood: it is no moment.
    """
    moment = parse_moment(text, SteadyClock().now(), zone)
    if moment.position is not None:
        return moment.position
    assert moment.at is not None, "a moment is a position or a time"
    return reader.position_at(moment.at)

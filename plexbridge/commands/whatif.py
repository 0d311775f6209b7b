"""`whatif`: a recorded time decided again under another policy."""

from datetime import UTC, tzinfo
from typing import Annotated, Final

import typer

from events.codec import NewerLog
from plexbridge.audit.inputs import Unexplained
from plexbridge.audit.policies import NoPolicy, Overrides, parse
from plexbridge.audit.reading import Progress, recorded
from plexbridge.audit.whatif import SCHEMA, Figure, Trust, WhatIf, whatif
from plexbridge.clock import SteadyClock
from plexbridge.commands.exits import FINE, NotUnderstood, Unfoldable
from plexbridge.commands.moments import parse_moment, shown_with_zone, span
from plexbridge.commands.opened import opened_log
from plexbridge.commands.options import AsJson, DataDir, Utc
from plexbridge.commands.output import json_line, line, progress, table
from plexbridge.commands.positions import decided_at, position_of
from plexbridge.log.reader import SqliteReader

PolicyText = Annotated[
    str,
    typer.Option(
        "--policy",
        metavar="K=V,…",
        help="What differs: keep_alive=true, grace=10s, linger=0, admission_wait=5s, tuners=2, "
        "max_sessions=4, first_byte=10s, active_idle=60s, recovery_attempts=3, or the settings' "
        "names; before_fix: the rule of before the seed's fix; recorded: nothing.",
    ),
]
From = Annotated[
    str | None, typer.Option("--from", metavar="WHEN", help="Begin here: 03:12, `2h ago`, #88412.")
]

_MARKS: Final = {
    Trust.EXACT: "exact",
    Trust.MODELLED: "modelled",
    Trust.AT_LEAST: "at least",
    Trust.BETWEEN: "bounds",
}


def whatif_command(
    policy: PolicyText,
    start: From = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    utc: Utc = False,
) -> None:
    """What a recorded time would have come to under another policy.

    Players and providers do what the record shows; the rules decide again. Each figure says whether
    it is exact, modelled (what nobody knows is filled in, and named), or a bound. Examples:

    plexbridge whatif --policy tuners=2

    plexbridge whatif --policy before_fix --from '24h ago'

    plexbridge whatif --policy keep_alive=true,grace=10s --json
    """
    zone = UTC if utc else None
    try:
        overrides = parse(policy)
    except NoPolicy as wrong:
        raise NotUnderstood(str(wrong)) from wrong
    with opened_log(data_dir) as reader:
        base: int = reader.base().pos
        if start is not None:
            base = position_of(reader, parse_moment(start, SteadyClock().now(), zone))
        result = _decided_again(reader, overrides, base)
    if as_json:
        json_line({"schema": SCHEMA, "decisions": 0} if result is None else result.as_json())
    elif result is None:
        line("no events are recorded there")
    else:
        _tell(result, zone)
    raise typer.Exit(FINE)


def _decided_again(reader: SqliteReader, overrides: Overrides, base: int) -> WhatIf | None:
    world, head = decided_at(reader, base), reader.head().pos
    with progress(head) as begin:
        passes = iter(("What was seen", "Decided again"))

        def rows_once() -> Progress:
            return begin(next(passes))

        try:
            return whatif(
                lambda: recorded(reader, after=base, until=head, progress=rows_once()),
                overrides,
                world,
            )
        except Unexplained as fault:
            raise Unfoldable(fault.pos, fault) from fault
        except NewerLog:
            raise
        except (AssertionError, KeyError, TypeError, ValueError) as fault:
            raise Unfoldable(base + 1, fault) from fault


def _tell(result: WhatIf, zone: tzinfo | None) -> None:
    line(
        f"#{result.first} to #{result.last}, {shown_with_zone(result.since, zone)} to "
        f"{shown_with_zone(result.until, zone)} ({span(result.until - result.since)})"
    )
    before, after = result.recorded.as_payload(), result.asked.as_payload()
    for name in before:
        if before[name] != after[name]:
            line(f"{name}: {before[name]} in force then, {after[name]} asked about")
    line("")
    table(
        ("FIGURE", "RECORDED", "WOULD BE", "TRUST", "BETWEEN"),
        [_figure(figure) for figure in result.figures],
    )
    line("")
    if result.first_difference is None:
        line(f"nothing comes out otherwise: {result.decisions} decisions, {result.exact} of them")
        line("byte for byte as recorded")
    else:
        line(f"the first thing to come out otherwise: #{result.first_difference}")
    for why in dict.fromkeys(figure.why for figure in result.figures if figure.why):
        names = [figure.name for figure in result.figures if figure.why == why]
        several = f" and {len(names) - 1} more" if len(names) > 1 else ""
        line(f"{names[0]}{several}: {why}")


def _figure(figure: Figure) -> tuple[object, ...]:
    low, high = figure.low, figure.high
    between = "" if low is None or high is None else f"{_number(low)} – {_number(high)}"
    return (
        figure.name,
        _number(figure.recorded),
        _number(figure.hypothetical),
        _MARKS[figure.trust],
        between,
    )


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"

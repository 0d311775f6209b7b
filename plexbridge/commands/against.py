"""`replay --against PATH`: recorded commands decided by another version."""

from pathlib import Path

from plexbridge.audit.against import Against, CannotDecideElsewhere, Difference, against
from plexbridge.audit.inputs import Unexplained
from plexbridge.audit.reading import recorded
from plexbridge.commands.exits import CANNOT_OPEN, FINE, FOUND, Unfoldable
from plexbridge.commands.opened import opened_log, session_meant
from plexbridge.commands.output import json_line, line, note, progress


def decide_against(path: Path, session: str | None, data_dir: Path | None, as_json: bool) -> int:
    """Tell the first difference of each session, or of one; the exit code.

    Raises:
        Unfoldable: the log does not hold together, for this version.
    """
    with opened_log(data_dir) as reader:
        if reader.base().pos > 0:
            note(
                f"plexbridge: events before #{reader.first()} were pruned, and what is sealed in "
                "their place is this version's own form: another one decides from the first event "
                "of a log on. Give it an archive of them (--data-dir FILE), or a whole log"
            )
            return CANNOT_OPEN
        meant = None if session is None else session_meant(reader, session)
        head = reader.head().pos
        with progress(head) as begin:
            try:
                result = against(path, recorded(reader, until=head, progress=begin("Commands")))
            except CannotDecideElsewhere as fault:
                note(f"plexbridge: {fault}")
                return CANNOT_OPEN
            except Unexplained as fault:
                raise Unfoldable(fault.pos, fault) from fault
    if meant is not None:
        result.first = {meant: result.first[meant]} if meant in result.first else {}
    if as_json:
        json_line(result.as_json())
    else:
        _tell(result)
    return FOUND if any(one.kind == "decision" for one in result.first.values()) else FINE


def _tell(result: Against) -> None:
    for one in result.first.values():
        _difference(one)
    line(
        f"{result.commands} commands: {result.decisions} decided otherwise by machine "
        f"{result.machine}, {result.fields} with other fields only"
    )


def _difference(one: Difference) -> None:
    both = "" if one.as_recorded_here else "; this version decides otherwise as well"
    what = "decides otherwise" if one.kind == "decision" else "has other fields"
    line(f"#{one.pos} {one.about}: {one.command} {what}{both}")
    for text in one.recorded:
        line(f"  recorded  {text}")
    for text in one.decided or ("nothing",):
        line(f"  decided   {text}")

"""The programme guide of a data directory, as the bridge on it last read it."""

from pathlib import Path

from plexbridge.commands.configured import configured_guides
from plexbridge.commands.exits import NotUnderstood
from plexbridge.data_dir import GUIDES_DIR
from plexbridge.lineup.guide.errors import GuideFault
from plexbridge.lineup.guide.store import SUFFIX, Guide, GuideDirectory
from plexbridge.log.errors import CannotOpen


def stored_guide(directory: Path) -> Guide:
    """All of its guides, the most trusted first; those that no setting names any more last.

    Raises:
        CannotOpen: one cannot be read.
        NotUnderstood: no guide was ever read there.
    """
    place = directory / GUIDES_DIR
    files = GuideDirectory(place)
    there = sorted(path.stem for path in place.glob(f"*{SUFFIX}"))
    if not there:
        raise NotUnderstood(f"no guide was read in {directory}: name one with --guide, or start it")
    configured = [key for key in configured_guides(directory) if key in there]
    keys = [*configured, *(key for key in there if key not in configured)]
    try:
        found = [files.load(key) for key in keys]
    except GuideFault as fault:
        raise unreadable(directory, fault) from fault
    return Guide([one for one in found if one is not None])


def unreadable(directory: Path, fault: GuideFault) -> CannotOpen:
    """A fault of a guide's file, as commands tell it."""
    return CannotOpen(directory / GUIDES_DIR, f"{fault.fault}; {fault.remedy}")

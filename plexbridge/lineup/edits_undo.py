"""The last change of channels, and taking it back. Pure.

One change is kept, however many channels it was of: as each channel's edit was before it. Taking
it back is a change as any other, so that it can be taken back itself. Refuses to know where it is
kept.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edits import AS_LISTED, FIELDS, Edit, Edits
from plexbridge.lineup.edits_plan import Patches, Plan

UNDO: Final = "undo"
"""How, of a change that took one back."""

FIELD_WORDS: Final = {"guide_number": "number", "tvg_id": "guide"}
"""Fields that people know by another word."""


class NothingToTakeBack(Exception):
    """Nothing was ever changed."""


class AnotherChange(Exception):
    """Something else was changed meanwhile: what would be taken back is not what was looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastChange:
    """A change that was made."""

    by: str
    """Who."""
    how: str
    """By which way; `UNDO`: it took one back."""
    fields: tuple[str, ...]
    channels: int
    """That are different for players or people since."""
    before: Edits
    """Of each channel that was changed, as it was edited before: `AS_LISTED` where it was not."""

    @property
    def id(self) -> str:
        """16 hex digits, others for another change."""
        state = blake2b(repr((self.by, self.how)).encode(), digest_size=8)
        for channel, edit in sorted(self.before.items()):
            state.update(f"{channel}\0{edit!r}\n".encode("utf-8", "surrogatepass"))
        return state.hexdigest()

    @property
    def words(self) -> str:
        """The change in a sentence, for people."""
        fields = ", ".join(FIELD_WORDS.get(name, name) for name in self.fields)
        channels = f"{self.channels:,} channel{'' if self.channels == 1 else 's'}"
        what = f"{channels}: {fields}" if fields else channels
        return f"{what}, taken back ({self.by})" if self.how == UNDO else f"{what} ({self.by})"


def last_change(plan: Plan, edits: Edits, *, by: str, how: str) -> LastChange:
    """What is kept of a plan that is carried out; `edits`: those in force before it."""
    return LastChange(
        by=by,
        how=how,
        fields=tuple(sorted({field for one in plan.changed for field in one.fields})),
        channels=len(plan.changed),
        before={channel: edits.get(channel, AS_LISTED) for channel in plan.edits},
    )


def taken_back(last: LastChange, lineup: Lineup) -> Patches:
    """What makes every channel as it was before the change. One that is not listed any more stays
    as it is edited."""
    return {channel: _patch(edit) for channel, edit in last.before.items() if lineup.has(channel)}


def _patch(edit: Edit) -> dict[str, Any]:
    return {name: getattr(edit, name) for name in FIELDS}

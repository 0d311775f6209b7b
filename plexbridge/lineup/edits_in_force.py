"""The edits in force, and the lineup that players are given: one holder, changed in one place.

A new listing and a change of edits take turns, so that neither undoes the other. Used on the event
loop only; what computes or blocks is in threads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from events.ids import LINEUP_STREAM
from plexbridge.lineup.channels import Lineup
from plexbridge.lineup.edit_store import EditStore
from plexbridge.lineup.edits import AS_LISTED, Edits, apply
from plexbridge.lineup.edits_plan import Patches, Plan, plan
from plexbridge.lineup.edits_told import event_of
from plexbridge.lineup.edits_undo import (
    AnotherChange,
    LastChange,
    NothingToTakeBack,
    last_change,
    taken_back,
)

EDITED: Final = "edited"
"""Type of the event on stream `lineup`."""

Note = Callable[[str, str, Mapping[str, object]], Awaitable[object]]

Wish = Callable[[Lineup, Edits], Patches]
"""What is wanted, worked out from the lineup as it is when its turn comes."""


class EditsInForce:
    """Holds the listed lineup, the edits, and what follows from both."""

    def __init__(self, store: EditStore, *, note: Note) -> None:
        self.lineup = Lineup.EMPTY
        """What players are given."""
        self.listed = Lineup.EMPTY
        """What the providers list."""
        self.edits: Edits = {}
        self.last: LastChange | None = None
        """The change that can be taken back."""
        self._store = store
        self._note = note
        self._turn = asyncio.Lock()

    async def load(self) -> None:
        """At the start, before any listing is served.

        Raises:
            StoreUnusable: the edits cannot be read; without them, players would be given channels
                that somebody took away.
        """
        self.edits = await self._store.load()
        self.last = await self._store.load_last()

    async def serve(self, listed: Lineup) -> None:
        """Put a new listing in force, with the edits laid over it."""
        async with self._turn:
            lineup = await asyncio.to_thread(apply, listed, self.edits)
            self.listed, self.lineup = listed, lineup

    async def look(self, wish: Wish) -> Plan:
        """What a change would come to; nothing is changed.

        Raises:
            UnknownChannel, NumberTaken, EditInvalid: it could not be made.
        """
        async with self._turn:
            return await self._planned(wish)

    async def change(self, wish: Wish, *, by: str, how: str) -> Plan:
        """Make a change: stored, then in force, then recorded. Nothing follows where nothing is
        changed.

        Raises:
            UnknownChannel, NumberTaken, EditInvalid: it cannot be made.
            StoreUnusable: it could not be stored, and was not made.
        """
        async with self._turn:
            found = await self._planned(wish)
            if found.edits:
                last = last_change(found, self.edits, by=by, how=how)
                await self._store.save(found.edits, last)
                self.last = last
                edits = {**self.edits, **found.edits}
                self.edits = {key: edit for key, edit in edits.items() if edit != AS_LISTED}
                self.lineup = found.lineup
                await self._note(LINEUP_STREAM, EDITED, event_of(found, by=by, how=how))
            return found

    def taking_back(self, change: str | None = None) -> Wish:
        """To have everything as it was before the last change, which has to be that of the id
        `change` where one is given.

        The wish raises:
            NothingToTakeBack, AnotherChange: when its turn comes.
        """

        def wish(lineup: Lineup, edits: Edits) -> Patches:
            last = self.last
            if last is None:
                raise NothingToTakeBack
            if change is not None and change != last.id:
                raise AnotherChange
            return taken_back(last, lineup)

        return wish

    async def _planned(self, wish: Wish) -> Plan:
        return await asyncio.to_thread(_plan, wish, self.listed, self.lineup, self.edits)


def _plan(wish: Wish, listed: Lineup, lineup: Lineup, edits: Edits) -> Plan:
    return plan(listed, lineup, edits, wish(lineup, edits))

"""Any sequence of appends, conflicts, retries, failures and restarts leaves what a list would."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from log_rigs import MemoryRig, SqliteRig, event

from events.envelope import NewEvent, Recorded
from plexbridge.log.memory import Outcome
from plexbridge.log.port import EventLog, LogUnavailable, VersionConflict
from plexbridge.log.verify import verify_chain

STREAMS = st.sampled_from(["session-a", "session-b", "channel-x"])


class LogMachine(RuleBasedStateMachine):
    """The model is a list of what was acknowledged."""

    rig: MemoryRig | SqliteRig
    log: EventLog

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.stored: list[NewEvent] = []
        self.heard: list[Recorded] = []

    def new_rig(self) -> MemoryRig | SqliteRig:
        return MemoryRig()

    @initialize()
    def start(self) -> None:
        self.rig = self.new_rig()
        self.open()

    def open(self) -> None:
        self.log = self.rig.open()
        self.log.subscribe(self.heard.extend)

    def ask(self, events: list[NewEvent]) -> tuple[Recorded, ...]:
        async def append() -> tuple[Recorded, ...]:
            return await self.log.append(events)

        return self.loop.run_until_complete(append())

    def version(self, stream: str) -> int:
        return sum(event.stream == stream for event in self.stored)

    def draft(self, streams: list[str]) -> list[NewEvent]:
        drafts: list[NewEvent] = []
        for stream in streams:
            before = sum(draft.stream == stream for draft in drafts)
            drafts.append(event(stream, self.version(stream) + before + 1))
        return drafts

    @rule(streams=st.lists(STREAMS, min_size=1, max_size=4))
    def append(self, streams: list[str]) -> None:
        drafts = self.draft(streams)
        rows = self.ask(drafts)
        assert [row.id for row in rows] == [draft.id for draft in drafts]
        self.stored += drafts

    @rule(stream=STREAMS, off=st.sampled_from([-2, -1, 1, 5]))
    def append_on_another_version(self, stream: str, off: int) -> None:
        ver = self.version(stream) + 1 + off
        if ver < 1:
            return
        with pytest.raises(VersionConflict) as raised:
            self.ask([event(stream, ver)])
        assert raised.value.actual == self.version(stream)

    @precondition(lambda self: self.stored)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.stored) - 1))
        [row] = self.ask([self.stored[index]])
        assert (row.pos, row.id) == (index + 1, self.stored[index].id)

    @rule(streams=st.lists(STREAMS, min_size=1, max_size=3), outcome=st.sampled_from(Outcome))
    def fail_and_resume(self, streams: list[str], outcome: Outcome) -> None:
        drafts = self.draft(streams)
        self.rig.faults.next = outcome
        try:
            self.ask(drafts)
        except LogUnavailable:
            assert outcome is not Outcome.STORED
        if outcome is not Outcome.LOST:
            self.stored += drafts
        self.loop.call_soon(self.log.resume)
        assert self.ask([]) == ()

    @invariant()
    def the_log_holds_what_was_acknowledged(self) -> None:
        if not hasattr(self, "log"):
            return
        rows = self.log.reader.read(0, 10_000)
        assert [row.id for row in rows] == [event.id for event in self.stored]
        assert rows == self.heard
        assert list(verify_chain(self.log.reader)) == []

    def teardown(self) -> None:
        self.loop.run_until_complete(self.log.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.directory.cleanup()


class SqliteMachine(LogMachine):
    """A file can also be closed and opened again."""

    def new_rig(self) -> SqliteRig:
        return SqliteRig(Path(self.directory.name) / "plexbridge.db")

    @rule()
    def reopen(self) -> None:
        self.loop.run_until_complete(self.log.close())
        self.open()


FEW = settings(max_examples=25, stateful_step_count=20, deadline=None)

TestMemoryLogKeepsItsPromises = LogMachine.TestCase
TestMemoryLogKeepsItsPromises.settings = FEW
TestSqliteLogKeepsItsPromises = SqliteMachine.TestCase
TestSqliteLogKeepsItsPromises.settings = FEW

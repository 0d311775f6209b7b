"""Commands run in this process on a log made for it: what the tests of the command line share."""

import asyncio
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from events.commands import Started
from events.envelope import NewEvent
from events.machine import MACHINE_ID
from events.policy import Policy
from plexbridge.cli import run
from plexbridge.data_dir import LOG_FILE
from plexbridge.log.driver import sqlite3
from plexbridge.log.sqlite import SqliteLog
from tests.core.given import (
    at,
    closed,
    first_byte,
    given,
    linger_over,
    opened,
    progress,
    socket_gone,
    took,
    tune,
)

ENDED = "01HF7YAT00AAAAAAAAAAAAAAA1"
OPEN = "01HF7YAT00BBBBBBBBBBBBBBB2"


def happened() -> list[NewEvent]:
    """One session that ended and one that goes on."""
    story = given().after(
        Started(at=at(0), version="1", machine=MACHINE_ID, policy=Policy()),
        named(tune("1", second=1), ENDED),
        opened(second=1.2),
        first_byte(second=1.3),
        named(took("1", 1_000_000, second=1.4), ENDED),
        named(closed("1", second=20, seen=progress(9_500_000, 20)), ENDED),
        linger_over(second=25),
        socket_gone(second=25.1),
        named(tune("2", "7", second=30), OPEN),
        opened("7", second=30.2),
        first_byte("7", second=30.3),
        named(took("2", 1_000, second=30.4), OPEN),
    )
    return story.events


def named(command: Any, session: str) -> Any:
    """The command with a session id as real ones are."""
    return replace(command, session=session)


def store(data_dir: Path, events: Iterable[NewEvent]) -> None:
    """Append to the directory's log as a bridge does, a cause for each."""

    async def append() -> None:
        log = SqliteLog(data_dir / LOG_FILE)
        last = None
        for number, event in enumerate(events, 1):
            id_ = number.to_bytes(16, "big")
            await log.append([replace(event, id=id_, cause=last)])
            last = id_
        await log.close()

    data_dir.mkdir(exist_ok=True)
    asyncio.run(append())


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class Cli:
    """Runs commands on one data directory."""

    def __init__(self, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data_dir = data_dir
        self._capsys = capsys

    def __call__(self, *words: str) -> Ran:
        code = run([*words, "--data-dir", str(self.data_dir)])
        told = self._capsys.readouterr()
        return Ran(code, told.out, told.err)

    def fails(self, code: int, *words: str) -> str:
        """The one line on stderr that a command ends with."""
        ran = self(*words)
        assert (ran.code, ran.out) == (code, ""), ran
        [text] = ran.err.splitlines()
        return text

    def tamper(self, *statements: str) -> None:
        """Change the file behind the log's back, its triggers dropped."""
        raw = sqlite3.connect(self.data_dir / LOG_FILE)
        for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            raw.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            raw.execute(statement)
        raw.commit()
        raw.close()


def on_a_sound_log(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Cli:
    """Commands on one ended and one open session, with an environment that sets nothing."""
    for name in list(os.environ):
        if name.startswith("PLEXBRIDGE_") or name == "PORT":
            monkeypatch.delenv(name)
    store(data_dir, happened())
    return Cli(data_dir, capsys)

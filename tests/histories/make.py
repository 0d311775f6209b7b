"""Writes the stories as exported logs, by today's rules: `python -m tests.histories.make`.

A file that is there is left alone: it is what a release wrote, and must go on being read.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from events.codec import GENESIS
from events.decide import decide
from events.envelope import NewEvent, Recorded
from events.ids import Position
from events.world import World, evolve
from plexbridge.clock import ManualClock
from plexbridge.control.stamp import Stamper
from plexbridge.ids import Ids
from plexbridge.log.batch import Append, End, judge
from plexbridge.log.exported import Closing, Header, closing_line, event_line, header_line
from plexbridge.log.port import Head
from plexbridge.version import __version__
from tests.histories.stories import BUGS, STORIES, Story

HERE: Final = Path(__file__).parent
SUFFIX: Final = ".ndjson"


def told(story: Story) -> list[Recorded]:
    """The story as a log holds it: identities, positions and hashes included."""
    clock, random = ManualClock(), Random(story.name)
    stamper = Stamper(Ids(clock, random.getrandbits), node="local")
    world = World(policy=story.rules())
    appends: list[Append] = []
    for command in story.begun():
        events: tuple[NewEvent, ...] = stamper.stamp(
            decide(command, world).drafts, world, actor="player"
        )
        for event in events:
            evolve(world, event)
        nobody: Any = None
        appends.append(Append.of(nobody, events))
    return judge(appends, End(0, GENESIS, 0), lambda stream: 0, lambda ids: None).rows


def written(rows: Sequence[Recorded]) -> bytes:
    """The file of these rows."""
    header = Header(
        version=__version__,
        node="local",
        first=1,
        last=len(rows),
        before=GENESIS,
        head=Head(Position(len(rows)), rows[-1].hash),
        sealed=False,
    )
    body = header_line(header) + b"".join(map(event_line, rows))
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    return body + closing_line(Closing(len(rows), digest))


def main() -> int:
    """Write what is missing."""
    for story in (*STORIES, *BUGS):
        path = HERE / f"{story.name}{SUFFIX}"
        if not path.exists():
            path.write_bytes(written(told(story)))
            print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

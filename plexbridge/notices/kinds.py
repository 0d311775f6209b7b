"""What people can be told of, and what one thing to tell consists of. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from events.ids import Position, UnixMicros

NAME_CHARS_MAX: Final = 80
"""Of a name that a provider or a player chose: enough to know it by, on a phone."""


class Kind(StrEnum):
    """Chosen for each target by itself."""

    SESSION_FAILED = "session_failed"
    TUNERS_BUSY = "tuners_busy"
    SOURCE_DOWN = "source_down"
    SOURCE_UP = "source_up"
    GUIDE_STALE = "guide_stale"
    AUDIT_FINDING = "audit_finding"


TEST: Final = "test"
"""What a test is sent as; nobody chooses it."""

MEANINGS: Final = {
    Kind.SESSION_FAILED: "a viewer lost the programme, and it was not the viewer's doing",
    Kind.TUNERS_BUSY: "a viewer was refused: every tuner or connection is in use",
    Kind.SOURCE_DOWN: "a source cannot be read, and did not come back by itself",
    Kind.SOURCE_UP: "a source that was told to be down works again",
    Kind.GUIDE_STALE: "a programme guide ends within a day and was not renewed",
    Kind.AUDIT_FINDING: "the bridge found a bug of its own, such as a leak that its sweep ended",
}
"""In the order in which they are shown."""

assert set(MEANINGS) == set(Kind), "each kind is explained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """Something that happened and is worth telling. Holds no credential: events hold none."""

    kind: Kind
    subject: str
    """What it happened to: two of one kind and subject are told as one for a while."""
    title: str
    text: str
    at: UnixMicros
    position: Position
    """The event it was decided from; 0: none, but that time has passed."""
    path: str
    """The page that shows more, below the root of the pages."""
    session: str | None = None
    source: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """An occurrence that is to be told now, with how many like it are told along with it."""

    what: Occurrence
    more: int = 0

    @property
    def text(self) -> str:
        """In sentences."""
        if not self.more:
            return self.what.text
        return f"{self.what.text} And {self.more} more of this kind shortly before."

    def document(self, link_base: str) -> dict[str, Any]:
        """As a webhook is sent it. `at`: Unix milliseconds; `url`: empty where the address of the
        pages is not known."""
        what = self.what
        about = {"session": what.session, "source": what.source, "channel": what.channel}
        return {
            "kind": str(what.kind),
            "title": what.title,
            "text": self.text,
            "at": what.at // 1_000,
            "position": what.position,
            **{name: value for name, value in about.items() if value is not None},
            "more": self.more,
            "url": f"{link_base}/{what.path}" if link_base else "",
        }


def plain(text: str) -> str:
    """A name that someone else chose, as one short line of printable characters."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * NAME_CHARS_MAX])
    line = " ".join(line.split())
    return line if len(line) <= NAME_CHARS_MAX else f"{line[: NAME_CHARS_MAX - 1]}…"

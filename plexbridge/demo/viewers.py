"""The pretend provider's viewers: how many there are, and where in the programme each one is.

Knows counts and pacing. Refuses to know sockets: whoever owns one asks what is due.
"""

from collections.abc import Callable, Iterator, Sequence

from plexbridge.clock import Clock
from plexbridge.demo.channels import Channel
from plexbridge.demo.loop import TICKS_PER_SECOND, Piece

Trouble = Callable[[float], float]


def never(at_s: float) -> float:
    """No trouble at any time."""
    return 0.0


class Viewers:
    """Who watches, now and so far."""

    def __init__(self) -> None:
        self.total = _Count()
        self._by_channel: dict[int, _Count] = {}

    def enter(self, channel: Channel) -> None:
        """Count one in."""
        for count in (self.total, self._by_channel.setdefault(channel.number, _Count())):
            count.enter()

    def leave(self, channel: Channel) -> None:
        """Count one out."""
        for count in (self.total, self._by_channel[channel.number]):
            count.leave()

    def figures(self, channels: Sequence[Channel]) -> dict[str, object]:
        """Open, peak and total, over all and for each channel by its number."""
        by_channel = {
            str(channel.number): self._by_channel.get(channel.number, _Count()).figures()
            for channel in channels
        }
        return {**self.total.figures(), "channels": by_channel}


class _Count:
    def __init__(self) -> None:
        self.open = self.peak = self.total = 0

    def enter(self) -> None:
        self.open += 1
        self.total += 1
        self.peak = max(self.peak, self.open)

    def leave(self) -> None:
        assert self.open > 0, "nobody leaves twice"
        self.open -= 1

    def figures(self) -> dict[str, int]:
        return {"open": self.open, "peak": self.peak, "total": self.total}


class Viewing:
    """One viewer's place in the endless programme.

    Paced by the monotonic clock from the wall time it began at: a step of the system's clock
    neither floods nor starves a viewer.
    """

    def __init__(
        self,
        pieces: Iterator[Piece],
        clock: Clock,
        now_90k: int,
        leave: Callable[[], None],
        *,
        silent_for_s: Trouble = never,
        down_for_s: Trouble = never,
    ) -> None:
        """`silent_for_s` and `down_for_s`: of the seconds of wall time; how long nothing comes yet,
        and how long there is nothing yet."""
        self._pieces = pieces
        self._clock = clock
        self._began_90k = now_90k
        self._began_s = clock.monotonic()
        self._next = next(pieces)
        self.leave = leave
        """To be called once, when the viewer is gone."""
        self._silent_for_s = silent_for_s
        self._down_for_s = down_for_s

    @property
    def over(self) -> bool:
        """Whether the provider ends it."""
        return self._down_for_s(self._at_s) > 0

    def due(self) -> bytes | memoryview | None:
        """The next packets, if it is time for them."""
        if self.wait_s() > 0:
            return None
        packets = self._next.packets
        self._next = next(self._pieces)
        return packets

    def wait_s(self) -> float:
        """Seconds until there is something to send; 0 or less: now."""
        at_s = self._at_s
        return max(self._next.due_90k / TICKS_PER_SECOND - at_s, self._silent_for_s(at_s))

    @property
    def _at_s(self) -> float:
        """Seconds since 1970, paced by the monotonic clock."""
        elapsed_s = self._clock.monotonic() - self._began_s
        return self._began_90k / TICKS_PER_SECOND + elapsed_s

"""Load that does not distort: a provider and players in C, compiled when they are wanted.

Both end when whoever started them does: each holds one end of a pipe and watches it.
"""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.bench.programme import film
from tests.end_to_end.running import RunningBridge

BITS_PER_S = 8_000_000
"""Of every channel: HD as broadcast."""

SLOWEST_MIN = 0.9
"""Share of the rate that the slowest player has to get, or it was starved."""

PACE_MAX = 1.03
"""More than this in the time that is counted was not delivered before it, when it was due."""

_SOURCES = Path(__file__).parent
_COMPILER = ("cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")


class Counted(NamedTuple):
    """What the players saw in the time that was counted."""

    seconds: float
    bits: float
    """Of all together."""
    slowest: float
    """Share of the rate that the slowest got."""
    first_ms: list[float]
    """To the first byte, of those that got one."""
    lost: int
    """Players that were refused or cut off."""
    pace: float
    """Of all together, by what they should have got: well over 1 while a delay is made up for."""

    @property
    def whole(self) -> bool:
        """Whether everyone was served at the rate, and nothing was made up for."""
        return self.lost == 0 and self.slowest >= SLOWEST_MIN and self.pace <= PACE_MAX


class _Child:
    """A program of ours that ends with its standard input."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=10)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the load ended by itself"
        return line


class Players(_Child):
    """`with load.players(...) as players: players.counted()`; they read on until the block ends."""

    def __init__(self, command: Sequence[str | Path], count: int) -> None:
        super().__init__(command)
        self._count = count

    def counted(self, at_edge: Callable[[], None] = lambda: None) -> Counted:
        """Wait for the result. `at_edge` is called when counting begins and when it ends."""
        assert self._line() == "counting\n"
        at_edge()
        seconds = float(self._line().removeprefix("counted "))
        at_edge()
        rows = [self._line().split() for _ in range(self._count)]
        bits = [int(taken) * 8 for taken, _, _ in rows]
        return Counted(
            seconds=seconds,
            bits=sum(bits),
            slowest=min(bits) / seconds / BITS_PER_S,
            first_ms=[float(first) for _, first, _ in rows if not first.startswith("-")],
            lost=sum(well == "0" for _, _, well in rows),
            pace=sum(bits) / seconds / BITS_PER_S / self._count,
        )


class Load(_Child):
    """A provider at work, and the players that can be sent against whoever relays it."""

    def __init__(self, work: Path) -> None:
        """Compiles into `work`, which has to exist. Needs a C compiler (`cc`)."""
        self._work = work
        for name in ("provider", "players"):
            source = _SOURCES / f"{name}.c"
            subprocess.run([*_COMPILER, "-o", work / name, source], check=True, timeout=60)
        programme = work / "programme.ts"
        programme.write_bytes(film(BITS_PER_S))
        super().__init__([work / "provider", str(BITS_PER_S // 8), programme])
        self.port = int(self._line())

    def bridge(self, channels: int, **settings: str) -> RunningBridge:
        """A bridge that has so many channels of this provider; started by `with`."""
        playlist = self._work / f"channels-{channels}.m3u"
        playlist.write_text(m3u((f"http://127.0.0.1:{self.port}/c",), channels), encoding="utf-8")
        number = sum(1 for _ in self._work.glob("data-*"))
        data = self._work / f"data-{number}"
        data.mkdir()
        return RunningBridge(data, **{**SERVING, "PLEXBRIDGE_PLAYLIST": str(playlist), **settings})

    def players(
        self,
        port: int,
        count: int,
        channels: int,
        *,
        prefix: str = "/auto/v",
        warm_up_s: float,
        seconds: float,
    ) -> Players:
        """So many players on the channels `prefix`1, `prefix`2, … of a server on loopback."""
        words = (port, count, channels, prefix, warm_up_s, seconds)
        return Players([self._work / "players", *map(str, words)], count)


SERVING = {
    "TUNER_COUNT": "1000",
    "PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8",
    "PLEXBRIDGE_LINGER": "0",
    "PLEXBRIDGE_LOG_LEVEL": "warning",
}
"""Nothing in the way of many players, and no relay left over from the run before."""


def m3u(prefixes: Sequence[str], channels: int) -> str:
    """A playlist of channels 1, 2, …, each with one upstream for every prefix of an address."""
    lines = ["#EXTM3U"]
    for number in range(1, channels + 1):
        for prefix in prefixes:
            lines.append(
                f'#EXTINF:-1 tvg-id="c{number}" tvg-chno="{number}" tvg-name="Channel {number}",'
                f"Channel {number}\n{prefix}{number}"
            )
    return "\n".join(lines) + "\n"


def port_of(bridge: RunningBridge) -> int:
    """Where it listens."""
    return int(bridge.base.rpartition(":")[2])


def pid_of(bridge: RunningBridge) -> int:
    """Its process."""
    assert bridge.process is not None
    return bridge.process.pid

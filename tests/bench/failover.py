"""What a viewer notices when an upstream is lost and another one takes over.

Two accounts show one programme, both at the place where the programme is now, as live television
is. One is lost while a player watches; when it is asked again it is either refusing or well again.
Taken at the player: how much programme it missed, how long it saw none, and how long its connection
was silent, filler not being silence.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.figures import Figure
from tests.bench.load import BITS_PER_S, SERVING, m3u, port_of
from tests.bench.programme import CELL, cell
from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import Behaviour, Connection, ProviderStub, status
from tests.service.ts_maker import PACKET_BYTES, serial_of

TIMES, QUICK_TIMES = 5, 1
WATCHED_S: Final = 4.0
"""Before the loss: longer than a player needs to start."""
AFTER_S: Final = 3.0
"""Watched on after programme came again."""
GIVE_UP_S: Final = 20.0
STAGGER_S: Final = 0.11
"""Between two channels, so that they are not all lost at once."""

_CELL_S: Final = CELL * PACKET_BYTES * 8 / BITS_PER_S
_PACKET_MS: Final = PACKET_BYTES * 8 / BITS_PER_S * 1e3
_SLICES: Final = 4
"""Pieces that a provider sends a cell in: one every 24 ms."""

Ending = Callable[[Connection], Awaitable[None]]


async def _ends(connection: Connection) -> None:
    """Cleanly, which a live channel does not have."""


async def _resets(connection: Connection) -> None:
    await connection.reset()


async def _stalls(connection: Connection) -> None:
    await connection.hang()


def _live(until_s: float = float("inf"), ending: Ending = _ends) -> Behaviour:
    """The programme from where it is now, in real time, for so long; then this ending."""

    async def behave(connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.keep = False
        over = loop.time() + until_s
        await connection.answer()
        number = int(loop.time() / _CELL_S)
        size = CELL // _SLICES * PACKET_BYTES
        while loop.time() < over:
            packets = cell(number, BITS_PER_S)
            for part in range(_SLICES):
                await connection.send(packets[part * size : (part + 1) * size])
                due = (number + (part + 1) / _SLICES) * _CELL_S
                await asyncio.sleep(max(0.0, due - loop.time()))
            number += 1
        await ending(connection)

    return behave


@dataclass(frozen=True, slots=True)
class Loss:
    """How an upstream is lost, and what it does when it is asked again."""

    name: str
    ending: Ending
    again: Behaviour = field(default_factory=lambda: status(503))


LOSSES: Final = (
    Loss("it ends", _ends),
    Loss("it resets", _resets),
    Loss("it stalls", _stalls),
    Loss("it ends, and is well at once", _ends, again=_live()),
)


@dataclass(slots=True)
class Seen:
    """What one player saw."""

    missed_ms: float = 0.0
    """Programme that it was not given."""
    without_ms: float = 0.0
    """Longest time between two pieces of programme."""
    silent_ms: float = 0.0
    """Longest time between two pieces of anything."""
    jumped: bool = False
    """Whether programme went on elsewhere than it stopped."""


class _Eyes:
    """Looks at every packet as it comes. `now` in seconds."""

    def __init__(self, now: float) -> None:
        self.seen = Seen()
        self._tail = b""
        self._serial: int | None = None
        self._heard_at = self._programme_at = now

    def look(self, data: bytes, now: float) -> None:
        self.seen.silent_ms = max(self.seen.silent_ms, (now - self._heard_at) * 1e3)
        self._heard_at = now
        data = self._tail + data
        whole = len(data) - len(data) % PACKET_BYTES
        self._tail = data[whole:]
        serials = [
            serial
            for at in range(0, whole, PACKET_BYTES)
            if data[at + 3] & 0x10
            and (serial := serial_of(data[at : at + PACKET_BYTES])) is not None
        ]
        if serials:
            self.seen.without_ms = max(self.seen.without_ms, (now - self._programme_at) * 1e3)
            self._programme_at = now
        for serial in serials:
            # The two packets of tables have places in the programme, and no number.
            if self._serial is not None and not 0 < serial - self._serial <= 3:
                self.seen.jumped = True
                self.seen.missed_ms += max(0, serial - self._serial - 1) * _PACKET_MS
            self._serial = serial


async def _watch(port: int, channel: int) -> Seen:
    """Until some time after programme went on."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(channel * STAGGER_S)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        request = f"GET /auto/v{channel} HTTP/1.1\r\nHost: x\r\nUser-Agent: eyes/{channel}"
        writer.write(f"{request}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head[:60]
        eyes = _Eyes(loop.time())
        over = loop.time() + GIVE_UP_S
        ends_at: float | None = None
        while loop.time() < (over if ends_at is None else ends_at):
            async with asyncio.timeout(GIVE_UP_S):
                data = await reader.read(1 << 20)
            assert data, f"channel {channel} was cut off"
            eyes.look(data, loop.time())
            if ends_at is None and eyes.seen.jumped:
                ends_at = loop.time() + AFTER_S
        # Without a jump everything came: of an upstream that is well at once, nothing is missed.
        return eyes.seen
    finally:
        writer.close()


async def _all(times: int, work: Path) -> dict[str, list[Seen]]:
    losses = [loss for loss in LOSSES for _ in range(times)]
    async with ProviderStub() as stub:
        for number, loss in enumerate(losses, start=1):
            stub.on(f"/first{number}", _live(WATCHED_S, loss.ending), loss.again)
            stub.on(f"/second{number}", _live())
        playlist = work / "playlist.m3u"
        prefixes = (stub.url("/first"), stub.url("/second"))
        playlist.write_text(m3u(prefixes, len(losses)), encoding="utf-8")
        bridge = RunningBridge(work / "data", **SERVING, PLEXBRIDGE_PLAYLIST=str(playlist))
        await asyncio.to_thread(bridge.start)
        try:
            port = port_of(bridge)
            watching = (_watch(port, number) for number in range(1, len(losses) + 1))
            seen = await asyncio.gather(*watching)
        finally:
            await asyncio.to_thread(bridge.stop)
    found: dict[str, list[Seen]] = {loss.name: [] for loss in LOSSES}
    for loss, one in zip(losses, seen, strict=True):
        found[loss.name].append(one)
    return found


def measure(quick: bool) -> list[Figure]:
    """Medians of several losses of each kind, and the worst silence."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_all(QUICK_TIMES if quick else TIMES, Path(folder)))
    return [
        Figure(
            f"an upstream is lost: {name}",
            f"{statistics.median(one.missed_ms for one in seen):.0f} ms of programme missed, "
            f"{statistics.median(one.without_ms for one in seen):.0f} ms without any; "
            f"longest silence {max(one.silent_ms for one in seen):.0f} ms",
            "silence < 3 s",
        )
        for name, seen in found.items()
    ]

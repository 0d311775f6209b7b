"""The player beside every fault, and the channel it watches: it reads all it can, and must notice
nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.service.provider_stub import Behaviour, endless
from tests.service.ts_checker import TsChecker
from tests.service.ts_maker import TsMaker


def on_air(bits_per_s: int = 4_000_000) -> Behaviour:
    """A channel at the pace of its own clock."""
    return endless(bits_per_s=bits_per_s, chunk_bytes=16_384, maker=TsMaker(bits_per_s=bits_per_s))


GAP_S = 0.5
"""Longest silence it may see: fault table rows 42 and 44."""

BEAT_S = 0.02


class Healthy:
    """Reads a stream packet by packet, and keeps the longest silence."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.checker = TsChecker()
        self.longest_gap_s = 0.0
        self.latest_s = 0.0
        """How late this process itself was at most: what it could not have seen."""
        self.ended = False
        self._reader = reader

    async def read_on(self) -> None:
        """Until the stream ends, or for ever."""
        loop = asyncio.get_running_loop()
        await self._reader.readuntil(b"\r\n\r\n")
        last: float | None = None
        while data := await self._reader.read(2**16):
            now = loop.time()
            if last is not None:
                self.longest_gap_s = max(self.longest_gap_s, now - last)
            last = now
            self.checker.feed(data)
        self.ended = True

    async def keep_time(self) -> None:
        """For ever: wake often, and see how much later it is than it should be."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.latest_s = max(self.latest_s, loop.time() - due)

    def noticed(self) -> list[str]:
        """What was wrong with its stream, in words."""
        told = list(self.checker.problems)
        told += [f"packet {place} does not follow the one before" for place in self.checker.jumps]
        if self.longest_gap_s > GAP_S + self.latest_s:
            told.append(f"nothing came for {self.longest_gap_s:.2f} s")
        if self.ended:
            told.append("its stream ended")
        return told


@contextlib.asynccontextmanager
async def healthy_player(
    port: int, path: str = "/auto/v1", *, host: str = "127.0.0.1"
) -> AsyncIterator[Healthy]:
    """Watching before the block begins; at its end it has seen no gap."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: healthy\r\n\r\n".encode())
    player = Healthy(reader)
    reading = asyncio.create_task(player.read_on())
    keeping = asyncio.create_task(player.keep_time())
    try:
        async with asyncio.timeout(10):
            while player.checker.packets < 100:
                await asyncio.sleep(0.01)
                assert not reading.done(), "the healthy player was refused"
        yield player
        before = player.checker.packets
        async with asyncio.timeout(10):
            while player.checker.packets < before + 100:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
        told = player.noticed()
        assert not told, told
    finally:
        for task in (reading, keeping):
            task.cancel()
        await asyncio.gather(reading, keeping, return_exceptions=True)
        writer.close()

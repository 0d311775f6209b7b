"""Players that change channel as fast as they can, over a real bridge in a process of its own.

Knows raw sockets and what a zap is. Refuses to know what the answer should be.
"""

import asyncio
import socket
from asyncio.trsock import TransportSocket
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, cast
from urllib.parse import urlsplit

from plexbridge.server.tcp_info import read_tcp_info
from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import Connection, ProviderStub
from tests.service.ts_maker import TsMaker

CHANNELS: Final = (1, 2, 3)
PROGRAMME: Final = TsMaker().packets(4_000)
CHUNK_BYTES: Final = 188 * 100
_ESTABLISHED: Final = 1
"""As in linux/tcp_states.h."""

ANSWER_S: Final = 15.0
"""Longer than any answer may take: the first byte and the admission wait together."""


async def programme(connection: Connection) -> None:
    """A live channel at some 6 Mbit/s, unrecorded."""
    connection.keep = False
    await connection.answer()
    at = 0
    while True:
        await connection.send(PROGRAMME[at : at + CHUNK_BYTES])
        at = (at + CHUNK_BYTES) % len(PROGRAMME)
        await asyncio.sleep(0.025)


async def bridge_over(provider: ProviderStub, directory: Path, **environment: str) -> RunningBridge:
    """A bridge whose lineup is the provider's paths `/1`, `/2` and `/3`, of one account."""
    playlist = directory / "list.m3u"
    entries = [
        f'#EXTINF:-1 tvg-chno="{n}" tvg-id="c{n}",Channel {n}\n{provider.on(f"/{n}", programme)}\n'
        for n in CHANNELS
    ]
    playlist.write_text("#EXTM3U\n" + "".join(entries))
    bridge = RunningBridge(
        directory / "data",
        "--playlist",
        str(playlist),
        **{"PLEXBRIDGE_UPSTREAM_ALLOW": "127.0.0.0/8", **environment},
    )
    return await asyncio.to_thread(bridge.start)


class AccountOfOne(ProviderStub):
    """Counts as the kernel does: a connection that the other side has closed is none, though this
    process, busy as a provider is, may not have heard of it when the next one comes."""

    def __init__(self) -> None:
        super().__init__()
        self.peak_established = 0
        self._sockets: set[TransportSocket] = set()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        self._sockets = {one for one in self._sockets if one.fileno() >= 0 and _established(one)}
        self._sockets.add(sock)
        self.peak_established = max(self.peak_established, len(self._sockets))
        await super()._accepted(reader, writer)


def _established(sock: TransportSocket) -> bool:
    info = read_tcp_info(cast(socket.socket, sock))
    return info is None or info.state == _ESTABLISHED


@dataclass(slots=True)
class Answers:
    """What players were told."""

    statuses: Counter[int] = field(default_factory=Counter)
    sessions: set[str] = field(default_factory=set)


class Request:
    """One GET of a stream on a raw socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.status = 0
        self.session: str | None = None

    @classmethod
    async def of(cls, base: str, channel: int, identifier: str | None = None) -> "Request":
        """Sent, and nothing read."""
        place = urlsplit(base)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        name = "" if identifier is None else f"X-Plex-Client-Identifier: {identifier}\r\n"
        head = f"GET /auto/v{channel} HTTP/1.1\r\nHost: x\r\nUser-Agent: Lavf/60\r\n{name}\r\n"
        writer.write(head.encode())
        return cls(reader, writer)

    async def answered(self, answers: Answers) -> int:
        """The status; when it is 200, some bytes were read too."""
        async with asyncio.timeout(ANSWER_S):
            try:
                head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.status = int(head.split(" ", 2)[1])
                lines = (line.partition(": ") for line in head.split("\r\n"))
                named = {name.lower(): text for name, _, text in lines}
                self.session = named.get("x-plexbridge-session")
                if self.status == 200:
                    await self._reader.readexactly(188)
            except (asyncio.IncompleteReadError, ConnectionError):
                self.status = self.status or 599  # closed without a word: it was taken over
        answers.statuses[self.status] += 1
        if self.session is not None:
            answers.sessions.add(self.session)
        return self.status

    def leaves(self, *, reset: bool = False) -> None:
        """FIN, or at once."""
        if reset:
            self._writer.transport.abort()
        else:
            self._writer.close()

    async def reads_on(self, size: int) -> None:
        """So many more bytes have come."""
        async with asyncio.timeout(ANSWER_S):
            await self._reader.readexactly(size)


async def zaps(base: str, viewer: int, count: int, random: Random, answers: Answers) -> None:
    """One viewer: the next channel is asked for before, while or after the last one is left."""
    identifier = None if viewer % 2 else f"viewer-{viewer}"
    held: list[Request] = []
    try:
        for _ in range(count):
            order = random.random()
            if order < 0.4:
                _leave(held, reset=random.random() < 0.3)
            request = await Request.of(base, random.choice(CHANNELS), identifier)
            held.append(request)
            if order > 0.95:  # it gives up before it is answered
                await asyncio.sleep(random.random() * 0.01)
                held.remove(request)
                request.leaves(reset=True)
                continue
            if order < 0.8:
                _leave(held, keep=request)
            await request.answered(answers)
            _leave(held, keep=request)
            if random.random() < 0.2:
                await asyncio.sleep(random.random() * 0.02)
    finally:
        _leave(held)


def _leave(held: list[Request], *, keep: Request | None = None, reset: bool = False) -> None:
    """Let go of every connection but one."""
    for request in [one for one in held if one is not keep]:
        held.remove(request)
        request.leaves(reset=reset)

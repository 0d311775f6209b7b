"""A player on a real connection: the sink a relay writes to on one end, a reader on the other."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

READ_BYTES = 65_536
_SMALL_BUFFER_BYTES = 32_768
"""Kernel buffers small enough that a player that does not read is felt at once."""


class SocketSink(asyncio.Protocol):
    """`plexbridge.relay.ports.Sink` over an asyncio transport."""

    def __init__(self) -> None:
        self.on_writable: Callable[[], None] | None = None
        self.writable = True
        self.written_bytes = 0
        self.filler_bytes = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but descent

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self.on_writable is not None:
            self.on_writable()

    def write(self, chunk: bytes | memoryview) -> None:
        assert self.transport is not None
        self.written_bytes += len(chunk)
        self.transport.write(bytes(chunk))

    def fill(self, packets: bytes) -> None:
        assert self.transport is not None
        self.filler_bytes += len(packets)
        self.transport.write(packets)

    def accepted(self) -> int:
        assert self.transport is not None
        return self.written_bytes - self.transport.get_write_buffer_size()


class SocketPlayer:
    """Reads only when told to: `read(n)` or `play()`."""

    def __init__(self, sink: SocketSink, sock: socket.socket) -> None:
        self.sink = sink
        self.got = bytearray()
        self._sock = sock
        self._playing: asyncio.Task[None] | None = None
        self._grew = asyncio.Event()

    @classmethod
    async def open(cls, *, small: bool = False) -> "SocketPlayer":
        """`small`: with small kernel buffers."""
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as theirs:
            if small:
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
            theirs.connect(listener.getsockname())
            ours, _ = listener.accept()
            if small:
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_BUFFER_BYTES)
            for sock in (ours, theirs):
                sock.setblocking(False)
            theirs = theirs.dup()
        _, sink = await loop.create_connection(SocketSink, sock=ours)
        return cls(sink, theirs)

    def play(self) -> "SocketPlayer":
        """Read everything from now on."""
        self._playing = asyncio.get_running_loop().create_task(self._read_on())
        return self

    async def read(self, count: int, *, within_s: float = 10.0) -> bytes:
        """Wait until this many bytes were read in all; the first ones."""
        async with asyncio.timeout(within_s):
            if self._playing is None:
                while len(self.got) < count:
                    await self._read_once(min(READ_BYTES, count - len(self.got)))
            while len(self.got) < count:
                self._grew.clear()
                await self._grew.wait()
        return bytes(self.got[:count])

    async def close(self) -> None:
        """Leave."""
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)
        self._sock.close()
        if self.sink.transport is not None:
            self.sink.transport.abort()

    async def _read_on(self) -> None:
        while True:
            await self._read_once(READ_BYTES)

    async def _read_once(self, limit: int) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._sock, limit)
        if not data:
            raise EOFError("the relay's side closed")
        self.got += data
        self._grew.set()

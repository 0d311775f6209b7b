"""A provider on loopback that behaves as it is told to, and remembers what it did.

A behaviour is a coroutine function over one `Connection`; `stub.on(path, a, b, c)` plays them one
per connection, the last one for every later connection.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from tests.service.ts_maker import TsMaker

Behaviour = Callable[["Connection"], Awaitable[None]]

_POLL_S = 0.002
_FLUSH_S = 5.0


class Connection:
    """One request, from the provider's side."""

    def __init__(self, path: str, head: str, writer: asyncio.StreamWriter, opened_at: float):
        self.path = path
        self.head = head
        """The request as it came."""
        self.opened_at = opened_at
        self.closed_at: float | None = None
        """Loop time at which either side closed; None while it is open."""
        self.sent = bytearray()
        """Body bytes written."""
        self.keep = True
        """Whether `sent` is recorded."""
        self.gone = asyncio.Event()
        """Set when it is closed."""
        self._writer = writer

    async def answer(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send the status line and headers; the body ends with the connection."""
        sent = {"Content-Type": "video/mp2t", "Connection": "close", **(headers or {})}
        lines = [f"HTTP/1.1 {status} Stub", *(f"{name}: {text}" for name, text in sent.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._writer.drain()

    async def send(self, body: bytes) -> None:
        """Send body bytes, as fast as they are read."""
        if self.keep:
            self.sent += body
        self._writer.write(body)
        await self._writer.drain()

    async def flush(self) -> None:
        """Wait until the other side's kernel has everything."""
        sock = self._writer.get_extra_info("socket")
        async with asyncio.timeout(_FLUSH_S):
            # The kernel tells nobody when its queue is empty: it must be asked.
            while self._writer.transport.get_write_buffer_size() or _unsent_bytes(sock):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)

    async def reset(self) -> None:
        """RST, after everything sent has arrived."""
        await self.flush()
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def hang(self) -> None:
        """Do nothing until the other side is gone."""
        await self.gone.wait()


def _unsent_bytes(sock: socket.socket) -> int:
    answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return int.from_bytes(answer, "little")


class ProviderStub:
    """`async with ProviderStub() as stub: stub.on("/x", endless()); stub.url("/x")`."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        """Every request, in order of arrival."""
        self.peak_open = 0
        """The most connections open at once, requests or not."""
        self.open = 0
        self._scripts: dict[str, list[Behaviour]] = {}
        self._taken: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None, "the stub is not running"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def on(self, path: str, *behaviours: Behaviour) -> str:
        """Script a path; returns its address."""
        assert behaviours, "a path does something"
        self._scripts[path] = list(behaviours)
        self._taken[path] = 0
        return self.url(path)

    def at(self, path: str) -> list[Connection]:
        """The connections of one path."""
        return [connection for connection in self.connections if connection.path == path]

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        self.peak_open = max(self.peak_open, self.open)
        connection: Connection | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            now = asyncio.get_running_loop().time()
            connection = Connection(path, head, writer, now)
            self.connections.append(connection)
            await self._play(connection, self._behaviour(path), reader)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The other side left, or the test is over; both are recorded below.
        finally:
            self.open -= 1
            self._tasks.discard(task)
            if connection is not None:
                connection.closed_at = asyncio.get_running_loop().time()
                connection.gone.set()
            writer.close()

    def _behaviour(self, path: str) -> Behaviour:
        script = self._scripts.get(path, [status(404)])
        taken = self._taken.get(path, 0)
        self._taken[path] = taken + 1
        return script[min(taken, len(script) - 1)]

    async def _play(
        self, connection: Connection, behaviour: Behaviour, reader: asyncio.StreamReader
    ) -> None:
        """Until the behaviour is over or the other side has closed."""
        acting = asyncio.ensure_future(behaviour(connection))
        watching = asyncio.ensure_future(_until_closed(reader))
        try:
            await asyncio.wait((acting, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            acting.cancel()
            watching.cancel()
            outcome, _ = await asyncio.gather(acting, watching, return_exceptions=True)
        if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
            raise outcome


async def _until_closed(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65_536):
            pass
    except OSError:
        return


def refused_url() -> str:
    """An address on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}/refused"


def endless(
    *, bits_per_s: float | None = None, chunk_bytes: int = 65_536, maker: TsMaker | None = None
) -> Behaviour:
    """TS without end: paced, or as fast as it is read. Each connection its own stream, or one
    that goes on, where a `maker` is given."""

    async def behave(connection: Connection) -> None:
        source = maker or TsMaker()
        loop = asyncio.get_running_loop()
        await connection.answer()
        due = loop.time()
        while True:
            chunk = source.chunk(chunk_bytes)
            await connection.send(chunk)
            if bits_per_s is None:
                await asyncio.sleep(0)
            else:
                due += len(chunk) * 8 / bits_per_s
                await asyncio.sleep(max(0.0, due - loop.time()))

    return behave


def looped(block: bytes) -> Behaviour:
    """The same block again and again, unrecorded: as fast as this process can."""

    async def behave(connection: Connection) -> None:
        connection.keep = False
        await connection.answer()
        while True:
            await connection.send(block)
            await asyncio.sleep(0)

    return behave


def finite(body: bytes, *, declared: int | None = None, chunk_bytes: int = 50_000) -> Behaviour:
    """A body with a length; another than its own when `declared` says so."""

    async def behave(connection: Connection) -> None:
        length = len(body) if declared is None else declared
        await connection.answer(headers={"Content-Length": str(length)})
        for at in range(0, len(body), chunk_bytes):
            await connection.send(body[at : at + chunk_bytes])

    return behave


def ends_after(body: bytes) -> Behaviour:
    """A live body that ends cleanly."""

    async def behave(connection: Connection) -> None:
        await connection.answer()
        await connection.send(body)

    return behave


def resets_after(body: bytes) -> Behaviour:
    """A live body that is cut off by RST."""

    async def behave(connection: Connection) -> None:
        await connection.answer()
        await connection.send(body)
        await connection.reset()

    return behave


def stalls_after(body: bytes = b"") -> Behaviour:
    """Headers, perhaps some body, then silence."""

    async def behave(connection: Connection) -> None:
        await connection.answer()
        await connection.send(body)
        await connection.hang()

    return behave


async def hangs_before_headers(connection: Connection) -> None:
    """Takes the request and never answers."""
    await connection.hang()


def trickles(body: bytes, *, step_bytes: int, every_s: float) -> Behaviour:
    """A live body in small pieces, then silence."""

    async def behave(connection: Connection) -> None:
        await connection.answer()
        for at in range(0, len(body), step_bytes):
            await connection.send(body[at : at + step_bytes])
            await asyncio.sleep(every_s)
        await connection.hang()

    return behave


def status(code: int, *, retry_after: str | None = None, body: bytes = b"") -> Behaviour:
    """An answer that is no stream."""

    async def behave(connection: Connection) -> None:
        headers = {"Content-Length": str(len(body)), "Content-Type": "text/html"}
        if retry_after is not None:
            headers["Retry-After"] = retry_after
        await connection.answer(code, headers)
        await connection.send(body)

    return behave


def html(times: int = 1) -> Behaviour:
    """200, and a page where a stream was asked for."""
    page = b"<!DOCTYPE html><html><body>G G G Your subscription has ended.</body></html>\n"
    return status(200, body=page * times)


def redirect(location: str, *, code: int = 302) -> Behaviour:
    """Sends somewhere else."""

    async def behave(connection: Connection) -> None:
        await connection.answer(code, {"Location": location, "Content-Length": "0"})

    return behave


class Tap:
    """A live body that the test turns on and off by hand. `stub.on(path, tap)`."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.connected = asyncio.Event()
        self._over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def __call__(self, connection: Connection) -> None:
        await connection.answer()
        self.connection = connection
        self.connected.set()
        if await self._over:
            await connection.reset()

    async def send(self, body: bytes) -> None:
        """Send now; waits for the connection first."""
        await self.connected.wait()
        assert self.connection is not None
        await self.connection.send(body)

    def end(self) -> None:
        """Close cleanly."""
        self._over.set_result(False)

    def reset(self) -> None:
        """Cut off by RST."""
        self._over.set_result(True)

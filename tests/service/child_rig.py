"""Sources that only ffmpeg reads, on loopback, and a look at the processes it leaves behind."""

import asyncio
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import count
from pathlib import Path

from events.ids import SourceId
from plexbridge.clock import SteadyClock
from plexbridge.outbound import OutboundPolicy
from plexbridge.relay.child.connector import ChildConnector
from plexbridge.relay.child.process import Spawner
from plexbridge.relay.ports import Upstream, UpstreamFailed

CLIP = Path(__file__).parents[2] / "plexbridge" / "demo" / "clips" / "1.ts"
LOOPBACK = OutboundPolicy(allow=(ip_network("127.0.0.0/8"),))
_POLL_S = 0.01
_CLIP_BYTES_PER_S = 56_500
_RTP_BYTES = 7 * 188


async def until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 (it is about other processes)
            await asyncio.sleep(_POLL_S)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody listens on."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


_number = count(1)


def upstream_at(url: str, headers: dict[str, str] | None = None) -> Upstream:
    """An upstream at this address, another one at each call: its restarts are counted anew."""
    return Upstream(
        source=SourceId("s"),
        url=url,
        headers=headers or {},
        redacted="rtsp://…",
        digest=f"{next(_number):016x}",
    )


@dataclass
class Received:
    """A receiver that writes down what it gets."""

    data: bytearray = field(default_factory=bytearray)
    ends: list[UpstreamFailed | None] = field(default_factory=list)
    react: Callable[[], None] | None = None

    def received(self, chunk: bytes) -> None:
        assert not self.ends, "nothing comes after the end"
        self.data += chunk
        if self.react is not None:
            self.react()

    def ended(self, failure: UpstreamFailed | None) -> None:
        self.ends.append(failure)

    def word(self) -> tuple[str, str]:
        """Reason and detail of the end."""
        (failure,) = self.ends
        assert failure is not None
        return failure.reason, failure.detail


@asynccontextmanager
async def children_of(
    program: str = "ffmpeg", policy: OutboundPolicy = LOOPBACK
) -> AsyncIterator[tuple[ChildConnector, Spawner]]:
    """A connector whose children are all gone at the end, each of them reaped."""
    spawner = Spawner(program, os.environ)
    try:
        yield ChildConnector(spawner, policy, SteadyClock()), spawner
    finally:
        async with asyncio.timeout(5):
            await spawner.close()
        assert spawner.children == 0
        # A source of the test that has just ended is no child of the spawner, but looks like one
        # until it is reaped.
        await until(lambda: children_alive() == [])


def children_alive() -> list[str]:
    """Our own children of the name ffmpeg, zombies included: `pid state`. Sources, which tests
    start with another first argument, are not among them."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            text = (entry / "stat").read_text()
            name, _, rest = text.partition("(")[2].rpartition(")")
            state, parent = rest.split()[:2]
            if (
                int(parent) == os.getpid()
                and name in ("ffmpeg", "setpriv")
                and not _is_source(entry)
            ):
                found.append(f"{entry.name} {state}")
    return found


def _is_source(entry: Path) -> bool:
    return b"pretend-provider" in (entry / "cmdline").read_bytes()


def command_lines() -> str:
    """What every process of this machine was started with, as everybody may read it."""
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            with suppress(OSError):
                lines.append(
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1")
                )
    return "\n".join(lines)


@asynccontextmanager
async def ffmpeg_source(ffmpeg: str, *target: str) -> AsyncIterator[None]:
    """The clip, at its own speed and for ever, to where `target` says."""
    process = await asyncio.create_subprocess_exec(
        *(ffmpeg, "-nostdin", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", str(CLIP)),
        *("-c", "copy", "-metadata", "comment=pretend-provider", *target),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def udp_source(ffmpeg: str) -> AsyncIterator[str]:
    """The URL of MPEG-TS over UDP."""
    port = free_port(socket.SOCK_DGRAM)
    url = f"udp://127.0.0.1:{port}"
    async with ffmpeg_source(ffmpeg, "-f", "mpegts", f"{url}?pkt_size={_RTP_BYTES}"):
        yield url


def _rtp(number: int, payload: bytes) -> bytes:
    packet = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, number * 2_090 & 0xFFFF_FFFF, 7)
    packet += payload
    return b"$\0" + struct.pack(">H", len(packet)) + packet


class RtspStub:
    """An RTSP server on loopback (RFC 2326): MPEG-TS in RTP (RFC 2250), interleaved in its TCP
    connection. Remembers the heads of all requests."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.open = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "RtspStub":
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await until(lambda: self.open == 0)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        playing: asyncio.Task[None] | None = None
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                if head.startswith("$"):
                    continue
                self.heads.append(head)
                method = head.split(" ", 1)[0]
                writer.write(self._answer(method, head))
                if method == "PLAY":
                    playing = asyncio.get_running_loop().create_task(self._play(writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side left
        finally:
            if playing is not None:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
            writer.transport.abort()
            self.open -= 1

    def _answer(self, method: str, head: str) -> bytes:
        number = next(line for line in head.splitlines() if line.lower().startswith("cseq"))
        lines, body = ["RTSP/1.0 200 OK", number, "Session: 1"], ""
        match method:
            case "OPTIONS":
                lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            case "DESCRIBE":
                body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"
                body += "m=video 0 RTP/AVP 33\r\na=control:t0\r\n"
                lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            case "SETUP":
                lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        return ("\r\n".join([*lines, "", ""]) + body).encode()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        clip = CLIP.read_bytes()
        number = 0
        while True:
            at = number * _RTP_BYTES % (len(clip) - _RTP_BYTES)
            writer.write(_rtp(number, clip[at - at % 188 :][:_RTP_BYTES]))
            await writer.drain()
            number += 1
            await asyncio.sleep(_RTP_BYTES / _CLIP_BYTES_PER_S)


def signal_child(spawner: Spawner, number: signal.Signals) -> int:
    """Send a signal to the only child; its pid."""
    (pid,) = spawner.pids
    os.kill(pid, number)
    return pid

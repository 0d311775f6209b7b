"""Upstreams that only ffmpeg reads, with the real one: they deliver, and show no secret."""

import asyncio
import http.server
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import structlog

from plexbridge.outbound import OutboundPolicy
from plexbridge.relay.child.body import ChildBody
from plexbridge.relay.child.connector import ChildConnector
from plexbridge.relay.ports import UpstreamFailed
from tests.service.child_rig import (
    CLIP,
    Received,
    RtspStub,
    children_alive,
    children_of,
    command_lines,
    ffmpeg_source,
    free_port,
    signal_child,
    udp_source,
    until,
    upstream_at,
)

PACKET_BYTES = 188
SECRET = "hunter2secret"
Tool = Callable[[str], str]


@asynccontextmanager
async def rtmp(ffmpeg: str) -> AsyncIterator[str]:
    url = f"rtmp://127.0.0.1:{free_port()}/live/{SECRET}"
    async with ffmpeg_source(ffmpeg, "-f", "flv", "-listen", "1", url):
        yield url


@asynccontextmanager
async def srt(ffmpeg: str) -> AsyncIterator[str]:
    url = f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    async with ffmpeg_source(ffmpeg, "-f", "mpegts", f"{url}?mode=listener"):
        yield f"{url}?streamid={SECRET}"


@asynccontextmanager
async def rtp(ffmpeg: str) -> AsyncIterator[str]:
    port = free_port(socket.SOCK_DGRAM) & ~1
    url = f"rtp://127.0.0.1:{port}"
    async with ffmpeg_source(ffmpeg, "-f", "rtp_mpegts", url):
        yield url


@asynccontextmanager
async def rtsp(ffmpeg: str) -> AsyncIterator[str]:
    async with RtspStub() as stub:
        yield f"rtsp://alice:{SECRET}@127.0.0.1:{stub.port}/live"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(directory: Path) -> Iterator[int]:
    """The port of a web server for this directory."""
    handler = partial(Quiet, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def dash(ffmpeg: str, directory: Path, *, loops: int = 0) -> AsyncIterator[str]:
    arguments = ("-loglevel", "error", "-stream_loop", str(loops), "-i", str(CLIP), "-c", "copy")
    process = await asyncio.create_subprocess_exec(
        *(ffmpeg, "-nostdin", *arguments, "-tag:v", "avc1", "-tag:a", "mp4a"),
        *("-f", "dash", "-seg_duration", "2", str(directory / "x.mpd")),
    )
    assert await process.wait() == 0
    with served(directory) as port:
        yield f"http://127.0.0.1:{port}/x.mpd?token={SECRET}"


SOURCES = {"udp": udp_source, "rtp": rtp, "rtmp": rtmp, "srt": srt, "rtsp": rtsp}


def checked(data: bytearray) -> None:
    """Whole MPEG-TS, from its first byte, of whole packets."""
    assert len(data) > 20 * PACKET_BYTES
    assert data[::PACKET_BYTES].count(0x47) == len(data[::PACKET_BYTES])


@pytest.mark.parametrize("kind", [*SOURCES, "dash"])
async def test_every_kind_delivers_mpeg_ts_and_is_not_seen_in_arguments(
    kind: str, tool: Tool, tmp_path: Path
) -> None:
    """What the provider's URL holds is in nobody's arguments while it plays."""
    ffmpeg = tool("ffmpeg")
    making = dash(ffmpeg, tmp_path, loops=20) if kind == "dash" else SOURCES[kind](ffmpeg)
    async with making as url, children_of() as (connector, _):
        received = Received()
        body = await opened_in_time(connector, url, received)
        assert not received.data, "nothing is delivered before `open` has returned"
        received.react = body.pause  # a manifest that ends is read as fast as it is taken
        await until(lambda: bool(received.data))
        shown = [line for line in command_lines().splitlines() if "pretend-provider" not in line]
        assert not [line for line in shown if SECRET in line]
        assert [line for line in shown if "-f concat" in line], "the child was looked at"
        assert connector.children == 1
        received.react = None
        body.resume()
        await until(lambda: len(received.data) > 50_000)
        body.close()
        async with asyncio.timeout(3):
            await body.closed
        checked(received.data)
        assert received.ends == [], "nobody is told of the end that he made"


async def opened_in_time(connector: ChildConnector, url: str, received: Received) -> ChildBody:
    """The upstream, once its server listens: a source on this machine takes a moment to start."""
    async with asyncio.timeout(15):
        while True:
            with suppress(UpstreamFailed):
                return await connector.open(upstream_at(url), received)
            await asyncio.sleep(0.1)


async def test_a_manifest_that_ends_is_told_as_an_end(tool: Tool, tmp_path: Path) -> None:
    """ffmpeg exits without fault: the upstream is over, after its last byte."""
    async with dash(tool("ffmpeg"), tmp_path) as url, children_of() as (connector, _):
        received = Received()
        body = await connector.open(upstream_at(url), received)
        await until(lambda: bool(received.ends))
        assert received.word() == ("process_closed", "ffmpeg_ended")
        assert body.closed.done()
        checked(received.data)


async def test_the_login_reaches_the_server_and_the_user_agent_too(tool: Tool) -> None:
    """What an ffconcat script carries is what an argument would have carried."""
    tool("ffmpeg")
    async with RtspStub() as stub, children_of() as (connector, _):
        received = Received()
        url = f"rtsp://127.0.0.1:{stub.port}/it's/{SECRET}?a=b&c='d'"
        headers = {"User-Agent": "It's \\ me"}
        body = await connector.open(upstream_at(url, headers), received)
        assert stub.heads[0].startswith(f"OPTIONS {url} RTSP/1.0")
        assert "User-Agent: It's \\ me\r\n" in stub.heads[0]
        body.close()
        await body.closed


async def test_what_a_failing_child_says_is_logged_without_the_login(tool: Tool) -> None:
    """The reason is a word of the log; ffmpeg's own words come redacted."""
    tool("ffmpeg")
    url = f"rtsp://alice:{SECRET}@127.0.0.1:{free_port()}/{SECRET}/1"
    async with children_of() as (connector, _):
        with structlog.testing.capture_logs() as logs, pytest.raises(UpstreamFailed) as failed:
            await connector.open(upstream_at(url), Received())
    assert (failed.value.reason, failed.value.detail) == ("ffmpeg_error", "upstream_refused")
    (line,) = logs
    assert "Connection refused" in str(line)
    assert SECRET not in str(line)
    assert "alice" not in str(line)


async def test_a_child_that_breaks_again_and_again_is_not_started_again(tool: Tool) -> None:
    """Three restarts in a minute; then the upstream is said to be beyond restarting, and when it
    is worth another try. Another upstream is none the worse."""
    tool("ffmpeg")
    async with children_of() as (connector, _):
        upstream = upstream_at(f"rtsp://127.0.0.1:{free_port()}/x")
        words = []
        for _ in range(5):
            with pytest.raises(UpstreamFailed) as failed:
                await connector.open(upstream, Received())
            words.append(failed.value.detail)
        assert words == [*["upstream_refused"] * 4, "ffmpeg_restarts_exhausted"]
        assert failed.value.reason == "restart_failed"
        assert 50 < (failed.value.retry_after_s or 0) <= 60
        with pytest.raises(UpstreamFailed, match="upstream_refused"):
            await connector.open(upstream_at(f"rtsp://127.0.0.1:{free_port()}/y"), Received())


async def test_one_who_zaps_does_not_use_up_restarts(tool: Tool) -> None:
    """Children that we closed did not break, whatever became of one before them."""
    async with udp_source(tool("ffmpeg")) as url, children_of() as (connector, spawner):
        upstream = upstream_at(url)
        body = await connector.open(upstream, Received())
        signal_child(spawner, signal.SIGKILL)
        await body.closed
        for _ in range(5):
            body = await connector.open(upstream, Received())
            body.close()
            await body.closed


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("rtsp://127.0.0.1/x", "ffmpeg_forbidden_address"),
        ("rtsp://localhost/x", "ffmpeg_forbidden_address"),
        ("rtsp://2130706433/x", "ffmpeg_forbidden_address"),
        ("rtmp://169.254.169.254/x", "ffmpeg_forbidden_address"),
        ("http://[::ffff:127.0.0.1]/x.mpd", "ffmpeg_forbidden_address"),
        ("srt://239.1.1.1:9000", "ffmpeg_forbidden_address"),
        ("srt://:9000", "ffmpeg_bad_url"),
        ("udp://127.0.0.1:5000", "ffmpeg_forbidden_address"),
        ("udp://@224.0.0.251:5353", "ffmpeg_forbidden_address"),
        ("rtp://[ff02::fb]:5353", "ffmpeg_forbidden_address"),
        ("rtsp://nobody.invalid/x", "upstream_dns"),
        ("rtsp://192.168.1.9/x", "ffmpeg_missing"),
        ("udp://@239.1.1.1:1234", "ffmpeg_missing"),
        ("rtp://[ff15::1]:1234", "ffmpeg_missing"),
        ("udp://@:1234", "ffmpeg_missing"),
    ],
)
async def test_which_addresses_a_child_is_started_for(url: str, word: str) -> None:
    """The rules of every upstream; for UDP and RTP also groups and our own ports. A program that
    does not exist shows that the address was let pass."""
    async with children_of("no-such-ffmpeg", OutboundPolicy()) as (connector, _):
        with pytest.raises(UpstreamFailed) as failed:
            await connector.open(upstream_at(url), Received())
    assert failed.value.detail == word


async def test_a_killed_child_is_told_within_a_second(tool: Tool) -> None:
    """Fault 31: with its signal, so that one sees that it was not the provider."""
    async with udp_source(tool("ffmpeg")) as url, children_of() as (connector, spawner):
        received = Received()
        body = await connector.open(upstream_at(url), received)
        signal_child(spawner, signal.SIGKILL)
        await until(lambda: bool(received.ends), within_s=2.5)
        assert received.word() == ("process_closed", "ffmpeg_killed_9")
        assert body.closed.done()
        assert children_alive() == [], "it was reaped"


async def test_a_stopped_child_is_gone_in_time(tool: Tool) -> None:
    """Fault 32: it takes neither SIGTERM nor its pipe's end; SIGKILL comes after 2 s."""
    async with udp_source(tool("ffmpeg")) as url, children_of() as (connector, spawner):
        body = await connector.open(upstream_at(url), Received())
        signal_child(spawner, signal.SIGSTOP)
        began = asyncio.get_running_loop().time()
        body.close()
        async with asyncio.timeout(5):
            await body.closed
        assert 1.9 < asyncio.get_running_loop().time() - began < 3
        assert children_alive() == []


async def test_opening_that_is_given_up_leaves_no_child(tool: Tool) -> None:
    """A source that never says anything: the deadline of the attempt ends it, child and all."""
    tool("ffmpeg")
    port = free_port(socket.SOCK_DGRAM)
    async with children_of() as (connector, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.7):
                await connector.open(upstream_at(f"udp://127.0.0.1:{port}"), Received())
        assert children_alive() == []


async def test_a_start_that_is_given_up_leaves_no_child(tool: Tool) -> None:
    """Whenever the cancellation comes: before, while and after the process is made."""
    tool("ffmpeg")
    port = free_port(socket.SOCK_DGRAM)
    async with children_of() as (connector, _):
        for turns in range(0, 40, 2):
            opening = asyncio.get_running_loop().create_task(
                connector.open(upstream_at(f"udp://127.0.0.1:{port}"), Received())
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            assert opening.cancelled()
            assert children_alive() == []

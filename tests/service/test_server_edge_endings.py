"""How other responses, the application and the server end, over real sockets on both loops."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from server_edge import (
    CHUNK,
    DEADLINE_S,
    LOOPS,
    TS,
    Edge,
    Stream,
    fill,
    on_both_loops,
    read_to_end,
    read_until,
    reset,
    send_all,
    until,
)

from plexbridge.server.config import EdgeLimits
from plexbridge.server.media import (
    ABORT_EXTENSION,
    MEDIA_EXTENSION,
    MediaConnection,
)
from plexbridge.server.serve import DRAIN_BACKSTOP_S, Server

# Responses that are no streams


@on_both_loops()
async def test_an_ordinary_response_can_be_aborted_too(edge: Edge) -> None:
    """The way out for server-sent events whose reader stalls; its `send` and `receive` return."""
    ended = asyncio.Event()

    async def events(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                while True:
                    body = {"type": "http.response.body", "body": CHUNK, "more_body": True}
                    await send(body)
        scope["extensions"][ABORT_EXTENSION]()
        assert (await receive())["type"] == "http.disconnect"
        ended.set()

    edge.apps["/events"] = events
    with await edge.ask("/events", rcvbuf=16384):
        await asyncio.wait_for(ended.wait(), DEADLINE_S)
        await until(lambda: edge.server_sockets() == 0, "freed")
        await until(lambda: edge.server.places.open == 0, "its place is left")


@on_both_loops()
async def test_a_request_waiting_behind_an_ordinary_response_hides_no_reset(edge: Edge) -> None:
    """uvicorn alone tells only the request parsed last; the running one would send for ever."""
    ended = asyncio.Event()
    started = asyncio.Event()

    async def events(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        started.set()
        receiving = asyncio.ensure_future(receive())
        while not receiving.done():
            body = {"type": "http.response.body", "body": b": beat\n\n", "more_body": True}
            await send(body)
            await asyncio.sleep(0.01)
        assert receiving.result()["type"] == "http.disconnect"
        ended.set()

    edge.apps["/events"] = events
    sock = await edge.ask("/events")
    await asyncio.wait_for(started.wait(), DEADLINE_S)
    await send_all(sock, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(0.05)
    reset(sock)
    await asyncio.wait_for(ended.wait(), DEADLINE_S)


@on_both_loops()
async def test_nonsense_behind_a_running_response_is_not_answered_into_it(edge: Edge) -> None:
    """Alone it gets 400; there the connection is reset instead."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"1000000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await receive()
        assert (await receive())["type"] == "http.disconnect"

    edge.apps["/slow"] = slow
    with await edge.connect() as alone:
        await send_all(alone, b"\x16\x03\x01 nonsense\r\n\r\n")
        assert (await read_to_end(alone)).startswith(b"HTTP/1.1 400 ")
    with await edge.ask("/slow") as sock:
        await read_until(sock, b"\r\n\r\n")
        await send_all(sock, b"\x16\x03\x01 nonsense\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await read_to_end(sock)


@on_both_loops()
async def test_a_stalled_websocket_can_be_aborted(edge: Edge) -> None:
    """Its blocked `send` ends, its socket is gone."""
    ended = asyncio.Event()

    async def feed(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        sending = asyncio.ensure_future(flood(send))
        await asyncio.wait({sending}, timeout=0.1)
        assert not sending.done()
        scope["extensions"][ABORT_EXTENSION]()
        with pytest.raises(OSError):  # noqa: PT011 - uvicorn's ClientDisconnected has no text
            await sending
        ended.set()

    async def flood(send: Any) -> None:
        while True:
            await send({"type": "websocket.send", "bytes": CHUNK})

    edge.apps["/ws"] = feed
    with await edge.connect(rcvbuf=16384) as sock:
        lines = ["GET /ws HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
        await send_all(sock, "\r\n".join([*lines, "", ""]).encode())
        await asyncio.wait_for(ended.wait(), DEADLINE_S)
        await until(lambda: edge.server_sockets() == 0, "freed")


# The application


def test_a_stream_logs_nothing_however_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Finished, aborted, refused, lost before and after it began: uvicorn has nothing to say."""
    silent = "must not be reached"

    async def scenario(edge: Edge) -> None:
        streams = [Stream() for _ in range(4)]
        for n, stream in enumerate(streams):
            edge.apps[f"/{n}"] = stream
        socks = [await edge.ask(f"/{n}", rcvbuf=16384) for n in range(4)]
        for stream in streams:
            (await stream.begun()).write(TS)
        await fill(streams[0].out)  # so that it returns while its last bytes still wait
        streams[0].out.finish()
        streams[1].out.abort()
        socks[2].close()
        reset(socks[3])
        streams[0].over.set()
        streams[1].over.set()
        await until(lambda: all(stream.returned for stream in streams), silent)
        await until(lambda: not edge.server.server_state.tasks, "tasks done")
        for sock in socks:
            sock.close()

    with caplog.at_level(logging.DEBUG, logger="asyncio"):
        for loop in LOOPS:
            on_both_loops()(scenario)(loop)
    said = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert said == []


def test_a_failing_stream_is_logged_and_its_stalled_player_freed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug is no disconnect: it is seen, and leaves no socket behind."""

    async def scenario(edge: Edge) -> None:
        async def fail(scope: Any, receive: Any, send: Any) -> None:
            media: MediaConnection = scope["extensions"][MEDIA_EXTENSION]
            media.begin([])
            await fill(media)
            raise RuntimeError("a bug")

        edge.apps["/fail"] = fail
        with await edge.ask("/fail", rcvbuf=16384):
            await until(lambda: "a bug" in caplog.text, "logged")
            await until(lambda: edge.server_sockets() == 0, "freed")
        assert edge.server.quiet.dropped == 0

    for loop in LOOPS:
        caplog.clear()
        on_both_loops()(scenario)(loop)


# Draining


@pytest.mark.parametrize("loop", LOOPS)
def test_draining_is_told_before_anyone_is_waited_for(loop: str) -> None:
    """At the signal; the stream's owner ends it, its player gets every byte and a FIN."""

    async def main() -> None:
        edge = Edge(EdgeLimits())
        order: list[str] = []
        stream = edge.apps["/stream"] = Stream()

        def on_draining() -> None:
            order.append("draining")
            assert edge.server.server_state.connections, "nobody was cut"
            stream.out.write(CHUNK)
            stream.out.finish()
            stream.over.set()

        server = edge.server = Server(edge.server.config, on_draining=on_draining)  # type: ignore[arg-type]
        serving = asyncio.create_task(server.serve(sockets=[edge.listener]))
        await until(lambda: server.started, "started")
        with await edge.ask("/stream") as sock, await edge.ask("/hello") as idle:
            await stream.begun()
            await read_until(idle, b"{}")
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            body = (await read_to_end(sock)).partition(b"\r\n\r\n")[2]
            assert body == CHUNK
            assert await read_to_end(idle) == b""
            before = time.monotonic()
            await asyncio.wait_for(serving, DEADLINE_S)
            assert time.monotonic() - before < DRAIN_BACKSTOP_S - 1
        assert order == ["draining"]

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_does_not_end_is_cancelled_and_runs_its_finally(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Before `serve` returns: the log is closed after it. The traceback is counted, not shown."""
    seen: list[str] = []

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"][MEDIA_EXTENSION].begin([])
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            seen.append("released")

    async def main() -> None:
        edge = Edge(EdgeLimits())
        edge.server.config.timeout_graceful_shutdown = 1
        edge.apps["/stubborn"] = stubborn
        serving = asyncio.create_task(edge.server.serve(sockets=[edge.listener]))
        await until(lambda: edge.server.started, "started")
        with await edge.ask("/stubborn") as sock:
            await read_until(sock, b"\r\n\r\n")
            edge.server.stop()
            await asyncio.wait_for(serving, DEADLINE_S)
            seen.append("served")
            assert edge.drained == ["drain"]
        assert edge.server.quiet.dropped == 1

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    assert seen == ["released", "served"]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_signal_ends_the_process_with_status_0(loop: str, sig: signal.Signals) -> None:
    """An orderly end is no failure to systemd and container engines."""
    program = """
        import asyncio, uvloop
        from plexbridge.server.config import EdgeLimits
        from plexbridge.server.listener import open_listener
        from plexbridge.server.serve import Server, build_config

        async def app(scope, receive, send): pass

        async def main():
            listener = open_listener("127.0.0.1", 0)
            drained = lambda: print("draining", flush=True)
            config = build_config(app, version="1", limits=EdgeLimits(connections=100))
            server = Server(config, on_draining=drained)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            print("started", flush=True)
            await task
            print("closed", flush=True)
    """
    program = (
        textwrap.dedent(program) + f"\nwith asyncio.Runner(loop_factory={loop}.new_event_loop)"
    )
    program += " as runner: runner.run(main())\n"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(sig)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "draining\nclosed\n", "")

"""Crowds: more connections than there is room for, or all at once. Rows 42 and 44."""

import asyncio
import contextlib
import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plexbridge.server.config import EdgeLimits
from plexbridge.server.listener import open_listener
from plexbridge.server.serve import Server, build_config
from tests.end_to_end.running import RunningBridge
from tests.service.healthy_player import healthy_player, on_air
from tests.service.network_namespaces import Machine, machine
from tests.service.provider_stub import ProviderStub
from tests.service.server_edge import (
    LOOPS,
    Edge,
    hello,
    read_to_end,
    reset,
    running,
    send_all,
    until,
)

__all__ = ["machine"]

ASK = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CROWD = 1_000
SYN_RETRY_S = 1.0
"""The kernel asks again after this long, when nobody had room for the first asking."""


@contextlib.contextmanager
def open_files(soft: int) -> Iterator[None]:
    """This process, and those it starts, may open so many files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.asynccontextmanager
async def bridge_on_air(tmp_path: Path) -> AsyncIterator[Callable[[], RunningBridge]]:
    """A bridge with one channel on the air; the block starts it."""
    async with ProviderStub() as provider:
        url = provider.on("/1", on_air())
        playlist = tmp_path / "list.m3u"
        playlist.write_text(f'#EXTM3U\n#EXTINF:-1 tvg-chno="1",One\n{url}\n')
        bridge = RunningBridge(
            tmp_path / "data",
            "--playlist",
            str(playlist),
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
        )
        try:
            yield bridge.start
        finally:
            if bridge.process is not None:
                await asyncio.to_thread(bridge.stop)


def said(tmp_path: Path, text: str, bridge: RunningBridge) -> int:
    """Lines of the bridge's log with this text."""
    return bridge.output.count(text) + (tmp_path / "data.stderr").read_text().count(text)


def cpu_s(process: subprocess.Popen[str]) -> float:
    """Processor time it has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# All at once


@pytest.mark.parametrize("loop", LOOPS)
def test_a_crowd_that_comes_at_once_is_held_by_the_kernel_and_served(loop: str) -> None:
    """A thousand, while the loop is busy: none is dropped to ask again a second later."""

    async def main() -> None:
        async with running(EdgeLimits(connections=2 * CROWD)) as edge, asyncio.timeout(30):
            began_at = time.monotonic()
            crowd = [asking(edge.port) for _ in range(CROWD)]
            waits = select.poll()
            for sock in crowd:
                waits.register(sock, select.POLLOUT)
            # The loop stands still meanwhile: nobody accepts.
            assert len(waits.poll(0)) == CROWD
            assert time.monotonic() - began_at < SYN_RETRY_S
            for sock in crowd:
                sock.send(ASK)
            answers = await asyncio.gather(*map(read_to_end, crowd))
            assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
            for sock in crowd:
                sock.close()

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open_files(min(hard, 2 * CROWD + 500)), asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


def asking(port: int) -> socket.socket:
    """A connection that was asked for and not waited for."""
    sock = socket.socket()
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        sock.connect(("127.0.0.1", port))
    return sock


_LOAD = """
import socket, struct, sys, time
port, crowd = int(sys.argv[1]), int(sys.argv[2])
linger = struct.pack("ii", 1, 0)
begun, made = time.monotonic(), 0
while made < crowd:
    if made > (time.monotonic() - begun) * 1_000:
        time.sleep(0.001)
        continue
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    if made % 4 == 0:
        sock.send(b"GET /auto/v404 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 404")
    sock.close()
    made += 1
print(time.monotonic() - begun)
"""
"""At most a thousand connections a second; one in four asks for what is not there."""


async def test_a_thousand_connects_a_second_disturb_no_stream(tmp_path: Path) -> None:
    """Row 44: three thousand, from another process, as fast as the machine can make them."""
    async with bridge_on_air(tmp_path) as start:
        bridge = await asyncio.to_thread(start)
        port = bridge.base.rpartition(":")[2]
        async with healthy_player(int(port)) as player:
            load = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _LOAD, port, "3000", stdout=subprocess.PIPE
            )
            out, _ = await load.communicate()
            assert load.returncode == 0
            print(
                f"3,000 connections in {float(out):.1f} s, "
                f"longest gap {player.longest_gap_s * 1_000:.0f} ms"
            )


# Too many


async def test_a_process_without_descriptors_pauses_and_goes_on(tmp_path: Path) -> None:
    """Row 42: `ulimit -n 64`, a hundred connections too many; one line a second, no spinning."""
    async with bridge_on_air(tmp_path) as start:
        with open_files(64):
            bridge = await asyncio.to_thread(start)
        assert bridge.process is not None
        port = int(bridge.base.rpartition(":")[2])
        async with healthy_player(port):
            crowd = [asking(port) for _ in range(100)]
            before_s = cpu_s(bridge.process)
            await asyncio.sleep(2.5)  # the crowd stays while the stream goes on
            assert cpu_s(bridge.process) - before_s < 1
            for sock in crowd:
                sock.close()
            assert await asyncio.to_thread(bridge.answers, "/livez")
        told = said(tmp_path, "Every connection is taken", bridge)
        assert 1 <= told <= 4
        assert said(tmp_path, "Connections are bounded by file descriptors", bridge) == 1
        assert said(tmp_path, "Traceback", bridge) == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_accepting_without_a_descriptor_left_neither_spins_nor_floods_the_log(
    loop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Should the reckoning be wrong: it tries again twice a second, and serves when it can."""

    async def main(edge: Edge) -> None:
        crowd = [asking(edge.port) for _ in range(20)]
        lowest = os.dup(0)
        os.close(lowest)
        began_s = time.process_time()
        with open_files(lowest):
            await asyncio.sleep(1.2)
        assert time.process_time() - began_s < 0.6
        for sock in crowd:
            sock.send(ASK)
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*map(read_to_end, crowd))
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        for sock in crowd:
            sock.close()

    async def scenario() -> None:
        async with running(EdgeLimits(connections=100)) as edge:
            await main(edge)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(scenario())
    told = capsys.readouterr().out
    assert 1 <= told.count("No connection can be accepted") <= 3
    assert "Traceback" not in told


@pytest.mark.parametrize("loop", LOOPS)
def test_when_every_place_is_taken_newcomers_wait_for_one(loop: str) -> None:
    """Nobody is turned away whom a moment's patience serves."""

    async def main() -> None:
        limits = EdgeLimits(connections=3, head_deadline_s=30)
        async with running(limits) as edge, asyncio.timeout(10):
            holders = [await edge.connect() for _ in range(3)]
            waiting = await edge.connect()
            await send_all(waiting, ASK)
            answer = asyncio.create_task(read_to_end(waiting))
            done, _ = await asyncio.wait((answer,), timeout=0.3)
            assert not done
            assert edge.server.places.open == 3
            reset(holders[0])
            assert (await answer).startswith(b"HTTP/1.1 200")
            for sock in (*holders[1:], waiting):
                sock.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


async def connect_and_read(sock: socket.socket, host: str, port: int) -> None:
    """As far as it gets."""
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (host, port))
    await loop.sock_recv(sock, 1)


async def test_one_address_has_its_share_and_takes_nobody_elses(
    machine: Callable[[], Machine],
) -> None:
    """Its further connections are reset at once; others and loopback are served."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)

    listener = open_listener("0.0.0.0", 0)
    port = listener.getsockname()[1]
    config = build_config(
        app, version="1", limits=EdgeLimits(connections=50, connections_per_address=3)
    )
    server = Server(config, on_draining=lambda: None)
    greedy, modest = machine(), machine()
    serving = asyncio.create_task(server.serve([listener]))
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(20):
            held = [await greedy.connect(port) for _ in range(3)]
            for _ in range(20):
                with pytest.raises(ConnectionResetError), greedy.new_socket() as surplus:
                    await connect_and_read(surplus, greedy.bridge, port)
            others = [await modest.connect(port)]
            for _ in range(10):
                sock = socket.socket()
                sock.setblocking(False)
                await loop.sock_connect(sock, ("127.0.0.1", port))
                others.append(sock)
            reset(held.pop())
            taken = server.places.open - 1
            await until(lambda: server.places.open == taken, "its place is free")
            others.append(await greedy.connect(port))
            for sock in others:
                await send_all(sock, ASK)
                assert (await read_to_end(sock)).startswith(b"HTTP/1.1 200")
                sock.close()
            for sock in held:
                sock.close()
    finally:
        server.stop()
        await serving
    assert server.places.open == 0

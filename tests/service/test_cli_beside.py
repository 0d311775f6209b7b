"""Commands that speak to a running bridge, and the one that looks at everything: `doctor`."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from plexbridge.doctor import State, data_directory
from tests.service.command_line import OPEN, Cli, on_a_sound_log


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return on_a_sound_log(tmp_path / "data", capsys, monkeypatch)


# Beside a running bridge ------------------------------------------------------------------------

Reply = Callable[[str, str, dict[str, str]], tuple[int, dict[str, Any]]]


@asynccontextmanager
async def answering(reply: Reply, *, server: str = "PlexBridge/1") -> AsyncIterator[int]:
    """A tiny HTTP server on a free port: `reply(method, path, headers)` gives status and JSON."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        method, path, _ = request.split(" ")
        pairs = (text.partition(": ") for text in headers if text)
        status, document = reply(method, path, {name.lower(): text for name, _, text in pairs})
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} X\r\nServer: {server}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_session_is_stopped_over_http(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The running bridge is asked, with the admin key, by the whole id."""
    monkeypatch.setenv("PLEXBRIDGE_ADMIN_KEY", "a-key-that-is-long-enough-to-be-one")
    asked = []

    def reply(method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked.append((method, path, headers.get("x-api-key")))
        return 200, {"ended": {"id": OPEN, "bytes": 5_000}, "position": 16}

    async with answering(reply) as port:
        ran = await asyncio.to_thread(cli, "sessions", "stop", "BBB2", "--port", str(port))
    assert (ran.code, ran.out) == (0, f"{OPEN} ended: manual, 5.0 kB\n")
    key = "a-key-that-is-long-enough-to-be-one"
    assert asked == [("DELETE", f"/api/sessions/{OPEN}?reason=manual", key)]


@pytest.mark.parametrize(("status", "code"), [(409, 1), (404, 1), (403, 3), (500, 3)])
async def test_a_stop_that_is_declined(cli: Cli, status: int, code: int) -> None:
    """Ended already or unknown: 1. Not allowed, or no bridge of ours: 3."""
    async with answering(lambda *_: (status, {"detail": "as it is"})) as port:
        told = await asyncio.to_thread(
            cli.fails, code, "sessions", "stop", OPEN, "--port", f"{port}"
        )
    assert "as it is" in told


def test_a_stop_without_a_bridge(cli: Cli) -> None:
    """Says where it was looked for; exit code 3."""
    port = free_port()
    assert f"127.0.0.1:{port}" in cli.fails(3, "sessions", "stop", OPEN, "--port", str(port))
    assert "--port" in cli.fails(3, "sessions", "stop", OPEN, "--port", "0")
    assert "stale" in cli.fails(2, "sessions", "stop", OPEN, "--reason", "because")


async def test_a_healthcheck(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 when it answers 200, 1 when it does not; the port is the setting's."""
    async with answering(lambda *_: (200, {})) as port:
        monkeypatch.setenv("PORT", str(port))
        ran = await asyncio.to_thread(cli, "healthcheck")
        assert (ran.code, ran.out) == (0, "alive\n")
    async with answering(lambda *_: (503, {})) as port:
        ran = await asyncio.to_thread(cli, "healthcheck", "--port", str(port))
        assert ran.code == 1
    assert "no PlexBridge answers" in cli.fails(1, "healthcheck", "--port", str(free_port()))


# Doctor ----------------------------------------------------------------------------------------


def test_a_doctor_finds_a_healthy_installation_healthy(cli: Cli, tmp_path: Path) -> None:
    """And says where what differs from the defaults comes from."""
    ran = cli("doctor", "--port", str(free_port()))
    assert ran.code == 0, ran.out
    assert "✓ data directory" in ran.out
    assert "✓ event log" in ran.out
    assert "PORT = " in ran.out
    assert "(command line)" in ran.out
    assert "✗" not in ran.out


async def test_a_doctor_tells_our_port_from_anothers(cli: Cli) -> None:
    """Ours is fine; something else there is what keeps a start from listening."""
    async with answering(lambda *_: (200, {})) as port:
        ran = await asyncio.to_thread(cli, "doctor", "--port", str(port))
        assert (ran.code, "PlexBridge is running on it" in ran.out) == (0, True), ran.out
    async with answering(lambda *_: (200, {}), server="nginx") as port:
        ran = await asyncio.to_thread(cli, "doctor", "--port", str(port))
        assert ran.code == 1
        assert "✗ port" in ran.out


def test_a_doctor_reads_the_playlists(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each for itself; one that is none is a fault."""
    good, bad = tmp_path / "good.m3u", tmp_path / "bad.m3u"
    good.write_text('#EXTM3U\n#EXTINF:-1 tvg-chno="1",One\nhttp://127.0.0.1:9/one.ts\n')
    bad.write_text("<html>login</html>")
    monkeypatch.setenv("PLEXBRIDGE_PLAYLIST", f"{good} {bad}")
    ran = cli("doctor", "--port", "0")
    assert ran.code == 1
    assert f"✓ playlist       {good}: 1 channels" in ran.out
    assert f"✗ playlist       playlist {bad}" in ran.out


def test_a_doctor_names_a_directory_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that is yet to be made, which is fine and stays unmade."""
    (tmp_path / "file").write_text("")
    answer = data_directory(tmp_path / "file" / "data")
    assert (answer.state, "is a file" in answer.text) == (State.FAULT, True)
    ran = Cli(tmp_path / "new", capsys)("doctor", "--port", "0")
    assert (ran.code, (tmp_path / "new").exists()) == (0, False)

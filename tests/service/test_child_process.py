"""A child as a process: what it writes never blocks it or us, and it never outlives us.

Where ffmpeg itself would have to misbehave, a shell script stands in for it.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from plexbridge.clock import SteadyClock
from plexbridge.relay.attempt import Attempt
from plexbridge.relay.child.pipes import PIPE_BYTES, READ_BYTES_MAX
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import UpstreamFailed
from plexbridge.relay.ring import Ring
from tests.service.child_rig import (
    CLIP,
    Received,
    children_alive,
    children_of,
    signal_child,
    udp_source,
    until,
    upstream_at,
)

Tool = Callable[[str], str]
ROOT = Path(__file__).parents[2]
URL = "rtsp://127.0.0.1:1/x"


def program(tmp_path: Path, text: str) -> str:
    """A program that stands in for ffmpeg."""
    path = tmp_path / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def test_a_flood_of_complaints_blocks_nothing(tmp_path: Path) -> None:
    """Fault 32: 20 MB on standard error, and the stream behind it comes."""
    flood = "head -c 20000000 /dev/zero | tr '\\\\0' x >&2"
    async with children_of(program(tmp_path, f"{flood}; cat {CLIP}")) as (connector, _):
        received = Received()
        body = await connector.open(upstream_at(URL), received)
        await until(lambda: bool(received.ends))
        assert received.data == CLIP.read_bytes()
        assert sum(map(len, body._child.said.lines)) < 20_000


async def test_a_pause_holds_the_child_back_and_loses_nothing(tmp_path: Path) -> None:
    """Paused, nothing is delivered and the child waits on a full pipe; its rest comes after it has
    ended, and its end after its rest."""
    whole = CLIP.read_bytes() * 8
    (tmp_path / "long.ts").write_bytes(whole)
    text = f"cat {tmp_path / 'long.ts'}; touch {tmp_path / 'done'}"
    async with children_of(program(tmp_path, text)) as (connector, _):
        received = Received()
        body = await connector.open(upstream_at(URL), received)
        received.react = body.pause
        while not received.ends:
            before = len(received.data)
            body.resume()
            await until(lambda before=before: len(received.data) > before or bool(received.ends))  # type: ignore[misc]
            assert len(received.data) - before <= READ_BYTES_MAX
            if len(whole) - len(received.data) > 2 * PIPE_BYTES:
                assert not (tmp_path / "done").exists(), "it does not run ahead of us"
        assert received.data == whole
        assert received.word() == ("process_closed", "ffmpeg_ended")


async def test_what_was_paused_and_closed_is_not_delivered(tmp_path: Path) -> None:
    """A child that waits for us on a full pipe goes at the first signal."""
    async with children_of(program(tmp_path, "exec cat /dev/zero")) as (connector, _):
        received = Received()
        body = await connector.open(upstream_at(URL), received)
        body.pause()
        body.close()
        body.resume()
        async with asyncio.timeout(1):
            await body.closed
        assert not received.data
        assert not received.ends


async def test_the_whole_group_goes(tmp_path: Path) -> None:
    """A wrapper script that forks: what it started goes with it, though it holds the pipe."""
    text = "sleep 300 & echo $!; wait"
    async with children_of(program(tmp_path, text)) as (connector, spawner):
        received = Received()
        body = await connector.open(upstream_at(URL), received)
        await until(lambda: received.data.endswith(b"\n"))
        grandchild = int(received.data)
        signal_child(spawner, signal.SIGKILL)
        await until(lambda: bool(received.ends), within_s=2.5)
        assert body.closed.done()
        await until(lambda: is_gone(grandchild))


def is_gone(pid: int) -> bool:
    """Whether no process of that number runs; one that nobody reaps does not run."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return True


async def test_ffmpeg_is_missed_and_then_found(tmp_path: Path) -> None:
    """Whoever installs it need not restart the bridge; what cannot be executed is none."""
    async with children_of(str(tmp_path / "ffmpeg")) as (connector, _):
        for make in (lambda: None, lambda: (tmp_path / "ffmpeg").write_text("no program")):
            make()
            with pytest.raises(UpstreamFailed) as failed:
                await connector.open(upstream_at(URL), Received())
            assert (failed.value.reason, failed.value.detail) == ("ffmpeg_error", "ffmpeg_missing")
        program(tmp_path, f"cat {CLIP}")
        received = Received()
        await connector.open(upstream_at(URL), received)
        await until(lambda: bool(received.ends))


async def test_a_child_sees_none_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither our keys, nor a proxy that would lead it around the address rules."""
    monkeypatch.setenv("PLEXBRIDGE_ADMIN_KEY", "k" * 20)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    limited = "while [ $(ulimit -f) != 0 ]; do :; done"  # set by us once it runs
    text = f"{limited}; env; ulimit -c; ulimit -f"
    async with children_of(program(tmp_path, text)) as (connector, _):
        received = Received()
        await connector.open(upstream_at(URL), received)
        await until(lambda: bool(received.ends))
    seen = received.data.decode()
    assert "PATH=" in seen
    assert "PLEXBRIDGE" not in seen
    assert "proxy" not in seen
    assert seen.endswith("\n0\n0\n"), "no core dump, which would hold the URL, and no files"


async def test_a_silent_child_is_ended_by_the_attempt(tool: Tool) -> None:
    """Fault 32, whole: kill -STOP, the stall deadline, SIGTERM, SIGKILL, reaped. The design grants
    12 s; with a stall deadline of 0.5 s it is 2.5 s."""
    async with udp_source(tool("ffmpeg")) as url, children_of() as (connector, spawner):
        attempt = Attempt(
            clock=SteadyClock(),
            policy=RelayPolicy(stall_ms=500),
            ring=Ring(1024 * 1024),
            opened=lambda: None,
            begun=lambda after_ms: None,
            deliver=lambda block, now: None,
            quiet=lambda: None,
        )
        running = asyncio.get_running_loop().create_task(attempt.run(connector, upstream_at(url)))
        await until(lambda: attempt.gave_bytes)
        signal_child(spawner, signal.SIGSTOP)
        async with asyncio.timeout(5):
            failure = await running
        assert failure is not None
        assert (failure.reason, failure.detail) == ("timeout", "upstream_no_data")
        assert children_alive() == []


BRIDGE = """
import asyncio, os, sys
sys.path.insert(0, {root!r})
from tests.service.child_rig import Received, children_of, upstream_at

async def main() -> None:
    os.environ["PATH"] = {path!r}
    async with children_of({program!r}) as (connector, spawner):
        body = await connector.open(upstream_at({url!r}), Received())
        print(*spawner.pids, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("path", [os.environ["PATH"], "/nowhere"], ids=["setpriv", "preexec"])
async def test_no_child_outlives_a_killed_bridge(tool: Tool, path: str, stopped: bool) -> None:
    """Fault 33: kill -9 of the parent, and nothing is left after 2 s, even of a child that is
    stopped and would notice no broken pipe."""
    async with udp_source(tool("ffmpeg")) as url:
        script = BRIDGE.format(root=str(ROOT), program=tool("ffmpeg"), url=url, path=path)
        bridge = subprocess.Popen(  # noqa: ASYNC220 (its start is short)
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert bridge.stdout is not None
            pid = int(await asyncio.to_thread(bridge.stdout.readline))
            assert not is_gone(pid)
            if stopped:
                os.kill(pid, signal.SIGSTOP)
        finally:
            bridge.kill()
            bridge.wait()
            bridge.stdout.close()
        try:
            await until(lambda: is_gone(pid), within_s=2.0)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # where the rule is broken, the test cleans up


async def test_many_children_are_all_reaped(tmp_path: Path) -> None:
    """A hundred, ended in every way: no zombie, no descriptor left."""
    before = len(os.listdir("/proc/self/fd"))
    text = f"head -c 200000 {CLIP}; [ $(($$ % 2)) = 0 ] && exec sleep 60"
    async with children_of(program(tmp_path, text)) as (connector, _):
        for _ in range(10):
            opening = (connector.open(upstream_at(URL), Received()) for _ in range(10))
            bodies = await asyncio.gather(*opening)
            for body in bodies:
                body.close()
            await asyncio.wait([body.closed for body in bodies])
            assert children_alive() == []
    assert len(os.listdir("/proc/self/fd")) <= before

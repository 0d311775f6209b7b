"""The processor time of noting that a player is watching: with every chunk, as the seed did, or
once a second, which was to cost 70 % less.

A real relay hands chunks of a tenth of a second to a real connection on loopback; a real door over
a real log is told of it by the rule that is being measured. Time goes by as fast as it can, so that
nothing is counted but the work. Both rules record as often as each other: once in 10 s.
"""

import asyncio
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from events.commands import Accepted, Progress
from events.ids import SessionId, SourceId, UnixMicros
from plexbridge.clock import ManualClock
from plexbridge.log.sqlite import SqliteLog
from plexbridge.relay.health import UpstreamHealth
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import OpenUpstream, Upstream, UpstreamReceiver
from plexbridge.relay.relay import Relay
from tests.bench.figures import Figure
from tests.bench.load import BITS_PER_S
from tests.bench.programme import film
from tests.service.door_rig import Rig, door_over
from tests.service.relay_setup import CHANNEL, Told, until

SESSIONS, SECONDS, RUNS = 20, 60, 3
QUICK_SECONDS = 10
CHUNKS_PER_S = 10
CHUNK_BYTES = BITS_PER_S // 8 // CHUNKS_PER_S


class _Pushed:
    """A connector and its open upstream: bytes come when the measurement says."""

    silence_ms = 0

    def __init__(self) -> None:
        self.receiver: UpstreamReceiver | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, upstream: Upstream, receiver: UpstreamReceiver) -> OpenUpstream:
        self.receiver = receiver
        return self

    def pause(self) -> None:
        raise AssertionError("the player takes everything")

    resume = pause

    def close(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


class _Socket:
    """A relay's sink: a connection on loopback that takes every chunk whole."""

    def __init__(self) -> None:
        self.on_writable: Callable[[], None] | None = None
        self.writable = True
        self._sent_bytes = 0
        self._nothing = bytearray(4 * CHUNK_BYTES)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._near = socket.create_connection(listener.getsockname())
            self._far, _ = listener.accept()
        # So that a chunk fits whole, and is never waited for.
        self._near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * CHUNK_BYTES)

    def write(self, chunk: bytes | memoryview) -> None:
        self._near.sendall(chunk)
        self._sent_bytes += len(chunk)

    def fill(self, packets: bytes) -> None:
        """A player of this measurement needs no filler."""

    def accepted(self) -> int:
        return self._sent_bytes

    def drain(self) -> None:
        """The player reads; its time is not the bridge's."""
        while True:
            try:
                self._far.recv_into(self._nothing, 0, socket.MSG_DONTWAIT | socket.MSG_TRUNC)
            except BlockingIOError:
                return

    def close(self) -> None:
        self._near.close()
        self._far.close()


@dataclass(slots=True)
class _Watched:
    """One session and its relay."""

    session: SessionId
    relay: Relay
    pushed: _Pushed
    sink: _Socket


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of processor time: in the relay, and in noting activity."""

    relaying_s: float
    noting_s: float


def measure(quick: bool) -> list[Figure]:
    """Medians; the two rules take turns."""
    seconds, runs = (QUICK_SECONDS, 1) if quick else (SECONDS, RUNS)
    each_chunk: list[Spent] = []
    each_second: list[Spent] = []
    for _ in range(runs):
        each_chunk.append(asyncio.run(_run(seconds, every=1)))
        each_second.append(asyncio.run(_run(seconds, every=CHUNKS_PER_S)))
    noted, throttled = (
        statistics.median(spent.noting_s for spent in found) for found in (each_chunk, each_second)
    )
    relaying = statistics.median(spent.relaying_s for spent in each_chunk + each_second)
    per_session = 1e6 / (seconds * SESSIONS)
    return [
        Figure(
            "noting activity, per session and second: once a second against every chunk",
            f"{throttled * per_session:.1f} µs against {noted * per_session:.1f} µs",
            "70 % less",
            f"{1 - throttled / noted:.0%} less",
        ),
        Figure(
            "… with the relaying of the session's chunks",
            f"{(relaying + throttled) * per_session:.0f} µs against "
            f"{(relaying + noted) * per_session:.0f} µs",
            "",
            f"{1 - (relaying + throttled) / (relaying + noted):.0%} less",
        ),
    ]


async def _run(seconds: int, *, every: int) -> Spent:
    """`every`: chunks from one note to the next."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        async with door_over(SqliteLog(Path(folder) / "bench.db"), tuners=SESSIONS) as rig:
            watched = [await _begin(rig, str(number), clock) for number in range(SESSIONS)]
            try:
                return await _drive(rig, watched, clock, seconds, every)
            finally:
                for one in watched:
                    one.relay.close()
                    await one.relay.closed
                    one.sink.close()


async def _begin(rig: Rig, number: str, clock: ManualClock) -> _Watched:
    session = await rig.watching(number)
    pushed, sink = _Pushed(), _Socket()
    upstream = Upstream(source=SourceId("bench"), url="http://bench", redacted="", digest="0" * 16)
    policy = RelayPolicy()
    relay = Relay(
        CHANNEL,
        [upstream],
        connector=pushed,
        clock=clock,
        health=UpstreamHealth(policy, Random(1)),
        listener=Told(),
        policy=policy,
    )
    relay.join(session, sink)
    relay.start()
    await until(lambda: pushed.receiver is not None)
    await asyncio.sleep(0)
    return _Watched(session, relay, pushed, sink)


async def _drive(
    rig: Rig, watched: list[_Watched], clock: ManualClock, seconds: int, every: int
) -> Spent:
    programme = memoryview(film(BITS_PER_S))
    begun = rig.clock.now()
    relaying = noting = 0.0
    place = 0
    for turn in range(seconds * CHUNKS_PER_S):
        clock.advance(1 / CHUNKS_PER_S)
        now = UnixMicros(begun + (turn + 1) * 1_000_000 // CHUNKS_PER_S)
        chunk = bytes(programme[place : place + CHUNK_BYTES])
        place = (place + len(chunk)) % len(programme)
        started = time.thread_time()
        for one in watched:
            assert one.pushed.receiver is not None
            one.pushed.receiver.received(chunk)
        relayed = time.thread_time()
        if (turn + 1) % every == 0:
            for one in watched:
                _note(rig, one, now)
            await asyncio.sleep(0)  # what a note sets going is part of it
        noting += time.thread_time() - relayed
        relaying += relayed - started
        for one in watched:
            one.sink.drain()
    return Spent(relaying, noting)


def _note(rig: Rig, watched: _Watched, now: UnixMicros) -> None:
    """What is told of a session whose connection took something."""
    progress = Progress(bytes=watched.sink.accepted(), accepted_at=now)
    rig.door.report(Accepted(at=now, session=watched.session, progress=progress), actor="player")

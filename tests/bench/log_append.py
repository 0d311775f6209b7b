"""Durable appends per second of the SQLite log, and what the slowest of a hundred waits.

Each of N askers appends one event (an
`activity` of some 150 bytes of payload, whole envelope, hash chain, `synchronous=FULL`) and waits
for it before the next. Target at 128 waiting: 30,000/s with p99 within 10 ms. The fsync of the
disk that holds temporary files decides much of it (`TMPDIR` chooses another), so its own latency is
measured too.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from events.envelope import NewEvent
from events.ids import UnixMicros
from plexbridge.log.driver import SQLITE_VERSION
from plexbridge.log.sqlite import SqliteLog
from plexbridge.log.verify import verify_chain
from plexbridge.log.worker import SWITCH_INTERVAL_S
from tests.bench.figures import Figure, quantile

WAITING = (1, 16, 128, 256)
TARGETED = 128
SECONDS, QUICK_SECONDS = 3.0, 0.2
EVENTS_PER_STREAM = 60
"""Then the asker goes on with a new session: ten minutes of watching at one event per 10 s."""
MANY = 1_000_000
START_US = 1_700_000_000_000_000


def an_event(session: int, ver: int, serial: int) -> NewEvent:
    """What an active session records every ten seconds."""
    return NewEvent(
        stream=f"session-01JAVWXYZ0{session:016d}",
        ver=ver,
        type="activity",
        schema=1,
        src="active",
        dst="active",
        machine="3f6b9c2d41e7",
        at=UnixMicros(START_US + serial),
        id=serial.to_bytes(8, "big") + b"\x7f" * 8,
        corr=session.to_bytes(8, "big") + b"\x01" * 8,
        cause=(serial - 1).to_bytes(8, "big") + b"\x7f" * 8,
        actor="bridge",
        node="local",
        fence=0,
        payload={
            "channel": "bbc-one-hd",
            "tuner": session % 4,
            "bytes_sent": 123_456_789 + serial * 1316,
            "bytes_since": 10_485_760,
            "bitrate": 8_388_608,
            "errors": 0,
            "source": "provider-main",
            "client": "192.168.178.42",
        },
    )


async def ask(log: SqliteLog, asker: int, until: float, serials: list[int]) -> list[float]:
    """Append and wait, over and over; the waits in seconds."""
    waits: list[float] = []
    stream, ver = asker, 0
    while (begun := time.perf_counter()) < until:
        serials[0] += 1
        if ver == EVENTS_PER_STREAM:
            stream, ver = MANY + serials[0], 0
        ver += 1
        await log.append([an_event(stream, ver, serials[0])])
        waits.append(time.perf_counter() - begun)
    return waits


async def rate(
    path: Path, waiting: int, askers_before: int, seconds: float, serials: list[int]
) -> tuple[float, list[float]]:
    """Appends per second, and what each waited in milliseconds."""
    log = SqliteLog(path)
    begun = time.perf_counter()
    asked = await asyncio.gather(
        *(ask(log, askers_before + n, begun + seconds, serials) for n in range(waiting))
    )
    taken = time.perf_counter() - begun
    await log.close()
    waits = [wait * 1_000 for each in asked for wait in each]
    return len(waits) / taken, waits


def fsync_ms(directory: Path) -> tuple[float, float]:
    """Median and p99 of writing 64 KiB and syncing it."""
    waits = []
    with (directory / "fsync-probe").open("wb", buffering=0) as file:
        for _ in range(200):
            begun = time.perf_counter()
            file.write(bytes(65_536))
            os.fdatasync(file.fileno())
            waits.append((time.perf_counter() - begun) * 1_000)
    waits.sort()
    return waits[100], waits[198]


def measure(quick: bool) -> list[Figure]:
    """Each number of askers on the same log, and the speed of verifying what they wrote."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    seconds = QUICK_SECONDS if quick else SECONDS
    serials, askers = [0], 0
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "plexbridge.db"
        p50, p99 = fsync_ms(path.parent)
        version = ".".join(map(str, SQLITE_VERSION))
        disk = f"SQLite {version}; 64 KiB fdatasync p50 {p50:.2f} ms, p99 {p99:.2f} ms"
        figures.append(Figure("the disk under it", disk))
        for waiting in WAITING:
            per_s, waits = uvloop.run(rate(path, waiting, askers, seconds, serials))
            askers += waiting
            figures.append(
                Figure(
                    f"durable appends, whole envelope with hash, {waiting} waiting",
                    f"{per_s:,.0f} per second; p99 {quantile(waits, 0.99):.1f} ms",
                    "30,000 per second; p99 10 ms" if waiting == TARGETED else "",
                )
            )
        log = SqliteLog(path)
        begun = time.perf_counter()
        findings = list(verify_chain(log.reader))
        taken = time.perf_counter() - begun
        uvloop.run(log.close())
    assert not findings, "what was appended is whole"
    verified = f"{serials[0] / taken:,.0f} events per second"
    figures.append(Figure("verifying the chain", verified, "200,000 per second"))
    return figures

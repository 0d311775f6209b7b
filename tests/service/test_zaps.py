"""Real sockets: viewers who change channel as fast as they can, over an account of one connection.

Whatever order their requests come in: the provider never counts one too many, and in the end
nothing is left.
"""

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from tests.end_to_end.running import RunningBridge, until
from tests.service.zapping import AccountOfOne, Answers, Request, bridge_over, zaps

VIEWERS = 8
ONE = {"PLEXBRIDGE_SOURCE_CONNECTIONS": "1", "PLEXBRIDGE_ADMISSION_WAIT": "500"}


@pytest.fixture
async def provider() -> AsyncIterator[AccountOfOne]:
    async with AccountOfOne() as stub:
        yield stub


def text(url: str) -> str:
    """What a GET is answered."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read(), "utf-8")


async def nothing_is_left(bridge: RunningBridge, provider: AccountOfOne) -> None:
    """Sessions, leases and upstreams are gone, and the log shows no broken promise."""

    def over() -> bool:
        shown = bridge.dashboard()
        return not shown["sessions"] and all(one["state"] == "free" for one in shown["tuners"])

    await asyncio.to_thread(until, "sessions and tuners are free", over)
    async with asyncio.timeout(10):
        while provider.open:  # noqa: ASYNC110 (the provider is in this loop; nobody tells)
            await asyncio.sleep(0.01)
    metrics = await asyncio.to_thread(text, bridge.base + "/metrics")
    for line in ("plexbridge_session_drift 0.0", "plexbridge_upstreams_open 0.0"):
        assert line in metrics, line
    assert await asyncio.to_thread(bridge.stop) == 0
    audit = await asyncio.to_thread(bridge.command, "audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr


async def storm(provider: AccountOfOne, directory: Path, count: int, **environment: str) -> Answers:
    """So many zaps by eight viewers."""
    bridge = await bridge_over(provider, directory, **ONE, **environment)
    answers = Answers()
    viewers = [
        zaps(bridge.base, viewer, count // VIEWERS, Random(viewer), answers)
        for viewer in range(VIEWERS)
    ]
    await asyncio.gather(*viewers)
    assert provider.peak_established == 1, "the provider's own count"
    await nothing_is_left(bridge, provider)
    assert answers.statuses[200] > count / 20, answers.statuses
    assert answers.statuses.keys() <= {200, 503, 599}, answers.statuses
    return answers


async def test_a_storm_of_zaps_never_opens_one_connection_too_many(
    provider: AccountOfOne, tmp_path: Path
) -> None:
    """Some hundred zaps by eight viewers over one connection."""
    await storm(provider, tmp_path, 200, PLEXBRIDGE_LINGER="300")


async def test_a_provider_that_counts_late_sees_one_connection_with_a_settling_pause(
    provider: AccountOfOne, tmp_path: Path
) -> None:
    """By its own count, which lags behind the kernel's: the pause is for that."""
    await storm(provider, tmp_path, 40, PLEXBRIDGE_LINGER="0", PLEXBRIDGE_SOURCE_SETTLE="100")
    assert provider.peak_open == 1


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("linger_ms", [0, 5_000])
async def test_ten_thousand_zaps(provider: AccountOfOne, tmp_path: Path, linger_ms: int) -> None:
    """The same, for as long as it takes."""
    await storm(provider, tmp_path, 10_000, PLEXBRIDGE_LINGER=str(linger_ms))


async def test_what_one_viewer_can_do_to_one_connection(
    provider: AccountOfOne, tmp_path: Path
) -> None:
    """Double opens, probes before a play, coming back during teardown and at the edge of linger."""
    bridge = await bridge_over(provider, tmp_path, **ONE, PLEXBRIDGE_LINGER="300")
    for act in (opens_twice, probes_and_plays, returns_during_teardown, returns_at_the_edge):
        await act(bridge.base, provider)
        assert provider.peak_established == 1, act.__name__
        await asyncio.sleep(0.4)  # longer than the relay lingers: each begins without one
    await nothing_is_left(bridge, provider)


async def opens_twice(base: str, provider: AccountOfOne) -> None:
    """It opens its channel five times at once: one tuner, one connection."""
    answers = Answers()
    for _ in range(6):
        requests = [await Request.of(base, 1, "viewer-1") for _ in range(5)]
        assert await asyncio.gather(*(one.answered(answers) for one in requests)) == [200] * 5
        for one in requests:
            one.leaves()


async def probes_and_plays(base: str, provider: AccountOfOne) -> None:
    """As media servers do: within the linger time the provider sees one request only."""
    before, answers = len(provider.at("/2")), Answers()
    for _ in range(3):
        request = await Request.of(base, 2)
        assert await request.answered(answers) == 200
        request.leaves()
        await asyncio.sleep(0.02)
    assert len(provider.at("/2")) == before + 1
    assert len(answers.sessions) == 3


async def returns_during_teardown(base: str, provider: AccountOfOne) -> None:
    """The next channel and back, in the very moment in which the last one is let go of."""
    answers = Answers()
    for number in range(12):
        request = await Request.of(base, 1 + number % 2, "viewer-1")
        assert await request.answered(answers) == 200
        request.leaves(reset=number % 3 == 0)
        await asyncio.sleep(number % 4 * 0.001)


async def returns_at_the_edge(base: str, provider: AccountOfOne) -> None:
    """Just before, at, and just after its relay is let go of: always served."""
    answers = Answers()
    for late_ms in (290, 300, 305, 320):
        request = await Request.of(base, 1, "viewer-1")
        assert await request.answered(answers) == 200
        request.leaves()
        await asyncio.sleep(late_ms / 1_000)

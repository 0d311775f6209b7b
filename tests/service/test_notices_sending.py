"""Sending: tried again where that may help, bounded where nobody takes it, in nobody's way."""

import asyncio
import contextlib
import http.client
import urllib.request
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any

import pytest

from events.ids import Position
from plexbridge.clock import ManualClock
from plexbridge.notices.kinds import Kind, Notice, Occurrence
from plexbridge.notices.outbox import WAITING_MAX, Counts, Outbox
from plexbridge.notices.sending import Outcome, Sender
from plexbridge.notices.targets import Target, Way
from plexbridge.outbound import OutboundPolicy
from tests.end_to_end.running import RunningBridge
from tests.end_to_end.running import until as eventually
from tests.service.notice_receiver import DEADLINE_S, Receiver
from tests.service.provider_stub import ProviderStub, endless
from tests.service.provider_stub import status as answers
from tests.service.ts_checker import TsChecker

HERE = OutboundPolicy((ip_network("127.0.0.0/8"),))
KIND = Kind.SESSION_FAILED


def target(address: str, way: Way = Way.WEBHOOK) -> Target:
    """Told of everything."""
    return Target(id="t", way=way, address=address, name="", kinds=frozenset(Kind), added_at_ms=0)


def notice(number: int = 0) -> Notice:
    """Something to tell."""
    what = Occurrence(
        kind=KIND,
        subject="",
        title=f"T{number}",
        text="It happened.",
        at=ManualClock().now(),
        position=Position(number),
        path="",
    )
    return Notice(what)


@contextlib.asynccontextmanager
async def outbox_to(address: str, *retry_s: float) -> AsyncIterator[tuple[Outbox, Counts]]:
    """With a real sender."""
    counts = Counts()
    sender = Sender(HERE, closed_to="/nowhere")
    made = Outbox(
        target(address),
        send=sender.send,
        counts=counts,
        clock=ManualClock(),
        random=Random(7),
        retry_s=retry_s,
    )
    try:
        yield made, counts
    finally:
        await made.close()
        await sender.close()


async def emptied(outbox: Outbox) -> None:
    """Until everything was sent, or given up."""
    async with asyncio.timeout(DEADLINE_S):
        while outbox.waiting:  # noqa: ASYNC110 (the other side is a socket)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("statuses", "posts", "result", "attempts"),
    [
        ([503, 429, 200], 3, "sent", 3),
        ([500], 4, "failed", 4),
        ([404, 200], 1, "failed", 1),
        ([401, 200], 1, "failed", 1),
        ([302, 200], 1, "failed", 1),
    ],
)
async def test_a_failure_that_may_pass_is_tried_again_a_few_times(
    statuses: list[int | None], posts: int, result: str, attempts: int
) -> None:
    """One that says the same again is not."""
    async with Receiver(*statuses) as receiver:
        async with outbox_to(receiver.url(), 0.01, 0.01, 0.01) as (outbox, counts):
            outbox.put(notice(), "")
            await emptied(outbox)
        assert len(receiver.posts) == posts
    assert counts == {(KIND, result): 1}
    assert outbox.last is not None
    assert (outbox.last["attempts"], outbox.last["ok"]) == (attempts, result == "sent")


async def test_a_connection_that_breaks_is_tried_again_and_order_is_kept() -> None:
    """What comes behind waits its turn."""
    async with Receiver(503, 503, 200) as receiver:
        async with outbox_to(receiver.url(), 0.01, 0.01) as (outbox, _):
            for number in (1, 2, 3):
                outbox.put(notice(number), "")
            await emptied(outbox)
        titles = [document["title"] for _, document in receiver.posts]
    assert titles == ["T1", "T1", "T1", "T2", "T3"]


async def test_a_receiver_is_asked_no_sooner_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Retry-After`, up to a bound."""
    waits: list[float] = []

    async def send(to: Target, document: dict[str, Any]) -> Outcome:
        return Outcome(len(waits) == 2, "", again=True, after_s=(77.0, 9_999.0)[min(len(waits), 1)])

    async def noted(seconds: float) -> None:
        waits.append(seconds)

    outbox = Outbox(
        target("http://x/"), send=send, counts=Counts(), clock=ManualClock(), random=Random(7)
    )
    monkeypatch.setattr("plexbridge.notices.outbox.asyncio.sleep", noted)
    outcome, attempts = await outbox._try({})
    assert (outcome.ok, attempts) == (True, 3)
    assert 77.0 <= waits[0] <= 77.0 * 1.25
    assert 300.0 <= waits[1] <= 300.0 * 1.25


async def test_what_a_hanging_receiver_does_not_take_is_dropped_and_counted() -> None:
    """At once: whoever puts never waits; the first that waited are kept."""
    async with Receiver(None) as receiver:
        async with outbox_to(receiver.url()) as (outbox, counts):
            for number in range(WAITING_MAX + 7):
                outbox.put(notice(number), "")
            assert outbox.waiting == WAITING_MAX
            assert counts == {(KIND, "dropped"): 7}
            await receiver.got(1)
        assert outbox.waiting == 0, "closed, nothing is sent any more"
    assert len(receiver.posts) == 1


async def test_a_receiver_that_hangs_delays_no_stream(tmp_path: Path) -> None:
    """Somebody watches without a fault while notices wait for one who never answers."""
    async with ProviderStub() as provider, Receiver(None) as receiver:
        fine = provider.on("/1", endless(bits_per_s=4e6))
        broken = provider.on("/2", answers(404))
        playlist = tmp_path / "list.m3u"
        playlist.write_text(
            f'#EXTM3U\n#EXTINF:-1 tvg-chno="1",One\n{fine}\n#EXTINF:-1 tvg-chno="2",Two\n{broken}\n'
        )
        await asyncio.to_thread(_watch_on, tmp_path / "data", playlist, receiver)
    assert receiver.posts[0][1]["title"] == "Session failed: 2 Two"


def _watch_on(data_dir: Path, playlist: Path, receiver: Receiver) -> None:
    with RunningBridge(
        data_dir,
        "--playlist",
        str(playlist),
        PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
        PLEXBRIDGE_FIRST_BYTE_TIMEOUT="1000",
    ) as bridge:
        body = f'{{"way": "webhook", "address": "{receiver.url()}"}}'.encode()
        asked = urllib.request.Request(
            f"{bridge.base}/api/notifications", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(asked, timeout=10).close()
        host = bridge.base.removeprefix("http://")
        player = http.client.HTTPConnection(host, timeout=15)
        player.request("GET", "/auto/v1")
        stream = player.getresponse()
        checker = TsChecker()
        checker.feed(stream.read(188 * 1_000))
        other = http.client.HTTPConnection(host, timeout=15)
        other.request("GET", "/auto/v2")
        assert other.getresponse().status == 503
        other.close()
        eventually("it was told", lambda: receiver.posts)
        eventually("it waits", lambda: bridge.get("/api/notifications")["targets"][0]["waiting"])
        for _ in range(8):
            checker.feed(stream.read(188 * 1_000))
        assert bridge.get("/api/notifications")["targets"][0]["waiting"] == 1
        [session] = bridge.sessions("active")
        assert session["errors"] == 0
        assert not checker.problems
        assert not checker.jumps
        player.close()

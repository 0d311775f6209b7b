"""The live feed: every event once and in order, whoever stalls or comes back."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from plexbridge.log.memory import MemoryLog
from plexbridge.web.feed import Feed
from tests.contract.log_rigs import event
from tests.end_to_end.running import RunningBridge
from tests.service.provider_stub import ProviderStub, status

WITHIN_S = 60.0
STOP_WITHIN_S = 4.5
Following = AsyncGenerator[tuple[int | None, dict[str, Any]], None]
MORE_THAN_A_QUEUE = 2_500
"""Events; a subscriber's queue takes 256, and the kernel's buffers some hundreds more."""


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[RunningBridge]:
    """With a channel whose every tune fails: each leaves some events, and takes no time."""
    async with ProviderStub() as stub:
        url = stub.on("/1", status(404))
        playlist = tmp_path / "list.m3u"
        playlist.write_text(f'#EXTM3U\n#EXTINF:-1 tvg-chno="1",One\n{url}\n')
        running = RunningBridge(
            tmp_path / "data",
            *("--playlist", str(playlist)),
            PLEXBRIDGE_UPSTREAM_ALLOW="127.0.0.0/8",
            PLEXBRIDGE_LINGER="0",
        )
        await asyncio.to_thread(running.start)
        yield running
        await asyncio.to_thread(running.stop)


async def head_of(client: aiohttp.ClientSession, bridge: RunningBridge) -> int:
    """The log's last position."""
    async with client.get(f"{bridge.base}/api/log/head") as answer:
        position: int = (await answer.json())["position"]
        return position


async def record_until(client: aiohttp.ClientSession, bridge: RunningBridge, position: int) -> int:
    """Make events until the log has so many."""
    async with asyncio.timeout(WITHIN_S):
        while (head := await head_of(client, bridge)) < position:
            for _ in range(8):
                async with client.get(f"{bridge.base}/auto/v1") as answer:
                    assert answer.status == 503
    return head


async def sse(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[int | None, dict[str, Any]]]:
    """(id, data) of each message; gauges have no id."""
    assert response.content_type == "text/event-stream"
    fields: dict[str, str] = {}
    async for line in response.content:
        name, _, text = line.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = text
        elif "data" in fields:
            assert ("id" in fields) != (fields.get("event") == "gauges")
            position = int(fields["id"]) if "id" in fields else None
            yield position, orjson.loads(fields["data"])
            fields = {}


async def positions(response: aiohttp.ClientResponse, last: int) -> list[int]:
    """The positions told up to `last`; each stands in its event, too."""
    told = []
    async with asyncio.timeout(WITHIN_S):
        async for position, told_event in sse(response):
            if position is not None:
                assert told_event["pos"] == position
                told.append(position)
            if position == last:
                break
    return told


async def test_from_the_beginning_every_position_once_and_in_order(bridge: RunningBridge) -> None:
    """What was there before and what comes while it is told; then again from the middle."""
    async with aiohttp.ClientSession() as client:
        await record_until(client, bridge, 30)
        async with client.get(f"{bridge.base}/api/live?after=0") as live:
            last = await record_until(client, bridge, 60)
            assert await positions(live, last) == list(range(1, last + 1))
        resumed = {"Last-Event-ID": "17"}
        async with client.get(f"{bridge.base}/api/live?after=5", headers=resumed) as live:
            assert await positions(live, last) == list(range(18, last + 1))


async def test_coming_back_leaves_no_gap(bridge: RunningBridge) -> None:
    """As a browser does it: `Last-Event-ID` is the last one it saw, while the log goes on."""
    told: list[int] = []
    async with aiohttp.ClientSession() as client:
        for _ in range(4):
            headers = {"Last-Event-ID": str(told[-1] if told else 0)}
            async with client.get(f"{bridge.base}/api/live", headers=headers) as live:
                wanted = await record_until(client, bridge, (told[-1] if told else 0) + 15)
                told += await positions(live, wanted - 3)
            await record_until(client, bridge, told[-1] + 10)
    assert told == list(range(1, told[-1] + 1))


async def test_without_a_position_it_begins_now(bridge: RunningBridge) -> None:
    """So it does for what is no position."""
    async with aiohttp.ClientSession() as client:
        for query in ("", "?after=x", f"?after={'9' * 30}", "?after=-1"):
            before = await head_of(client, bridge)
            async with client.get(f"{bridge.base}/api/live{query}") as live:
                first = await anext(sse(live))
                assert first[0] is None, "gauges come at once, and nothing of before"
                begun = await head_of(client, bridge)
                last = await record_until(client, bridge, begun + 4)
                told = await positions(live, last)
                assert told[0] > before, query
                assert told == list(range(told[0], last + 1)), query


async def test_a_reader_that_stalls_misses_nothing(bridge: RunningBridge) -> None:
    """More than its queue and its socket hold, while it takes nothing: it catches up from the
    log."""
    async with aiohttp.ClientSession() as client:
        host, port = bridge.base.removeprefix("http://").split(":")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.connect((host, int(port)))
        reader, writer = await asyncio.open_connection(sock=sock, limit=2_048)
        first = await head_of(client, bridge)
        request = f"GET /api/live?after={first} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        writer.write(request.encode())
        await reader.readuntil(b"event: gauges\n")
        last = await record_until(client, bridge, MORE_THAN_A_QUEUE)
        told = [first]
        async with asyncio.timeout(WITHIN_S):
            while told[-1] < last:
                if (await reader.readuntil(b" "))[-4:] == b"id: ":
                    told.append(int(await reader.readuntil(b"\n")))
        writer.close()
        assert told == list(range(first, last + 1))


async def test_a_full_queue_is_read_from_the_log_and_never_grows() -> None:
    """Again and again it overflows while the subscriber, who was level, is busy with one event."""
    log = MemoryLog()
    feed = Feed(log)
    gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    told: list[int] = []
    following = feed.follow(0, dict, gone)
    ver = 1
    async with asyncio.timeout(WITHIN_S), aclosing(following):
        for _ in range(2):
            position, _ = await anext(following)
            assert position is None, "gauges: it is level, and waits"
            for batch in (10, 200, 200, 200):
                await log.append([event("s", ver + n) for n in range(batch)])
                ver += batch
                told.append(await next_position(following))
            while told[-1] < ver - 1:
                told.append(await next_position(following))
        assert feed.subscribers == 1
    assert told == list(range(1, ver))
    assert feed.subscribers == 0


async def test_a_feed_that_is_closed_and_a_reader_that_is_gone_end_it() -> None:
    """At once, also where there was nothing to tell."""
    feed = Feed(MemoryLog())
    for end in (lambda gone: gone.set_result(None), lambda _: feed.close()):
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(anext(feed.follow(0, None, gone), None))
        await asyncio.sleep(0)
        end(gone)
        async with asyncio.timeout(WITHIN_S):
            assert await waiting is None
        assert feed.subscribers == 0


async def next_position(following: Following) -> int:
    """The position of the next event; gauges are passed over."""
    async for position, _ in following:
        if position is not None:
            return position
    raise AssertionError("it ended")


async def test_rooms_of_the_websocket(bridge: RunningBridge) -> None:
    """`streaming` has the events and `metrics` the gauges; both when both are asked for."""
    async with aiohttp.ClientSession() as client:
        last = await head_of(client, bridge)
        for rooms, kinds in (
            ("streaming", {"event"}),
            ("metrics", {"gauges"}),
            ("streaming,metrics", {"event", "gauges"}),
        ):
            told: list[int] = []
            seen: set[str] = set()
            async with client.ws_connect(f"{bridge.base}/ws?rooms={rooms}&after=0") as opened:
                async with asyncio.timeout(WITHIN_S):
                    while seen != kinds or told != list(range(1, last + 1)) * ("event" in kinds):
                        message = await opened.receive_json()
                        seen.add(message["event"])
                        assert seen <= kinds
                        if message["event"] == "event":
                            told.append(message["id"])
                            assert message["data"]["pos"] == message["id"]
        async with client.ws_connect(f"{bridge.base}/ws?after=0") as opened:
            message = await opened.receive_json()
            assert (message["event"], message["id"]) == ("event", 1), "streaming, by itself"


async def test_an_unknown_room_is_closed_with_a_word(bridge: RunningBridge) -> None:
    """4400, and which rooms there are."""
    async with aiohttp.ClientSession() as client:
        for rooms in ("kitchen", "streaming,kitchen", ""):
            async with client.ws_connect(f"{bridge.base}/ws?rooms={rooms}") as opened:
                message = await opened.receive(timeout=WITHIN_S)
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4400), rooms
                assert message.extra == "rooms are metrics, streaming"


async def test_a_foreign_page_gets_no_websocket(bridge: RunningBridge) -> None:
    """The handshake is refused; nothing was told."""
    async with aiohttp.ClientSession() as client:
        foreign = {"Origin": "https://elsewhere.example"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{bridge.base}/ws", headers=foreign)
        assert refused.value.status == 403


async def test_a_stop_ends_the_feeds_and_is_not_held_up_by_them(bridge: RunningBridge) -> None:
    """One that reads, one that does not, and a WebSocket: all end, the stop itself told first."""
    async with aiohttp.ClientSession() as client:
        reading = await client.get(f"{bridge.base}/api/live")
        stalled = await client.get(f"{bridge.base}/api/live?after=0")
        opened = await client.ws_connect(f"{bridge.base}/ws?rooms=streaming,metrics")
        await anext(sse(reading))
        asked_at = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(bridge.stop))
        async with asyncio.timeout(STOP_WITHIN_S):
            async for _ in reading.content:
                pass
            while (message := await opened.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
        await opened.close()
        assert await stopping == 0
        assert time.monotonic() - asked_at < STOP_WITHIN_S
        for response in (reading, stalled):
            response.close()

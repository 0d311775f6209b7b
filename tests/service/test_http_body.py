"""Bodies on their way to a receiver: straight from the socket, or through the client library."""

import asyncio
import zlib
from collections.abc import Callable

import pytest
import uvloop

from plexbridge.outbound import Outbound
from plexbridge.relay.connector import HttpConnector
from plexbridge.relay.http_body import DirectBody, PumpedBody
from plexbridge.relay.ports import OpenUpstream, UpstreamFailed
from tests.service.provider_stub import (
    Behaviour,
    Connection,
    ProviderStub,
    endless,
    ends_after,
    finite,
    resets_after,
)
from tests.service.relay_setup import LOOPBACK, until, upstream_at
from tests.service.ts_maker import TsMaker

BODY = TsMaker().packets(6_000)


class Heard:
    """A receiver that keeps everything."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.endings: list[str | None] = []
        self._room = memoryview(bytearray(40_000))

    def room(self) -> memoryview:
        return self._room

    def filled(self, count: int) -> None:
        self.received(bytes(self._room[:count]))

    def received(self, chunk: bytes) -> None:
        assert not self.endings, "nothing comes after the end"
        self.body += chunk

    def ended(self, failure: UpstreamFailed | None) -> None:
        self.endings.append(None if failure is None else failure.detail)


def in_chunks(body: bytes) -> Behaviour:
    """The body in HTTP's chunks, with its end."""

    async def behave(connection: Connection) -> None:
        await connection.answer(headers={"Transfer-Encoding": "chunked"})
        for at in range(0, len(body), 9_999):
            piece = body[at : at + 9_999]
            await connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await connection.send(b"0\r\n\r\n")

    return behave


def compressed(body: bytes) -> Behaviour:
    """A body that nobody asked to be compressed."""

    async def behave(connection: Connection) -> None:
        await connection.answer(headers={"Content-Encoding": "deflate"})
        await connection.send(zlib.compress(body))

    return behave


def at_once(body: bytes, *, beyond: bytes = b"") -> Behaviour:
    """Head and body in one write, with a length, and maybe more than it says."""

    async def behave(connection: Connection) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        await connection.send(head.encode() + body + beyond)
        await connection.hang()

    return behave


async def heard_of(behaviour: Behaviour) -> tuple[Heard, OpenUpstream]:
    """What a receiver hears of it until its end."""
    outbound, heard = Outbound(LOOPBACK), Heard()
    async with ProviderStub() as stub:
        upstream = upstream_at(stub.on("/x", behaviour))
        body = await HttpConnector(outbound).open(upstream, heard)
        assert not heard.body, "nothing comes before `open` has returned"
        await until(lambda: bool(heard.endings))
        body.close()
        await asyncio.wait_for(body.closed, 1)
        await until(lambda: stub.open == 0)
    await outbound.close()
    return heard, body


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize(
    ("behaviour", "kind", "body", "ending"),
    [
        (ends_after(BODY), DirectBody, BODY, "upstream_eof"),
        (resets_after(BODY), DirectBody, BODY, "upstream_reset"),
        (finite(BODY), DirectBody, BODY, None),
        (finite(BODY, declared=len(BODY) + 1), DirectBody, BODY, "upstream_wrong_length"),
        (at_once(BODY), DirectBody, BODY, None),
        (at_once(BODY, beyond=b"more"), DirectBody, BODY, None),
        (in_chunks(BODY), PumpedBody, BODY, "upstream_eof"),
        (compressed(BODY), PumpedBody, zlib.compress(BODY), "upstream_eof"),
    ],
    ids=["eof", "reset", "finite", "short", "at-once", "too-long", "chunked", "compressed"],
)
def test_every_byte_arrives_and_the_end_is_named(
    loop: Callable[[], asyncio.AbstractEventLoop],
    behaviour: Behaviour,
    kind: type,
    body: bytes,
    ending: str | None,
) -> None:
    """On both event loops; plain bodies past the client library, others through it."""
    with asyncio.Runner(loop_factory=loop) as runner:
        heard, opened = runner.run(heard_of(behaviour))
    assert type(opened) is kind
    assert bytes(heard.body) == body
    assert heard.endings == [ending]


async def paused_and_resumed() -> None:
    outbound, heard = Outbound(LOOPBACK), Heard()
    async with ProviderStub() as stub:
        upstream = upstream_at(stub.on("/x", endless()))
        body = await HttpConnector(outbound).open(upstream, heard)
        body.pause()
        await until(lambda: len(heard.body) > 0)
        beginning = len(heard.body)
        await asyncio.sleep(0.2)
        assert len(heard.body) == beginning
        body.resume()
        await until(lambda: len(heard.body) > 2_000_000)
        body.pause()
        stopped = len(heard.body)
        await asyncio.sleep(0.2)
        assert len(heard.body) == stopped
        assert bytes(stub.connections[0].sent).startswith(heard.body)
        body.close()
        await body.closed
    await outbound.close()
    assert heard.endings == []


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_nothing_comes_while_it_is_paused(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Beside what the client library had read already; then everything in order."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(paused_and_resumed())

"""An address that begins streams too fast is refused in a tuner's words; nobody else is."""

import asyncio
from collections.abc import Callable
from copy import copy
from random import Random

from starlette.applications import Starlette

from plexbridge.ids import Ids
from plexbridge.server.listener import open_listener
from plexbridge.server.serve import Server, build_config
from plexbridge.tuner.routes import player_routes
from plexbridge.tuner.streaming import Streams
from tests.service.healthy_player import healthy_player, on_air
from tests.service.network_namespaces import Machine, machine
from tests.service.relay_setup import until
from tests.service.server_edge import read_until, reset, send_all
from tests.service.station import station

__all__ = ["machine"]


async def test_an_address_that_begins_streams_too_fast_is_told_to_wait(
    machine: Callable[[], Machine],
) -> None:
    """803 with Retry-After, and one recorded refusal however often it asks; loopback is served."""
    there = machine()
    async with station() as bridge:
        bridge.provider.on("/1", on_air())
        streams = Streams(
            bridge.door,
            bridge.effects,
            clock=bridge.clock,
            ids=Ids(bridge.clock, Random(2).getrandbits),
            allowed=lambda source: 0,
            progress=bridge.viewers.progress,
            starts_per_second=3,
        )
        tuner = copy(bridge.tuner)
        tuner.streams = streams
        routes = player_routes(tuner)
        listener = open_listener("0.0.0.0", 0)
        port = listener.getsockname()[1]
        server = Server(
            build_config(Starlette(routes=routes), version="1"), on_draining=lambda: None
        )
        serving = asyncio.create_task(server.serve([listener]))

        async def answered(agent: str) -> bytes:
            sock = await there.connect(port)
            ask = f"GET /auto/v1 HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n"
            await send_all(sock, ask.encode())
            head = await read_until(sock, b"\r\n\r\n")
            reset(sock)
            return head.lower()

        async with healthy_player(port):
            answers = [await answered(f"player{number}") for number in range(20)]
            served = sum(answer.startswith(b"http/1.1 200") for answer in answers)
            assert 3 <= served <= 5
            refused = answers[-1]
            assert refused.startswith(b"http/1.1 503")
            assert b"x-hdhomerun-error: 803 system busy" in refused
            assert b"retry-after: 1" in refused
            async with healthy_player(port):
                await until(lambda: "refused" in bridge.types())
                assert bridge.types().count("refused") == 1
        server.stop()
        await serving

"""What the tests of HLS share: opening an upstream, and a receiver that keeps everything."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from plexbridge.clock import SteadyClock
from plexbridge.outbound import Outbound
from plexbridge.relay.hls.reader import HlsBody, open_hls
from plexbridge.relay.ports import Upstream, UpstreamFailed
from tests.service.relay_setup import LOOPBACK, upstream_at


class Received:
    """A receiver."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.pushes: list[int] = []
        """The size of each push, in bytes."""
        self.over: asyncio.Future[UpstreamFailed | None] = (
            asyncio.get_running_loop().create_future()
        )

    def received(self, chunk: bytes) -> None:
        assert not self.over.done()
        self.data += chunk
        self.pushes.append(len(chunk))

    def ended(self, failure: UpstreamFailed | None) -> None:
        self.over.set_result(failure)

    async def end(self, *, within_s: float = 15.0) -> tuple[str, str] | None:
        """How it ended: reason and detail, or None for a finite body read whole."""
        failure = await asyncio.wait_for(self.over, within_s)
        return None if failure is None else (failure.reason, failure.detail)


@asynccontextmanager
async def opened(
    url: str, *, headers: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[HlsBody, Received]]:
    """An HLS upstream whose body is flowing; closed, and seen closed, at the end."""
    outbound = Outbound(LOOPBACK)
    upstream = with_headers(upstream_at(url), headers)
    receiver = Received()
    try:
        response = await outbound.get(upstream.url, upstream.headers)
        body = await open_hls(response, upstream, receiver, outbound=outbound, clock=SteadyClock())
        try:
            yield body, receiver
        finally:
            body.close()
            await asyncio.wait_for(asyncio.shield(body.closed), 5)
    finally:
        await outbound.close()


def with_headers(upstream: Upstream, headers: Mapping[str, str] | None) -> Upstream:
    """The same upstream with these headers."""
    return Upstream(
        source=upstream.source,
        url=upstream.url,
        headers=headers or {},
        redacted=upstream.redacted,
        digest=upstream.digest,
    )

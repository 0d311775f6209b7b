"""A relay with everything real around it: loopback provider, real connector, recorded facts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from ipaddress import ip_network
from random import Random
from urllib.parse import urlsplit

from events.ids import ChannelId, SessionId, SourceId
from plexbridge.clock import Clock, SteadyClock
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.relay.connector import HttpConnector
from plexbridge.relay.fanout import Reader
from plexbridge.relay.health import UpstreamHealth
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import Upstream, UpstreamFailed
from plexbridge.relay.relay import Relay
from tests.service.socket_player import SocketPlayer

CHANNEL = ChannelId("one")
LOOPBACK = OutboundPolicy(allow=(ip_network("127.0.0.0/8"),))
_POLL_S = 0.005

PATIENT = RelayPolicy(
    first_byte_ms=20_000,
    stall_ms=20_000,
    backoff_first_ms=20,
    backoff_cap_ms=80,
    retry_after_cap_ms=600,
    splice_ms=100,
    ring_bytes=1024 * 1024,
)
"""The real rules with pauses a test can wait for, and deadlines that a provider of the test's own
process does not miss because the machine is busy."""

QUICK = replace(PATIENT, first_byte_ms=1_500, stall_ms=1_000)
"""For tests of a missed deadline."""


async def until(condition: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 (it may be about a kernel or another peer)
            await asyncio.sleep(_POLL_S)


@dataclass
class Told:
    """A listener that writes down what it is told, and may act on it at once."""

    facts: list[str] = field(default_factory=list)
    failures: list[UpstreamFailed] = field(default_factory=list)
    gave: list[bool] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    react: Callable[[str], None] | None = None
    paths: list[str] = field(default_factory=list)
    """Path of the URL of each attempt that was opened."""
    more: list[bool] = field(default_factory=list)
    full: set[str] = field(default_factory=set)
    """Sources that have no connection left."""
    asked: list[str] = field(default_factory=list)
    """Source of each attempt that was asked for."""

    async def may_open(self, channel: ChannelId, upstream: Upstream, *, attempt: int) -> bool:
        assert channel == CHANNEL
        self.asked.append(upstream.source)
        return upstream.source not in self.full

    def upstream_opened(self, channel: ChannelId, upstream: Upstream, *, attempt: int) -> None:
        self.paths.append(urlsplit(upstream.url).path)
        self._note("opened", channel, attempt)

    def upstream_first_byte(self, channel: ChannelId, *, attempt: int, after_ms: int) -> None:
        assert after_ms >= 0
        self._note("first_byte", channel, attempt)

    def upstream_lost(
        self,
        channel: ChannelId,
        *,
        attempt: int,
        failure: UpstreamFailed,
        gave_bytes: bool,
        more: bool,
    ) -> None:
        self.more.append(more)
        self.failures.append(failure)
        self.gave.append(gave_bytes)
        self._note("lost", channel, attempt)

    def upstream_completed(self, channel: ChannelId, *, attempt: int) -> None:
        self._note("completed", channel, attempt)

    def _note(self, what: str, channel: ChannelId, attempt: int) -> None:
        assert channel == CHANNEL
        self.facts.append(f"{what} {attempt}")
        self.times.append(asyncio.get_running_loop().time())
        if self.react is not None:
            self.react(f"{what} {attempt}")

    def words(self) -> list[tuple[str, str]]:
        """Reason and detail of each loss."""
        return [(failure.reason, failure.detail) for failure in self.failures]


def upstream_at(url: str, source: str = "s") -> Upstream:
    """An upstream at this address."""
    digest = blake2b(url.encode(), digest_size=8).hexdigest()
    return Upstream(source=SourceId(source), url=url, redacted="http://…", digest=digest)


class Setup:
    """One relay, its listener and its players."""

    def __init__(self, relay: Relay, told: Told) -> None:
        self.relay = relay
        self.told = told
        self.players: list[SocketPlayer] = []

    async def player(self, name: str, *, small: bool = False) -> tuple[SocketPlayer, Reader]:
        """A player on a real connection, joined."""
        player = await SocketPlayer.open(small=small)
        self.players.append(player)
        return player, self.relay.join(SessionId(name), player.sink)


@asynccontextmanager
async def relay_of(
    *upstreams: str | Upstream,
    policy: RelayPolicy = PATIENT,
    health: UpstreamHealth | None = None,
    told: Told | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Setup]:
    """A started relay of these addresses; closed, and its socket gone, at the end."""
    told = told or Told()
    outbound = Outbound(LOOPBACK)
    relay = Relay(
        CHANNEL,
        [upstream_at(one) if isinstance(one, str) else one for one in upstreams],
        connector=HttpConnector(outbound),
        clock=clock or SteadyClock(),
        health=health or UpstreamHealth(policy, Random(1)),
        listener=told,
        policy=policy,
    )
    setup = Setup(relay, told)
    relay.start()
    try:
        yield setup
    finally:
        relay.close()
        async with asyncio.timeout(5):
            await relay.closed
        for player in setup.players:
            await player.close()
        await outbound.close()

"""A relay with everything real around it: loopback provider, real connector, recorded facts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from random import Random

from events.ids import ChannelId, SessionId, SourceId
from plexbridge.clock import SteadyClock
from plexbridge.outbound import Outbound, OutboundPolicy
from plexbridge.relay.connector import HttpConnector
from plexbridge.relay.fanout import Reader
from plexbridge.relay.policy import RelayPolicy
from plexbridge.relay.ports import Upstream, UpstreamFailed
from plexbridge.relay.relay import Relay
from tests.service.socket_player import SocketPlayer

CHANNEL = ChannelId("one")
LOOPBACK = OutboundPolicy(allow=(ip_network("127.0.0.0/8"),))
_POLL_S = 0.005

QUICK = RelayPolicy(
    first_byte_ms=400,
    stall_ms=300,
    backoff_first_ms=20,
    backoff_cap_ms=80,
    retry_after_cap_ms=600,
    ring_bytes=1024 * 1024,
)
"""The real rules with numbers a test can wait for."""


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
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

    def upstream_opened(self, channel: ChannelId, *, attempt: int) -> None:
        self._note("opened", channel, attempt)

    def upstream_first_byte(self, channel: ChannelId, *, attempt: int, after_ms: int) -> None:
        assert after_ms >= 0
        self._note("first_byte", channel, attempt)

    def upstream_lost(
        self, channel: ChannelId, *, attempt: int, failure: UpstreamFailed, gave_bytes: bool
    ) -> None:
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


def upstream_at(url: str) -> Upstream:
    """An upstream at this address."""
    return Upstream(source=SourceId("s"), url=url, redacted="http://…", digest="0" * 16)


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
async def relay_of(url: str, policy: RelayPolicy = QUICK) -> AsyncIterator[Setup]:
    """A started relay of this address; closed, and its socket gone, at the end."""
    told = Told()
    outbound = Outbound(LOOPBACK)
    relay = Relay(
        CHANNEL,
        upstream_at(url),
        connector=HttpConnector(outbound),
        clock=SteadyClock(),
        random=Random(1),
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

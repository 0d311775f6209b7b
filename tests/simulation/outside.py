"""The world outside the bridge, faked: a provider that counts its connections, and players.

Stands where sockets would: the provider behind the relay's `Connector`, a player behind the
response's `MediaConnection`. Both live in virtual time and misbehave as their seed says.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from plexbridge.relay.ports import OpenUpstream, Upstream, UpstreamFailed, UpstreamReceiver
from plexbridge.server.media import LostHow
from tests.service.ts_maker import TsMaker
from tests.simulation.ledger import must
from tests.simulation.virtual_loop import VirtualLoop

_PROGRAMME: Final = TsMaker().packets(2_000)
_PUSH_BYTES: Final = 188 * 50
"""What comes at once: tables and an access point among them."""

GARBAGE: Final = b"<html>Your subscription has ended.</html>" * 2_000
SOCKET_BYTES: Final = 188 * 200
"""What the kernel takes for a player that does not read."""

SLOW_S: Final = 60.0
"""A provider that does not answer: longer than anyone waits."""


class Provider:
    """Every provider account at once. What it counts is what counts."""

    def __init__(self, random: Random, allowed: Mapping[str, int], well: str) -> None:
        """`well`: the account that never fails."""
        self.open: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.failed: set[str] = set()
        """Channels' digests that some attempt failed on."""
        self.broken: AssertionError | None = None
        self._random = random
        self._allowed = allowed
        self._well = well
        self._life = 0

    def killed(self) -> None:
        """The bridge's process is gone, and its sockets with it."""
        self._life += 1
        self.open.clear()

    def connector(self, loop: VirtualLoop) -> "Connector":
        """For one life of the bridge."""
        return Connector(self, loop, self._life)

    def opens(self, source: str) -> None:
        """A connection comes."""
        self.open[source] += 1
        self.peak[source] = max(self.peak[source], self.open[source])
        allowed = self._allowed[source]
        if allowed and self.open[source] > allowed and self.broken is None:
            self.broken = AssertionError(f"{source} sees {self.open[source]} of {allowed}")

    def closes(self, source: str, life: int) -> None:
        """A connection is gone."""
        if life == self._life:
            self.open[source] -= 1
            must(self.open[source] >= 0, f"{source} counts {self.open[source]}")

    def mood(self, source: str) -> str:
        """What the next connection will get."""
        if source == self._well:
            return "flows"
        moods = ("flows", "ends", "resets", "stalls", "refuses", "hangs", "garbage", "finite")
        return self._random.choices(moods, weights=(9, 2, 2, 1.5, 2, 1, 0.7, 0.7))[0]


class Connector:
    """`plexbridge.relay.ports.Connector` of one life."""

    def __init__(self, provider: Provider, loop: VirtualLoop, life: int) -> None:
        self.provider = provider
        self.loop = loop
        self.life = life
        self.random = provider._random

    async def open(self, upstream: Upstream, receiver: UpstreamReceiver) -> OpenUpstream:
        """See the port."""
        source, provider = upstream.source, self.provider
        mood = provider.mood(source)
        if mood != "flows":
            provider.failed.add(upstream.digest)
        provider.opens(source)
        try:
            await asyncio.sleep(SLOW_S if mood == "hangs" else self.random.random() * 0.3)
            if mood == "refuses":
                code = self.random.choice((404, 509, 503))
                raise UpstreamFailed("stream_failed", f"upstream_http_{code}")
        except BaseException:
            provider.closes(source, self.life)
            raise
        return Flow(self, upstream, receiver, mood)


class Flow:
    """An open upstream."""

    def __init__(
        self, connector: Connector, upstream: Upstream, receiver: UpstreamReceiver, mood: str
    ) -> None:
        self.closed: asyncio.Future[None] = connector.loop.create_future()
        self._connector = connector
        self._source = upstream.source
        self._receiver = receiver
        self._mood = mood
        self._left = connector.random.randint(1, 60)
        """Pushes until something happens."""
        self._at = 0
        self._counted = True
        self._timer: Any = None
        self.resume()

    @property
    def silence_ms(self) -> int:
        """See the port."""
        return 0

    def pause(self) -> None:
        """See the port."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        """See the port."""
        if self._timer is None and not self.closed.done():
            self._timer = self._connector.loop.call_later(0.25, self._push)

    def close(self) -> None:
        """See the port. The socket is gone a little later."""
        self.pause()
        self._receiver = _NOBODY
        self._connector.loop.arrives(self._gone)

    def _gone(self) -> None:
        self._uncounted()
        if not self.closed.done():
            self.closed.set_result(None)

    def _uncounted(self) -> None:
        if self._counted:
            self._counted = False
            self._connector.provider.closes(self._source, self._connector.life)

    def _push(self) -> None:
        self._timer = None
        self._left -= 1
        if self._left <= 0 and self._mood != "flows":
            self._happens()
            return
        self._at = (self._at + _PUSH_BYTES) % len(_PROGRAMME)
        body = GARBAGE if self._mood == "garbage" else _PROGRAMME[self._at : self._at + _PUSH_BYTES]
        self.resume()
        self._receiver.received(body)

    def _happens(self) -> None:
        if self._mood == "stalls":
            return  # nothing more comes, and nothing says so
        self._uncounted()
        failures = {
            "finite": None,
            "ends": UpstreamFailed("stream_failed", "upstream_eof"),
        }
        reset = UpstreamFailed("stream_failed", "upstream_reset")
        self._receiver.ended(failures.get(self._mood, reset))


class _Nobody:
    """The receiver of a closed upstream: nothing is delivered after `close`."""

    def received(self, chunk: bytes) -> None:
        raise AssertionError("a closed upstream delivers")

    def ended(self, failure: UpstreamFailed | None) -> None:
        raise AssertionError("a closed upstream ends")

    def room(self) -> memoryview:
        raise AssertionError("a closed upstream reads")

    def filled(self, count: int) -> None:
        raise AssertionError("a closed upstream reads")


_NOBODY: Final = _Nobody()


class Info(NamedTuple):
    """What the kernel would say."""

    peer_answers: bool


class Media:
    """A player's connection, from the bridge's side and from the player's."""

    def __init__(self, loop: VirtualLoop, address: str) -> None:
        self.peer = (address, 40_000)
        self.how: LostHow | None = None
        self.on_writable: Callable[[], None] | None = None
        self.status: int | None = None
        self.session: str | None = None
        self.reading = True
        """False: the player has stopped."""
        self.there = True
        """False: its host does not answer any more."""
        self.over: asyncio.Future[None] = loop.create_future()
        """The bridge has closed it."""
        self._loop = loop
        self._on_lost: Callable[[LostHow], None] | None = None
        self._written = 0
        self._accepted = 0
        self._ended = False

    # The bridge's side: what `MediaConnection` offers to a response ------------------------------

    def watch(self, on_lost: Callable[[LostHow], None]) -> None:
        self._on_lost = on_lost
        if self.how is not None:
            on_lost(self.how)

    def begin(self, headers: Sequence[tuple[str, str]]) -> None:
        must(self.status is None and not self._ended, "a response begins once")
        self.status = 200
        self.session = dict(headers)["X-PlexBridge-Session"]

    def refuse(self, status: int, error: str | None, headers: object = ()) -> None:
        must(self.status is None, "a refusal is a whole response")
        self.status = status
        self.finish()

    @property
    def writable(self) -> bool:
        return self._open and self._written - self._accepted == 0

    def write(self, chunk: bytes | memoryview) -> None:
        must(self.status == 200, "the head comes before the body")
        if not self._open:
            return
        self._written += len(chunk)
        taken = self._written if self.reading else min(self._written, SOCKET_BYTES)
        self._accepted = max(self._accepted, taken)

    def accepted(self) -> int:
        return self._accepted

    def unsent(self) -> int:
        return self._written - self._accepted

    def tcp_info(self) -> Info | None:
        return Info(self.there)

    def finish(self) -> None:
        if not self._ended:
            self._ended = True
            self._loop.arrives(self._closed)

    def abort(self) -> None:
        self.finish()

    @property
    def _open(self) -> bool:
        return not self._ended and self.how is None

    def _closed(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    # The player's side -------------------------------------------------------------------------

    def leaves(self, how: LostHow) -> None:
        """The player closes, or is killed; the bridge hears of it a little later."""
        self._loop.arrives(self._lost, how)

    def stops_reading(self, *, vanishes: bool) -> None:
        """The player's buffers are full, or its network is gone."""
        self.reading, self.there = False, not vanishes

    def reads_on(self) -> None:
        """It reads again."""
        self.reading = self.there = True
        if self._accepted < self._written:
            self._accepted = self._written
            if self._open and self.on_writable is not None:
                self.on_writable()

    def _lost(self, how: LostHow) -> None:
        if self.how is None and not self._ended:
            self.how = how
            if self._on_lost is not None:
                self._on_lost(how)

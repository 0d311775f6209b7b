"""Several upstreams of one channel: the player stays on its connection, whichever delivers."""

from dataclasses import replace
from random import Random

import pytest

from plexbridge.clock import SteadyClock
from plexbridge.relay.health import UpstreamHealth
from plexbridge.relay.pace import PACE_WINDOW_S
from tests.service.provider_stub import (
    ProviderStub,
    Tap,
    endless,
    ends_after,
    hangs_before_headers,
    html,
    refused_url,
    resets_after,
    stalls_after,
    status,
)
from tests.service.relay_setup import QUICK, Told, relay_of, until, upstream_at
from tests.service.ts_checker import TsChecker, media_of
from tests.service.ts_maker import PACKET_BYTES, TsMaker

NULL_PID = 0x1FFF


def backup() -> TsMaker:
    """Another encoder's stream: other serial numbers."""
    return TsMaker(serial=50_000)


async def test_what_never_delivers_is_left_for_the_next_at_once() -> None:
    """A refused connection, a page, a missing file: the third upstream serves, and the player has
    seen nothing of the others."""
    async with ProviderStub() as stub:
        tap, stream = Tap(), backup().packets(100)
        upstreams = (refused_url(), stub.on("/page", html()), stub.on("/good", tap))
        async with relay_of(*upstreams) as setup:
            player, _ = await setup.player("a")
            await tap.send(stream)
            assert await player.play().read(len(stream)) == stream
            assert setup.told.paths == ["/page", "/good"]
            assert [detail for _, detail in setup.told.words()] == [
                "upstream_refused",
                "not_mpeg_ts",
            ]
            assert setup.told.more == [True, True]


async def test_upstreams_that_hang_share_the_time_a_player_waits() -> None:
    """All upstreams together have the first-byte deadline of one."""
    async with ProviderStub() as stub:
        hanging = [stub.on(f"/{n}", hangs_before_headers) for n in range(2)]
        good = stub.on("/good", endless(bits_per_s=1e6))
        async with relay_of(*hanging, good, policy=QUICK) as setup:
            await until(lambda: "first_byte 3" in setup.told.facts)
            begun = stub.connections[0].opened_at
            alone_s = QUICK.first_byte_ms / 1_000
            assert setup.told.times[-1] - begun < 2 * alone_s, "the first two had one each"


async def test_a_lost_upstream_is_reconnected_first_and_left_when_that_fails() -> None:
    """Same address once more; then the backup, from its access point, marked as discontinuous."""
    async with ProviderStub() as stub:
        first = TsMaker().packets(300)
        tap, stream = Tap(), backup().packets(200)
        main = stub.on("/main", resets_after(first), status(500))
        async with relay_of(main, stub.on("/backup", tap)) as setup:
            player, reader = await setup.player("a")
            player.play()
            await tap.send(stream)
            await until(lambda: media_of(player.got) == media_of(first + stream))
            assert [c.path for c in stub.connections] == ["/main", "/main", "/backup"]
            assert setup.told.gave == [True, False]
            assert setup.told.more == [False, False]
            assert TsChecker().feed(player.got).finish() == []
            assert reader.accepted() == reader.handed_bytes
            assert (reader.skips, stub.peak_open) == (0, 1)


async def test_a_player_is_kept_with_filler_that_counts_as_nothing() -> None:
    """While nothing comes: null packets and the tables, counted on; none of it is progress."""
    policy = replace(QUICK, stall_ms=400)
    async with ProviderStub() as stub:
        first = TsMaker().packets(300)
        main = stub.on("/main", stalls_after(first), hangs_before_headers)
        async with relay_of(main, policy=policy) as setup:
            player, reader = await setup.player("a")
            player.play()
            # Before the loss (silence may end by itself) null packets only.
            await until(lambda: len(player.got) > len(first))
            assert setup.told.failures == []
            await until(lambda: "lost 1" in setup.told.facts)
            await until(lambda: TsChecker().feed(player.got).pids[300:].count(0) >= 2)
            checker = TsChecker().feed(player.got)
            assert checker.finish() == []
            assert NULL_PID in checker.pids[300:302]
            assert reader.accepted() == reader.handed_bytes == len(first)


async def test_whoever_has_heard_nothing_yet_is_not_fed_filler() -> None:
    """Its status line is still to come: a refusal must remain possible."""
    async with ProviderStub() as stub:
        main = stub.on("/main", hangs_before_headers)
        async with relay_of(main) as setup:
            player, reader = await setup.player("a")
            await until(lambda: "lost 1" in setup.told.facts)
            await until(lambda: len(stub.connections) > 1)
            assert player.sink.filler_bytes == 0
            assert reader.handed_bytes == 0


async def test_without_resilience_the_first_loss_is_one_plain_reconnect() -> None:
    """No filler, same address, though a backup is there; the second loss is handled in full."""
    policy = replace(QUICK, resilient=False, backoff_first_ms=300)
    async with ProviderStub() as stub:
        first = TsMaker().packets(100)
        main = stub.on("/main", ends_after(first), status(500))
        tap, stream = Tap(), backup().packets(100)
        async with relay_of(main, stub.on("/backup", tap), policy=policy) as setup:
            player, _ = await setup.player("a")
            player.play()
            await until(lambda: "lost 2" in setup.told.facts)
            await tap.send(stream)
            await until(lambda: media_of(player.got) == media_of(first + stream))
            assert [c.path for c in stub.connections] == ["/main", "/main", "/backup"]
            assert TsChecker().feed(player.got).pids.count(NULL_PID) <= 7 * 2


@pytest.mark.parametrize(("code", "asked"), [(401, 1), (403, 1), (404, 1), (410, 1), (500, 2)])
async def test_what_asking_again_does_not_mend_is_not_asked_again(code: int, asked: int) -> None:
    """Not by the next relay of the channel either: it says at once why."""
    health = UpstreamHealth(QUICK, Random(1))
    async with ProviderStub() as stub:
        url = stub.on("/x", status(code))
        async with relay_of(url, health=health) as setup:
            await until(lambda: len(setup.told.failures) >= 2)
        async with relay_of(url, health=health) as setup:
            await until(lambda: bool(setup.told.failures))
            assert setup.told.words()[0] == ("stream_failed", f"upstream_http_{code}")
        assert (len(stub.connections) == 1) == (asked == 1)


async def test_a_source_without_a_free_connection_is_passed_over() -> None:
    """It is asked for before its upstream is; what is not given is not opened."""
    told = Told(full={"second"})
    async with ProviderStub() as stub:
        tap, stream = Tap(), backup().packets(100)
        upstreams = (
            upstream_at(stub.on("/first", status(500)), "first"),
            upstream_at(stub.on("/second", endless()), "second"),
            upstream_at(stub.on("/third", tap), "third"),
        )
        async with relay_of(*upstreams, told=told) as setup:
            player, _ = await setup.player("a")
            await tap.send(stream)
            assert await player.play().read(len(stream)) == stream
            assert [c.path for c in stub.connections] == ["/first", "/third"]
            assert told.asked == ["first", "second", "third"]


class TenTimes(SteadyClock):
    """A clock that runs ten times as fast, so that a minute takes six seconds."""

    def monotonic(self) -> float:
        return super().monotonic() * 10


async def test_an_upstream_slower_than_its_programme_is_left() -> None:
    """It never stalls, and its own clock falls behind ours: after the window, the backup."""
    policy = replace(QUICK, first_byte_ms=20_000, stall_ms=20_000)
    async with ProviderStub() as stub:
        maker = TsMaker(bits_per_s=2_000_000)
        slow = stub.on("/slow", endless(bits_per_s=2e6, chunk_bytes=8_000, maker=maker))
        tap, stream = Tap(), backup().packets(300)
        async with relay_of(slow, stub.on("/b", tap), policy=policy, clock=TenTimes()) as setup:
            player, _ = await setup.player("a")
            player.play()
            await until(lambda: bool(setup.told.failures), within_s=8)
            assert setup.told.words() == [("timeout", "upstream_too_slow")]
            began, lost = setup.told.times[1:3]
            assert PACE_WINDOW_S <= (lost - began) * 10 < PACE_WINDOW_S + 15
            stub.on("/slow", status(500))
            await tap.send(stream)
            await until(lambda: media_of(player.got).endswith(media_of(stream)))
            assert TsChecker().feed(player.got).finish() == []


async def test_health_belongs_to_an_attempt() -> None:
    """A backup that is lost is reconnected as the first one was: it has a slate of its own."""
    async with ProviderStub() as stub:
        first, second = TsMaker().packets(100), backup().packets(100)
        tap = Tap()
        main = stub.on("/main", ends_after(first), status(500))
        spare = stub.on("/backup", ends_after(second), tap)
        async with relay_of(main, spare) as setup:
            player, _ = await setup.player("a")
            player.play()
            third = TsMaker(serial=90_000).packets(100)
            await tap.send(third)
            await until(lambda: media_of(player.got) == media_of(first + second + third))
            assert [c.path for c in stub.connections] == ["/main", "/main", "/backup", "/backup"]
            assert TsChecker().feed(player.got).finish() == []


async def test_the_player_is_aligned_through_every_change() -> None:
    """Whatever was cut off where: what the player has is whole packets."""
    async with ProviderStub() as stub:
        cut = TsMaker().packets(200)[: -PACKET_BYTES // 2]
        tap, stream = Tap(), backup().packets(100)
        async with relay_of(stub.on("/a", resets_after(cut)), stub.on("/b", tap)) as setup:
            player, _ = await setup.player("a")
            player.play()
            stub.on("/a", status(500))
            await tap.send(stream)
            await until(lambda: media_of(player.got).endswith(media_of(stream)))
            assert len(player.got) % PACKET_BYTES == 0
            assert TsChecker().feed(player.got).finish() == []

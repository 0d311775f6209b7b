"""A failover to another provider account: decided, recorded, and never one connection too many."""

from plexbridge.relay.policy import RelayPolicy
from tests.service.provider_stub import endless, ends_after, status
from tests.service.relay_setup import until
from tests.service.station import BACKUP, SOURCE, Player, station
from tests.service.ts_maker import TsMaker

BITS_PER_S = 4_000_000
QUICK = RelayPolicy(backoff_first_ms=20, backoff_cap_ms=80, splice_ms=200, source_full_ms=100)


async def test_a_failover_is_a_fact_with_both_accounts() -> None:
    """The player stays; what was lost, where it went on, and the gap are in the log."""
    async with station(relay=QUICK, backups=True) as on_air:
        on_air.provider.on("/1", ends_after(TsMaker().packets(400)), status(500))
        on_air.provider.on("/1b", endless(bits_per_s=BITS_PER_S))
        player = await (await Player.asks(on_air, "/auto/v1")).watches(188 * 400)
        await until(lambda: "source_changed" in on_air.types())
        await player.watches_on(100_000)
        story = on_air.log.reader.read_stream("channel-c1")
        changed = next(row for row in story if row.type == "source_changed")
        assert (changed.payload["before"], changed.payload["source"]) == (SOURCE, BACKUP)
        begun = [row for row in story if row.type == "upstream_first_byte"]
        assert begun[-1].payload["source"] == BACKUP
        assert begun[-1].payload["gap_ms"] >= 0
        assert on_air.sessions() == [player.session]
        await until(lambda: on_air.state(player.session) == "active")
        assert on_air.door.world.connections_of(SOURCE) == 0
        player.leaves()
        await until(lambda: not on_air.sessions())
        await until(lambda: on_air.provider.open == 0)


async def test_an_account_without_a_free_connection_is_left_alone() -> None:
    """The backup's only connection is a viewer's: the channel goes on trying where it may."""
    async with station(relay=QUICK, backups=True, limits={SOURCE: 2, BACKUP: 1}) as on_air:
        provider = on_air.provider
        provider.on("/2", status(500))
        provider.on("/2b", endless(bits_per_s=BITS_PER_S))
        holder = await (await Player.asks(on_air, "/auto/v2")).watches()
        assert on_air.door.world.connections_of(BACKUP) == 1
        provider.on("/1", ends_after(TsMaker().packets(400)), status(500), endless())
        provider.on("/1b", endless(bits_per_s=BITS_PER_S))
        player = await (await Player.asks(on_air, "/auto/v1")).watches(188 * 400)
        await player.watches_on(100_000)
        assert provider.at("/1b") == []
        assert len(provider.at("/1")) == 3
        await holder.watches_on(50_000)
        assert sorted(on_air.sessions()) == sorted([holder.session, player.session])
        for one in (holder, player):
            one.leaves()
        await until(lambda: not on_air.sessions())


async def test_a_player_is_refused_when_every_upstream_has_failed() -> None:
    """Not after the first; and with the last one's answer, well before its own patience ends."""
    async with station(relay=QUICK, backups=True) as on_air:
        on_air.provider.on("/1", status(404))
        on_air.provider.on("/1b", status(503))
        player = await Player.asks(on_air, "/auto/v1")
        assert await player.answered() == 503
        assert player.header("X-HDHomeRun-Error").startswith("80")
        types = on_air.types()
        assert types.count("upstream_lost") == 2
        assert types.count("error") == 1


async def test_a_settle_delay_lies_between_two_connections_of_an_account() -> None:
    """A provider that counts a closed connection for a while gets that while; what lay between the
    two is recorded."""
    async with station(limits={SOURCE: 1}, settle_ms=300, admission_wait_ms=5_000) as on_air:
        for number in ("1", "2"):
            on_air.provider.on(f"/{number}", endless(bits_per_s=BITS_PER_S))
        first = await (await Player.asks(on_air, "/auto/v1")).watches()
        second = await Player.asks(on_air, "/auto/v2")
        first.leaves()
        await second.watches()
        [old], [new] = on_air.provider.at("/1"), on_air.provider.at("/2")
        assert old.closed_at is not None
        assert new.opened_at - old.closed_at >= 0.29
        assert on_air.provider.peak_open == 1
        await until(lambda: "overlap_measured" in on_air.types())
        [measured] = on_air.log.reader.read_stream(f"source-{SOURCE}")
        assert measured.payload["apart_ms"] >= 299
        second.leaves()
        await until(lambda: not on_air.sessions())


async def test_a_channel_whose_answer_is_known_is_refused_like_the_first_time() -> None:
    """Again and again, at once, and without asking the provider again."""
    async with station(relay=QUICK) as on_air:
        on_air.provider.on("/1", status(404))
        for _ in range(3):
            player = await Player.asks(on_air, "/auto/v1")
            assert await player.answered() == 503
            assert player.header("X-HDHomeRun-Error") == "806 Tune Failed"
        assert len(on_air.provider.connections) == 1
        await until(lambda: not on_air.sessions())

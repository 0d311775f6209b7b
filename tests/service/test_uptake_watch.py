"""Who is looked at, and when nobody is judged: the watch over what clients take."""

from events.ids import SessionId, UnixMicros
from plexbridge.control.uptake import UptakeWatch
from tests.service.provider_stub import endless
from tests.service.relay_setup import until
from tests.service.station import Player, Station, station


async def told_after(bridge: Station, looks: int, apart_ms: int) -> int:
    """After how many looks, so far apart, a client that takes nothing is told of; 0 for never."""
    watch = UptakeWatch(bridge.effects, bridge.viewers, lambda channel: 500_000.0)
    for look in range(1, looks + 1):
        now = UnixMicros(1_700_000_000_000_000 + look * apart_ms * 1_000)
        if list(watch.too_slow(bridge.door.world, now)):
            return look
    return 0


async def test_a_bridge_that_was_held_up_holds_nothing_against_its_clients() -> None:
    """Looked at once a second, a client that takes nothing is let go after the window; looked at
    seldom, because the machine was busy, never: it was given nothing to take."""
    async with station(tick=False) as bridge:
        bridge.provider.on("/1", endless())
        player = await (await Player.asks(bridge, "/auto/v1", small=True)).watches()
        await until(lambda: bridge.state(player.session) == "active")
        reader = bridge.effects.reader(SessionId(player.session), next(iter(bridge.effects.relays)))
        assert reader is not None
        await until(lambda: reader.lag_bytes > 1_000_000, within_s=20)
        assert 30 <= await told_after(bridge, looks=60, apart_ms=1_000) <= 32
        assert await told_after(bridge, looks=60, apart_ms=1_600) == 0

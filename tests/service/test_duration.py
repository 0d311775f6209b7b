"""A stream of so many seconds, as programs that record ask for."""

import asyncio

import pytest

from plexbridge.tuner.duration import DURATION_S_MAX, duration_s
from tests.service.provider_stub import endless
from tests.service.relay_setup import until
from tests.service.station import Player, station

BITS_PER_S = 4_000_000


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("60", 60.0),
        ("0.5", 0.5),
        (str(DURATION_S_MAX), float(DURATION_S_MAX)),
        (str(DURATION_S_MAX + 1), None),
        ("0", None),
        ("-1", None),
        ("", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("٣", None),
        ("9" * 5_000, None),
    ],
)
def test_only_a_plain_number_of_seconds_is_one(asked: str, seconds: float | None) -> None:
    """Anything else is ignored, as a real unit does."""
    assert duration_s({"duration": asked}) == seconds
    assert duration_s({}) is None


async def test_a_stream_of_some_seconds_ends_cleanly_by_itself() -> None:
    """Whole packets until then, `completed`, and the tuner is free; one without goes on."""
    async with station() as on_air:
        for path in ("/1", "/2"):
            on_air.provider.on(path, endless(bits_per_s=BITS_PER_S))
        other = await (await Player.asks(on_air, "/auto/v2?duration=x")).watches()
        player = await Player.asks(on_air, "/auto/v1?duration=0.4")
        assert await player.answered() == 200
        begun = asyncio.get_running_loop().time()
        size = await player.to_the_end()
        took_s = asyncio.get_running_loop().time() - begun
        assert size % 188 == 0
        assert size > 188 * 100
        assert 0.3 < took_s < 5
        await until(lambda: on_air.end_of(player.session) is not None)
        end = on_air.end_of(player.session)
        assert end is not None
        assert (end["reason"], end["detail"]) == ("disconnect", "completed")
        assert end["bytes"] == size
        await until(lambda: on_air.sessions() == [other.session])
        await other.watches_on(188)


async def test_who_leaves_before_its_time_is_a_client_that_left() -> None:
    """Its time being over later ends nothing."""
    async with station() as on_air:
        on_air.provider.on("/1", endless(bits_per_s=BITS_PER_S))
        player = await (await Player.asks(on_air, "/auto/v1?duration=1")).watches()
        player.leaves()
        await until(lambda: on_air.end_of(player.session) is not None)
        end = on_air.end_of(player.session)
        assert end is not None
        assert end["detail"] == "client_closed"

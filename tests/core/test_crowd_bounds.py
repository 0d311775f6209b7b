"""Bounds of addresses: connections, starts, and what file descriptors allow."""

import pytest
from given import at, given, player

from events.commands import TuneTooOften
from events.refusals import TooManyStarts
from plexbridge.server.addresses import is_loopback
from plexbridge.server.descriptors import CONNECTIONS_MAX, CONNECTIONS_MIN, connections_allowed
from plexbridge.server.places import Places
from plexbridge.server.start_rate import ADDRESSES_REMEMBERED, StartRate

HOME = "192.168.1.7"


class Watch:
    """A clock set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def starts(rate: StartRate, count: int, address: str = HOME) -> int:
    """How many of so many starts are allowed."""
    return sum(rate.allows(address) for _ in range(count))


def test_an_address_begins_as_many_streams_as_a_second_allows() -> None:
    """A whole second's worth at once, then one for each twentieth of a second."""
    watch = Watch()
    rate = StartRate(20, watch)
    assert starts(rate, 100) == 20
    watch.now += 0.25
    assert starts(rate, 100) == 5
    watch.now += 3_600
    assert starts(rate, 100) == 20


def test_one_address_takes_nothing_from_another_and_loopback_is_free() -> None:
    """Nor is anybody bounded where the setting is 0."""
    rate = StartRate(2, Watch())
    assert starts(rate, 50) == 2
    assert starts(rate, 50, "192.168.1.8") == 2
    assert starts(rate, 50, "127.0.0.1") == 50
    assert starts(StartRate(0, Watch()), 50) == 50


def test_ten_thousand_addresses_are_remembered_and_no_more() -> None:
    """Who asked last stays; the one that asked longest ago is forgotten."""
    rate = StartRate(1, Watch())
    assert rate.allows("first")
    for number in range(ADDRESSES_REMEMBERED - 1):
        rate.allows(str(number))
    assert not rate.allows("first")
    rate.allows("one more")
    assert len(rate) == ADDRESSES_REMEMBERED
    assert not rate.allows("first")
    assert rate.allows("0")


def too_often(second: float, *, agent: str = "a", address: str = HOME) -> TuneTooOften:
    return TuneTooOften(
        at=at(second),
        asked="7",
        client=player(f"at:{address}/{agent}", address=address, user_agent=agent),
        per_second=20,
        refusal_id="r",
    )


def test_a_refused_start_is_recorded_once_a_minute_for_its_address() -> None:
    """Whatever it calls itself: or a flood of requests would be a flood of events."""
    story = given()
    refused = story.when(too_often(1)).then_refused(
        TooManyStarts, "lineup: refused, too_many_starts"
    )
    assert str(refused) == f"{HOME} begins more than 20 streams a second"
    story.when(too_often(2, agent="b")).then_refused(TooManyStarts)
    story.when(too_often(60.9)).then_refused(TooManyStarts)
    recorded = "lineup: refused, too_many_starts"
    story.when(too_often(61.1)).then_refused(TooManyStarts, recorded)
    story.when(too_often(61.2, address="192.168.1.8")).then_refused(TooManyStarts, recorded)


def test_places_are_counted_in_all_and_by_address() -> None:
    """Left twice is left once; nothing is remembered of who is gone."""
    places = Places(total=4, per_address=2)
    left: list[int] = []
    places.watch(lambda: left.append(places.open))
    first, second = places.take(HOME), places.take(HOME)
    assert first is not None
    assert second is not None
    assert places.take(HOME) is None
    other = places.take("192.168.1.8")
    assert other is not None
    assert not places.full
    assert places.take("127.0.0.1") is not None
    assert places.full
    first.leave()
    first.leave()
    assert left == [3]
    assert places.take(HOME) is not None
    assert Places(total=9, per_address=0).take(HOME) is not None


def test_loopback_has_no_bound_but_the_total() -> None:
    """A reverse proxy asks from there for everyone."""
    places = Places(total=3, per_address=1)
    assert all(places.take("127.0.0.1") for _ in range(3))
    assert places.full


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.1", False),
        ("fe80::1%eth0", False),
        ("unknown", False),
    ],
)
def test_what_is_loopback(address: str, loopback: bool) -> None:
    """Also as a dual-stack socket shows it."""
    assert is_loopback(address) is loopback


@pytest.mark.parametrize(
    ("limit", "open_now", "upstreams", "allowed"),
    [
        (1_024, 24, 4, 1_024 - 24 - 16 - 16),
        (64, 20, 4, 12),
        (64, 60, 4, CONNECTIONS_MIN),
        (1_024, 24, 1_000, CONNECTIONS_MIN),
        (1_000_000, 24, 4, CONNECTIONS_MAX),
    ],
)
def test_descriptors_bound_the_connections(
    limit: int, open_now: int, upstreams: int, allowed: int
) -> None:
    """What is open, the reserve and the tuners' upstreams come first."""
    assert connections_allowed(limit, open_now=open_now, upstreams=upstreams) == allowed

"""How many connections are open, in all and from each address. Counts; knows no socket.

Loopback is bounded by the total only: a reverse proxy, the page and the health check come from
there, each for many.
"""

from collections import Counter
from collections.abc import Callable

from plexbridge.server.addresses import is_loopback


class Place:
    """One connection's claim; to be left once, and leaving again is no fault."""

    def __init__(self, places: "Places", address: str) -> None:
        self._places: Places | None = places
        self._address = address

    def leave(self) -> None:
        """The connection is gone, or never came about."""
        if self._places is not None:
            places, self._places = self._places, None
            places.left(self._address)


class Places:
    """The connections of one process; used on the event loop only."""

    def __init__(self, *, total: int, per_address: int) -> None:
        """`total`: connections in all. `per_address`: from each address but loopback; 0 is no
        bound."""
        assert total > 0, "a server without a place serves nobody"
        self.total = total
        self.per_address = per_address
        self.open = 0
        self._watchers: list[Callable[[], None]] = []
        self._by_address: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """Whether every place is taken."""
        return self.open >= self.total

    def watch(self, on_left: Callable[[], None]) -> None:
        """Call this whenever a place is left."""
        self._watchers.append(on_left)

    def take(self, address: str) -> Place | None:
        """A place for a connection from `address` (in plain form); None when it has its share."""
        assert not self.full, "accepting is paused while every place is taken"
        has_its_share = 0 < self.per_address <= self._by_address[address]
        if has_its_share and not is_loopback(address):
            return None
        self.open += 1
        self._by_address[address] += 1
        return Place(self, address)

    def left(self, address: str) -> None:
        """For a place: it is free again."""
        self.open -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]  # one entry for each address that is here, none for ever
        for on_left in self._watchers:
            on_left()

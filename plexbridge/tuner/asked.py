"""Who asked which of the players' routes, and when last: for the setup, which ticks what it sees.

In memory, of this run alone, and bounded; a request is noted before it is answered, and nothing
waits for that. What was watched is the log's to tell.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from events.ids import UnixMicros
from plexbridge.server.addresses import plain_address
from plexbridge.tuner.client import client_of

ASKERS_REMEMBERED: Final = 64
"""Programs at addresses; a home has fewer. Who has not asked for longest is forgotten."""

ASKERS_PER_ADDRESS: Final = 8
"""Programs on one machine: one that calls itself something else each time pushes out no other."""


@dataclass(slots=True)
class Asked:
    """One route, as somebody asked it."""

    at: UnixMicros
    """The last time."""
    times: int = 0


@dataclass(slots=True)
class Asker:
    """A program at an address."""

    address: str
    name: str
    """What to call it; see `tuner.client`."""
    user_agent: str
    routes: dict[str, Asked] = field(default_factory=dict)
    """By the path in the table: there are as many as it has."""


class Askings:
    """Used on the event loop only."""

    def __init__(self, now: Callable[[], UnixMicros]) -> None:
        self.since = now()
        """Nothing from before is known."""
        self._now = now
        self._askers: OrderedDict[tuple[str, str], Asker] = OrderedDict()

    def noting(self, path: str, app: ASGIApp) -> ASGIApp:
        """The endpoint of a path, noting who asks it."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            self.note(path, scope)
            await app(scope, receive, send)

        return answer

    def note(self, path: str, scope: Scope) -> None:
        """Somebody asked this."""
        request = Request(scope)
        address = "" if request.client is None else plain_address(request.client.host)
        client = client_of(address, request.headers, request.query_params)
        key = (address, client.name)
        asker = self._askers.pop(key, None) or Asker(address, client.name, client.user_agent)
        self._askers[key] = asker
        asker.user_agent = client.user_agent
        asked = asker.routes.setdefault(path, Asked(self._now()))
        asked.at, asked.times = self._now(), asked.times + 1
        self._forget(address)

    def askers(self) -> list[Asker]:
        """Who asked last comes first."""
        return list(reversed(self._askers.values()))

    def last(self, *paths: str, unless: frozenset[str] = frozenset()) -> tuple[Asker, Asked] | None:
        """Who asked one of these last, but for programs of these names."""
        found = [
            (asker, asked)
            for asker in self._askers.values()
            if asker.name not in unless
            for path, asked in asker.routes.items()
            if path in paths
        ]
        return max(found, key=lambda one: one[1].at, default=None)

    def document(self) -> list[dict[str, Any]]:
        """For the API; times in Unix milliseconds."""
        return [
            {
                "address": asker.address,
                "name": asker.name,
                "user_agent": asker.user_agent,
                "routes": [
                    {"path": path, "at": asked.at // 1_000, "times": asked.times}
                    for path, asked in asker.routes.items()
                ],
            }
            for asker in self.askers()
        ]

    def _forget(self, address: str) -> None:
        here = [key for key in self._askers if key[0] == address]
        if len(here) > ASKERS_PER_ADDRESS:
            del self._askers[here[0]]
        if len(self._askers) > ASKERS_REMEMBERED:
            self._askers.popitem(last=False)

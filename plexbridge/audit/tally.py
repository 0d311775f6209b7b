"""What a course of events came to: sessions, ends, refusals, tuner time, signs of false reclaims.

Pure, over recorded and hypothetical events alike: both are counted by the same rules.
"""

from collections import Counter, OrderedDict
from typing import Any, Final

from events.envelope import Fact
from events.ids import UnixMicros
from events.machine import CONNECT, ENDED, NEW, RECLAIM, RECOVERING
from events.world import World

CAME_BACK_US: Final = 60_000_000
"""A viewer whose session the bridge ended for silence, and who asks for the same channel again
within this time, was most likely there all the while: a sign of a false reclaim."""

RECLAIMED_REMEMBERED: Final = 1_000
"""Viewers that may come back; the one reclaimed longest ago is forgotten first."""

_FALSE_REASONS: Final = frozenset({"orphaned", "stale"})
_NOT_SILENCE: Final = frozenset({"bridge_restarted", "swept", "by_admin"})


class Tally:
    """Counts facts in their order."""

    def __init__(self, world: World, since: UnixMicros) -> None:
        """What is open in `world` counts from `since`."""
        self.sessions = 0
        self.resumed = 0
        self.ends: Counter[tuple[str, str]] = Counter()
        """(reason, detail) → sessions that ended so."""
        self.refusals: Counter[str] = Counter()
        """Rule → recorded refusals: at most one a minute for each client and channel."""
        self.tuner_us = 0
        """Time tuners were held, lingering included."""
        self.idle_us = 0
        """The part of it in which a tuner was held and nobody watched: lingering, or in recovery
        after its player had left."""
        self.watched_us = 0
        """Time sessions lasted."""
        self.peak = 0
        """Tuners held at once, at most."""
        self.came_back: set[str] = set()
        """Streams of sessions that were reclaimed, and whose viewer asked again at once."""
        self._begun = {f"session-{one.id}": since for one in world.sessions.values()}
        self._who = {
            f"session-{one.id}": (one.client_key, str(one.channel))
            for one in world.sessions.values()
        }
        self._held = {f"channel-{one.channel}": since for one in world.leases.values()}
        self._watching: dict[str, set[str]] = {
            f"channel-{one.channel}": {f"session-{name}" for name in one.sessions}
            for one in world.leases.values()
        }
        self._gone: set[str] = {
            f"session-{one.id}" for one in world.sessions.values() if one.connection is None
        }
        self._idle = {stream: since for stream, on in self._watching.items() if not on - self._gone}
        self._reclaimed: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()
        self.peak = len(self._held)

    def count(self, fact: Fact) -> None:
        """Take the next fact into account."""
        if fact.src is not None:
            self._session(fact)
        elif fact.type == "tuner_leased":
            self._held[fact.stream] = fact.at
            self._watching[fact.stream] = set()
            self._idle[fact.stream] = fact.at
            self.peak = max(self.peak, len(self._held))
        elif fact.type == "tuner_released":
            self._released(fact.stream, fact.at)
        elif fact.type == "refused":
            self.refusals[fact.payload["rule"]] += 1

    def close(self, at: UnixMicros) -> None:
        """What is open counts until here."""
        for stream in list(self._begun):
            self.watched_us += max(0, at - self._begun.pop(stream))
        for stream in list(self._held):
            self._released(stream, at)

    def _session(self, fact: Fact) -> None:
        if fact.type == CONNECT:
            self._connect(fact)
        elif fact.dst == ENDED:
            self._end(fact)
        elif fact.type == "disconnect" and fact.dst == RECOVERING:
            self._gone.add(fact.stream)
            self._look(f"channel-{self._who[fact.stream][1]}", fact.at)

    def _connect(self, fact: Fact) -> None:
        data: Any = fact.payload
        key, channel = data["client"]["key"], data["channel"]["id"]
        if fact.src == NEW:
            self.sessions += 1
            self._begun[fact.stream] = fact.at
            self._who[fact.stream] = key, channel
        else:
            self.resumed += 1
        before = self._reclaimed.pop((key, channel), None)
        if before is not None and fact.at - before[1] <= CAME_BACK_US:
            self.came_back.add(before[0])
        self._gone.discard(fact.stream)
        self._watching.setdefault(f"channel-{channel}", set()).add(fact.stream)
        self._look(f"channel-{channel}", fact.at)

    def _end(self, fact: Fact) -> None:
        data: Any = fact.payload
        self.ends[data["reason"], data["detail"]] += 1
        begun = self._begun.pop(fact.stream, None)
        if begun is not None:
            self.watched_us += fact.at - begun
        who = self._who.pop(fact.stream, None)
        had_left = fact.stream in self._gone
        self._gone.discard(fact.stream)
        if who is None:
            return
        channel = f"channel-{who[1]}"
        self._watching.get(channel, set()).discard(fact.stream)
        self._look(channel, fact.at)
        if is_silent_end(fact) and not had_left:
            self._reclaimed[who] = fact.stream, fact.at
            if len(self._reclaimed) > RECLAIMED_REMEMBERED:
                self._reclaimed.popitem(last=False)

    def _look(self, channel: str, at: UnixMicros) -> None:
        """Whether anybody is left who watches this channel."""
        if self._watching.get(channel, set()) - self._gone:
            since = self._idle.pop(channel, None)
            self.idle_us += 0 if since is None else at - since
        elif channel in self._held:
            self._idle.setdefault(channel, at)

    def _released(self, channel: str, at: UnixMicros) -> None:
        since = self._held.pop(channel, None)
        self.tuner_us += 0 if since is None else max(0, at - since)
        idle = self._idle.pop(channel, None)
        self.idle_us += 0 if idle is None else max(0, at - idle)
        self._watching.pop(channel, None)


def is_silent_end(fact: Fact) -> bool:
    """Whether the bridge ended a session because its client was silent, or its upstream was."""
    return (
        fact.type == RECLAIM
        and fact.payload["reason"] in _FALSE_REASONS
        and fact.payload["detail"] not in _NOT_SILENCE
    )

"""What is remembered of upstreams that failed: how often, and when each may be asked again.

One for the process, because a relay lives no longer than its viewers: a player that asks again and
again for a channel with a wrong login must not make the bridge ask the provider again and again.
Pure: times are monotonic seconds, handed in.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from plexbridge.relay.policy import RelayPolicy, pause_ms
from plexbridge.relay.ports import Upstream, UpstreamFailed

REMEMBERED_MAX: Final = 1_000
"""Upstreams in trouble; the one that failed longest ago is forgotten first."""

_LOGIN_REFUSED_S: Final = 300.0
"""The same login is refused again, and repeating it locks accounts: at most one request in five
minutes (`reference/transport.md`, fault 15)."""

_GONE_S: Final = 30.0
"""At most two requests a minute for what the provider does not have (fault 16)."""

BLOCKED_S: Final[Mapping[str, float]] = {
    "upstream_http_401": _LOGIN_REFUSED_S,
    "upstream_http_403": _LOGIN_REFUSED_S,
    "upstream_http_404": _GONE_S,
    "upstream_http_410": _GONE_S,
}
"""Failures that asking again does not mend, by their detail; any other backs off."""


@dataclass(slots=True)
class _Trouble:
    failures: int
    """In a row, since it last delivered for a while."""
    ready_at: float
    failure: UpstreamFailed


class UpstreamHealth:
    """Failures by upstream. An upstream nobody heard bad things of is well."""

    def __init__(self, policy: RelayPolicy, random: Random) -> None:
        self._policy = policy
        self._random = random
        self._troubles: OrderedDict[str, _Trouble] = OrderedDict()

    def failed(
        self, upstream: Upstream, failure: UpstreamFailed, *, steady: bool, now: float
    ) -> None:
        """An attempt is over. `steady`: it had delivered for long enough to count as good."""
        before = self._troubles.pop(upstream.digest, None)
        failures = 1 if steady or before is None else before.failures + 1
        blocked_s = BLOCKED_S.get(failure.detail)
        if blocked_s is None:
            blocked_s = (
                pause_ms(
                    self._policy,
                    failures=failures,
                    chance=self._random.random(),
                    retry_after_s=failure.retry_after_s,
                )
                / 1_000
            )
        self._troubles[upstream.digest] = _Trouble(failures, now + blocked_s, failure)
        if len(self._troubles) > REMEMBERED_MAX:
            self._troubles.popitem(last=False)

    def well(self, upstream: Upstream) -> None:
        """It has delivered for a while: what was before is forgotten."""
        self._troubles.pop(upstream.digest, None)

    def failures(self, upstream: Upstream) -> int:
        """How often it failed in a row."""
        trouble = self._troubles.get(upstream.digest)
        return 0 if trouble is None else trouble.failures

    def ready_at(self, upstream: Upstream) -> float:
        """When it may be asked again; in the past for one that is well."""
        trouble = self._troubles.get(upstream.digest)
        return float("-inf") if trouble is None else trouble.ready_at

    def last_failure(self, upstream: Upstream) -> UpstreamFailed | None:
        """What it failed with last."""
        trouble = self._troubles.get(upstream.digest)
        return None if trouble is None else trouble.failure

"""`GET /api/audit/live`: what is open in this process at one position of the log.

Tells; judges nothing. Who asks folds the log up to that position and compares: what only the bridge
itself compared would be vouched for by whoever may be wrong.
"""

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from plexbridge.bridge import Bridge
from plexbridge.web.answers import ApiError, json_answer

LOOKS_MAX: Final = 20
"""Waits for the disk until an instant is met at which nothing is on its way there. Each decision is
stored within milliseconds: only a bridge that decides hundreds of things a second needs more."""


class AuditApi:
    """The endpoint."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def live(self, request: Request) -> Response:
        """What exists right now, at a position at which everything decided is durable."""
        door = self._bridge.door
        for _ in range(LOOKS_MAX):
            if not door.storing:
                raise ApiError(503, "log_unavailable", "the log cannot store at the moment")
            if not door.on_its_way:
                break
            await door.settled()
        else:
            raise ApiError(503, "busy", "there is always something on its way to the disk")
        held = self._held()  # in one turn of the loop with the look above
        rows = await asyncio.to_thread(self._bridge.log.reader.read, held["position"] - 1, 1)
        if not rows:
            raise ApiError(503, "log_unavailable", "the log does not hold what it stored")
        return json_answer({**held, "hash": rows[0].hash.hex()})

    def _held(self) -> dict[str, Any]:
        bridge = self._bridge
        world, effects, viewers = bridge.door.world, bridge.effects, bridge.viewers
        carried = ((name, viewers.get(name)) for name in viewers.sessions())
        return {
            "position": bridge.durable_position,
            "sessions": [
                {"id": one.id, "state": one.state, "channel": one.channel}
                for one in world.sessions.values()
            ],
            "connections": [
                {"session": name, "number": viewer.connection}
                for name, viewer in carried
                if viewer is not None
            ],
            "leases": [
                {
                    "channel": one.channel,
                    "lease": one.ver,
                    "tuner": one.tuner,
                    "source": one.source,
                }
                for one in world.leases.values()
            ],
            "relays": [
                {
                    "channel": channel,
                    "lease": running.lease,
                    "source": running.source,
                    "state": running.relay.state,
                    "attempt": running.relay.attempt,
                }
                for channel, running in effects.relays.items()
            ],
            "upstreams_closing": effects.closing,
            "children": bridge.children_running,
            "transcodes": bridge.transcodes.in_use,
        }

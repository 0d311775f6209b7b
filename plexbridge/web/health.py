"""Health: is the process alive, is it ready to give, and what is the matter if not."""

from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from plexbridge.bridge import Bridge
from plexbridge.version import __version__
from plexbridge.web.answers import json_answer

OK: Final = "ok"


class Check(NamedTuple):
    """One thing that must hold for new sessions to be given."""

    name: str
    passed: bool
    detail: str


def checks(bridge: Bridge) -> list[Check]:
    """In words a person can act on."""
    waiting, projector = bridge.door.waiting_facts, bridge.projector
    built = str(projector.being_built or "level")
    return [
        Check("log", bridge.door.storing, f"{waiting} facts wait to be stored"),
        # What is being built holds up nothing that is given.
        Check("projections", projector.parked is None, projector.parked or built),
        Check("lineup", bool(bridge.lineup.channels), f"{len(bridge.lineup)} channels"),
        Check("serving", not bridge.stopping, "stopping" if bridge.stopping else "listening"),
    ]


class Health:
    """The endpoints."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def live(self, request: Request) -> Response:
        """`/livez`: the loop turns. Checks nothing else."""
        return PlainTextResponse(OK)

    async def ready(self, request: Request) -> Response:
        """`/readyz[?verbose]`."""
        found = checks(self._bridge)
        ready = all(check.passed for check in found)
        text = OK if ready else "not ready"
        if "verbose" in request.query_params:
            marks = (f"[{'+' if c.passed else '-'}]{c.name} {c.detail}" for c in found)
            text = "\n".join(marks)
        return PlainTextResponse(text, 200 if ready else 503)

    async def health(self, request: Request) -> Response:
        """`/health`."""
        found = checks(self._bridge)
        ready = all(check.passed for check in found)
        document = {
            "status": OK if ready else "degraded",
            "version": __version__,
            "position": self._bridge.projector.position,
            "checks": {c.name: {"ok": c.passed, "detail": c.detail} for c in found},
        }
        return json_answer(document, 200 if ready else 503)
